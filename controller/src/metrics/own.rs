//! The controller's own numbers: what was counted, its certificates, its store and its engine.

use std::fs;
use std::path::Path;

use extend_common::operation::{TargetState, Verb};
use extend_common::tls::accept::AcceptTally;

use super::Sources;
use super::fleet::role_word;
use super::page::{Page, Value};
use super::table;
use crate::core::counted::RestartCause;
use crate::core::figures::FleetFigures;
use crate::engine::meter::Counts;

/// The ends that an operation may come to.
const OUTCOMES: [TargetState; 6] = [
    TargetState::Succeeded,
    TargetState::Failed,
    TargetState::RolledBack,
    TargetState::Skipped,
    TargetState::Cancelled,
    TargetState::TimedOut,
];

/// Everything but the fleet and the process.
pub(super) fn show(page: &mut Page, sources: &Sources, figures: &FleetFigures) {
    let meter = sources.engine.meter();
    counted(page, &meter.counts(), figures);
    certificates(page, sources, figures);
    handshakes(page, "agents", &sources.tallies.agents);
    handshakes(page, "enrolment", &sources.tallies.enrolment);
    let histograms = [
        (&table::COMMITS, &meter.commits),
        (&table::COMMIT_ROWS, &meter.rows),
        (&table::TURNS, &meter.turns),
    ];
    for (definition, histogram) in histograms {
        page.put(definition, [], Value::Histogram(histogram.clone()));
    }
    let (queued, most) = sources.engine.queued();
    page.number(&table::QUEUE, [], number(queued));
    page.number(&table::QUEUE_LIMIT, [], number(most));
    page.number(&table::EPOCH, [], figures.epoch);
    if let Some(bytes) = size(&sources.store) {
        page.number(&table::STORE_SIZE, [], bytes);
    }
    page.gauge(&table::BUILD, [env!("CARGO_PKG_VERSION")], 1.0);
}

/// Every value that a label may have is there from the start, so that the first rise is seen.
fn counted(page: &mut Page, counts: &Counts, figures: &FleetFigures) {
    for role in figures.roles.keys() {
        let word = role_word(role.as_ref());
        for cause in RestartCause::ALL {
            let count = counts.restarts.get(&(role.clone(), cause));
            let count = count.copied().unwrap_or_default();
            page.count(&table::RESTARTS, [word, cause.word()], count);
        }
        let count = counts.quarantines.get(role).copied().unwrap_or_default();
        page.count(&table::QUARANTINES, [word], count);
    }
    for verb in Verb::ALL {
        let word = verb.to_string();
        let begun = counts.begun.get(&verb).copied().unwrap_or_default();
        page.count(&table::BEGUN, [&word], begun);
        for outcome in OUTCOMES {
            let ended = counts.ended.get(&(verb, outcome));
            let ended = ended.copied().unwrap_or_default();
            page.count(&table::ENDED, [&word, &outcome.to_string()], ended);
        }
        let open = figures.open.get(&verb).copied().unwrap_or_default();
        page.number(&table::OPEN, [&word], open);
        if let Some(took) = counts.took.get(&verb) {
            page.put(&table::TOOK, [&word], Value::Histogram(took.clone()));
        }
    }
    page.count(&table::COMMITS_FAILED, [], counts.failed);
}

fn certificates(page: &mut Page, sources: &Sources, figures: &FleetFigures) {
    let (own, authority) = (sources.live.not_after(), sources.issuer.authority_ends());
    page.moment(&table::CERTIFICATES, ["controller"], own);
    page.moment(&table::CERTIFICATES, ["authority"], authority);
    if let Some(ends) = figures.leaf_ends {
        page.moment(&table::CERTIFICATES, ["node"], ends);
    }
}

fn handshakes(page: &mut Page, face: &str, tally: &AcceptTally) {
    let counts = tally.counts();
    let results = [
        ("established", counts.established),
        ("refused-at-door", counts.refused_at_door),
        ("crowded", counts.crowded),
        ("timed-out", counts.timed_out),
        ("failed", counts.failed),
        ("wrong-identity", counts.wrong_identity),
    ];
    for (result, count) in results {
        page.count(&table::HANDSHAKES, [face, result], count);
    }
}

/// The database with what has not been moved into it yet.
fn size(store: &Path) -> Option<u64> {
    let database = fs::metadata(store).ok()?.len();
    let mut log = store.as_os_str().to_owned();
    log.push("-wal");
    let log = fs::metadata(log).map_or(0, |log| log.len());
    Some(database.saturating_add(log))
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
