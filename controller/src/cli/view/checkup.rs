//! Checkups, as `extend doctor` and the plan of a `run` show them.

use extend_common::checkup::{Check, Verdict};
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::PlannedTarget;
use extend_proto::v1;
use serde::Serialize;

use super::text;
use crate::cli::failure::Failure;
use crate::cli::output::Tone;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::count;

/// The document of `extend doctor`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Checkups {
    /// Every node that was checked.
    pub(crate) nodes: Vec<Checkup>,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Checkup {
    /// Its private IP.
    pub(crate) address: NodeAddr,
    /// Its server.
    pub(crate) server: Option<ServerName>,
    /// The type that it was checked for.
    pub(crate) r#type: Option<RoleName>,
    /// Every check, once.
    pub(crate) checks: Vec<Check>,
}

impl TryFrom<v1::CheckupResponse> for Checkups {
    type Error = Failure;

    fn try_from(answer: v1::CheckupResponse) -> Result<Self, Failure> {
        let odd = |error: extend_common::ids::IdError| {
            Failure::local("cannot understand the answer", &error)
        };
        let node = |node: v1::NodeCheckup| {
            let server = text(node.name).map(|name| name.parse()).transpose();
            let role = text(node.role).map(|role| role.parse()).transpose();
            Ok(Checkup {
                address: node.node.parse().map_err(odd)?,
                server: server.map_err(odd)?,
                r#type: role.map_err(odd)?,
                checks: Check::list(node.checks),
            })
        };
        let nodes: Result<_, Failure> = answer.nodes.into_iter().map(node).collect();
        Ok(Self { nodes: nodes? })
    }
}

impl Checkups {
    fn count(&self, verdict: Verdict) -> usize {
        let checks = self.nodes.iter().flat_map(|node| &node.checks);
        checks.filter(|check| check.verdict == verdict).count()
    }

    /// Whether anything is against a rule.
    pub(crate) fn fails(&self) -> bool {
        self.count(Verdict::Fail) > 0
    }
}

/// What a narrow terminal has no room for.
const SPARE: &[&str] = &["FIX"];

/// The checks as a table, node by node.
pub(crate) fn checkups_table(checkups: &Checkups, wide: bool) -> Table {
    let mut heading = vec!["NODE"];
    if wide {
        heading.extend(["SERVER", "TYPE"]);
    }
    heading.extend(["CHECK", "VERDICT", "FOUND", "FIX"]);
    let mut table = Table::new(heading).sparing(if wide { &[] } else { SPARE });
    for node in &checkups.nodes {
        for check in &node.checks {
            let mut cells = vec![Cell::from(node.address.to_string())];
            if wide {
                let server = node.server.as_ref().map(ToString::to_string);
                let role = node.r#type.as_ref().map(ToString::to_string);
                cells.extend([server, role].map(|cell| Cell::from(cell.unwrap_or_default())));
            }
            cells.extend([
                check.name.to_string().into(),
                Cell::toned(check.verdict.to_string(), tone(check.verdict)),
                check.found.clone().into(),
                check.fix.clone().into(),
            ]);
            table.row(cells);
        }
    }
    table
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warn => Tone::Busy,
        Verdict::Fail => Tone::Bad,
        Verdict::Unknown => Tone::Faint,
    }
}

/// How many of each.
pub(crate) fn summary(checkups: &Checkups) -> String {
    let parts: Vec<_> = [Verdict::Fail, Verdict::Warn, Verdict::Unknown, Verdict::Ok]
        .into_iter()
        .map(|verdict| (checkups.count(verdict), verdict))
        .filter(|(count, _)| *count > 0)
        .map(|(count, verdict)| format!("{count} {verdict}"))
        .collect();
    format!(
        "{}: {}",
        count(checkups.nodes.len(), "node"),
        parts.join(", ")
    )
}

/// What a `run` says of its node before: a line for each check that was not found as it should be,
/// and one for all of which nobody can tell.
pub(crate) fn sentences(plan: &[PlannedTarget]) -> Vec<String> {
    let mut sentences = Vec::new();
    for target in plan {
        let whom = format!("{} ({})", target.name, target.node);
        let (unknown, known): (Vec<_>, Vec<_>) = target
            .checks
            .iter()
            .partition(|check| check.verdict == Verdict::Unknown);
        sentences.extend(
            known
                .iter()
                .map(|check| format!("warning: {whom}: {check}")),
        );
        if !unknown.is_empty() {
            let names: Vec<_> = unknown.iter().map(|check| check.name.as_str()).collect();
            sentences.push(format!("warning: {whom}: not known: {}", names.join(", ")));
        }
    }
    sentences
}

/// The same for a plan, with why nobody can tell.
pub(crate) fn lines(plan: &[PlannedTarget]) -> String {
    let mut text = String::new();
    for target in plan.iter().filter(|target| !target.checks.is_empty()) {
        text.push_str(&format!(
            "\n\nthe host {}, apart from what is as it should be:",
            target.node
        ));
        for check in &target.checks {
            text.push_str(&format!("\n  {:<7} {check}", check.verdict));
        }
    }
    text
}
