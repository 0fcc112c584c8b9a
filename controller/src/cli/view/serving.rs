//! What a server has: images and sessions, as documents and in words.

use extend_common::status::{ResolvedImage, SessionCount};
use serde::Serialize;

use crate::cli::output::plan::exactly;

/// An image that a node has.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Image {
    /// As it was asked for.
    pub(crate) reference: String,
    /// `repo@sha256:…` or an image id.
    pub(crate) identity: Option<String>,
    /// The version in the image's label.
    pub(crate) version: Option<String>,
}

impl From<ResolvedImage> for Image {
    fn from(image: ResolvedImage) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            reference: image.reference,
            identity: some(image.identity),
            version: some(image.version),
        }
    }
}

/// How many sessions a server has, as its node can tell.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sessions {
    /// Null when nobody can tell, which is never the same as none.
    pub(crate) count: Option<u64>,
    /// Why nobody can tell, or what else is to be known.
    pub(crate) note: Option<String>,
}

impl Image {
    /// `portsip/pbx:22 (22.3.1) ab12cd34ef56`
    pub(crate) fn in_words(&self) -> String {
        let version = self.version.iter().map(|version| format!(" ({version})"));
        let name: String = std::iter::once(self.reference.clone())
            .chain(version)
            .collect();
        exactly(&name, self.identity.as_deref().unwrap_or_default())
    }
}

impl From<SessionCount> for Sessions {
    fn from(sessions: SessionCount) -> Self {
        Self {
            count: sessions.sessions,
            note: Some(sessions.note).filter(|note| !note.is_empty()),
        }
    }
}

impl Sessions {
    /// `41 sessions`, or why they are not known.
    pub(crate) fn in_words(&self) -> String {
        let count = match self.count {
            Some(1) => "1 session".to_owned(),
            Some(count) => format!("{count} sessions"),
            None => "sessions unknown".to_owned(),
        };
        match &self.note {
            Some(note) => format!("{count}: {note}"),
            None => count,
        }
    }
}
