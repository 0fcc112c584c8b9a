//! The images of a simulated Engine, and the registry it pulls from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::image::repository;
use crate::docker::{DockerError, Image};

/// What the registry has to say about a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryAnswer {
    /// It has it; the transfer takes this long.
    Serves(Image, Duration),
    /// It, or the Engine, refuses.
    Refuses(DockerError),
    /// It takes the connection and says nothing.
    Hangs,
}

/// A pull that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// When, since the Engine was made.
    pub at: Duration,
    /// What.
    pub reference: String,
    /// As whom.
    pub username: Option<String>,
}

/// Images by id and by reference.
#[derive(Debug, Default)]
pub(super) struct Images {
    by_id: BTreeMap<String, Image>,
    references: BTreeMap<String, String>,
    pub(super) registry: BTreeMap<String, RegistryAnswer>,
    pub(super) pulls: Vec<Pull>,
    /// Questions where a reference leads.
    pub(super) questions: Vec<Pull>,
}

impl Images {
    /// Puts an image under a reference; the one that had it before stays, by its id.
    pub(super) fn add(&mut self, reference: &str, image: Image) {
        self.references.insert(full(reference), image.id.clone());
        let known = self
            .by_id
            .entry(image.id.clone())
            .or_insert_with(|| image.clone());
        for digest in image.repo_digests {
            if !known.repo_digests.contains(&digest) {
                known.repo_digests.push(digest);
            }
        }
    }

    /// An image goes with all its references.
    pub(super) fn prune(&mut self, id: &str) {
        self.by_id.remove(id);
        self.references.retain(|_, held| held != id);
    }

    /// In how many repositories an image has a name or a digest.
    pub(super) fn repositories(&self, id: &str) -> usize {
        let tagged = self.references.iter().filter(|(_, held)| *held == id);
        let tagged = tagged.map(|(reference, _)| repository(reference));
        let pulled = self.by_id.get(id).map(|image| &image.repo_digests);
        let pulled = pulled.into_iter().flatten().map(|d| repository(d));
        tagged.chain(pulled).collect::<BTreeSet<_>>().len()
    }

    /// What a reference, digest or id means.
    pub(super) fn find(&self, reference: &str) -> Option<&Image> {
        if let Some(id) = self.references.get(&full(reference)) {
            return self.by_id.get(id);
        }
        self.by_id.get(reference).or_else(|| {
            self.by_id
                .values()
                .find(|image| image.repo_digests.iter().any(|d| d == reference))
        })
    }

    pub(super) fn answer(&self, reference: &str) -> RegistryAnswer {
        self.registry
            .get(&full(reference))
            .cloned()
            .unwrap_or_else(|| {
                RegistryAnswer::Refuses(DockerError::Refused {
                    status: 404,
                    message: format!(
                        "manifest for {reference} not found: manifest unknown: manifest unknown"
                    ),
                })
            })
    }
}

/// A reference with its tag.
pub(super) fn full(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains([':', '@']) {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}
