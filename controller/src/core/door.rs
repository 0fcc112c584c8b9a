//! Who may begin a handshake, and until when.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::after;
use extend_common::ids::NodeAddr;

use super::fleet::Fleet;
use super::key::Key;
use super::row::Enrolment;
use super::view::DoorSets;

/// So long after its certificate's end a node may still renew with its enrolled key.
pub(super) const RENEWAL_WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);

/// A node whose clock is ahead of ours finds its certificate expired before we do: it may knock
/// at the enrolment face so much earlier.
const CLOCK_SLACK: Duration = Duration::from_secs(3600);

impl Fleet {
    /// The door as it is now.
    pub fn door(&self, now: Timestamp) -> DoorSets {
        let mut door = DoorSets {
            recovering: self.recovering.is_some(),
            ..DoorSets::default()
        };
        for (node, entry) in &self.nodes {
            let Some(enrolment) = &entry.row.enrolment else {
                continue;
            };
            if enrolment.revoked.is_some() {
                door.refused.insert(node.ip());
                continue;
            }
            door.agents.insert(node.ip());
            if may_renew_expired(enrolment, now) {
                door.enrolment.insert(node.ip());
            }
        }
        let tokens = self.tokens.iter().filter(|(_, token)| token.expires > now);
        door.enrolment.extend(tokens.map(|(node, _)| node.ip()));
        door.refused
            .extend(self.removed.keys().map(|node| node.ip()));
        door
    }

    /// Notes that the door is another one now. The next tick finds out when time alone will
    /// change it.
    pub(super) fn door_changed(&mut self) {
        self.draft.door();
        self.door_changes = None;
    }

    /// Has the next tick make the door anew: soon enough for what shuts by itself, and once for
    /// a whole herd of renewals.
    pub(super) fn door_may_change(&mut self) {
        self.door_changes = None;
    }

    /// Drops tokens that have expired, and notes when the passing of time alone changes the door.
    pub(super) fn let_expire(&mut self, now: Timestamp) {
        let expired: Vec<NodeAddr> = self
            .tokens
            .iter()
            .filter(|(_, token)| token.expires <= now)
            .map(|(node, _)| *node)
            .collect();
        for node in expired {
            self.tokens.remove(&node);
            self.write(Key::Token(node));
            self.door_changed();
        }
        if self.door_changes.is_none_or(|at| at <= now) {
            self.draft.door();
            self.door_changes = Some(self.next_door_change(now));
        }
    }

    /// When the passing of time alone will change the door next.
    fn next_door_change(&self, now: Timestamp) -> Timestamp {
        let enrolments = self
            .nodes
            .values()
            .filter_map(|entry| entry.row.enrolment.as_ref());
        let moments = enrolments.flat_map(|enrolment| {
            let (opens, closes) = window(enrolment);
            [opens, closes]
        });
        let tokens = self.tokens.values().map(|token| token.expires);
        moments
            .chain(tokens)
            .filter(|at| *at > now)
            .min()
            .unwrap_or(Timestamp::MAX)
    }
}

/// From when until when a node may renew at the enrolment face.
fn window(enrolment: &Enrolment) -> (Timestamp, Timestamp) {
    let end = enrolment.leaf_not_after;
    let slack = jiff::SignedDuration::try_from(CLOCK_SLACK).unwrap_or_default();
    (
        end.saturating_sub(slack).unwrap_or(end),
        after(end, RENEWAL_WINDOW),
    )
}

/// Whether the node may knock at the enrolment face with an expired certificate.
fn may_renew_expired(enrolment: &Enrolment, now: Timestamp) -> bool {
    let (opens, closes) = window(enrolment);
    opens <= now && now < closes
}
