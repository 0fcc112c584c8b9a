//! What a submission means outside the nodes: what is asked before, and what is said of it.

use extend_common::operation::{PlannedTarget, Verb};

use super::super::fleet::Fleet;
use super::super::refusal::{Asked, Obstacle, Refusal};
use super::super::request::Submission;

/// Refuses a deployment that nobody has held against the PBX's version, until the operator says
/// yes.
pub(super) fn check(
    fleet: &Fleet,
    submission: &Submission,
    asked: &Asked,
    targets: &[PlannedTarget],
) -> Result<(), Refusal> {
    let is_asked = compares_nothing(fleet, submission)
        && !submission.plan_only
        && !submission.confirmed
        && targets.iter().any(|target| !target.already_so);
    match is_asked {
        true => Err(Obstacle::PbxVersionUnknown {
            asked: asked.clone(),
        }
        .into()),
        false => Ok(()),
    }
}

/// Whether an image is fetched whose version nobody can hold against the PBX's.
fn compares_nothing(fleet: &Fleet, submission: &Submission) -> bool {
    let fetches = match submission.verb {
        Verb::Run => true,
        Verb::Upgrade => !submission.to_previous,
        _ => false,
    };
    fetches && !fleet.settings.outside.portal
}

/// What an operator should know before.
pub(super) fn warnings(
    fleet: &Fleet,
    submission: &Submission,
    target: &PlannedTarget,
) -> Vec<String> {
    let mut words = Vec::new();
    if compares_nothing(fleet, submission) {
        words.push("the version of the PBX is not known (pbx.api)".to_owned());
    }
    if submission.verb == Verb::Run && !fleet.settings.outside.portal {
        let definition = fleet.settings.roles.get(&target.role);
        let menu = definition.map_or("the page of its type", |d| d.portal.as_str());
        words.push(format!(
            "portal: not configured: add {} there by hand ({menu}), and let its addresses in",
            target.name
        ));
    }
    words
}
