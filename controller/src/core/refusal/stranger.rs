//! Nodes that may not do what they ask for. Their words reach the agent's log and the operator
//! who runs `extend-agent join`; they tell a stranger nothing about other nodes.

use extend_common::ids::NodeAddr;

use super::Text;

/// A node that may not do what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// Its join token is not good.
    Token {
        /// For which node it was shown.
        node: NodeAddr,
        /// Why.
        why: TokenFault,
    },
    /// It may not come in, or gets no new certificate.
    Peer {
        /// Which.
        node: NodeAddr,
        /// Why.
        why: PeerFault,
    },
}

/// Why a join token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// There is none for this node, or its secret is another. The two look the same from outside,
    /// so that nobody learns which nodes have tokens.
    Invalid,
    /// The secret is right, and too late.
    Expired,
}

/// Why a node is not let in, or gets no new certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerFault {
    /// It is not in the store.
    NotEnrolled,
    /// An operator revoked it.
    Revoked,
    /// An operator removed it.
    Removed,
    /// It joined with another key than the one it shows.
    OtherKey,
    /// Its certificate ended longer ago than a renewal may come after.
    ExpiredTooLong,
    /// Its hello names another node.
    OtherNode(NodeAddr),
}

impl Stranger {
    pub(super) fn text(&self) -> Text {
        let (code, node, sentence) = match self {
            Self::Token {
                node,
                why: TokenFault::Invalid,
            } => (
                "token-refused",
                node,
                format!("cannot enrol {node}: the token is not valid"),
            ),
            Self::Token {
                node,
                why: TokenFault::Expired,
            } => (
                "token-refused",
                node,
                format!("cannot enrol {node}: the token has expired"),
            ),
            Self::Peer { node, why } => ("node-refused", node, why.sentence(*node)),
        };
        let text = Text::new(code, sentence, format!("extend node token {node}"));
        match self {
            Self::Token { .. } => {
                text.because("a token is good once, for one node, for ten minutes unless --ttl says otherwise, and until a newer one is made")
            }
            Self::Peer { why: PeerFault::OtherKey, .. } => text.because(
                "the node was enrolled again, or its address belongs to another machine now",
            ),
            Self::Peer { why: PeerFault::ExpiredTooLong, .. } => text.because(
                "a node may renew for 30 days after its certificate's end, then it has to join again",
            ),
            Self::Peer { .. } => text,
        }
    }
}

impl PeerFault {
    fn sentence(self, node: NodeAddr) -> String {
        match self {
            Self::NotEnrolled => format!("cannot admit {node}: it is not enrolled here"),
            Self::Revoked => format!("cannot admit {node}: it is revoked"),
            Self::Removed => format!("cannot admit {node}: it was removed"),
            Self::OtherKey => format!("cannot admit {node}: it joined with another key"),
            Self::ExpiredTooLong => format!("cannot renew {node}: its certificate is too old"),
            Self::OtherNode(other) => format!("cannot admit {node}: its hello names {other}"),
        }
    }
}
