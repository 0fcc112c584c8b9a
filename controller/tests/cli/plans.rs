//! Plans of the guide's commands for a fleet of eight servers, as an operator reads them on a
//! terminal of 80 columns. What the controller says of each server is written out here.

use extend_proto::v1;

use crate::harness::Place;
use crate::stub::OnSubmit;

const EIGHT: [(&str, &str, &str); 8] = [
    ("media-server-1", "media-server-only", "172.31.16.139"),
    ("media-server-2", "media-server-only", "172.31.16.141"),
    ("media-server-3", "media-server-only", "172.31.16.142"),
    ("queue-server-1", "queue-server-only", "172.31.16.138"),
    ("queue-server-2", "queue-server-only", "172.31.16.143"),
    ("meeting-server-1", "meeting-server-only", "172.31.16.137"),
    ("meeting-server-2", "meeting-server-only", "172.31.16.144"),
    ("ivr-server-1", "vr-server-only", "172.31.16.140"),
];
const WAVES: [u32; 8] = [0, 1, 2, 0, 1, 0, 1, 0];
const AWAY: &str = "it is the only server of its type: the type is away meanwhile";

fn identity(digits: &str) -> String {
    format!("portsip/pbx@sha256:{}", digits.repeat(64 / digits.len()))
}

/// One thing for all of the fleet.
fn fleet(summary: &str) -> Vec<v1::PlannedTarget> {
    let planned = |(name, role, node): (&str, &str, &str)| v1::PlannedTarget {
        name: name.to_owned(),
        role: role.to_owned(),
        node: node.to_owned(),
        summary: summary.to_owned(),
        image_before: "portsip/pbx:22 (22.3.1)".to_owned(),
        image_after: "portsip/pbx:22 (22.3.1)".to_owned(),
        identity_before: identity("ab12cd34ef56789a"),
        identity_after: identity("ab12cd34ef56789a"),
        ..v1::PlannedTarget::default()
    };
    EIGHT.map(planned).into()
}

/// The same, one of a type at a time.
fn in_waves(summary: &str) -> Vec<v1::PlannedTarget> {
    let mut plan = fleet(summary);
    for (planned, wave) in plan.iter_mut().zip(WAVES) {
        planned.wave = wave;
    }
    plan[7].warning = AWAY.to_owned();
    plan
}

fn upgrade(image: &str) -> Vec<v1::PlannedTarget> {
    let mut plan = in_waves(&format!(
        "fetch {image}, then replace the container, with up to 5m to end"
    ));
    for planned in &mut plan {
        planned.image_after = image.to_owned();
        planned.identity_after = String::new();
        planned.host_changes = vec!["directory {data}/media-server-only".to_owned()];
    }
    plan
}

/// What stands on the terminal.
fn shown(words: &str, plan: Vec<v1::PlannedTarget>) -> String {
    let place = Place::new();
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse {
            plan,
            operation: None,
        })]);
    let (code, shown) = place.on_narrow_terminal(80, words).ends();
    assert_eq!(code, 10, "{shown}");
    let widest = shown.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{shown}");
    shown
}

#[test]
fn all_servers_stop_at_once() {
    let plan = fleet("stop it, with up to 5m to end");
    insta::assert_snapshot!(shown("stop --plan", plan), @r"
    all at once

    NAME              TYPE                 ADDRESS
    media-server-1    media-server-only    172.31.16.139
    media-server-2    media-server-only    172.31.16.141
    media-server-3    media-server-only    172.31.16.142
    queue-server-1    queue-server-only    172.31.16.138
    queue-server-2    queue-server-only    172.31.16.143
    meeting-server-1  meeting-server-only  172.31.16.137
    meeting-server-2  meeting-server-only  172.31.16.144
    ivr-server-1      vr-server-only       172.31.16.140

    each of the 8:
      stop it, with up to 5m to end
      image portsip/pbx:22 (22.3.1) ab12cd34ef56
    stop: 8 servers would change
    ");
}

#[test]
fn all_servers_restart_one_of_a_type_at_a_time() {
    let plan = in_waves("stop it, with up to 5m to end, and start it again");
    insta::assert_snapshot!(shown("restart --plan", plan), @r"
    1 of a type at a time, types side by side; stops at the first failure

    NAME              TYPE                 ADDRESS        WAVE
    media-server-1    media-server-only    172.31.16.139  1
    queue-server-1    queue-server-only    172.31.16.138  1
    meeting-server-1  meeting-server-only  172.31.16.137  1
    ivr-server-1      vr-server-only       172.31.16.140  1
    media-server-2    media-server-only    172.31.16.141  2
    queue-server-2    queue-server-only    172.31.16.143  2
    meeting-server-2  meeting-server-only  172.31.16.144  2
    media-server-3    media-server-only    172.31.16.142  3

    each of the 8:
      stop it, with up to 5m to end, and start it again
      image portsip/pbx:22 (22.3.1) ab12cd34ef56

    warning: ivr-server-1 (172.31.16.140): it is the only server of its type: the
    type is away meanwhile
    restart: 8 servers would change
    ");
}

#[test]
fn one_type_restarts_type_after_type_and_some_are_as_they_should_be() {
    let mut plan = in_waves("stop it, with up to 5m to end, and start it again");
    plan.truncate(3);
    plan[1].summary = "start it, since it does not run".to_owned();
    plan[2].summary = "start it, since it does not run".to_owned();
    let words = "restart -s media-server-only --serial --max-unavailable 50% --plan";
    insta::assert_snapshot!(shown(words, plan), @r"
    50% of a type at a time, type after type; stops at the first failure

    NAME            TYPE               ADDRESS        WAVE
    media-server-1  media-server-only  172.31.16.139  1
    media-server-2  media-server-only  172.31.16.141  2
    media-server-3  media-server-only  172.31.16.142  3

    media-server-1:
      stop it, with up to 5m to end, and start it again
      image portsip/pbx:22 (22.3.1) ab12cd34ef56
    media-server-2, media-server-3:
      start it, since it does not run
      image portsip/pbx:22 (22.3.1) ab12cd34ef56
    restart: 3 servers would change
    ");
}

#[test]
fn some_start_and_some_run_already() {
    let mut plan = fleet("start it");
    for planned in &mut plan[..6] {
        planned.already_so = true;
        planned.summary = "already running".to_owned();
    }
    plan[6].summary = "start it; waits: 172.31.16.144 is offline".to_owned();
    insta::assert_snapshot!(shown("start --plan", plan), @r"
    all at once

    NAME              TYPE                 ADDRESS
    meeting-server-2  meeting-server-only  172.31.16.144
    ivr-server-1      vr-server-only       172.31.16.140
    media-server-1    media-server-only    172.31.16.139
    media-server-2    media-server-only    172.31.16.141
    media-server-3    media-server-only    172.31.16.142
    queue-server-1    queue-server-only    172.31.16.138
    queue-server-2    queue-server-only    172.31.16.143
    meeting-server-1  meeting-server-only  172.31.16.137

    meeting-server-2:
      start it; waits: 172.31.16.144 is offline
      image portsip/pbx:22 (22.3.1) ab12cd34ef56
    ivr-server-1:
      start it
      image portsip/pbx:22 (22.3.1) ab12cd34ef56
    media-server-1, media-server-2, media-server-3, queue-server-1, queue-server-2,
    meeting-server-1:
      none: already running
    start: 2 of 8 servers would change
    ");
}

#[test]
fn an_upgrade_to_another_tag() {
    let plan = upgrade("portsip/pbx:22.4");
    insta::assert_snapshot!(shown("upgrade -i portsip/pbx:22.4 --plan", plan), @r"
    1 of a type at a time, types side by side; stops at the first failure

    NAME              TYPE                 ADDRESS        WAVE
    media-server-1    media-server-only    172.31.16.139  1
    queue-server-1    queue-server-only    172.31.16.138  1
    meeting-server-1  meeting-server-only  172.31.16.137  1
    ivr-server-1      vr-server-only       172.31.16.140  1
    media-server-2    media-server-only    172.31.16.141  2
    queue-server-2    queue-server-only    172.31.16.143  2
    meeting-server-2  meeting-server-only  172.31.16.144  2
    media-server-3    media-server-only    172.31.16.142  3

    each of the 8:
      fetch portsip/pbx:22.4, then replace the container, with up to 5m to end
      from  portsip/pbx:22 (22.3.1) ab12cd34ef56
      to    portsip/pbx:22.4 (its digest is asked when it begins)

    warning: ivr-server-1 (172.31.16.140): it is the only server of its type: the
    type is away meanwhile

    hosts: made ready again where they are not (-o wide lists how)
    upgrade: 8 servers may change
    ");
}

#[test]
fn an_upgrade_with_canaries_of_a_fleet_of_two_builds() {
    let mut plan = upgrade("portsip/pbx:22");
    plan.truncate(5);
    for (planned, wave) in plan.iter_mut().zip([0, 1, 1, 0, 1]) {
        planned.wave = wave;
        planned.canary = wave == 0;
        planned.summary = "ask the registry for portsip/pbx:22: when 22.3.1 is still the newest \
                           nothing is restarted; otherwise replace the container, with up to 5m \
                           to end"
            .to_owned();
    }
    plan[1].identity_before = identity("0123456789abcdef");
    let words = "upgrade --canary 1 --bake 5m --max-unavailable 2 --max-failures 1 --plan";
    insta::assert_snapshot!(shown(words, plan), @r"
    1 of each type first, which must stay healthy for 5m; 2 of a type at a time,
    types side by side; stops once 2 have failed

    NAME            TYPE               ADDRESS        WAVE
    media-server-1  media-server-only  172.31.16.139  1 (canary)
    queue-server-1  queue-server-only  172.31.16.138  1 (canary)
    media-server-2  media-server-only  172.31.16.141  2
    media-server-3  media-server-only  172.31.16.142  2
    queue-server-2  queue-server-only  172.31.16.143  2

    media-server-1, queue-server-1, media-server-3, queue-server-2:
      ask the registry for portsip/pbx:22: when 22.3.1 is still the newest nothing
      is restarted; otherwise replace the container, with up to 5m to end
      from  portsip/pbx:22 (22.3.1) ab12cd34ef56
      to    portsip/pbx:22 (its digest is asked when it begins)
    media-server-2:
      ask the registry for portsip/pbx:22: when 22.3.1 is still the newest nothing
      is restarted; otherwise replace the container, with up to 5m to end
      from  portsip/pbx:22 (22.3.1) 0123456789ab
      to    portsip/pbx:22 (its digest is asked when it begins)

    hosts: made ready again where they are not (-o wide lists how)
    upgrade: 5 servers may change
    ");
}

#[test]
fn an_upgrade_to_previous_knows_its_digest() {
    let mut plan = upgrade("portsip/pbx:22");
    plan.truncate(1);
    plan[0].image_after = "portsip/pbx:22 (22.2.9)".to_owned();
    plan[0].identity_after = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let words = "upgrade -a 172.31.16.139 --to-previous --plan";
    insta::assert_snapshot!(shown(words, plan), @r"
    NAME            TYPE               ADDRESS
    media-server-1  media-server-only  172.31.16.139

      fetch portsip/pbx:22, then replace the container, with up to 5m to end
      from  portsip/pbx:22 (22.3.1) ab12cd34ef56
      to    portsip/pbx:22 (22.2.9) 0123456789ab

    hosts: made ready again where they are not (-o wide lists how)
    upgrade: 1 server would change
    ");
}

#[test]
fn a_wide_plan_has_everything_in_every_row() {
    let place = Place::new();
    let mut plan = upgrade("portsip/pbx:22.4");
    plan.truncate(2);
    plan[0].canary = true;
    plan[1].warning = AWAY.to_owned();
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse {
            plan,
            operation: None,
        })]);
    insta::assert_snapshot!(place.run("upgrade --canary 1 --plan -o wide").out, @r"
    1 of each type first, which must stay healthy for 2m; 1 of a type at a time, types side by side; stops at the first failure

    NAME            TYPE               ADDRESS        WAVE        IMAGE                                                                                          CHANGE
    media-server-1  media-server-only  172.31.16.139  1 (canary)  portsip/pbx:22 (22.3.1) ab12cd34ef56 -> portsip/pbx:22.4 (its digest is asked when it begins)  fetch portsip/pbx:22.4, then replace the container, with up to 5m to end
    media-server-2  media-server-only  172.31.16.141  2           portsip/pbx:22 (22.3.1) ab12cd34ef56 -> portsip/pbx:22.4 (its digest is asked when it begins)  fetch portsip/pbx:22.4, then replace the container, with up to 5m to end

    warning: media-server-2 (172.31.16.141): it is the only server of its type: the type is away meanwhile

    on 172.31.16.139 for media-server-1, unless it is so already:
      directory {data}/media-server-only
    on 172.31.16.141 for media-server-2, unless it is so already:
      directory {data}/media-server-only
    {data} is data_dir in the node's agent.toml: /var/lib/portsip unless changed
    ");
    let json = place.run("upgrade --canary 1 --plan -o json").out;
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["strategy"]["canary"], 1);
    assert_eq!(
        document["strategy"]["max_unavailable"],
        serde_json::Value::Null
    );
    assert_eq!(document["strategy"]["bake_seconds"], 120);
    let planned = &document["plan"][0];
    assert_eq!(planned["canary"], true);
    assert_eq!(planned["identity_before"], identity("ab12cd34ef56789a"));
    assert_eq!(planned["identity_after"], serde_json::Value::Null);
    assert_eq!(document["plan"][1]["warning"], AWAY);
}
