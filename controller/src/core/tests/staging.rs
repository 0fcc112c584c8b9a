//! Images fetched ahead: on all servers before the first one is touched, and the same build on all.

use std::time::Duration;

use extend_common::operation::{TargetState, Verb};
use extend_common::record::Drain;
use extend_common::status::{OutcomeKind, Phase};

use extend_common::roles::RoleSet;

use super::bench::{Bench, GUIDE, SECOND_MEDIA as SECOND, node, submission};

const MEDIA: &str = "172.31.16.139";

#[test]
fn everything_serves_until_every_image_is_there() {
    let mut bench = Bench::two_media();
    let operation = bench.accept(Verb::Upgrade, "-i portsip/pbx:22.4");
    let all: Vec<_> = operation.targets.iter().map(|target| target.node).collect();
    for at in &all {
        let desired = bench.agents[at].record.clone().unwrap().desired;
        assert_eq!(desired.staged.unwrap().reference, "portsip/pbx:22.4");
        assert_eq!(
            desired.image.reference, "portsip/pbx:22",
            "what is there stays"
        );
    }
    for at in &all[1..] {
        bench.succeed(*at);
        let target = bench.target(operation.id, *at);
        assert_eq!(
            (target.state, target.phase()),
            (TargetState::Queued, Phase::Ready)
        );
    }
    let note = bench.operation(operation.id).note;
    assert_eq!(
        note,
        "fetching the image on 1 server, while everything serves"
    );
    bench.succeed(all[0]);
    assert_eq!(bench.operation(operation.id).note, "");
    let begun = bench.operation(operation.id).count(TargetState::Running);
    assert_eq!(begun, 4, "one of each role");
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!((desired.staged, desired.drain), (None, Drain::Off));
    let pin = Some("portsip/pbx:22.4@sha256:00".to_owned());
    assert_eq!(
        (desired.image.reference.as_str(), desired.image.pin),
        ("portsip/pbx:22.4", pin)
    );
    for at in &all {
        bench.succeed(*at);
    }
    bench.succeed(node(SECOND));
    let done = bench.operation(operation.id);
    assert_eq!(done.summary(), "succeeded");
    for target in done.targets {
        assert_eq!(target.identity_before, "portsip/pbx:22@sha256:00");
        assert_eq!(target.identity_after, "portsip/pbx:22.4@sha256:00");
    }
}

#[test]
fn an_image_that_cannot_be_had_leaves_everything_untouched() {
    let mut bench = Bench::two_media();
    let before: Vec<_> = bench
        .agents
        .values()
        .map(|agent| agent.container.clone())
        .collect();
    let operation = bench.accept(Verb::Upgrade, "");
    bench.work(node(MEDIA), OutcomeKind::Failed, "pull access denied");
    for (_, _, at) in GUIDE {
        if at != MEDIA {
            bench.succeed(node(at));
        }
    }
    bench.succeed(node(SECOND));
    let done = bench.operation(operation.id);
    assert_eq!(done.count(TargetState::Skipped), 4);
    let failed = bench.target(operation.id, node(MEDIA));
    assert_eq!(failed.state, TargetState::Failed);
    assert_eq!(failed.reason, "kept 22.3.1: pull access denied");
    assert!(failed.evidence.is_some());
    // A record that failed would not be tended: what was before is the record again.
    bench.succeed(node(MEDIA));
    let agent = &bench.agents[&node(MEDIA)];
    let desired = agent.record.clone().unwrap().desired;
    assert_eq!(
        (desired.staged, desired.image.reference.as_str()),
        (None, "portsip/pbx:22")
    );
    let after: Vec<_> = bench
        .agents
        .values()
        .map(|agent| agent.container.clone())
        .collect();
    assert_eq!(before, after);
}

#[test]
fn all_servers_get_the_build_that_the_first_one_got() {
    let mut bench = Bench::two_media();
    let agent = bench.agents.get_mut(&node(SECOND)).unwrap();
    // The tag was moved between the two pulls.
    agent
        .builds
        .insert("portsip/pbx:22".to_owned(), "99".to_owned());
    let operation = bench.accept(Verb::Upgrade, "-s media-server-only");
    bench.succeed(node(MEDIA));
    bench.succeed(node(SECOND));
    let again = bench.agents[&node(SECOND)].record.clone().unwrap().desired;
    let pin = Some("portsip/pbx:22@sha256:00".to_owned());
    assert_eq!(
        again.staged.unwrap().pin,
        pin,
        "fetched again, as the first one's"
    );
    assert_eq!(
        bench.target(operation.id, node(MEDIA)).phase(),
        Phase::Ready
    );
    // A controller that starts anew knows what it was.
    bench.restart();
    for at in [MEDIA, SECOND] {
        bench.connect(node(at));
    }
    bench.succeed(node(SECOND));
    bench.succeed(node(MEDIA));
    bench.succeed(node(SECOND));
    let done = bench.operation(operation.id);
    assert_eq!(done.summary(), "succeeded");
    for target in done.targets {
        assert_eq!(Some(target.identity_after), pin);
    }
}

#[test]
fn what_is_unchanged_takes_nobodys_turn() {
    let mut bench = Bench::two_media();
    for agent in bench.agents.values_mut() {
        agent.unchanged = true;
    }
    let operation = bench.accept(Verb::Upgrade, "-s media-server-only");
    bench.succeed(node(MEDIA));
    bench.succeed(node(SECOND));
    let states = bench.states(operation.id);
    assert_eq!(
        states,
        [TargetState::Running; 2],
        "nothing is put out of service"
    );
}

#[test]
fn a_node_that_is_away_holds_up_nobody_and_is_upgraded_when_it_comes_back() {
    let mut bench = Bench::two_media();
    bench.disconnect(node(SECOND));
    // Otherwise the other would be the last healthy one.
    let operation = bench.accept(Verb::Upgrade, "-s media-server-only --force");
    let waiting = bench.target(operation.id, node(SECOND));
    assert_eq!((waiting.state, waiting.stamp), (TargetState::Waiting, None));
    assert!(
        waiting.reason.contains("is offline since"),
        "{}",
        waiting.reason
    );
    bench.succeed(node(MEDIA));
    bench.succeed(node(MEDIA));
    assert_eq!(
        bench.target(operation.id, node(MEDIA)).state,
        TargetState::Succeeded
    );
    bench.connect(node(SECOND));
    bench.succeed(node(SECOND));
    bench.succeed(node(SECOND));
    assert_eq!(bench.operation(operation.id).summary(), "succeeded");
}

#[test]
fn a_cancelled_upgrade_leaves_no_record_that_fetches() {
    let mut bench = Bench::two_media();
    let operation = bench.accept(Verb::Upgrade, "-s media-server-only");
    bench.succeed(node(MEDIA));
    bench.cancel(operation.id);
    assert_eq!(
        bench.target(operation.id, node(MEDIA)).state,
        TargetState::Cancelled
    );
    bench.succeed(node(SECOND));
    let ended = bench.target(operation.id, node(SECOND));
    assert_eq!(ended.state, TargetState::Cancelled);
    assert_eq!(ended.reason, "cancelled by bert; the server was put back");
    assert_eq!(
        bench.agents[&node(SECOND)]
            .record
            .clone()
            .unwrap()
            .desired
            .staged,
        None
    );
}

#[test]
fn an_agent_that_cannot_fetch_ahead_is_not_put_out_of_service() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Upgrade, &format!("-a {MEDIA}"));
    let mut wanted = bench.agents[&node(MEDIA)].record.clone().unwrap();
    wanted.desired.staged = None;
    // An older agent reads nothing of it, and finds everything as it should be.
    bench.agents.get_mut(&node(MEDIA)).unwrap().record = Some(wanted);
    bench.succeed(node(MEDIA));
    let target = bench.target(operation.id, node(MEDIA));
    assert_eq!(target.state, TargetState::Failed);
    let reason = "kept 22.3.1: its agent does not know how to fetch an image ahead";
    assert_eq!(target.reason, reason);
}

#[test]
fn back_to_the_image_before() {
    let mut bench = Bench::guide();
    let build = |bench: &mut Bench, build: &str| {
        let agent = bench.agents.get_mut(&node(MEDIA)).unwrap();
        agent
            .builds
            .insert("portsip/pbx:22".to_owned(), build.to_owned());
    };
    build(&mut bench, "22");
    bench.upgrade(&format!("-a {MEDIA}"));
    bench.succeed(node(MEDIA));
    let back = bench.upgrade(&format!("-a {MEDIA} --to-previous"));
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    let pin = Some("portsip/pbx:22@sha256:00".to_owned());
    assert_eq!(
        (desired.image.pin.clone(), desired.image.allow_older),
        (pin.clone(), true)
    );
    bench.succeed(node(MEDIA));
    let target = bench.target(back.id, node(MEDIA));
    assert_eq!(
        (target.state, Some(target.identity_after)),
        (TargetState::Succeeded, pin)
    );
    // The next one asks what the tag leads to, as ever.
    let next = bench.accept(Verb::Upgrade, &format!("-a {MEDIA}"));
    assert_eq!(next.targets[0].image_before, "portsip/pbx:22 (22.3.1)");
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!(desired.staged.unwrap().pin, None);
}

#[test]
fn an_agent_that_is_there_and_does_not_come_forward_is_given_up() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Restart, &format!("-a {MEDIA}"));
    bench.report(node(MEDIA));
    bench.pass(Duration::from_secs(899));
    assert_eq!(
        bench.states(operation.id),
        [TargetState::Running],
        "it sends heartbeats"
    );
    bench.pass(Duration::from_secs(2));
    let target = bench.target(operation.id, node(MEDIA));
    assert!(target.detail.contains("putting back"), "{target:?}");
    bench.succeed(node(MEDIA));
    let target = bench.target(operation.id, node(MEDIA));
    assert_eq!(target.state, TargetState::Failed);
    assert_eq!(
        target.reason,
        "it did not come forward for 15m (preparing: at it); the server was put back"
    );
}

#[test]
fn a_large_rollout_is_given_the_time_it_needs() {
    let deadline = |bench: &mut Bench, line: &str| {
        let operation = bench
            .submit(submission(Verb::Restart, line))
            .unwrap()
            .operation;
        let operation = operation.unwrap();
        bench.cancel(operation.id);
        for target in &operation.targets {
            bench.succeed(target.node);
        }
        operation.deadline.duration_since(operation.begun).as_secs()
    };
    let mut bench = Bench::guide();
    for last in 141..=146 {
        bench.join(node(&format!("172.31.16.{last}")));
        bench.deploy(&format!(
            "-s media-server-only -n media-{last} -a 172.31.16.{last}"
        ));
    }
    assert_eq!(deadline(&mut bench, "-s queue-server-only"), 30 * 60);
    assert_eq!(deadline(&mut bench, "-s media-server-only"), 7 * 10 * 60);
    assert_eq!(
        deadline(&mut bench, "-s media-server-only --drain 600"),
        7 * 20 * 60
    );
    assert_eq!(
        deadline(&mut bench, "-s media-server-only --timeout 60"),
        60
    );
}

#[test]
fn the_image_is_fetched_by_the_present_definition_of_the_role() {
    let mut bench = Bench::guide();
    let old = bench.agents[&node(MEDIA)]
        .record
        .clone()
        .unwrap()
        .desired
        .definition;
    // The administrator has changed the role, here and on the node.
    let text = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../common/src/roles/builtin/media-server-only.toml"
    ));
    let text = text.replace("max_files = 5", "max_files = 6");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("media.toml"), text).unwrap();
    bench.settings.roles = RoleSet::load(directory.path()).unwrap();
    bench.restart();
    let mut hello = bench.agents[&node(MEDIA)].hello();
    let new = bench
        .settings
        .roles
        .find("media-server-only")
        .unwrap()
        .unwrap()
        .digest();
    hello
        .definitions
        .retain(|(role, _)| role.as_str() != "media-server-only");
    hello
        .definitions
        .push(("media-server-only".parse().unwrap(), new));
    let turn = bench.fleet.hello(
        node(MEDIA),
        super::bench::facts(node(MEDIA)),
        hello,
        bench.now,
    );
    bench.commit(turn).unwrap();
    bench.accept(Verb::Upgrade, &format!("-a {MEDIA}"));
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert!(desired.staged.is_some());
    assert_eq!(
        desired.definition, new,
        "what serves was rendered from {old}"
    );
}

#[test]
fn a_node_that_goes_while_it_fetches_holds_up_nobody() {
    let mut bench = Bench::two_media();
    let operation = bench.accept(Verb::Upgrade, "-s media-server-only --force");
    bench.succeed(node(MEDIA));
    bench.report(node(SECOND));
    bench.disconnect(node(SECOND));
    bench.tick();
    assert_eq!(
        bench.target(operation.id, node(MEDIA)).state,
        TargetState::Running
    );
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!(desired.staged, None, "its turn has come");
}

#[test]
fn what_an_ended_operation_has_left_comes_to_its_end_first() {
    let mut bench = Bench::guide();
    let first = bench.accept(Verb::Stop, &format!("-a {MEDIA} --timeout 5"));
    bench.report(node(MEDIA));
    bench.pass(Duration::from_secs(6));
    bench.cancel(first.id);
    // The server is being put back, for longer than anybody waits.
    bench.pass(Duration::from_secs(430));
    assert!(bench.operation(first.id).ended.is_some());
    let upgrade = bench.accept(Verb::Upgrade, &format!("-a {MEDIA}"));
    let waiting = bench.target(upgrade.id, node(MEDIA));
    assert_eq!((waiting.state, waiting.stamp), (TargetState::Waiting, None));
    let words = "waits until node 172.31.16.139 has done what it was told before";
    assert_eq!(waiting.reason, words);
    bench.succeed(node(MEDIA));
    assert_eq!(
        bench.target(upgrade.id, node(MEDIA)).state,
        TargetState::Running
    );
}
