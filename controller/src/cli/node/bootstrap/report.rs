//! How a bootstrap ended, for people and as a document.

use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use serde::Serialize;

use super::plan::Plan;
use crate::cli::failure::Failure;
use crate::cli::output::Tone;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{count, span};

/// One node, at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// Which.
    pub(super) node: NodeAddr,
    /// How it went.
    pub(super) outcome: Outcome,
    /// How long it took.
    pub(super) took: Duration,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There was nothing to do, or it was only asked what there is.
    Looked(Plan),
    /// It is done.
    Done(Plan),
    /// It is not.
    Failed(Failure),
}

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    nodes: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    address: NodeAddr,
    /// `already-so`, `planned`, `done`, `refused` or `failed`.
    outcome: &'static str,
    /// What was done, or would be.
    changes: Vec<String>,
    /// What the guide asks for and the node is not.
    warnings: Vec<String>,
    /// Why it is not done.
    error: Option<String>,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Report {
    fn word(&self) -> &'static str {
        match &self.outcome {
            Outcome::Looked(plan) if plan.is_already_so() => "already-so",
            Outcome::Looked(_) => "planned",
            Outcome::Done(_) => "done",
            Outcome::Failed(failure) if failure.exit == Exit::Refused => "refused",
            Outcome::Failed(_) => "failed",
        }
    }

    fn plan(&self) -> Option<&Plan> {
        match &self.outcome {
            Outcome::Looked(plan) | Outcome::Done(plan) => Some(plan),
            Outcome::Failed(_) => None,
        }
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Looked(_) | Outcome::Done(_) => None,
        }
    }
}

/// The document of all.
pub(super) fn document(reports: &[Report]) -> Document {
    let row = |report: &Report| {
        let failure = report.failure();
        Row {
            address: report.node,
            outcome: report.word(),
            changes: report.plan().map(Plan::changes).unwrap_or_default(),
            warnings: report
                .plan()
                .map(|plan| plan.warnings.clone())
                .unwrap_or_default(),
            error: failure.map(|failure| failure.sentence.clone()),
            causes: failure
                .map(|failure| failure.causes.clone())
                .unwrap_or_default(),
            hint: failure
                .map(|f| f.hint.clone())
                .filter(|hint| !hint.is_empty()),
        }
    };
    Document {
        nodes: reports.iter().map(row).collect(),
    }
}

/// The table of `--plan`.
pub(super) fn table(reports: &[Report]) -> Table {
    let mut table = Table::new(vec!["ADDRESS", "CHANGE"]);
    for report in reports {
        let change = match &report.outcome {
            Outcome::Failed(failure) => Cell::toned(failure.sentence.clone(), Tone::Bad),
            Outcome::Looked(plan) if plan.is_already_so() => {
                Cell::toned("none: it is online, with this agent", Tone::Faint)
            }
            Outcome::Looked(plan) | Outcome::Done(plan) => plan.changes().join("; ").into(),
        };
        table.row(vec![report.node.to_string().into(), change]);
    }
    table
}

/// One sentence about all.
pub(super) fn summary(reports: &[Report], plan_only: bool, took: Duration) -> String {
    let of = |word: &str| {
        reports
            .iter()
            .filter(|report| report.word() == word)
            .count()
    };
    let all = count(reports.len(), "node");
    let bad = of("failed") + of("refused");
    let not: String = [("refused", of("refused")), ("failed", of("failed"))]
        .iter()
        .filter(|(_, some)| *some > 0)
        .map(|(word, some)| format!(", {some} {word}"))
        .collect();
    if plan_only {
        let verdict = match of("planned") {
            0 => "nothing to do".to_owned(),
            some => format!("{some} of {all} would change"),
        };
        return format!("{verdict}{not}");
    }
    let so = of("already-so");
    if so == reports.len() {
        return format!("{all} online already, nothing to do");
    }
    let online = reports.len() - bad;
    format!(
        "bootstrap: {online} of {all} online{not}, in {}",
        span(took)
    )
}

/// The exit code of all.
pub(super) fn exit(reports: &[Report]) -> Exit {
    let failures: Vec<&Failure> = reports.iter().filter_map(Report::failure).collect();
    let some_would_change = reports.iter().any(|report| report.word() == "planned");
    match failures.as_slice() {
        [] if some_would_change => Exit::Changes,
        [] => Exit::Done,
        some if some.len() < reports.len() => Exit::SomeFailed,
        [first, rest @ ..] if rest.iter().all(|other| other.exit == first.exit) => first.exit,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Step;
    use super::*;

    fn report(last: u8, outcome: Outcome) -> Report {
        Report {
            node: std::net::Ipv4Addr::new(10, 0, 0, last).try_into().unwrap(),
            outcome,
            took: Duration::ZERO,
        }
    }

    fn plan(steps: &[Step]) -> Plan {
        Plan {
            steps: steps.to_vec(),
            warnings: Vec::new(),
        }
    }

    fn failed(exit: Exit) -> Outcome {
        Outcome::Failed(Failure::new(exit, "cannot set up node 10.0.0.9: so it is"))
    }

    #[test]
    fn the_exit_code_and_the_sentence_follow_from_the_nodes() {
        let so = || Outcome::Looked(plan(&[]));
        let would = || Outcome::Looked(plan(&[Step::StartAgent]));
        let done = || Outcome::Done(plan(&[Step::StartAgent]));
        let (refused, broken) = (failed(Exit::Refused), failed(Exit::Failed));
        for (outcomes, plan_only, code, sentence) in [
            (
                vec![so(), so()],
                false,
                Exit::Done,
                "2 nodes online already, nothing to do",
            ),
            (
                vec![so(), done()],
                false,
                Exit::Done,
                "bootstrap: 2 of 2 nodes online, in 7s",
            ),
            (
                vec![done()],
                false,
                Exit::Done,
                "bootstrap: 1 of 1 node online, in 7s",
            ),
            (vec![so(), so()], true, Exit::Done, "nothing to do"),
            (
                vec![so(), would()],
                true,
                Exit::Changes,
                "1 of 2 nodes would change",
            ),
            (
                vec![done(), refused.clone(), broken.clone()],
                false,
                Exit::SomeFailed,
                "bootstrap: 1 of 3 nodes online, 1 refused, 1 failed, in 7s",
            ),
            (
                vec![would(), refused.clone()],
                true,
                Exit::SomeFailed,
                "1 of 2 nodes would change, 1 refused",
            ),
            (
                vec![refused.clone(), refused.clone()],
                false,
                Exit::Refused,
                "bootstrap: 0 of 2 nodes online, 2 refused, in 7s",
            ),
            (
                vec![refused, broken],
                false,
                Exit::Failed,
                "bootstrap: 0 of 2 nodes online, 1 refused, 1 failed, in 7s",
            ),
        ] {
            let reports: Vec<_> = outcomes
                .into_iter()
                .zip(1..)
                .map(|(o, n)| report(n, o))
                .collect();
            assert_eq!(exit(&reports), code, "{reports:?}");
            assert_eq!(
                summary(&reports, plan_only, Duration::from_secs(7)),
                sentence
            );
        }
    }
}
