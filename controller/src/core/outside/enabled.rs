//! Whether servers take sessions in the portal, as far as it is for us to say: what a person has
//! disabled stays so, and what was disabled by us is enabled again.

use jiff::Timestamp;

use extend_common::ids::{NodeAddr, OperationId, RoleName};
use extend_common::operation::{TargetState, Verb};

use super::super::fleet::Fleet;
use super::super::node::Node;
use super::row::{Disabled, Why};
use crate::portal::PortalEntry;

impl Fleet {
    /// Whether a server can be kept from new sessions: the portal knows it, and it has a process
    /// that could have some.
    pub(super) fn can_disable(&self, node: NodeAddr, role: &RoleName) -> bool {
        let site = self.nodes.get(&node);
        let seen = site.and_then(Node::observation);
        let current = seen.and_then(|seen| seen.current.as_ref());
        self.settings.outside.portal
            && self.resource(role).is_some()
            && site.and_then(Node::intended).is_some()
            && current.is_none_or(|container| container.state.is_live())
    }

    /// The portal's entry of the server of a node, by the last look.
    pub(in crate::core) fn portal_entry(&self, node: NodeAddr) -> Option<&PortalEntry> {
        let registration = self.registration(node)?;
        let (_, portal) = self.outside.portal.as_ref()?;
        portal.entry(registration.resource, registration.name.as_str())
    }

    /// Has the portal disable a server. What is disabled already, and not by us, is a person's.
    pub(super) fn disable(&mut self, node: NodeAddr, why: Why, now: Timestamp) {
        let is_theirs = self.portal_entry(node).is_some_and(|entry| !entry.enabled);
        self.change_outside(node, |row| match &mut row.disabled {
            Some(disabled) => {
                if !disabled.over && !matches!(disabled.why, Why::Operation(_)) {
                    disabled.before = Some(disabled.why);
                }
                disabled.why = why;
                if disabled.over {
                    disabled.over = false;
                    disabled.seen = false;
                    disabled.since = now;
                }
            }
            None if is_theirs => {}
            None => {
                row.disabled = Some(Disabled {
                    why,
                    before: None,
                    since: now,
                    seen: false,
                    over: false,
                });
            }
        });
    }

    /// Has the portal enable a server again that was disabled by us.
    pub(super) fn enable_again(&mut self, node: NodeAddr, now: Timestamp) {
        let row = self.outside.rows.get(&node);
        let disabled = row.and_then(|row| row.disabled.as_ref());
        if disabled.is_some_and(|disabled| !disabled.over) {
            self.change_outside(node, |row| {
                if let Some(disabled) = &mut row.disabled {
                    disabled.over = true;
                    disabled.since = now;
                }
            });
        }
    }

    /// What was so before an operation took it is so again.
    fn give_back(&mut self, node: NodeAddr, now: Timestamp) {
        let row = self.outside.rows.get(&node);
        let before = row.and_then(|row| row.disabled.as_ref()?.before);
        let Some(before) = before else {
            return self.enable_again(node, now);
        };
        self.change_outside(node, |row| {
            if let Some(disabled) = &mut row.disabled {
                disabled.why = before;
                disabled.before = None;
            }
        });
    }

    /// Whether a server is disabled by us, or is being enabled again.
    pub(super) fn has_disabled(&self, node: NodeAddr) -> bool {
        let row = self.outside.rows.get(&node);
        row.is_some_and(|row| row.disabled.is_some())
    }

    /// Whether the portal shows a server disabled, whoever has done so.
    pub(in crate::core) fn is_disabled(&self, node: NodeAddr) -> bool {
        self.portal_entry(node).is_some_and(|entry| !entry.enabled)
    }

    /// A target has ended: its server takes sessions again, unless it is to take none.
    pub(in crate::core) fn outside_ended(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        verb: Verb,
        state: TargetState,
        now: Timestamp,
    ) {
        if verb == Verb::Undrain
            && state == TargetState::Succeeded
            && !self.has_disabled(node)
            && self.is_disabled(node)
        {
            // Whoever has disabled it: that it takes sessions was asked for.
            self.change_outside(node, |row| {
                row.disabled = Some(Disabled {
                    why: Why::Drained,
                    before: None,
                    since: now,
                    seen: true,
                    over: true,
                });
            });
            return;
        }
        let Some(why) = self
            .outside
            .rows
            .get(&node)
            .and_then(|row| row.disabled.as_ref())
            .map(|disabled| disabled.why)
        else {
            return;
        };
        let succeeded = state == TargetState::Succeeded;
        match verb {
            Verb::Stop if succeeded => self.disable(node, Why::Stopped, now),
            Verb::Drain if succeeded => {}
            Verb::Undrain | Verb::Start | Verb::Restart | Verb::Upgrade | Verb::Run
                if succeeded =>
            {
                self.enable_again(node, now);
            }
            // What did not come to be takes nothing: it was taken away for this operation alone.
            _ if why == Why::Operation(id) => self.give_back(node, now),
            Verb::Drain if why == Why::Drained => self.enable_again(node, now),
            _ => {}
        }
    }

    /// Whether a server was disabled by `extend drain`.
    pub(in crate::core) fn is_drained_outside(&self, node: NodeAddr) -> bool {
        let row = self.outside.rows.get(&node);
        let disabled = row.and_then(|row| row.disabled.as_ref());
        disabled.is_some_and(|disabled| disabled.why == Why::Drained && !disabled.over)
    }

    /// Whether somebody wants the portal to give a server no sessions: `extend drain`, an operation
    /// that is about to end its process, or a person. What is done because it failed is another
    /// thing.
    pub(in crate::core) fn is_shut_on_purpose(&self, node: NodeAddr) -> bool {
        let row = self.outside.rows.get(&node);
        match row.and_then(|row| row.disabled.as_ref()) {
            Some(disabled) if !disabled.over => !matches!(disabled.why, Why::Failed | Why::Spared),
            _ => self.is_disabled(node),
        }
    }

    /// Takes in what a look has shown of who is enabled.
    pub(super) fn settle_disabled(&mut self, at: Timestamp, now: Timestamp) {
        let rows = self.outside.rows.iter();
        let nodes: Vec<_> = rows
            .filter_map(|(node, row)| {
                let disabled = row
                    .disabled
                    .as_ref()
                    .filter(|disabled| at > disabled.since)?;
                Some((*node, disabled.clone(), self.portal_entry(*node)?.enabled))
            })
            .collect();
        for (node, disabled, enabled) in nodes {
            match (disabled.over, enabled) {
                (true, true) => self.change_outside(node, |row| row.disabled = None),
                (false, false) if !disabled.seen => self.change_outside(node, |row| {
                    if let Some(disabled) = &mut row.disabled {
                        disabled.seen = true;
                    }
                }),
                // It was disabled for how it was, and a person has enabled it since.
                (false, true)
                    if disabled.seen && matches!(disabled.why, Why::Failed | Why::Spared) =>
                {
                    self.change_outside(node, |row| row.disabled = None);
                    self.leave_to_people(node, now);
                }
                _ => {}
            }
        }
    }
}
