//! Operations from their submission to their end, one rule a test.

use std::time::Duration;

use extend_common::operation::{TargetState, Verb};
use extend_common::record::{RunState, Stamp};
use extend_common::status::{NodeState, OutcomeKind};

use super::bench::{Bench, node, submission};
use crate::core::request::SelectorWords;
use crate::core::{Effect, Key};

const MEETING: &str = "172.31.16.137";
const QUEUE: &str = "172.31.16.138";
const MEDIA: &str = "172.31.16.139";
const RUN_MEDIA: &str = "-s media-server-only -n media-server-1 -a 172.31.16.139";

fn media() -> extend_common::ids::NodeAddr {
    node(MEDIA)
}

#[test]
fn a_first_run_commits_the_record_before_the_agent_hears_of_it() {
    let mut bench = Bench::new();
    bench.join(media());
    let wanted = submission(Verb::Run, RUN_MEDIA);
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let turn = bench.fleet.submit(&wanted, id, bench.now);
    let keys: Vec<_> = turn.writes.iter().copied().collect();
    assert_eq!(keys, [Key::Node(media()), Key::Operation(id), Key::Target(id, media())]);
    assert!(matches!(turn.effects.last(), Some(Effect::Send { .. } | Effect::Changed(_))));
    let operation = bench.commit(turn).unwrap().operation.unwrap();
    assert_eq!(operation.targets[0].state, TargetState::Running);
    assert_eq!(operation.targets[0].stamp, Some(Stamp { epoch: 1, generation: 1 }));

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
fn the_same_request_id_makes_one_operation() {
    let mut bench = Bench::guide();
    let mut wanted = submission(Verb::Stop, "-s media-server-only");
    wanted.request = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let first = bench.submit(wanted.clone()).unwrap().operation.unwrap();
    let count = bench.fleet.operations.len();
    let again = bench.submit(wanted.clone()).unwrap().operation.unwrap();
    assert_eq!(first.id, again.id);
    assert_eq!(bench.fleet.operations.len(), count);
    // Also when it has ended, and after a restart of the controller.
    bench.succeed(media());
    bench.restart();
    let later = bench.submit(wanted).unwrap().operation.unwrap();
    assert_eq!((later.id, later.ended.is_some()), (first.id, true));
}

#[test]
fn already_so_is_answered_only_from_what_was_observed() {
    let mut bench = Bench::guide();
    let start = |bench: &mut Bench| bench.submit(submission(Verb::Start, "-a 172.31.16.139"));
    assert_eq!(start(&mut bench).unwrap().operation, None, "seen to run");
    bench.agents.get_mut(&media()).unwrap().lose_container();
    bench.report(media());
    let operation = start(&mut bench).unwrap().operation.expect("seen not to run");
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
    bench.disconnect(media());
    assert!(start(&mut bench).unwrap().operation.is_some(), "not seen at all");
}

#[test]
fn servers_that_are_already_so_are_targets_that_have_succeeded() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(media());
    let operation = bench.accept(Verb::Start, "");
    assert_eq!(operation.count(TargetState::Succeeded), 3);
    assert_eq!(operation.count(TargetState::Running), 1);
    assert_eq!(operation.targets[0].reason, "already running");
    bench.succeed(media());
    assert_eq!(bench.operation(operation.id).summary(), "succeeded");
}

#[test]
fn a_plan_changes_nothing() {
    let mut bench = Bench::guide();
    let before = bench.rows.clone();
    let mut wanted = submission(Verb::Restart, "");
    wanted.plan_only = true;
    let planned = bench.submit(wanted).unwrap();
    assert_eq!((planned.plan.len(), planned.operation), (4, None));
    assert_eq!(bench.rows, before);
}

#[test]
fn a_failed_first_run_is_withdrawn_in_the_same_transaction() {
    let mut bench = Bench::new();
    bench.join(media());
    let operation = bench.accept(Verb::Run, RUN_MEDIA);
    bench.work(media(), OutcomeKind::Failed, "the image has no label `version`");
    assert!(bench.last_writes.contains(&Key::Node(media())));
    assert!(bench.last_writes.contains(&Key::Target(operation.id, media())));
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
    let operation = bench.accept(Verb::Upgrade, "-a 172.31.16.139 -i portsip/pbx:22.4");
    let upgraded = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(upgraded.desired.deployment.0, 2);
    bench.work(media(), OutcomeKind::RolledBack, "it never became healthy");
    assert_eq!(bench.states(operation.id), [TargetState::RolledBack]);
    let after = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(after.id.stamp.generation, 3);
    assert_eq!(after.desired.operation, Some(operation.id));
    assert_eq!((after.desired.image, after.desired.deployment), (before.image, before.deployment));
}

#[test]
fn a_failed_upgrade_that_left_nothing_serving_puts_the_old_deployment_back() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Upgrade, "-a 172.31.16.139 -i portsip/pbx:22.4");
    bench.agents.get_mut(&media()).unwrap().serving = None;
    bench.work(media(), OutcomeKind::Failed, "no space left on device");
    assert_eq!(bench.states(operation.id), [TargetState::Failed]);
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!((record.desired.deployment.0, record.id.stamp.generation), (1, 3));
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
fn a_restart_names_the_instance_it_replaces() {
    let mut bench = Bench::guide();
    let running = bench.agents[&media()].container.clone().unwrap().instance;
    bench.accept(Verb::Restart, "-a 172.31.16.139");
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(record.desired.replace, Some(running.clone()));
    bench.succeed(media());
    assert_ne!(bench.agents[&media()].container.clone().unwrap().instance, running);
    // A stopped server is started.
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    assert_eq!(bench.agents[&media()].record.clone().unwrap().desired.replace, None);
    bench.succeed(media());
    bench.accept(Verb::Restart, "-a 172.31.16.139");
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!((record.desired.replace, record.desired.run_state), (None, RunState::Running));
}

#[test]
fn a_restart_of_a_node_that_is_away_is_committed_when_it_tells_what_runs() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let before = bench.record(media());
    let operation = bench.accept(Verb::Restart, "-a 172.31.16.139");
    let target = bench.target(operation.id, media());
    assert_eq!((target.state, target.stamp), (TargetState::Waiting, None));
    assert!(target.reason.starts_with("node 172.31.16.139 is offline since 2026-"), "{target:?}");
    assert_eq!(bench.record(media()), before, "nothing to name yet");
    // It has restarted by itself meanwhile: that instance is the one to replace.
    bench.agents.get_mut(&media()).unwrap().lose_container();
    bench.connect(media());
    assert_eq!(bench.target(operation.id, media()).state, TargetState::Running);
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(record.desired.replace, None, "it was seen not to run");
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
}

#[test]
fn other_verbs_on_a_node_that_is_away_wait_with_their_record() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Waiting);
    assert_eq!(target.stamp, Some(bench.record(media()).unwrap().stamp));
    bench.connect(media());
    assert_eq!(bench.target(operation.id, media()).state, TargetState::Running);
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
}

#[test]
fn restarts_go_from_server_to_server_of_a_role_and_stop_at_the_first_failure() {
    use TargetState::{Failed, Queued, RolledBack, Running, Skipped, Succeeded};
    let mut bench = Bench::guide();
    for last in 141..=143 {
        bench.join(node(&format!("172.31.16.{last}")));
        bench.deploy(&format!("-s media-server-only -n media-{last} -a 172.31.16.{last}"));
    }
    let operation = bench.accept(Verb::Upgrade, "");
    // In the order of addresses: meeting, queue, media, IVR, and three more of media.
    let first = [Running, Running, Running, Running, Queued, Queued, Queued];
    assert_eq!(bench.states(operation.id), first);
    bench.succeed(media());
    assert_eq!(bench.states(operation.id)[2..], [Succeeded, Running, Running, Queued, Queued]);
    bench.work(node("172.31.16.141"), OutcomeKind::RolledBack, "it exited with 1");
    let after = [Running, Running, Succeeded, Running, RolledBack, Skipped, Skipped];
    assert_eq!(bench.states(operation.id), after);
    assert_eq!(
        bench.target(operation.id, node("172.31.16.142")).reason,
        "not begun, because media-141 at 172.31.16.141 was rolled back: it exited with 1"
    );
    // What is under way goes on, and the operation ends with the last.
    bench.work(node(MEETING), OutcomeKind::Failed, "");
    bench.succeed(node(QUEUE));
    assert_eq!(bench.operation(operation.id).ended, None);
    bench.succeed(node("172.31.16.140"));
    assert!(bench.operation(operation.id).ended.is_some());
    assert_eq!(bench.states(operation.id)[0], Failed);
}

#[test]
fn a_removal_tells_what_stays_and_frees_the_node() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Rm, "-s media-server-only");
    assert_eq!(bench.agents[&media()].record.as_ref().unwrap().desired.run_state, RunState::Removed);
    bench.succeed(media());
    let target = bench.target(operation.id, media());
    assert_eq!(target.detail, "data kept in /var/lib/portsip/media-server-only (1.2 GB)");
    assert_eq!((target.image_before.as_str(), target.image_after.as_str()), ("portsip/pbx:22 (22.3.1)", ""));
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
    assert_eq!(bench.refuse(Verb::Start, "-a 172.31.16.139").code(), "being-removed");
    assert_eq!(bench.accept(Verb::Restart, "").targets.len(), 3, "among all it is not meant");
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
    assert_eq!(bench.submit(again("-i portsip/pbx:22")).unwrap().operation, None);
    // Another image, then without naming one: the recorded one is meant.
    let operation = bench.submit(again("-i portsip/pbx:22.4")).unwrap().operation.unwrap();
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
    assert_eq!(bench.agents[&media()].record.as_ref().unwrap().desired.deployment.0, 2);
    assert_eq!(bench.submit(again("")).unwrap().operation, None);
    // Another Elastic IP, then without naming one.
    bench.submit(again("-A 54.215.234.52")).unwrap().operation.unwrap();
    bench.succeed(media());
    assert_eq!(bench.agents[&media()].record.as_ref().unwrap().desired.deployment.0, 3);
    assert_eq!(bench.submit(again("")).unwrap().operation, None);
    // Identical and stopped: it only has to run.
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(media());
    bench.submit(again("")).unwrap().operation.unwrap();
    let desired = bench.agents[&media()].record.clone().unwrap().desired;
    assert_eq!((desired.deployment.0, desired.run_state), (3, RunState::Running));
}

#[test]
fn an_upgraded_server_that_was_stopped_stays_stopped() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(media());
    bench.accept(Verb::Upgrade, "-a 172.31.16.139 --force");
    let desired = bench.agents[&media()].record.clone().unwrap().desired;
    assert_eq!(desired.run_state, RunState::Stopped);
    assert_eq!((desired.deployment.0, desired.image.allow_older), (3, true));
    assert_eq!(desired.image.reference, "portsip/pbx:22", "the recorded reference, anew");
}

#[test]
fn a_restarted_controller_goes_on_with_open_operations() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Upgrade, "");
    bench.succeed(media());
    let before = bench.operation(operation.id);
    bench.restart();
    assert_eq!(bench.operation(operation.id), before);
    // The agents worked on meanwhile; each tells so in its hello.
    let now = bench.now;
    for at in [MEETING, QUEUE, "172.31.16.140"] {
        bench.agents.get_mut(&node(at)).unwrap().work(OutcomeKind::Succeeded, "", now);
        bench.connect(node(at));
    }
    assert_eq!(bench.operation(operation.id).summary(), "succeeded");
}

#[test]
fn targets_of_nodes_that_do_not_come_back_after_a_start_are_said_to_wait() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.restart();
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.states(operation.id), [TargetState::Running], "it may still come");
    bench.pass(Duration::from_secs(5));
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Waiting);
    assert_eq!(
        target.reason,
        "node 172.31.16.139 has not been heard since the controller's start"
    );
}

#[test]
fn an_upgrade_carries_the_waiting_restart_no_further_than_its_server() {
    let mut bench = Bench::guide();
    let first = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let refusal = bench.refuse(Verb::Restart, "-s media-server-only");
    assert_eq!(refusal.code(), "busy");
    assert!(refusal.hint().contains(&first.id.short()), "{}", refusal.hint());
    // Others are free.
    bench.accept(Verb::Restart, "-s queue-server-only");
}

#[test]
fn servers_are_shown_with_what_was_seen_of_them() {
    let mut bench = Bench::guide();
    let all = bench.fleet.servers(&SelectorWords::default()).unwrap();
    assert_eq!(all.servers.len(), 4);
    let words = SelectorWords { role: "ivr-server-only".to_owned(), ..Default::default() };
    let ivr = bench.fleet.servers(&words).unwrap();
    assert_eq!(ivr.servers.len(), 1);
    assert_eq!(ivr.servers[0].record.desired.name.as_str(), "ivr-server-1");
    assert!(ivr.servers[0].status.is_some());
    bench.restart();
    let ivr = bench.fleet.servers(&words).unwrap();
    assert_eq!((&ivr.servers[0].status, ivr.servers[0].node_state), (&None, NodeState::Offline));
}
