//! How nodes come in and stay in: tokens, enrolment, renewal. And how they are shut out.

use std::time::Duration;

use jiff::Timestamp;
use subtle::ConstantTimeEq;

use extend_common::clock::after;
use extend_common::event::EventKind;
use extend_common::ids::NodeAddr;

use super::door::RENEWAL_WINDOW;
use super::event::own;
use super::fleet::Fleet;
use super::key::Key;
use super::refusal::{Action, Misuse, PeerFault, Refusal, Stranger, TokenFault, Unfound, moment};
use super::request::{KeyHash, PeerFacts, sha256};
use super::row::{Enrolment, Revoked, TokenRow};
use super::turn::{CloseReason, Turn};
use super::view::{NodeView, Noted};

/// How long a token is good when nothing else is said.
const DEFAULT_TTL: Duration = Duration::from_secs(600);

/// `--ttl` is within these.
const TTLS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

impl Fleet {
    /// Keeps a token for a node, in place of any earlier one. Answers until when it is good.
    pub fn mint_token(
        &mut self,
        node: NodeAddr,
        ttl: Option<Duration>,
        secret_hash: [u8; 32],
        by: &str,
        now: Timestamp,
    ) -> Turn<Result<Timestamp, Refusal>> {
        let given = ttl.unwrap_or(DEFAULT_TTL);
        if given < TTLS.0 || given > TTLS.1 {
            let refusal = Misuse::BadTtl {
                action: Action::MintToken(node),
                given,
                bounds: TTLS,
            };
            return self.turn(Err(refusal.into()));
        }
        let expires = after(now, given);
        let row = TokenRow {
            secret: KeyHash(secret_hash),
            expires,
        };
        self.tokens.insert(node, row);
        self.write(Key::Token(node));
        self.door_changed();
        let until = moment(expires);
        let text = format!("{by} made a join token for node {node}, good until {until}");
        self.note_by(node, by, own(EventKind::Access, now, text));
        self.turn(Ok(expires))
    }

    /// Spends a token: enrols the node with the key and the certificate it is about to get.
    pub fn spend_token(
        &mut self,
        node: NodeAddr,
        secret: &[u8; 16],
        facts: PeerFacts,
        now: Timestamp,
    ) -> Turn<Result<(), Refusal>> {
        if let Err(why) = self.check_token(node, secret, now) {
            return self.turn(Err(Stranger::Token { node, why }.into()));
        }
        self.tokens.remove(&node);
        self.write(Key::Token(node));
        // Its session, if there is one, speaks with the key that is no longer the enrolled one.
        self.close(node, CloseReason::EnrolledAgain);
        self.await_node(node);
        self.enrol(node, facts, now);
        self.joined(node, now);
        self.turn(Ok(()))
    }

    /// Makes a node one of the fleet.
    pub(super) fn enrol(&mut self, node: NodeAddr, facts: PeerFacts, now: Timestamp) {
        let entry = self.nodes.entry(node).or_default();
        entry.row.enrolment = Some(Enrolment {
            key: facts.key,
            at: now,
            leaf_not_after: facts.leaf_not_after,
            revoked: None,
        });
        self.write(Key::Node(node));
        if self.removed.remove(&node).is_some() {
            self.write(Key::Removed(node));
        }
        self.door_changed();
    }

    fn check_token(
        &self,
        node: NodeAddr,
        secret: &[u8; 16],
        now: Timestamp,
    ) -> Result<(), TokenFault> {
        let token = self.tokens.get(&node);
        // Without a token the comparison is made all the same: the time it takes tells nothing.
        let wanted = token.map_or([0; 32], |token| token.secret.0);
        let same: bool = sha256(secret).ct_eq(&wanted).into();
        match token {
            Some(token) if same && token.expires > now => Ok(()),
            Some(_) if same => Err(TokenFault::Expired),
            _ => Err(TokenFault::Invalid),
        }
    }

    /// Whether a node may have a new certificate for this key.
    pub fn renewal_allowed(
        &self,
        node: NodeAddr,
        key: KeyHash,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let refused = |why| Err(Stranger::Peer { node, why }.into());
        let enrolment = self
            .nodes
            .get(&node)
            .and_then(|entry| entry.row.enrolment.as_ref());
        match enrolment {
            None => refused(PeerFault::NotEnrolled),
            Some(enrolment) if enrolment.revoked.is_some() => refused(PeerFault::Revoked),
            Some(enrolment) if enrolment.key != key => refused(PeerFault::OtherKey),
            Some(enrolment) if after(enrolment.leaf_not_after, RENEWAL_WINDOW) <= now => {
                refused(PeerFault::ExpiredTooLong)
            }
            Some(_) => Ok(()),
        }
    }

    /// Records a new certificate.
    pub fn renewed(
        &mut self,
        node: NodeAddr,
        facts: PeerFacts,
        now: Timestamp,
    ) -> Turn<Result<(), Refusal>> {
        let allowed = self.renewal_allowed(node, facts.key, now);
        let enrolment = self
            .nodes
            .get_mut(&node)
            .and_then(|entry| entry.row.enrolment.as_mut());
        if let (Ok(()), Some(enrolment)) = (&allowed, enrolment) {
            enrolment.leaf_not_after = facts.leaf_not_after;
            self.write(Key::Node(node));
            self.door_may_change();
        }
        self.turn(allowed)
    }

    /// Shuts a node out. Its server goes on running; its open targets wait.
    pub fn revoke(
        &mut self,
        node: NodeAddr,
        by: &str,
        now: Timestamp,
    ) -> Turn<Result<Noted<Option<NodeView>>, Refusal>> {
        let mut notes = Vec::new();
        let had_token = self.tokens.remove(&node).is_some();
        if had_token {
            self.write(Key::Token(node));
            self.door_changed();
            notes.push("its unspent token was dropped".to_owned());
            let text = format!("{by} dropped the join token of node {node}");
            self.note_by(node, by, own(EventKind::Access, now, text));
        }
        let enrolment = self
            .nodes
            .get_mut(&node)
            .and_then(|entry| entry.row.enrolment.as_mut());
        let Some(enrolment) = enrolment else {
            if had_token {
                notes.push("it had not joined".to_owned());
                let view = self.node_view(node, now);
                return self.turn(Ok((view, notes)));
            }
            let refusal = Unfound::NoSuchNode {
                action: Action::RevokeNode(node),
            };
            return self.turn(Err(refusal.into()));
        };
        if let Some(revoked) = &enrolment.revoked {
            notes.push(format!(
                "it was revoked at {} by {}",
                moment(revoked.at),
                revoked.by
            ));
        } else {
            enrolment.revoked = Some(Revoked {
                at: now,
                by: by.to_owned(),
            });
            self.write(Key::Node(node));
            self.door_changed();
            self.note_revocation(node, &mut notes);
            self.comings.forget(node);
            let text = format!("{by} revoked node {node}");
            self.note_by(node, by, own(EventKind::Access, now, text));
        }
        let view = self.node_view(node, now);
        self.turn(Ok((view, notes)))
    }

    fn note_revocation(&mut self, node: NodeAddr, notes: &mut Vec<String>) {
        let Some(entry) = self.nodes.get(&node) else {
            return;
        };
        if entry.session.is_some() {
            notes.push("its session was closed".to_owned());
        }
        if let Some(server) = entry.known() {
            notes.push(format!(
                "{} goes on running there, and cannot be managed",
                server.name
            ));
        }
        if let Some(operation) = entry.open() {
            notes.push(format!("operation {} waits for it", operation.short()));
        }
        self.close(node, CloseReason::Revoked);
        self.await_node(node);
    }
}
