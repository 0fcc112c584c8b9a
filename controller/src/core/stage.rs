//! Images fetched ahead: every target of an upgrade has its image, checked, before the first one is
//! put out of service, and all of them have the same build.
//!
//! The record that does it is what the server is already, and an image beside it. What the first
//! node made of a reference is pinned for the others; one that got something else fetches again.

use jiff::Timestamp;

use extend_common::ability;
use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::TargetState;
use extend_common::record::{Desired, ImageRequest, PullPolicy};
use extend_common::roles::RoleDefinition;
use extend_common::status::{Outcome, OutcomeKind, Phase, ServerStatus, StagedImage};

use super::advance::{End, enter};
use super::begin::{CANNOT_COMPARE, settled};
use super::fleet::Fleet;
use super::key::Key;
use super::node::Node;
use super::operation::OperationEntry;
use super::settings::Settings;
use super::words;

impl Fleet {
    /// Lets a node fetch the image of its target.
    pub(super) fn stage(&mut self, id: OperationId, node: NodeAddr, now: Timestamp) {
        let (Some(entry), Some(site)) = (self.operations.get(&id), self.nodes.get(&node)) else {
            return;
        };
        // Without the PBX's version it waits: see [`Fleet::why_queued`].
        let Ok(newest) = self.newest_image(&entry.row.options) else {
            return;
        };
        if newest.is_some() && site.lacks(ability::NEWEST) {
            let end = End::new(TargetState::Failed, CANNOT_COMPARE);
            return self.end_at_once(id, node, end, now);
        }
        let prior = site.intended().map(settled);
        let definition = prior
            .as_ref()
            .and_then(|p| self.settings.roles.get(&p.role));
        let desired = match (&prior, request(entry, site, &self.settings)) {
            (Some(prior), Ok(image)) => Desired {
                // The one that the deployment will be rendered from: what serves may have been
                // rendered from an older one.
                definition: definition.map_or(prior.definition, RoleDefinition::digest),
                staged: Some(ImageRequest { newest, ..image }),
                operation: Some(id),
                ..prior.clone()
            },
            (None, _) => {
                let end = End::new(TargetState::Failed, "its server is gone");
                return self.end_at_once(id, node, end, now);
            }
            (_, Err(why)) => {
                return self.end_at_once(id, node, End::new(TargetState::Failed, why), now);
            }
        };
        let Some(record) = self.commit_record(node, desired, now) else {
            return;
        };
        self.change_target(id, node, |row| {
            row.prior = prior;
            row.staging = true;
            row.moved = Some(now);
            let target = &mut row.target;
            target.state = TargetState::Running;
            target.reason.clear();
            target.stamp = Some(record.stamp);
            target.begun.get_or_insert(now);
            enter(&mut target.phases, Phase::Pulling, now);
        });
    }

    /// The node tells how fetching went.
    pub(super) fn conclude_stage(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        status: &ServerStatus,
        outcome: &Outcome,
        now: Timestamp,
    ) {
        let staged = match (outcome.kind, &status.staged) {
            (OutcomeKind::Succeeded, Some(staged)) => Ok(staged.clone()),
            (OutcomeKind::Succeeded, None) => {
                Err("its agent does not know how to fetch an image ahead".to_owned())
            }
            _ => Err(outcome.reason.clone()),
        };
        match staged.and_then(|staged| self.pin(id, node, staged)) {
            Ok(staged) => {
                self.change_target(id, node, |row| {
                    row.staging = false;
                    row.staged = staged;
                    let target = &mut row.target;
                    target.state = TargetState::Queued;
                    target.stamp = None;
                    target.detail.clear();
                    if let Some(staged) = &row.staged {
                        target.image_after = words::image(&staged.image);
                        target.identity_after.clone_from(&staged.image.identity);
                        enter(&mut target.phases, Phase::Ready, now);
                    }
                });
                self.advance_soon(id, now);
            }
            Err(why) => {
                let prior = self
                    .operations
                    .get(&id)
                    .and_then(|entry| entry.target(node)?.prior.clone());
                // A record that failed is not tended any more.
                self.reverse(id, node, prior, now);
                self.change_target(id, node, |row| {
                    row.staging = false;
                    row.target.detail.clear();
                });
                let end = End {
                    state: TargetState::Failed,
                    reason: words::kept(status, &why),
                    evidence: outcome.evidence.clone(),
                };
                self.end(id, node, end, now);
            }
        }
    }

    /// Holds an image against what the first node got for the same reference. None: it has to be
    /// fetched again, as the pinned one.
    fn pin(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        staged: StagedImage,
    ) -> Result<Option<StagedImage>, String> {
        let wanted = self.nodes.get(&node).and_then(|site| {
            let record = site.row.record.as_ref()?;
            record.desired.staged.as_ref()?.pin.clone()
        });
        let identity = &staged.image.identity;
        if let Some(wanted) = wanted {
            return match wanted == *identity {
                true => Ok(Some(staged)),
                false => Err(format!("it got {identity} where {wanted} was wanted")),
            };
        }
        let Some(entry) = self.operations.get_mut(&id) else {
            return Ok(Some(staged));
        };
        let pins = &mut entry.row.pins;
        let Some(pinned) = pins.get(&staged.image.reference) else {
            pins.insert(staged.image.reference.clone(), identity.clone());
            self.write(Key::Operation(id));
            return Ok(Some(staged));
        };
        Ok((pinned == identity).then_some(staged))
    }
}

/// Which image a node is to fetch.
fn request(
    entry: &OperationEntry,
    site: &Node,
    settings: &Settings,
) -> Result<ImageRequest, String> {
    let options = &entry.row.options;
    if options.to_previous {
        let previous = site.previous_image();
        let previous = previous.ok_or("its node keeps no image of a deployment before")?;
        return Ok(ImageRequest {
            reference: previous.reference.clone(),
            pull: PullPolicy::Missing,
            allow_older: true,
            pin: Some(previous.identity.clone()),
            newest: None,
        });
    }
    let present = site.intended().map(|present| &present.image.reference);
    let reference = options.image.as_ref().or(present);
    let reference = reference.ok_or("its server is gone")?.clone();
    Ok(ImageRequest {
        pin: entry.row.pins.get(&reference).cloned(),
        reference,
        pull: settings.pull,
        allow_older: options.force,
        newest: None,
    })
}
