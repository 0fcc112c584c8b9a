//! Servers that come, change and go: run, upgrade and rm, and what is left when they fail.

use extend_common::operation::{TargetState, Verb};
use extend_common::record::{ImageRequest, RunState, Stamp};
use extend_common::status::{NodeState, OutcomeKind};

use super::bench::{Bench, node, submission};
use crate::core::{Effect, Key};

const RUN_MEDIA: &str = "-s media-server-only -n media-server-1 -a 172.31.16.139";

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

#[test]
fn a_first_run_commits_the_record_before_the_agent_hears_of_it() {
    let mut bench = Bench::new();
    bench.join(media());
    let wanted = submission(Verb::Run, RUN_MEDIA);
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let turn = bench.fleet.submit(&wanted, id, bench.now);
    let keys: Vec<_> = turn.writes.iter().copied().collect();
    assert_eq!(
        keys,
        [
            Key::Node(media()),
            Key::Operation(id),
            Key::Target(id, media()),
            // After those of the token, of the joining and of the first hello.
            Key::Event(4),
        ]
    );
    assert!(matches!(
        turn.effects.last(),
        Some(Effect::Send { .. } | Effect::Changed(_))
    ));
    let operation = bench.commit(turn).unwrap().operation.unwrap();
    assert_eq!(operation.targets[0].state, TargetState::Running);
    assert_eq!(
        operation.targets[0].stamp,
        Some(Stamp {
            epoch: 1,
            generation: 1
        })
    );

    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(record.desired.deployment.0, 1);
    assert_eq!(record.desired.image.reference, "portsip/pbx:22");
    assert_eq!(record.desired.parameters.pbx_address, "54.151.30.9");
    bench.succeed(media());
    let operation = bench.operation(id);
    assert!(operation.ended.is_some());
    assert_eq!(operation.targets[0].image_after, "portsip/pbx:22 (22.3.1)");
    assert_eq!(operation.summary(), "succeeded");
}

#[test]
fn a_failed_first_run_is_withdrawn_in_the_same_transaction() {
    let mut bench = Bench::new();
    bench.join(media());
    let operation = bench.accept(Verb::Run, RUN_MEDIA);
    bench.work(
        media(),
        OutcomeKind::Failed,
        "the image has no label `version`",
    );
    assert!(bench.last_writes.contains(&Key::Node(media())));
    assert!(
        bench
            .last_writes
            .contains(&Key::Target(operation.id, media()))
    );
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Failed);
    assert_eq!(target.reason, "the image has no label `version`");
    assert_eq!(target.evidence.unwrap().log_tail, ["no license"]);
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(record.desired.run_state, RunState::Withdrawn);
    assert_eq!(record.desired.operation, Some(operation.id));
    assert_eq!(record.id.stamp.generation, 2);
    // The agent confirms: the record goes, the generations do not.
    bench.succeed(media());
    assert_eq!(bench.record(media()), None);
    bench.accept(Verb::Run, RUN_MEDIA);
    assert_eq!(bench.record(media()).unwrap().stamp.generation, 3);
}

#[test]
fn a_rolled_back_upgrade_leaves_a_new_generation_with_the_old_deployment() {
    let mut bench = Bench::guide();
    let before = bench.agents[&media()].record.clone().unwrap().desired;
    let operation = bench.upgrade("-a 172.31.16.139 -i portsip/pbx:22.4");
    let upgraded = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(
        upgraded.desired.deployment.0, 3,
        "after the record that fetched it"
    );
    bench.work(media(), OutcomeKind::RolledBack, "it never became healthy");
    assert_eq!(bench.states(operation.id), [TargetState::RolledBack]);
    let after = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(after.id.stamp.generation, 4);
    assert_eq!(after.desired.operation, Some(operation.id));
    let pinned = ImageRequest {
        pin: Some("portsip/pbx:22@sha256:00".to_owned()),
        ..before.image
    };
    assert_eq!(
        (after.desired.image, after.desired.deployment),
        (pinned, before.deployment),
        "the very build that served"
    );
}

#[test]
fn a_failed_upgrade_that_left_nothing_serving_puts_the_old_deployment_back() {
    let mut bench = Bench::guide();
    let operation = bench.upgrade("-a 172.31.16.139 -i portsip/pbx:22.4");
    bench.agents.get_mut(&media()).unwrap().serving = None;
    bench.work(media(), OutcomeKind::Failed, "no space left on device");
    assert_eq!(bench.states(operation.id), [TargetState::Failed]);
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(
        (record.desired.deployment.0, record.id.stamp.generation),
        (1, 4)
    );
    assert_eq!(record.desired.run_state, RunState::Running);
}

#[test]
fn a_failed_stop_keeps_its_record() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let record = bench.record(media());
    bench.work(media(), OutcomeKind::Failed, "docker does not answer");
    assert_eq!(bench.states(operation.id), [TargetState::Failed]);
    assert_eq!(bench.record(media()), record);
    // And a word that makes no sense for a stop does not start anything.
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    let record = bench.record(media());
    bench.work(media(), OutcomeKind::RolledBack, "?");
    assert_eq!(bench.record(media()), record);
}

#[test]
fn a_removal_tells_what_stays_and_frees_the_node() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Rm, "-s media-server-only");
    assert_eq!(
        bench.agents[&media()]
            .record
            .as_ref()
            .unwrap()
            .desired
            .run_state,
        RunState::Removed
    );
    bench.succeed(media());
    let target = bench.target(operation.id, media());
    assert_eq!(
        target.detail,
        "data kept in /var/lib/portsip/media-server-only (1.2 GB)"
    );
    assert_eq!(
        (target.image_before.as_str(), target.image_after.as_str()),
        ("portsip/pbx:22 (22.3.1)", "")
    );
    assert_eq!(bench.record(media()), None);
    let view = &bench.fleet.nodes(Some(media()), bench.now).unwrap()[0];
    assert_eq!((view.state, &view.server_name), (NodeState::Online, &None));
    // Another server may come there, and its generations go on.
    bench.deploy("-s queue-server-only -n queue-server-2 -a 172.31.16.139");
    assert_eq!(bench.record(media()).unwrap().stamp.generation, 3);
}

#[test]
fn a_removal_that_failed_can_be_tried_again() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Rm, "-s media-server-only");
    bench.work(media(), OutcomeKind::Failed, "docker does not answer");
    assert_eq!(
        bench.refuse(Verb::Start, "-a 172.31.16.139").code(),
        "being-removed"
    );
    assert_eq!(
        bench.accept(Verb::Restart, "").targets.len(),
        3,
        "among all it is not meant"
    );
    let again = bench.accept(Verb::Rm, "-s media-server-only -a 172.31.16.139");
    bench.succeed(media());
    assert_eq!(bench.states(again.id), [TargetState::Succeeded]);
    assert_eq!(bench.record(media()), None);
}

#[test]
fn run_again_deploys_only_what_differs() {
    let mut bench = Bench::guide();
    let again = |line: &str| submission(Verb::Run, &format!("{RUN_MEDIA} {line}"));
    assert_eq!(bench.submit(again("")).unwrap().operation, None);
    assert_eq!(
        bench.submit(again("-i portsip/pbx:22")).unwrap().operation,
        None
    );
    // Another image, then without naming one: the recorded one is meant.
    let operation = bench
        .submit(again("-i portsip/pbx:22.4"))
        .unwrap()
        .operation
        .unwrap();
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
    assert_eq!(
        bench.agents[&media()]
            .record
            .as_ref()
            .unwrap()
            .desired
            .deployment
            .0,
        2
    );
    assert_eq!(bench.submit(again("")).unwrap().operation, None);
    // Another Elastic IP, then without naming one.
    bench
        .submit(again("-A 54.215.234.52"))
        .unwrap()
        .operation
        .unwrap();
    bench.succeed(media());
    assert_eq!(
        bench.agents[&media()]
            .record
            .as_ref()
            .unwrap()
            .desired
            .deployment
            .0,
        3
    );
    assert_eq!(bench.submit(again("")).unwrap().operation, None);
    // Identical and stopped: it only has to run.
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(media());
    bench.submit(again("")).unwrap().operation.unwrap();
    let desired = bench.agents[&media()].record.clone().unwrap().desired;
    assert_eq!(
        (desired.deployment.0, desired.run_state),
        (3, RunState::Running)
    );
}

#[test]
fn an_upgraded_server_that_was_stopped_stays_stopped() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(media());
    bench.upgrade("-a 172.31.16.139 --force");
    let desired = bench.agents[&media()].record.clone().unwrap().desired;
    assert_eq!(desired.run_state, RunState::Stopped);
    assert_eq!((desired.deployment.0, desired.image.allow_older), (4, true));
    assert_eq!(
        desired.image.reference, "portsip/pbx:22",
        "the recorded reference, anew"
    );
}
