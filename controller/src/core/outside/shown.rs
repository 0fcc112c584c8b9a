//! How servers stand in the portal, for people.

use extend_common::ids::NodeAddr;

use super::super::fleet::Fleet;
use super::super::refusal::moment;
use super::super::view::{PortalStanding, PortalState};
use super::row::{Disabled, Why};

impl Fleet {
    /// How the server of a node stands in the portal; none where nobody looks, and for a role that
    /// it does not know.
    pub(in crate::core) fn portal_standing(&self, node: NodeAddr) -> Option<PortalStanding> {
        if !self.settings.outside.portal {
            return None;
        }
        let registration = self.registration(node)?;
        let said = |state, reason: String| PortalStanding {
            state,
            reason,
            sessions: None,
        };
        let (_, portal) = match self.sees_portal() {
            Ok(seen) => seen,
            Err(why) => return Some(said(PortalState::Unknown, why)),
        };
        let problem = portal.problems.get(&node).map(|p| p.sentence.clone());
        let name = registration.name.as_str();
        let Some(entry) = portal.entry(registration.resource, name) else {
            return Some(said(
                PortalState::NotRegistered,
                problem.unwrap_or_default(),
            ));
        };
        let row = self.outside.rows.get(&node);
        let disabled = row.and_then(|row| row.disabled.as_ref());
        let (state, reason) = match (entry.enabled, entry.online) {
            (false, _) => (PortalState::Disabled, why_disabled(disabled)),
            (true, Some(true)) => (PortalState::Online, String::new()),
            (true, Some(false)) => (PortalState::Offline, String::new()),
            (true, None) => (PortalState::Unknown, "its status was not told".to_owned()),
        };
        Some(PortalStanding {
            state,
            reason: problem.unwrap_or(reason),
            sessions: entry.sessions,
        })
    }
}

fn why_disabled(disabled: Option<&Disabled>) -> String {
    let Some(disabled) = disabled else {
        return "not by Extend".to_owned();
    };
    let since = moment(disabled.since);
    match (disabled.over, disabled.why) {
        (true, _) => "it is being enabled again".to_owned(),
        (false, Why::Drained) => format!("drained since {since}"),
        (false, Why::Operation(id)) => format!("for operation {}", id.short()),
        (false, Why::Stopped) => format!("stopped since {since}"),
        (false, Why::Failed) => format!("it had failed at {since}"),
        (false, Why::Spared) => {
            format!("it did not answer at {since}, and carried calls")
        }
    }
}
