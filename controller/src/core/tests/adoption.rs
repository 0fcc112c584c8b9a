//! Servers that somebody else made, from the operator's `adopt` to their first upgrade.

use std::time::Duration;

use extend_common::operation::{TargetState, Verb};
use extend_common::record::{Deployment, Desired, RunState};
use extend_common::status::{ContainerState, OutcomeKind};

use super::bench::{Bench, node, submission};

const AT: &str = "172.31.16.139";

/// A node with a container of the official script.
fn found() -> Bench {
    let mut bench = Bench::new();
    bench.join(node(AT));
    bench.script("media-server-only", "media-server-1", AT);
    bench
}

/// One that was taken over.
fn adopted() -> Bench {
    let mut bench = found();
    let operation = bench.accept(Verb::Adopt, "-a 172.31.16.139");
    bench.succeed(node(AT));
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
    bench
}

fn desired(bench: &Bench) -> Desired {
    let row = &bench.fleet.nodes[&node(AT)].row;
    row.record.as_ref().unwrap().desired.clone()
}

fn unclaimed(bench: &Bench) -> usize {
    let words = submission(Verb::Adopt, "").selector;
    let view = bench.fleet.servers(&words, bench.now).unwrap();
    view.unclaimed.len()
}

#[test]
fn the_record_says_what_the_container_was_started_with() {
    let mut bench = found();
    let agent = bench.agents.get_mut(&node(AT)).unwrap();
    let official = agent.official.as_mut().unwrap();
    official.found.as_mut().unwrap().parameters.pbx_address = "10.0.0.1".to_owned();
    let id = official.container_id.clone();
    bench.heartbeats();
    assert_eq!(unclaimed(&bench), 1);
    let operation = bench.accept(Verb::Adopt, "");
    let record = desired(&bench);
    assert_eq!(record.name.as_str(), "media-server-1");
    assert_eq!(record.role.as_str(), "media-server-only");
    assert_eq!(record.run_state, RunState::Running);
    assert_eq!(record.parameters.pbx_address, "10.0.0.1");
    assert_eq!(record.image.reference, "portsip/pbx:22");
    assert_eq!(record.adopted, Some(id));
    assert_eq!(unclaimed(&bench), 0, "it is claimed from the commit on");
    bench.succeed(node(AT));
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
    let target = bench.target(operation.id, node(AT));
    assert!(
        target.summary.contains("1 of them not the official"),
        "{}",
        target.summary
    );
}

#[test]
fn one_that_does_not_run_is_recorded_as_stopped() {
    let mut bench = found();
    let agent = bench.agents.get_mut(&node(AT)).unwrap();
    agent.script(
        "media-server-only",
        "media-server-1",
        ContainerState::Exited,
    );
    bench.heartbeats();
    bench.accept(Verb::Adopt, "-a 172.31.16.139");
    bench.succeed(node(AT));
    assert_eq!(desired(&bench).run_state, RunState::Stopped);
}

#[test]
fn the_same_again_is_already_so() {
    let mut bench = adopted();
    for line in ["-a 172.31.16.139", ""] {
        let again = bench.submit(submission(Verb::Adopt, line)).unwrap();
        assert!(again.operation.is_none() && again.plan[0].already_so);
        assert_eq!(again.plan[0].summary, "already taken over");
    }
    // Also when the agent has not yet told that nothing is unclaimed any more.
    bench.heartbeats();
    let again = bench.submit(submission(Verb::Adopt, "")).unwrap();
    assert!(again.operation.is_none());
    // And where the server was never anybody else's.
    let mut guide = Bench::guide();
    let again = guide.submit(submission(Verb::Adopt, "")).unwrap();
    assert!(again.operation.is_none() && again.plan.len() == 4);
    assert_eq!(again.plan[0].summary, "already Extend's own");
}

#[test]
fn stop_and_start_keep_it_and_an_upgrade_does_not() {
    let mut bench = adopted();
    let first = desired(&bench);
    for verb in [Verb::Stop, Verb::Start, Verb::Restart] {
        bench.accept(verb, "-a 172.31.16.139");
        bench.succeed(node(AT));
        let now = desired(&bench);
        assert_eq!(
            (now.adopted, now.deployment),
            (first.adopted.clone(), first.deployment)
        );
    }
    let mut plan = submission(Verb::Upgrade, "-a 172.31.16.139");
    plan.plan_only = true;
    let told = bench.submit(plan).unwrap().plan[0].summary.clone();
    assert!(told.contains("by one of Extend's own"), "{told}");
    bench.upgrade("-a 172.31.16.139");
    let record = desired(&bench);
    assert_eq!(record.adopted, None);
    assert_eq!(
        record.parameters, first.parameters,
        "what it was told stays"
    );
    bench.succeed(node(AT));
    bench.accept(Verb::Rm, "-a 172.31.16.139");
    bench.succeed(node(AT));
    assert!(bench.record(node(AT)).is_none());
}

#[test]
fn an_upgrade_that_fails_goes_back_to_the_record_that_took_it_over() {
    let mut bench = adopted();
    let first = desired(&bench);
    let operation = bench.upgrade("-a 172.31.16.139");
    bench.work(node(AT), OutcomeKind::RolledBack, "it crashed");
    assert_eq!(bench.states(operation.id), [TargetState::RolledBack]);
    let now = desired(&bench);
    assert_eq!(
        (now.adopted, now.deployment),
        (first.adopted, first.deployment)
    );
}

#[test]
fn one_that_fails_or_is_cancelled_is_nobodys_again() {
    for cancelled in [false, true] {
        let mut bench = found();
        let operation = bench.accept(Verb::Adopt, "-a 172.31.16.139");
        if cancelled {
            bench.cancel(operation.id);
        } else {
            bench.work(node(AT), OutcomeKind::Failed, "the container is gone");
        }
        let record = desired(&bench);
        assert_eq!(record.run_state, RunState::Withdrawn);
        assert!(record.adopted.is_some(), "the agent is told what to let go");
        bench.succeed(node(AT));
        assert!(bench.record(node(AT)).is_none());
        bench.heartbeats();
        assert_eq!(unclaimed(&bench), 1);
        let state = if cancelled {
            TargetState::Cancelled
        } else {
            TargetState::Failed
        };
        assert_eq!(bench.states(operation.id), [state]);
        bench.accept(Verb::Adopt, "-a 172.31.16.139");
    }
}

#[test]
fn one_whose_node_is_away_at_its_deadline_is_never_sent() {
    let mut bench = found();
    bench.disconnect(node(AT));
    let refused = bench.submit(submission(Verb::Adopt, "-a 172.31.16.139"));
    assert_eq!(refused.unwrap_err().code(), "node-unseen");
    bench.connect(node(AT));
    let operation = bench.accept(Verb::Adopt, "-a 172.31.16.139 --timeout 10");
    // The record was lost on its way.
    let agent = bench.agents.get_mut(&node(AT)).unwrap();
    agent.record = None;
    bench.disconnect(node(AT));
    bench.pass(Duration::from_secs(20));
    assert_eq!(bench.states(operation.id), [TargetState::TimedOut]);
    bench.connect(node(AT));
    assert_eq!(desired(&bench).run_state, RunState::Withdrawn);
}

#[test]
fn it_survives_a_controller_and_is_taken_back_from_a_ledger() {
    let mut bench = adopted();
    let first = desired(&bench);
    bench.restart();
    bench.connect(node(AT));
    assert_eq!(desired(&bench), first);
    // A store that has lost everything since the node joined.
    let mut empty = Bench::new();
    empty.enrol(node(AT));
    empty.agents = bench.agents.clone();
    empty.store = crate::store::StoreId(ulid::Ulid::from_parts(2, 2));
    empty.restart();
    empty.connect(node(AT));
    assert!(empty.agents[&node(AT)].ahead);
    let epoch = empty.fleet.epoch_to_recover(&[]).unwrap();
    let turn = empty.fleet.recover(&[], false, (epoch, "anna"), empty.now);
    empty.commit(turn);
    let back = desired(&empty);
    assert_eq!(
        (&back.adopted, back.deployment),
        (&first.adopted, first.deployment)
    );
    empty.succeed(node(AT));
    let again = empty
        .submit(submission(Verb::Adopt, "-a 172.31.16.139"))
        .unwrap();
    assert!(again.operation.is_none(), "{again:?}");
}

#[test]
fn an_operation_takes_over_only_what_was_planned() {
    let mut bench = found();
    let known = bench.fleet.nodes.get_mut(&node(AT)).unwrap();
    let before = known.unclaimed.clone();
    let turn = bench.fleet.submit(
        &submission(Verb::Adopt, "-a 172.31.16.139"),
        "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        bench.now,
    );
    bench.commit(turn).unwrap();
    assert_eq!(
        desired(&bench).adopted.as_ref(),
        Some(&before[0].container_id)
    );
    assert_eq!(desired(&bench).deployment, Deployment(1));
}

#[test]
fn a_node_with_a_container_to_be_adopted_takes_no_server_of_another_role_beside_it() {
    let mut bench = found();
    for line in [
        "-s media-server-only -n media-server-2 -a 172.31.16.139",
        "-s queue-server-only -n queue-server-1 -a 172.31.16.139",
    ] {
        let refusal = bench.refuse(Verb::Run, line);
        let sentence = refusal.sentence();
        assert_eq!(refusal.code(), "container-in-the-way", "{sentence}");
        assert!(sentence.contains("portsip.mediaserver"), "{sentence}");
        assert_eq!(refusal.hint(), "extend adopt -a 172.31.16.139", "{line}");
    }
    // One that cannot be taken over is in the way of its own name only.
    let agent = bench.agents.get_mut(&node(AT)).unwrap();
    agent.official.as_mut().unwrap().found = Err("it was started for another address".to_owned());
    bench.heartbeats();
    bench.refuse(
        Verb::Run,
        "-s media-server-only -n media-server-2 -a 172.31.16.139",
    );
    bench.accept(
        Verb::Run,
        "-s queue-server-only -n queue-server-1 -a 172.31.16.139",
    );
}
