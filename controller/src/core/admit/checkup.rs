//! What a checkup means for a `run`: what fails refuses it, unless an operator has accepted that by
//! name; the rest is told before.

use extend_common::checkup::{Check, Verdict};
use extend_common::ids::{NodeAddr, RoleName};

use super::super::fleet::Fleet;
use super::super::refusal::{Asked, Obstacle, Refusal};
use super::super::request::Submission;
use super::resolve;
use super::run;

/// The node that a `run` would deploy on, and the role. None when it is refused as it is, or would
/// deploy nothing.
pub(in crate::core) fn would_check(
    fleet: &Fleet,
    submission: &Submission,
) -> Option<(NodeAddr, RoleName)> {
    let asked = Asked::submission(submission);
    let selector = resolve(fleet, &submission.selector, &asked).ok()?;
    let planned = run::plan(fleet, submission, &asked, &selector).ok()?;
    let [target] = planned.as_slice() else {
        return None;
    };
    run::deploys(fleet, submission, target.node).then(|| (target.node, target.role.clone()))
}

/// Refuses what fails and is not accepted; gives what is to be told before.
pub(super) fn judge(
    submission: &Submission,
    asked: &Asked,
    node: NodeAddr,
) -> Result<Vec<Check>, Refusal> {
    let Some(checks) = &submission.checkup else {
        return Ok(Vec::new());
    };
    let reason = |check: &Check| {
        let mut accepted = submission.accepted.iter();
        accepted.find(|accepted| accepted.name == check.name)
    };
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail && reason(check).is_none())
        .cloned()
        .collect();
    if !failed.is_empty() {
        return Err(Obstacle::HostUnfit {
            asked: asked.clone(),
            node,
            failed,
        }
        .into());
    }
    let told = checks.iter().filter(|check| check.verdict != Verdict::Ok);
    let told = told.map(|check| match reason(check) {
        Some(accepted) => Check {
            found: format!("{} (accepted: {})", check.found, accepted.reason),
            ..check.clone()
        },
        None => check.clone(),
    });
    Ok(told.collect())
}
