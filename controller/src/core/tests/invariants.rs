//! The invariants of the core, checked by the model after every step.

use crate::core::ending::REVERSAL_BOUND;
use std::collections::BTreeMap;
use std::time::Duration;

use extend_common::clock::after;
use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::{Target, TargetState, Verb};
use extend_common::status::OutcomeKind;

use super::model::Model;
use crate::core::row::TargetRow;
use crate::core::{Fleet, Loading};

impl Model {
    pub(super) fn check(&mut self) {
        self.memory_is_what_is_stored();
        self.one_open_operation_a_server();
        self.generations_grow();
        self.operations_end();
        self.ended_targets_stay();
        self.nothing_is_left_pending();
        self.nothing_spent_is_on_record();
    }

    fn memory_is_what_is_stored(&self) {
        let loading = Loading {
            settings: self.bench.settings.clone(),
            store: self.bench.store,
            epoch: self.bench.epoch,
            last_session: 0,
        };
        let rows = self
            .bench
            .rows
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()));
        let stored = Fleet::load(loading, rows, self.bench.now).unwrap();
        let fleet = &self.bench.fleet;
        let ids = |fleet: &Fleet| fleet.operations.keys().copied().collect::<Vec<_>>();
        assert_eq!(ids(fleet), ids(&stored));
        for (id, entry) in &fleet.operations {
            let other = &stored.operations[id];
            assert_eq!(entry.row, other.row);
            for (mine, theirs) in entry.targets().iter().zip(other.targets()) {
                let told = |target: &Target| {
                    (
                        target.state,
                        target.stamp,
                        target.phases.clone(),
                        target.late.clone(),
                    )
                };
                assert_eq!(told(&mine.target), told(&theirs.target));
                assert_eq!((&mine.prior, &mine.ending), (&theirs.prior, &theirs.ending));
                let ahead = |row: &TargetRow| (row.staging, row.staged.clone(), row.canary);
                assert_eq!(ahead(mine), ahead(theirs));
            }
        }
        assert_eq!(fleet.events.last(), stored.events.last());
        for sequence in 1..=fleet.events.last() {
            assert_eq!(fleet.events.get(sequence), stored.events.get(sequence));
        }
        for (at, entry) in &fleet.nodes {
            let other = &stored.nodes[at];
            // Of many that go at once the rows are written with the next tick, all together.
            if !fleet.comings.waits(*at) {
                assert_eq!(entry.away, other.away, "{at}");
            }
            assert_eq!(entry.row.journal, other.row.journal, "{at}");
            assert_eq!(entry.row.record, other.row.record, "{at}");
            assert_eq!(entry.row.chain, other.row.chain, "{at}");
            assert_eq!(entry.row.abandoned, other.row.abandoned, "{at}");
            assert_eq!(entry.wanted_by, other.wanted_by, "{at}");
        }
    }

    /// Operations may wait for a server; one works on it.
    fn one_open_operation_a_server(&self) {
        let mut wanted: BTreeMap<NodeAddr, Vec<OperationId>> = BTreeMap::new();
        for (id, entry) in &self.bench.fleet.operations {
            for row in entry.targets() {
                let target = &row.target;
                if target.state.has_ended() {
                    continue;
                }
                wanted.entry(target.node).or_default().push(*id);
                let holder = self.bench.fleet.nodes[&target.node].open();
                let works = target.stamp.is_some() || row.ending.is_some();
                assert!(
                    !works || holder == Some(*id),
                    "{id} works on what it does not hold"
                );
            }
            let all_ended = entry
                .targets()
                .iter()
                .all(|row| row.target.state.has_ended());
            assert_eq!(entry.row.ended.is_some(), all_ended);
        }
        for (at, entry) in &self.bench.fleet.nodes {
            let mut known = entry.wanted_by.clone();
            known.sort_unstable();
            assert_eq!(known, wanted.remove(at).unwrap_or_default(), "{at}");
        }
    }

    fn generations_grow(&mut self) {
        for (at, entry) in &self.bench.fleet.nodes {
            let stamps: Vec<_> = entry.row.chain.iter().map(|id| id.stamp).collect();
            for pair in stamps.windows(2) {
                assert!(
                    pair[0] < pair[1] && pair[0].generation < pair[1].generation,
                    "{stamps:?}"
                );
            }
            if let (Some(record), Some(last)) = (&entry.row.record, entry.row.chain.last()) {
                assert_eq!(record.id, *last);
            }
            let highest = stamps.last().map_or(0, |stamp| stamp.generation);
            let before = self.generations.insert(*at, highest).unwrap_or(0);
            assert!(highest >= before, "{at} went from {before} to {highest}");
        }
    }

    fn operations_end(&self) {
        for operation in self.bench.fleet.newest(usize::MAX, true) {
            // The model's ticks are two seconds apart, and time only passes with them.
            let bound = REVERSAL_BOUND + Duration::from_secs(2);
            let latest = after(operation.deadline, bound);
            assert!(self.bench.now <= latest, "{operation:#?}");
        }
    }

    fn ended_targets_stay(&mut self) {
        for operation in self.bench.fleet.newest(usize::MAX, false) {
            for target in operation
                .targets
                .into_iter()
                .filter(|target| target.state.has_ended())
            {
                let key = (operation.id, target.node);
                let told = Target {
                    late: String::new(),
                    ..target
                };
                let before = self.ended.entry(key).or_insert_with(|| told.clone());
                assert_eq!(*before, told, "an ended target has changed");
            }
        }
    }

    /// A deployment that its agent has reported as failed and rolled back is not on record any
    /// more, whenever that was told.
    fn nothing_spent_is_on_record(&self) {
        for (at, entry) in &self.bench.fleet.nodes {
            let (Some(record), Some(seen)) = (&entry.row.record, &entry.status) else {
                continue;
            };
            let kind = seen.outcome.as_ref().map(|outcome| outcome.kind);
            let introduced = record.desired.deployment.0 == record.id.stamp.generation;
            let rolled_back = kind == Some(OutcomeKind::RolledBack);
            let told = entry.is_commandable() && entry.fresh && seen.record == record.id;
            let gone = record.desired.run_state.is_tombstone();
            assert!(
                !(told && rolled_back && introduced && !gone),
                "{at}: {record:#?}"
            );
        }
    }

    /// A record of a target that was given up is only there while its node still has to be asked,
    /// or because the node has said that it holds it.
    fn nothing_is_left_pending(&self) {
        for operation in self.bench.fleet.newest(usize::MAX, false) {
            for target in &operation.targets {
                let entry = &self.bench.fleet.nodes[&target.node];
                let Some(record) = &entry.row.record else {
                    continue;
                };
                if Some(record.id.stamp) != target.stamp || entry.open() == Some(operation.id) {
                    continue;
                }
                match target.state {
                    TargetState::TimedOut | TargetState::Cancelled => {
                        let asked = entry.row.abandoned.as_ref().map(|a| a.operation);
                        let holds = entry.row.held == Some(record.id);
                        assert!(asked == Some(operation.id) || holds, "{operation:#?}");
                    }
                    TargetState::RolledBack if operation.verb == Verb::Upgrade => {
                        panic!("a spent record is still there: {operation:#?}")
                    }
                    _ => {}
                }
            }
        }
    }
}
