//! Which images the ledger remembers, how steps change that, and which of them are needed no more.
//!
//! ```text
//!   fetched ── brought ── promoted: serving ── another one is: previous ── another one is: retired
//!                       └ never promoted, and another one is: retired
//! ```
//!
//! Only what the agent has fetched is ever removed again: what was there before is somebody's.

use extend_common::status::ResolvedImage;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Served};
use super::step::Step;

/// An image that the agent has fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brought {
    /// Its identity.
    pub identity: String,
    /// It is to be removed: a deployment has succeeded that needs it no more.
    pub retired: bool,
}

/// Far more than any node has room for. The oldest are forgotten first, and stay on the node.
const BROUGHT_KEPT: usize = 16;

impl Entry {
    /// The images that must stay: of what serves, is tried or may be wanted next.
    pub fn needed_images(&self) -> impl Iterator<Item = &ResolvedImage> {
        let deployments = [&self.serving, &self.candidate, &self.staged];
        let images = deployments
            .into_iter()
            .flatten()
            .map(|served| &served.image);
        images.chain(&self.previous)
    }

    /// Whether the ledger knows an image by this identity.
    pub fn has_had(&self, identity: &str) -> bool {
        self.needed_images().any(|image| image.identity == identity)
            || self.brought.iter().any(|b| b.identity == identity)
    }

    /// The image that is to be removed next, by its identity.
    pub fn retired_image(&self) -> Option<&str> {
        let is_needed = |identity: &str| self.needed_images().any(|i| i.identity == identity);
        let retired = self.brought.iter().filter(|brought| brought.retired);
        let mut retired = retired.map(|brought| brought.identity.as_str());
        retired.find(|identity| !is_needed(identity))
    }

    /// An image for the record has been found, or fetched.
    pub(super) fn note_obtained(&mut self, step: &Step, served: Served, fetched: bool) {
        let identity = &served.image.identity;
        if fetched && !self.brought.iter().any(|b| b.identity == *identity) {
            self.brought.push(Brought {
                identity: identity.clone(),
                retired: false,
            });
            let excess = self.brought.len().saturating_sub(BROUGHT_KEPT);
            self.brought.drain(..excess);
        }
        match step {
            Step::Stage { .. } => self.staged = Some(served),
            _ => self.candidate = Some(served),
        }
    }

    /// A deployment with another image has succeeded: the one that served before is the way back,
    /// and nobody needs what came before that.
    pub(super) fn note_succeeded(&mut self, before: Option<ResolvedImage>) {
        let now = self.serving.as_ref().map(|serving| &serving.image.identity);
        if let Some(before) = before.filter(|before| Some(&before.identity) != now) {
            self.previous = Some(before);
        }
        let needed: Vec<String> = self.needed_images().map(|i| i.identity.clone()).collect();
        for brought in &mut self.brought {
            brought.retired = !needed.contains(&brought.identity);
        }
    }

    /// An image was removed, or is in use and stays: it is tried again after the next deployment.
    pub(super) fn note_removed(&mut self, identity: &str, is_gone: bool) {
        if is_gone {
            self.brought.retain(|brought| brought.identity != identity);
        }
        let mut brought = self.brought.iter_mut();
        if let Some(brought) = brought.find(|brought| brought.identity == identity) {
            brought.retired = false;
        }
    }
}
