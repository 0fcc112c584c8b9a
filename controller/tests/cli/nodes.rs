//! `extend node` and `extend controller recover`.

use extend_proto::v1;

use crate::harness::Place;

#[test]
fn nodes_as_tables() {
    let place = Place::new();
    insta::assert_snapshot!(place.run("node list").out, @r#"
    ADDRESS        STATE    SERVER          TYPE               AGENT  LAST SEEN  CERTIFICATE ENDS  REASON
    172.31.16.139  online   media-server-1  media-server-only  0.1.0  0s ago     in 20h 30m        docker unresponsive for 20s
    172.31.16.141  pending  -               -                  -      -          -                 a token was made; the node has not joined yet
    "#);
    let wide = place.run("node list -o wide").out;
    let at = wide.find("TOKEN ENDS").unwrap();
    let ends: Vec<&str> = wide.lines().map(|line| &line[at..]).collect();
    insta::assert_snapshot!(ends.join("\n"), @r"
    TOKEN ENDS  RECORD  PROCESSOR  LOAD  MEMORY         DISK FREE     UP     CLOCK    REASON
    -           3.7     12.3%      0.12  23% of 8.2 GB  4.0 GB (10%)  3d 4h  unknown  docker unresponsive for 20s
    in 5h 30m   -       -          -     -              -             -      -        a token was made; the node has not joined yet
    ");
    let shown = place.run("node show 172.31.16.139").out;
    let (_, figures) = shown.split_once("Docker ").unwrap();
    let figures: Vec<_> = figures
        .lines()
        .filter(|line| !line.starts_with("Started") && !line.starts_with("Figures of"))
        .collect();
    insta::assert_snapshot!(figures.join("\n"), @r"
               docker unresponsive for 20s
    Clock             1m 4s behind the controller's; synchronization unknown
    Processor         12.3% of 2
    Load              0.12 0.08 1.00
    Memory            1.9 GB of 8.2 GB used (23%)
    Disk              12.3 GB of 20.0 GB free (61%) at /var/lib/portsip
    Disk              4.0 GB of 40.0 GB free (10%) at /var/lib/docker
    ");
    assert!(shown.contains(" (3d 4h ago)\nFigures of "), "{shown}");
    let shown = place.run("node show 172.31.16.141").out;
    let (before, at) = shown.split_once("Join token ends").unwrap();
    insta::assert_snapshot!(before, @r"
    Address           172.31.16.141
    State             pending
    Reason            a token was made; the node has not joined yet
    ");
    assert!(at.ends_with(" (in 5h 30m)\n"), "{at}");
}

#[test]
fn nodes_as_documents() {
    let place = Place::new();
    let list: serde_json::Value =
        serde_json::from_str(&place.run("node list -o json").out).unwrap();
    assert_eq!(list["nodes"][0]["state"], "online");
    assert_eq!(list["nodes"][0]["record"]["generation"], 7);
    assert_eq!(list["nodes"][0]["enrolled_at"], "2026-01-15T10:13:00Z");
    assert_eq!(list["nodes"][1]["server"], serde_json::Value::Null);
    let host = &list["nodes"][0]["host"];
    assert_eq!(host["processor_percent"], 12.3);
    assert_eq!(host["load_average"][2], 1.0);
    assert_eq!(host["memory_used_bytes"], 1_900_000_000_u64);
    assert_eq!(host["disks"][1]["path"], "/var/lib/docker");
    assert_eq!(host["clock_synchronized"], serde_json::Value::Null);
    for moment in ["sampled_at", "booted_at"] {
        let moment = host[moment].as_str().unwrap();
        assert!(moment.parse::<jiff::Timestamp>().is_ok(), "{moment}");
    }
    assert_eq!(list["nodes"][0]["clock_ahead_seconds"], -64.3);
    assert_eq!(list["nodes"][1]["host"], serde_json::Value::Null);
    let show = place.run("node show -a 172.31.16.139 -o yaml").out;
    assert!(
        show.starts_with("address: \"172.31.16.139\"\nstate: online\n"),
        "{show}"
    );
}

#[test]
fn an_unknown_node_is_refused() {
    let ran = Place::new().run("node show 172.31.16.200");
    assert_eq!(ran.code, 4);
    assert_eq!(
        ran.err,
        "error: there is no node 172.31.16.200\nhint: extend node list\n"
    );
}

#[test]
fn the_token_is_alone_on_stdout() {
    let place = Place::new();
    let ran = place.run("node token -a 172.31.16.141 --ttl 10m");
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "172.31.16.133/ab12/secret\n")
    );
    assert!(ran.err.contains("sudo extend-agent join"), "{}", ran.err);
    assert!(ran.err.contains("(for 10m)"), "{}", ran.err);
    assert!(!ran.err.contains("secret"), "{}", ran.err);
    assert_eq!(
        *place.script.asked.lock().unwrap(),
        ["token 172.31.16.141 600"]
    );
}

#[test]
fn revoking_and_removing_tell_what_else_happened() {
    let place = Place::new();
    let ran = place.run("node revoke 172.31.16.139 --yes");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(
        ran.err,
        "node 172.31.16.139 is revoked\n  its open session was closed\n"
    );
    let ran = place.run("node remove -a 172.31.16.139 --force --yes");
    assert_eq!(ran.code, 0);
    assert_eq!(ran.err, "node 172.31.16.139 is removed\n");
    assert_eq!(
        *place.script.asked.lock().unwrap(),
        ["revoke 172.31.16.139", "remove 172.31.16.139 true"]
    );
}

#[test]
fn revoking_a_node_that_had_only_a_token_is_no_error() {
    let place = Place::new();
    let notes = vec!["its unspent token was dropped".to_owned()];
    *place.script.revoked.lock().unwrap() = Some(v1::NodeResponse { node: None, notes });
    let ran = place.run("node revoke 172.31.16.141 --yes -o json");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(
        ran.err,
        "node 172.31.16.141 can no longer join\n  its unspent token was dropped\n"
    );
}

#[test]
fn recovery_counts_what_it_could_not_do() {
    let place = Place::new();
    let ran = place.run("controller recover -a 172.31.16.139,172.31.16.140 --finish");
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!(ran.err, @r#"
    recovered 172.31.16.139: server media-server-1
    not recovered: 172.31.16.140 is not connected
    1 node recovered
    certificates of nodes that are not in the store are refused from now on
    "#);
    assert_eq!(
        *place.script.asked.lock().unwrap(),
        ["recover [\"172.31.16.139\", \"172.31.16.140\"] true"]
    );
}
