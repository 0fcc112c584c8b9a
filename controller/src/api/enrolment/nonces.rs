//! Nonces for renewals: each good once, for a minute, for one node.
//!
//! Pure: the caller brings time and randomness. Held by the enrolment face.

use std::collections::HashMap;
use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::tls::key::RENEWAL_NONCE_LEN;
use tokio::time::Instant;

type Nonce = [u8; RENEWAL_NONCE_LEN];

/// A nonce is used at once; a slow network takes seconds.
const LIFETIME: Duration = Duration::from_secs(60);
/// A node that lost an answer asks again, and may then get both.
const PER_NODE: usize = 3;
/// Nodes at once. Only nodes of ours get as far as this, and a fleet is no larger.
const MAX_NODES: usize = 20_000;

/// The nonces that are out.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    out: HashMap<NodeAddr, Vec<(Nonce, Instant)>>,
}

impl Nonces {
    /// Remembers a new nonce for a node. `false` if there is no room for another node.
    pub(super) fn issue(&mut self, node: NodeAddr, nonce: Nonce, now: Instant) -> bool {
        if self.out.len() >= MAX_NODES && !self.out.contains_key(&node) {
            self.out
                .retain(|_, nonces| nonces.iter().any(|(_, until)| *until > now));
            if self.out.len() >= MAX_NODES {
                return false;
            }
        }
        let nonces = self.out.entry(node).or_default();
        nonces.retain(|(_, until)| *until > now);
        if nonces.len() >= PER_NODE {
            nonces.remove(0);
        }
        nonces.push((nonce, now + LIFETIME));
        true
    }

    /// Whether the nonce is one of the node's. It is not from here on.
    pub(super) fn redeem(&mut self, node: NodeAddr, nonce: &Nonce, now: Instant) -> bool {
        let Some(nonces) = self.out.get_mut(&node) else {
            return false;
        };
        let before = nonces.len();
        nonces.retain(|(_, until)| *until > now);
        let live = nonces.len();
        nonces.retain(|(known, _)| known != nonce);
        let found = nonces.len() < live;
        if nonces.is_empty() && before > 0 {
            self.out.remove(&node);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(last: u8) -> NodeAddr {
        format!("10.0.0.{last}").parse().unwrap()
    }

    #[test]
    fn a_nonce_is_good_once_for_its_node_for_a_minute() {
        let (mut nonces, now) = (Nonces::default(), Instant::now());
        assert!(nonces.issue(node(1), [1; 32], now));
        assert!(!nonces.redeem(node(2), &[1; 32], now), "another node's");
        assert!(!nonces.redeem(node(1), &[2; 32], now), "another nonce");
        assert!(nonces.redeem(node(1), &[1; 32], now));
        assert!(!nonces.redeem(node(1), &[1; 32], now), "a second time");
        assert!(nonces.issue(node(1), [3; 32], now));
        assert!(
            !nonces.redeem(node(1), &[3; 32], now + LIFETIME),
            "too late"
        );
        assert!(nonces.out.is_empty(), "nothing is kept");
    }

    #[test]
    fn a_node_has_a_few_and_the_oldest_goes_first() {
        let (mut nonces, now) = (Nonces::default(), Instant::now());
        for n in 0..5 {
            assert!(nonces.issue(node(1), [n; 32], now));
        }
        let good: Vec<u8> = (0..5)
            .filter(|n| nonces.redeem(node(1), &[*n; 32], now))
            .collect();
        assert_eq!(good, [2, 3, 4]);
    }

    #[test]
    fn the_table_does_not_grow_beyond_its_bound() {
        let (mut nonces, now) = (Nonces::default(), Instant::now());
        let node = |n: u32| NodeAddr::try_from(std::net::Ipv4Addr::from(0x0a00_0000 + n)).unwrap();
        let most = u32::try_from(MAX_NODES).unwrap();
        assert!((1..=most).all(|n| nonces.issue(node(n), [0; 32], now)));
        assert!(!nonces.issue(node(most + 1), [0; 32], now));
        assert!(
            nonces.issue(node(1), [1; 32], now),
            "who is in it may go on"
        );
        assert!(
            nonces.issue(node(most + 1), [0; 32], now + LIFETIME),
            "the old ones are gone"
        );
        assert_eq!(nonces.out.len(), 1);
    }
}
