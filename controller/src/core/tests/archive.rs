//! What leaves the memory: whole, once, in steps, and found again whatever dies when.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use extend_common::clock::after;
use extend_common::event::EventKind;
use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::{Operation, Verb};
use extend_common::status::OutcomeKind;

use super::bench::{Bench, GUIDE, node, settings, submission};
use super::told::journal_part;
use crate::core::archive::{read_event, read_operation, read_target};
use crate::core::turn::Turn;
use crate::core::{ArchiveKey, Kept, Key, Settings};

fn media() -> NodeAddr {
    node("172.31.16.139")
}

/// The guide's fleet under a controller with a small memory.
fn small(operations: usize, events: usize) -> Bench {
    let mut bench = Bench::with(Settings {
        kept: Kept { operations, events },
        ..settings()
    });
    for (role, name, at) in GUIDE {
        bench.join(node(at));
        bench.deploy(&format!("-s {role} -n {name} -a {at}"));
    }
    bench
}

/// What the archive has of an operation.
fn archived(bench: &Bench, id: OperationId) -> Option<Operation> {
    let header = bench.rows.get(&ArchiveKey::Operation(id).to_string())?;
    let mut operation = read_operation(header).unwrap();
    let prefix = ArchiveKey::targets_of(id);
    let targets = bench
        .rows
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix));
    operation.targets = targets.map(|(_, row)| read_target(row).unwrap()).collect();
    operation.targets.sort_by_key(|target| target.node);
    Some(operation)
}

/// The rows of an operation that the memory is loaded from.
fn live_rows(bench: &Bench, id: OperationId) -> usize {
    let prefix = Key::Operation(id).to_string();
    let rows = bench.rows.keys().filter(|key| key.starts_with(&prefix));
    rows.count()
}

/// Time passes, while agents are there.
fn minute(bench: &mut Bench) {
    bench.now = after(bench.now, Duration::from_secs(61));
    bench.heartbeats();
    bench.tick();
}

#[test]
fn the_oldest_ended_operation_goes_to_the_archive_whole() {
    let mut bench = small(4, 100);
    let stop = bench.accept(Verb::Stop, "");
    for (_, _, at) in GUIDE {
        bench.work(node(at), OutcomeKind::Failed, "docker does not answer");
    }
    let stop = bench.operation(stop.id);
    for _ in 0..4 {
        bench.now = after(bench.now, Duration::from_secs(1));
        bench.accept(Verb::Restart, "-a 172.31.16.139");
        bench.succeed(media());
    }
    bench.tick();
    assert_eq!(
        archived(&bench, stop.id),
        None,
        "somebody may look at its end"
    );
    assert_eq!(bench.operation(stop.id), stop);
    minute(&mut bench);
    assert_eq!(bench.fleet.operation(stop.id), None);
    assert_eq!(archived(&bench, stop.id), Some(stop.clone()));
    assert_eq!(
        (live_rows(&bench, stop.id), bench.fleet.operations.len()),
        (0, 4)
    );
    bench.restart();
    assert_eq!(bench.fleet.operation(stop.id), None, "no start loads it");
}

#[test]
fn what_has_just_ended_stays_though_it_was_begun_first() {
    let mut bench = small(0, 100);
    let long = bench.accept(Verb::Stop, "-a 172.31.16.138");
    for _ in 0..3 {
        minute(&mut bench);
        bench.accept(Verb::Restart, "-a 172.31.16.139");
        bench.succeed(media());
    }
    bench.succeed(node("172.31.16.138"));
    bench.tick();
    assert!(
        bench.fleet.operation(long.id).is_some(),
        "its end is watched"
    );
    minute(&mut bench);
    assert!(bench.fleet.operations.is_empty());
    assert!(archived(&bench, long.id).is_some());
}

#[test]
fn a_large_operation_goes_in_steps_and_begins_anew_after_a_death() {
    let mut bench = super::scale::fleet(700);
    bench.settings.kept.operations = 0;
    bench.restart();
    let stop = bench.accept(Verb::Stop, "");
    bench.pass(Duration::from_secs(30));
    bench.cancel(stop.id);
    let stop = bench.operation(stop.id);
    assert!(stop.ended.is_some());
    bench.now = after(bench.now, Duration::from_secs(61));
    // The deployment before it is the oldest one and goes first: a target and the operation.
    bench.tick();
    let of_stop = |bench: &Bench| {
        let prefix = ArchiveKey::targets_of(stop.id);
        bench
            .rows
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .count()
    };
    let mut copied = of_stop(&bench);
    assert!(copied > 200 && copied < 250, "{copied}");
    assert_eq!(
        archived(&bench, stop.id),
        None,
        "not before all of it is there"
    );
    bench.restart();
    assert_eq!(bench.operation(stop.id), stop, "still the memory's");
    for _ in 0..3 {
        bench.tick();
        assert!(archived(&bench, stop.id).is_none() || of_stop(&bench) == 700);
        copied = copied.max(of_stop(&bench));
    }
    assert_eq!(copied, 700);
    assert_eq!(archived(&bench, stop.id), Some(stop.clone()));
    assert_eq!(
        (live_rows(&bench, stop.id), bench.fleet.operations.len()),
        (0, 0)
    );
}

#[test]
fn what_changes_on_the_way_is_copied_again() {
    let mut bench = super::scale::fleet(300);
    bench.settings.kept.operations = 0;
    bench.restart();
    let first: NodeAddr = "10.0.0.1".parse().unwrap();
    let stop = bench.accept(Verb::Stop, "");
    bench.pass(Duration::from_secs(30));
    bench.cancel(stop.id);
    bench.now = after(bench.now, Duration::from_secs(61));
    bench.tick();
    assert!(
        bench
            .rows
            .contains_key(&ArchiveKey::Target(stop.id, first).to_string())
    );
    bench.fleet.change_target(stop.id, first, |row| {
        row.target.late = "the node told afterwards".to_owned();
    });
    for _ in 0..3 {
        bench.tick();
    }
    let archived = archived(&bench, stop.id).unwrap();
    assert_eq!(archived.targets[0].late, "the node told afterwards");
}

#[test]
fn events_that_tell_who_did_what_are_kept_and_the_rest_goes() {
    let mut bench = small(100, 30);
    let before = bench.events();
    for number in 1..=20 {
        bench.tell(media(), journal_part("j", [number]));
        let turn = bench.fleet.revoke(node("172.31.16.138"), "anna", bench.now);
        bench.commit(turn).unwrap();
        bench.accept(Verb::Restart, "-a 172.31.16.139");
        bench.succeed(media());
    }
    let rows = bench.rows.iter();
    let rows = rows.filter(|(key, _)| key.starts_with(ArchiveKey::EVENTS));
    let kept: Vec<_> = rows.map(|(_, row)| read_event(row).unwrap()).collect();
    let in_memory = bench.events();
    assert_eq!(in_memory.len(), 30);
    let gone = in_memory[0].sequence - 1;
    let of_before = before.iter().filter(|stored| stored.sequence <= gone);
    let expected: Vec<_> = of_before
        .filter(|stored| stored.event.kind != EventKind::Node)
        .collect();
    let found: Vec<_> = kept.iter().take(expected.len()).collect();
    assert_eq!(found, expected, "as they were told");
    assert!(
        kept.iter()
            .all(|stored| stored.event.kind != EventKind::Health)
    );
    assert!(kept.iter().all(|stored| stored.sequence <= gone));
    let of_operations = kept.iter().filter(|s| s.event.kind == EventKind::Operation);
    assert!(of_operations.count() > 8, "{kept:#?}");
}

/// What happens to the controller during an input.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lives,
    DiesBeforeTheCommit,
    DiesAfterIt,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Submit(Verb, Option<usize>),
    Work(usize, OutcomeKind),
    Cancel,
    Minute,
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<(Step, Fate)>> {
    let verb = prop::sample::select(vec![Verb::Stop, Verb::Start, Verb::Restart]);
    let at = 0..GUIDE.len();
    let kind = prop::sample::select(vec![OutcomeKind::Succeeded, OutcomeKind::Failed]);
    let step = prop_oneof![
        4 => (verb, prop::option::weighted(0.6, at.clone())).prop_map(|(v, at)| Step::Submit(v, at)),
        8 => (at, kind).prop_map(|(at, kind)| Step::Work(at, kind)),
        1 => Just(Step::Cancel),
        3 => Just(Step::Minute),
        2 => Just(Step::Tick),
    ];
    let fate = prop_oneof![
        6 => Just(Fate::Lives),
        1 => Just(Fate::DiesBeforeTheCommit),
        1 => Just(Fate::DiesAfterIt),
    ];
    vec((step, fate), 1..60)
}

struct World {
    bench: Bench,
    /// Every operation that has ended, as it was seen last.
    ended: BTreeMap<OperationId, Operation>,
}

impl World {
    fn end<T>(&mut self, turn: Turn<T>, fate: Fate) {
        match fate {
            Fate::Lives => drop(self.bench.commit(turn)),
            Fate::DiesBeforeTheCommit => self.bench.restart(),
            Fate::DiesAfterIt => drop(self.bench.commit_and_die(turn)),
        }
        for (_, _, at) in GUIDE {
            if self.bench.agents[&node(at)].session.is_none() {
                self.bench.connect(node(at));
            }
        }
    }

    fn step(&mut self, step: Step, fate: Fate) {
        match step {
            Step::Submit(verb, at) => {
                let line = at
                    .map(|at| format!("-a {}", GUIDE[at].2))
                    .unwrap_or_default();
                let turn = self.bench.submitting(submission(verb, &line));
                self.end(turn, fate);
            }
            Step::Work(at, kind) => {
                let at = node(GUIDE[at].2);
                let now = self.bench.now;
                let agent = self.bench.agents.get_mut(&at).unwrap();
                if agent.record.is_some() && agent.outcome.is_none() {
                    agent.work(kind, "because", now);
                }
                let agent = &self.bench.agents[&at];
                if let (Some(session), Some(status)) = (agent.session, agent.status()) {
                    let turn = self.bench.fleet.report(session, at, status, now);
                    self.end(turn, fate);
                }
            }
            Step::Cancel => {
                if let Some(open) = self.bench.fleet.newest(1, true).first() {
                    let id = open.id.to_string();
                    let turn = self.bench.fleet.cancel(&id, "bert", self.bench.now);
                    self.end(turn, fate);
                }
            }
            Step::Minute => {
                self.bench.now = after(self.bench.now, Duration::from_secs(61));
                self.bench.heartbeats();
                let turn = self.bench.fleet.tick(self.bench.now);
                self.end(turn, fate);
            }
            Step::Tick => {
                let turn = self.bench.fleet.tick(self.bench.now);
                self.end(turn, fate);
            }
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        for operation in self.bench.fleet.newest(usize::MAX, false) {
            if operation.ended.is_some() {
                self.ended.insert(operation.id, operation);
            }
        }
        for (id, operation) in &self.ended {
            let live = live_rows(&self.bench, *id);
            let in_memory = self.bench.fleet.operation(*id);
            match archived(&self.bench, *id) {
                Some(archived) => {
                    prop_assert_eq!(&archived, operation);
                    prop_assert!(live == 0 && in_memory.is_none(), "found twice");
                }
                None => {
                    prop_assert_eq!(in_memory.as_ref(), Some(operation), "lost");
                    prop_assert_eq!(live, 1 + operation.targets.len());
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(40)
    })]

    #[test]
    fn what_has_ended_is_found_exactly_once_whatever_dies_when(steps in steps()) {
        let mut world = World { bench: small(2, 40), ended: BTreeMap::new() };
        for (step, fate) in steps {
            world.step(step, fate);
            world.check()?;
        }
    }
}
