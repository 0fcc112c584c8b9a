//! How a server stands in the PBX's portal.

use extend_proto::v1;
use serde::Serialize;

use crate::cli::output::Tone;
use crate::cli::output::table::Cell;

/// What `extend status` shows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Portal {
    /// online, offline, disabled, not registered, unknown, or not configured.
    pub(crate) state: &'static str,
    /// Why, in words.
    pub(crate) reason: Option<String>,
    /// How many sessions the PBX counts; null where it does not.
    pub(crate) sessions: Option<u64>,
}

/// Where the controller does not look at a portal.
const NOT_CONFIGURED: &str = "not configured";

impl Portal {
    /// What the controller told.
    pub(crate) fn read(standing: Option<v1::PortalStanding>) -> Self {
        let standing = standing.unwrap_or_default();
        let state = match standing.state() {
            v1::PortalState::Unspecified => NOT_CONFIGURED,
            v1::PortalState::Unknown => "unknown",
            v1::PortalState::NotRegistered => "not registered",
            v1::PortalState::Offline => "offline",
            v1::PortalState::Online => "online",
            v1::PortalState::Disabled => "disabled",
        };
        Self {
            state,
            reason: super::text(standing.reason),
            sessions: standing.sessions,
        }
    }

    /// Its cell; where there is no room for it, what is not as it should be is said.
    pub(crate) fn cell(&self) -> Cell {
        let tone = match self.state {
            "online" => Tone::Good,
            NOT_CONFIGURED => Tone::Plain,
            "offline" | "not registered" => Tone::Bad,
            _ => Tone::Busy,
        };
        let told = match tone {
            Tone::Bad | Tone::Busy => format!("portal: {}", self.in_words()),
            _ => String::new(),
        };
        Cell::toned(self.state.to_owned(), tone).or_say(told)
    }

    /// With the reason.
    pub(crate) fn in_words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} ({reason})", self.state),
            None => self.state.to_owned(),
        }
    }
}
