//! Servers that have failed are disabled in the portal, where another one takes over: the step that
//! PortSIP leaves to an administrator (IVR, queue and meeting servers; the calls of media servers
//! are reassigned by the PBX itself).

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, since};
use extend_common::event::EventKind;
use extend_common::ids::NodeAddr;
use extend_common::record::RunState;
use extend_common::status::{Health, NodeState};

use super::super::event::own;
use super::super::fleet::Fleet;
use super::super::node::Node;
use super::row::Why;

/// A server has to be ill here and offline there for so long.
const ILL_FOR: Duration = Duration::from_secs(60);
/// It has to be well for so long before it is enabled again.
const WELL_FOR: Duration = Duration::from_secs(300);
/// No more often than so many times within [`WITHIN`]: what comes and goes is for a person.
const MOST_ENABLED: usize = 3;
const WITHIN: Duration = Duration::from_secs(3600);

/// How a server has been, as far as disabling it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::core) struct Ill {
    /// Since when it is ill here and offline there.
    ill: Option<Timestamp>,
    /// Since when it is well here and not offline there.
    well: Option<Timestamp>,
    /// A person has enabled it although it was ill: nothing is done until it was well.
    left: bool,
    /// It was told that it stays disabled.
    said: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Disable,
    /// It is to get no more calls beside those it has.
    Spare,
    Enable,
    /// It would be enabled once too often.
    Stay,
}

impl Fleet {
    /// A person wants it enabled, whatever it is like.
    pub(super) fn leave_to_people(&mut self, node: NodeAddr, now: Timestamp) {
        let ill = self.outside.ill.entry(node).or_default();
        ill.left = true;
        let text = "it was disabled because it had failed, and somebody has enabled it in the \
                    portal: it stays enabled";
        self.note_about(node, own(EventKind::Portal, now, text));
    }

    /// Whether a server is disabled in the portal because it had failed.
    pub(in crate::core) fn is_disabled_as_failed(&self, node: NodeAddr) -> bool {
        let row = self.outside.rows.get(&node);
        let disabled = row.and_then(|row| row.disabled.as_ref());
        disabled.is_some_and(|disabled| disabled.why == Why::Failed && !disabled.over)
    }

    /// Disables what has failed and enables again what is well.
    pub(in crate::core) fn tend_portal(&mut self, now: Timestamp) {
        if !self.settings.outside.portal || self.outside.portal.is_none() {
            return;
        }
        let judged: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|(node, site)| {
                let (ill, moves) = self.judge(*node, site, now)?;
                Some((*node, ill, moves))
            })
            .collect();
        let known: BTreeSet<_> = judged.iter().map(|(node, ..)| *node).collect();
        self.outside.ill.retain(|node, _| known.contains(node));
        for (node, ill, moves) in judged {
            let said = ill.said;
            self.outside.ill.insert(node, ill);
            match moves {
                Some(Move::Disable) => {
                    self.disable(node, Why::Failed, now);
                    let text = "disabled in the portal: it has been unhealthy here and offline \
                                there for a minute, and another server takes over";
                    self.note_about(node, own(EventKind::Portal, now, text));
                }
                Some(Move::Spare) => {
                    self.disable(node, Why::Spared, now);
                    let text = "disabled in the portal: it does not answer and carries calls, and \
                                another server takes the new ones";
                    self.note_about(node, own(EventKind::Portal, now, text));
                }
                Some(Move::Enable) => {
                    self.change_outside(node, |row| {
                        row.enabled.retain(|at| since(*at, now) < WITHIN);
                        row.enabled.push(now);
                    });
                    self.enable_again(node, now);
                    let text = "enabled again in the portal: it has been well for five minutes";
                    self.note_about(node, own(EventKind::Portal, now, text));
                }
                Some(Move::Stay) if !said => {
                    if let Some(ill) = self.outside.ill.get_mut(&node) {
                        ill.said = true;
                    }
                    let text = "it stays disabled in the portal: it was enabled again three times \
                                within an hour, and failed each time (extend undrain enables it)";
                    self.note_about(node, own(EventKind::Portal, now, text));
                }
                Some(Move::Stay) | None => {}
            }
        }
    }

    /// How a server is, and what follows. None for servers that are not looked after so.
    fn judge(&self, node: NodeAddr, site: &Node, now: Timestamp) -> Option<(Ill, Option<Move>)> {
        let desired = site.intended()?;
        let resource = self.resource(&desired.role)?;
        let row = self.outside.rows.get(&node);
        let disabled = row.and_then(|row| row.disabled.as_ref());
        let by_hand = resource.is_disabled_by_hand();
        let spared = is_spared(site);
        let was_spared = disabled.is_some_and(|disabled| disabled.why == Why::Spared);
        if desired.run_state != RunState::Running || !(by_hand || spared || was_spared) {
            return None;
        }
        let before = self.outside.ill.get(&node).copied().unwrap_or_default();
        // An operation that holds it says itself what is to be.
        let begun = site
            .open()
            .and_then(|id| self.operations.get(&id)?.target(node));
        if begun.is_some_and(|row| !row.is_queued()) {
            let ill = Ill {
                ill: None,
                well: None,
                ..before
            };
            return Some((ill, None));
        }
        let (_, portal) = self.outside.portal.as_ref()?;
        let is_seen = self.sees_portal().is_ok();
        let entry = portal.entry(resource, desired.name.as_str());
        let offline = is_seen && entry.is_some_and(|entry| entry.online == Some(false));
        // Whether a disabled one is shown online is not documented.
        let online = is_seen && entry.is_some_and(|e| !e.enabled || e.online != Some(false));
        let keep = |holds: bool, since: Option<Timestamp>| holds.then(|| since.unwrap_or(now));
        let ill = Ill {
            ill: keep(offline && is_ill(site), before.ill),
            well: keep(online && site.answers(), before.well),
            left: before.left && !site.is_well(),
            said: before.said,
        };
        let lasts = |from: Option<Timestamp>, long: Duration| {
            from.is_some_and(|from| after(from, long) <= now)
        };
        let enabled = entry.is_some_and(|entry| entry.enabled);
        let moves = match disabled {
            None if spared && enabled && !ill.left => portal
                .another_takes_over(resource, desired.name.as_str())
                .then_some(Move::Spare),
            None if by_hand && lasts(ill.ill, ILL_FOR) && enabled && !ill.left => portal
                .another_takes_over(resource, desired.name.as_str())
                .then_some(Move::Disable),
            Some(disabled)
                if matches!(disabled.why, Why::Failed | Why::Spared)
                    && !disabled.over
                    && lasts(ill.well, WELL_FOR) =>
            {
                let lately = row.map_or(0, |row| {
                    let lately = row.enabled.iter().filter(|at| since(**at, now) < WITHIN);
                    lately.count()
                });
                Some(match lately < MOST_ENABLED {
                    true => Move::Enable,
                    false => Move::Stay,
                })
            }
            _ => None,
        };
        Some((ill, moves))
    }
}

/// Whether a server does not answer and is left alone for the calls that it carries.
fn is_spared(site: &Node) -> bool {
    let seen = site.observation();
    site.state() == NodeState::Online && seen.is_some_and(|seen| seen.spared.is_some())
}

/// Whether a server that should run was seen not to, or its node is away.
fn is_ill(site: &Node) -> bool {
    match site.observation() {
        Some(seen) if site.state() == NodeState::Online => matches!(
            seen.health,
            Health::Unhealthy | Health::Quarantined | Health::Stopped
        ),
        _ => site.state() == NodeState::Offline,
    }
}
