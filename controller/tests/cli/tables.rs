//! What is printed, to the letter.

use extend_proto::v1;

use crate::fixtures::{self, mixed};
use crate::harness::Place;
use crate::stub::OnSubmit;

#[test]
fn status_as_a_table() {
    let ran = Place::new().run("status");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out, @r"
    NAME              TYPE                 ADDRESS        HEALTH       SINCE   PORTAL          IMAGE           VERSION  RESTARTS                 NODE     OPERATION  REASON
    meeting-server-1  meeting-server-only  172.31.16.137  healthy      2h 30m  not configured  portsip/pbx:22  22.6.3   0                        online   -          -
    queue-server-1    queue-server-only    172.31.16.138  quarantined  2h 30m  not configured  portsip/pbx:22  22.6.3   5 by agent, 2 by docker  online   -          5 restarts in 10m did not help; to start it again: extend restart -n queue-server-1
    media-server-1    media-server-only    172.31.16.139  starting     2h 30m  not configured  portsip/pbx:22  22.6.3   0                        online   5nzq8c     pulling portsip/pbx:22
    ivr-server-1      vr-server-only       172.31.16.140  unknown      -       not configured  portsip/pbx:22  22.6.3   0                        offline  -          its node is offline; it was healthy

    UNCLAIMED CONTAINER  TYPE               ADDRESS        ID            NAME            TO TAKE IT OVER
    portsip.mediaserver  media-server-only  172.31.16.141  deadbeef0123  media-server-2  extend adopt -a 172.31.16.141
    ");
}

#[test]
fn status_as_a_wide_table() {
    let ran = Place::new().run("status -o wide");
    insta::assert_snapshot!(ran.out, @r"
    NAME              TYPE                 ADDRESS        HEALTH       SINCE   PORTAL          IMAGE           VERSION  RESTARTS                 NODE     OPERATION  CONTAINER     DIGEST        PREVIOUS IMAGE  DEPLOYMENT       DATA                                  PROCESSOR  MEMORY         DISK FREE     LAST 2 HOURS  REASON
    meeting-server-1  meeting-server-only  172.31.16.137  healthy      2h 30m  not configured  portsip/pbx:22  22.6.3   0                        online   -          3f2a9c41d0aa  c0ffeec0ffee  -               5                /var/lib/portsip/meeting-server-only  12.3%      23% of 8.2 GB  4.0 GB (10%)  -             -
    queue-server-1    queue-server-only    172.31.16.138  quarantined  2h 30m  not configured  portsip/pbx:22  22.6.3   5 by agent, 2 by docker  online   -          3f2a9c41d0aa  c0ffeec0ffee  -               5                /var/lib/portsip/queue-server-only    12.3%      23% of 8.2 GB  4.0 GB (10%)  -             5 restarts in 10m did not help; to start it again: extend restart -n queue-server-1
    media-server-1    media-server-only    172.31.16.139  starting     2h 30m  not configured  portsip/pbx:22  22.6.3   0                        online   5nzq8c     3f2a9c41d0aa  c0ffeec0ffee  -               4 (should be 5)  /var/lib/portsip/media-server-only    12.3%      23% of 8.2 GB  4.0 GB (10%)  -             pulling portsip/pbx:22
    ivr-server-1      vr-server-only       172.31.16.140  unknown      -       not configured  portsip/pbx:22  22.6.3   0                        offline  -          3f2a9c41d0aa  c0ffeec0ffee  -               5                /var/lib/portsip/vr-server-only       -          -              -             -             its node is offline; it was healthy

    UNCLAIMED CONTAINER  TYPE               ADDRESS        ID            NAME            TO TAKE IT OVER
    portsip.mediaserver  media-server-only  172.31.16.141  deadbeef0123  media-server-2  extend adopt -a 172.31.16.141
    ");
}

#[test]
fn the_selector_of_status_is_the_controllers_to_judge() {
    let place = Place::new();
    place.run("status -s media-server-only -a 172.31.16.139");
    assert_eq!(
        *place.script.asked.lock().unwrap(),
        ["servers \"media-server-only\" [\"172.31.16.139\"]"]
    );
}

#[test]
fn an_empty_fleet_is_said_on_stderr() {
    let place = Place::new();
    *place.script.servers.lock().unwrap() = v1::ListServersResponse::default();
    let ran = place.run("status");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(
        ran.err
            .starts_with("there are no servers yet\nhint: extend run "),
        "{}",
        ran.err
    );
}

#[test]
fn status_as_a_document() {
    let place = Place::new();
    let json = place.run("status -o json");
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let server = &document["servers"][1];
    let fields: Vec<&str> = server
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    insta::assert_snapshot!(fields.join(" "), @r"address agent_restarts container_id container_state data_directory deployment detail docker_restarts failing health host image image_identity name node_away_since node_reason node_state operation phase portal previous_image reason recent_healthy_percent reported_health run_state serving_deployment sessions since spared_until type version warnings");
    assert_eq!(server["health"], "quarantined");
    assert_eq!(server["agent_restarts"], 5);
    assert_eq!(server["docker_restarts"], 2);
    assert!(
        server["since"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok()
    );
    let away = &document["servers"][3];
    assert_eq!(away["health"], "unknown");
    assert_eq!(away["reported_health"], "healthy");
    assert_eq!(away["node_state"], "offline");
    assert_eq!(document["servers"][2]["operation"], fixtures::ID);
    assert_eq!(document["servers"][2]["phase"], "pulling");
    assert_eq!(document["unclaimed"][0]["container"], "portsip.mediaserver");

    let yaml = place.run("status -o yaml");
    let again: serde_json::Value = serde_saphyr::from_str(&yaml.out).unwrap();
    assert_eq!(again["servers"][1]["name"], document["servers"][1]["name"]);
    assert_eq!(again["servers"][3]["reported_health"], "healthy");
}

#[test]
fn a_plan_as_a_table_and_as_a_document() {
    let place = Place::new();
    let answer = v1::SubmitResponse {
        plan: fixtures::plan(),
        operation: None,
    };
    place.script.on_submit([OnSubmit::Answer(answer)]);
    let ran = place.run("restart --plan");
    assert_eq!(ran.err, "restart: 3 of 4 servers would change\n");
    insta::assert_snapshot!(ran.out, @r"
    1 of a type at a time, types side by side; stops at the first failure

    NAME              TYPE                 ADDRESS        WAVE
    meeting-server-1  meeting-server-only  172.31.16.137  1
    queue-server-1    queue-server-only    172.31.16.138  1
    media-server-1    media-server-only    172.31.16.139  2
    ivr-server-1      vr-server-only       172.31.16.140  -

    meeting-server-1, media-server-1:
      restart the container
      image portsip/pbx:22
    queue-server-1:
      restart the container
      from  portsip/pbx:22
      to    portsip/pbx:22.6
    ivr-server-1:
      none: already stopped
    ");
    let ran = place.run("restart --plan -o json");
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["verb"], "restart");
    assert_eq!(document["changes"], true);
    assert_eq!(document["plan"][1]["image_after"], "portsip/pbx:22.6");
    assert_eq!(document["plan"][3]["already_so"], true);
}

#[test]
fn how_an_operation_went_and_ended() {
    let place = Place::new();
    place.script.operation.send_replace(mixed());
    let ran = place.run("upgrade");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    insta::assert_snapshot!(ran.err, @r"
    ivr-server-1 (172.31.16.140): already stopped, nothing to do
    2026-01-15 10:13:01 queue-server-1 (172.31.16.138) stopping
    2026-01-15 10:13:04 queue-server-1 (172.31.16.138) starting
    2026-01-15 10:13:12 meeting-server-1 (172.31.16.137) succeeded, with a warning: it has never answered a probe: not proven
    2026-01-15 10:13:12 queue-server-1 (172.31.16.138) failed: the new container ended
    2026-01-15 10:13:12 media-server-1 (172.31.16.139) rolled-back: the new container never became healthy
    2026-01-15 10:13:12 ivr-server-1 (172.31.16.140) skipped: queue-server-1 failed before its turn
    upgrade 5nzq8c: 1 of 4 servers succeeded, 1 failed, 1 rolled-back, 1 skipped, in 1m 12s
      queue-server-1 (172.31.16.138):
        container 3f2a9c41d0aa, exit code 137, killed by the kernel for lack of memory
        the last lines of its output:
        | starting
        | no license\u{1b}[2J
      media-server-1 (172.31.16.139): the node told afterwards: succeeded
    hint: extend op show 5nzq8c
    hint: extend op retry 5nzq8c --failed-only
    ");
}

#[test]
fn rm_says_where_the_data_is() {
    let place = Place::new();
    let mut target = fixtures::target(2, v1::TargetState::Succeeded);
    target.detail = "data kept in /var/lib/portsip/media-server-only (1.2 GB)".to_owned();
    place
        .script
        .operation
        .send_replace(fixtures::operation(v1::Verb::Rm, vec![target]));
    let plan = Vec::new();
    let operation = Some(place.script.operation.borrow().clone());
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse { plan, operation })]);
    let ran = place.run("rm -n media-server-1");
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.err, @r"
    2026-01-15 10:13:12 media-server-1 (172.31.16.139) succeeded: data kept in /var/lib/portsip/media-server-only (1.2 GB)
    rm 5nzq8c: media-server-1 (172.31.16.139) succeeded in 1m 12s
    ");
}

#[test]
fn an_ended_operation_as_a_document() {
    let place = Place::new();
    place.script.operation.send_replace(mixed());
    for words in [
        "upgrade -o json",
        "op watch 5NZQ8C -o json",
        "op show 5nzq8c -o json",
    ] {
        let ran = place.run(words);
        let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(document["id"], fixtures::ID, "{words}");
        assert_eq!(document["state"], "failed");
        assert_eq!(document["begun_at"], "2026-01-15T10:13:00Z");
        assert_eq!(document["targets"][2]["state"], "rolled-back");
        assert_eq!(document["targets"][1]["evidence"]["exit_code"], 137);
        assert_eq!(document["targets"][1]["phases"][1]["phase"], "stopping");
        assert_eq!(document["targets"][3]["begun_at"], serde_json::Value::Null);
    }
    assert!(
        place
            .script
            .asked
            .lock()
            .unwrap()
            .contains(&"watch 5NZQ8C".to_owned())
    );
}

#[test]
fn operations_as_a_table() {
    let place = Place::new();
    let ran = place.run("op list");
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.out, @r#"
    ID      VERB     SERVERS                                STATE     BY               BEGUN       TOOK    MESSAGE
    5nzq8c  restart  -s media-server-only -a 172.31.16.139  open 0/1  alice            2h 30m ago  2h 30m  CAB-123
    5nzq8c  upgrade  all servers                            failed    root (says bob)  2d 1h ago   1m 12s  CAB-123
    "#);
    place.run("op list --open --limit 5");
    assert_eq!(
        *place.script.asked.lock().unwrap(),
        ["list operations 20 false", "list operations 5 true"]
    );
    let document = place.run("op list -o json").out;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["operations"][0]["state"], "open");
}

#[test]
fn one_operation_in_full() {
    let place = Place::new();
    place.script.operation.send_replace(mixed());
    insta::assert_snapshot!(place.run("op show 5nzq8c").out, @r"
    Operation  01JD8M3Q4T00000000005NZQ8C
    Verb       upgrade
    Servers    all servers
    State      failed
    By         alice
    Message    CAB-123
    Rollout    1 of a type at a time, types side by side; stops at the first failure
    Begun      2026-01-15 10:13:00
    Ended      2026-01-15 10:14:12 (after 1m 12s)

    NAME              TYPE                 ADDRESS        STATE        TOOK  REASON
    meeting-server-1  meeting-server-only  172.31.16.137  succeeded    12s   it has never answered a probe: not proven
    queue-server-1    queue-server-only    172.31.16.138  failed       12s   the new container ended
    media-server-1    media-server-only    172.31.16.139  rolled-back  12s   the new container never became healthy
    ivr-server-1      vr-server-only       172.31.16.140  skipped      -     queue-server-1 failed before its turn

    queue-server-1 (172.31.16.138):
        phases   2026-01-15 10:13:01 stopping 3s, starting 8s
        container 3f2a9c41d0aa, exit code 137, killed by the kernel for lack of memory
        the last lines of its output:
        | starting
        | no license\u{1b}[2J

    media-server-1 (172.31.16.139):
        the node told afterwards: succeeded
    ");
    insta::assert_snapshot!(place.run("op show 5nzq8c -o wide").out, @r"
    Operation  01JD8M3Q4T00000000005NZQ8C
    Verb       upgrade
    Servers    all servers
    State      failed
    By         alice
    Message    CAB-123
    Rollout    1 of a type at a time, types side by side; stops at the first failure
    Begun      2026-01-15 10:13:00
    Ended      2026-01-15 10:14:12 (after 1m 12s)

    NAME              TYPE                 ADDRESS        STATE        TOOK  RECORD  IMAGE BEFORE  IMAGE AFTER  PHASES                    REASON
    meeting-server-1  meeting-server-only  172.31.16.137  succeeded    12s   3.8     -             -            -                         it has never answered a probe: not proven
    queue-server-1    queue-server-only    172.31.16.138  failed       12s   3.8     -             -            stopping 3s, starting 8s  the new container ended
    media-server-1    media-server-only    172.31.16.139  rolled-back  12s   3.8     -             -            -                         the new container never became healthy
    ivr-server-1      vr-server-only       172.31.16.140  skipped      -     3.8     -             -            -                         queue-server-1 failed before its turn

    queue-server-1 (172.31.16.138):
        phases   2026-01-15 10:13:01 stopping 3s, starting 8s
        container 3f2a9c41d0aa, exit code 137, killed by the kernel for lack of memory
        the last lines of its output:
        | starting
        | no license\u{1b}[2J

    media-server-1 (172.31.16.139):
        the node told afterwards: succeeded
    ");
}

#[test]
fn cancelling_says_what_comes_of_it() {
    let place = Place::new();
    let open = fixtures::operation(
        v1::Verb::Restart,
        vec![fixtures::target(2, v1::TargetState::Running)],
    );
    place.script.operation.send_replace(open);
    let ran = place.run("op cancel 5nzq8c");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    insta::assert_snapshot!(ran.err, @r"
    restart 5nzq8c is being cancelled: 1 being put back (media-server-1)
    hint: extend op watch 5nzq8c
    ");
    assert_eq!(*place.script.asked.lock().unwrap(), ["cancel 5nzq8c"]);
}
