//! What is there no longer has to be taken back outside too: it is noted in the same transaction
//! as the change, and forgotten only when everybody has told that nothing of it is left.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use extend_common::ids::NodeAddr;

use super::super::fleet::Fleet;
use super::super::key::Key;
use super::Site;
use super::row::{Left, MOST_LEFT, OutsideRow};
use super::wanted::{holders, site_of};

impl Fleet {
    /// Changes what is remembered of a node, durably; a row without anything to remember goes.
    pub(in crate::core) fn change_outside<T>(
        &mut self,
        node: NodeAddr,
        change: impl FnOnce(&mut OutsideRow) -> T,
    ) -> T {
        let row = self.outside.rows.entry(node).or_default();
        let result = change(row);
        if row.is_empty() {
            self.outside.rows.remove(&node);
        }
        self.write(Key::Outside(node));
        self.outside_changed();
        result
    }

    /// What is wanted outside may be another thing now.
    pub(in crate::core) fn outside_changed(&mut self) {
        if self.keeps_outside() {
            self.draft.outside();
        }
    }

    /// A node's server was `before` and is `after` now: what has become too much is noted.
    pub(in crate::core) fn outside_moves(
        &mut self,
        node: NodeAddr,
        before: Option<&Site>,
        after: Option<&Site>,
        now: Timestamp,
    ) {
        if after.is_none() && self.outside.rows.contains_key(&node) {
            // Nothing of what it was is handed on to what may come there.
            self.change_outside(node, |row| {
                *row = OutsideRow {
                    left: std::mem::take(&mut row.left),
                    ..OutsideRow::default()
                };
            });
        }
        if !self.keeps_outside() || before == after {
            return;
        }
        self.outside_changed();
        let Some(before) = before else {
            return;
        };
        let registered = self.settings.outside.portal;
        let left = match after {
            Some(after) if (&after.name, &after.role) == (&before.name, &before.role) => {
                // Another Elastic IP: the portal's addresses cannot be changed, so that its entry
                // goes too, and comes again with the new one.
                let moved = self.addresses_of(node, before) != self.addresses_of(node, after);
                Left {
                    whole: false,
                    ..Left::whole(before, registered && moved, now)
                }
            }
            _ => Left::whole(before, registered, now),
        };
        self.change_outside(node, |row| {
            if row.left.len() >= MOST_LEFT {
                row.left.remove(0);
            }
            row.left.push(left);
        });
    }

    fn addresses_of(&self, node: NodeAddr, site: &Site) -> Vec<Ipv4Addr> {
        let resource = self.resource(&site.role);
        let of = resource.map(|resource| super::wanted::registered_at(node, site, resource));
        of.unwrap_or_default()
    }

    /// Forgets what everybody has told to be gone.
    pub(in crate::core) fn forget_left(&mut self) {
        if self.outside.rows.values().all(|row| row.left.is_empty()) {
            return;
        }
        let wanted = self.let_in().wanted;
        let done: Vec<_> = self
            .outside
            .rows
            .iter()
            .filter(|(node, row)| {
                row.left
                    .iter()
                    .any(|left| self.is_gone(**node, left, &wanted))
            })
            .map(|(node, _)| *node)
            .collect();
        for node in done {
            let Some(row) = self.outside.rows.get(&node) else {
                continue;
            };
            let stays: Vec<_> = row
                .left
                .iter()
                .filter(|left| !self.is_gone(node, left, &wanted))
                .cloned()
                .collect();
            self.change_outside(node, |row| row.left = stays);
        }
    }

    fn is_gone(
        &self,
        node: NodeAddr,
        left: &Left,
        wanted: &std::collections::BTreeMap<Ipv4Addr, crate::whitelist::Holder>,
    ) -> bool {
        self.still_there(node, left, wanted).is_none()
    }

    /// Who has not told yet that nothing of it is left, in words.
    pub(super) fn still_there(
        &self,
        node: NodeAddr,
        left: &Left,
        wanted: &std::collections::BTreeMap<Ipv4Addr, crate::whitelist::Holder>,
    ) -> Option<String> {
        if left.registered && !self.is_unregistered(node, left) {
            return Some("the portal".to_owned());
        }
        let addresses: Vec<_> = holders(node, &site_of(left), left.whole)
            .map(|(address, _)| address)
            .filter(|address| !wanted.contains_key(address))
            .collect();
        let has_let_go = |kind: &crate::whitelist::EnforcerKind| {
            let round = self.outside.rounds.get(kind);
            let round = round.filter(|round| round.at > left.since);
            let seen = round.and_then(|round| round.result.as_ref().ok());
            seen.is_some_and(|seen| addresses.iter().all(|one| seen.gone.contains(one)))
        };
        let keeps = self.enforcers().into_iter().find(|kind| !has_let_go(kind));
        keeps
            .filter(|_| !addresses.is_empty())
            .map(|kind| kind.to_string())
    }

    fn is_unregistered(&self, node: NodeAddr, left: &Left) -> bool {
        let Some(resource) = self.resource(&left.role) else {
            return true;
        };
        let Some((at, portal)) = &self.outside.portal else {
            return false;
        };
        let addresses = super::wanted::known_at(node, &site_of(left), resource);
        let wanted = self.registration(node);
        let wanted = wanted.filter(|w| w.name == left.name && w.resource == resource);
        let again = wanted
            .as_ref()
            .is_some_and(|wanted| wanted.known() == addresses);
        let there = portal.entries.iter().any(|entry| {
            !entry.internal
                && entry.resource == resource
                && entry.name == left.name.as_str()
                && entry.addresses.iter().any(|at| addresses.contains(at))
                && !wanted
                    .as_ref()
                    .is_some_and(|wanted| wanted.stands_as(entry))
        });
        again || *at > left.since && !there
    }
}
