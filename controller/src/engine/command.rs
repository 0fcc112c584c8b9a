//! What the handle says to the engine's task. Never public: the methods of
//! [`super::EngineHandle`] are.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use extend_common::ids::NodeAddr;
use extend_common::operation::Operation;
use extend_common::status::ServerStatus;

use super::EngineError;
use super::crash::InputKind;
use super::session::SessionSender;
use crate::core::request::{
    Heartbeat, Hello, KeyHash, PeerFacts, Recovered, SelectorWords, SessionNumber, Submission,
    Submitted,
};
use crate::core::view::{NodeView, Noted, ServersView};

pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

pub(super) enum Command {
    Submit {
        submission: Box<Submission>,
        reply: Reply<Submitted>,
    },
    Cancel {
        id: String,
        by: String,
        reply: Reply<Operation>,
    },
    Operation {
        id: String,
        reply: Reply<Operation>,
    },
    Operations {
        limit: usize,
        open_only: bool,
        reply: Reply<Vec<Operation>>,
    },
    Watch {
        id: String,
        reply: Reply<watch::Receiver<Arc<Operation>>>,
    },
    Servers {
        words: SelectorWords,
        reply: Reply<ServersView>,
    },
    Nodes {
        node: Option<NodeAddr>,
        reply: Reply<Vec<NodeView>>,
    },
    MintToken {
        node: NodeAddr,
        ttl: Option<Duration>,
        hash: [u8; 32],
        reply: Reply<Timestamp>,
    },
    SpendToken {
        node: NodeAddr,
        secret: [u8; 16],
        facts: PeerFacts,
        reply: Reply<()>,
    },
    RenewalAllowed {
        node: NodeAddr,
        key: KeyHash,
        reply: Reply<()>,
    },
    Renewed {
        node: NodeAddr,
        facts: PeerFacts,
        reply: Reply<()>,
    },
    Revoke {
        node: NodeAddr,
        by: String,
        reply: Reply<Noted<NodeView>>,
    },
    Remove {
        node: NodeAddr,
        force: bool,
        by: String,
        reply: Reply<Noted<Option<NodeView>>>,
    },
    SessionOpened {
        node: NodeAddr,
        facts: PeerFacts,
        hello: Box<Hello>,
        sender: SessionSender,
        reply: Reply<SessionNumber>,
    },
    Report {
        session: SessionNumber,
        node: NodeAddr,
        status: Box<ServerStatus>,
    },
    Heartbeat {
        session: SessionNumber,
        node: NodeAddr,
        heartbeat: Heartbeat,
    },
    SessionClosed {
        session: SessionNumber,
        node: NodeAddr,
    },
    Recover {
        nodes: Vec<NodeAddr>,
        finish: bool,
        by: String,
        reply: Reply<Recovered>,
    },
}

impl Command {
    pub(super) fn kind(&self) -> InputKind {
        match self {
            Self::Submit { .. } => InputKind::Submit,
            Self::Cancel { .. } => InputKind::Cancel,
            Self::Operation { .. }
            | Self::Operations { .. }
            | Self::Watch { .. }
            | Self::Servers { .. }
            | Self::Nodes { .. }
            | Self::RenewalAllowed { .. } => InputKind::Question,
            Self::MintToken { .. } => InputKind::MintToken,
            Self::SpendToken { .. } => InputKind::SpendToken,
            Self::Renewed { .. } => InputKind::Renewed,
            Self::Revoke { .. } => InputKind::Revoke,
            Self::Remove { .. } => InputKind::Remove,
            Self::SessionOpened { .. } => InputKind::SessionOpened,
            Self::Report { .. } => InputKind::Report,
            Self::Heartbeat { .. } => InputKind::Heartbeat,
            Self::SessionClosed { .. } => InputKind::SessionClosed,
            Self::Recover { .. } => InputKind::Recover,
        }
    }

    /// Answers that the store failed; a message without an answer is simply lost, which is
    /// harmless: it is said again after the next hello.
    pub(super) fn fail(self, error: EngineError) {
        match self {
            Self::Submit { reply, .. } => drop(reply.send(Err(error))),
            Self::Cancel { reply, .. } | Self::Operation { reply, .. } => {
                drop(reply.send(Err(error)));
            }
            Self::Operations { reply, .. } => drop(reply.send(Err(error))),
            Self::Watch { reply, .. } => drop(reply.send(Err(error))),
            Self::Servers { reply, .. } => drop(reply.send(Err(error))),
            Self::Nodes { reply, .. } => drop(reply.send(Err(error))),
            Self::MintToken { reply, .. } => drop(reply.send(Err(error))),
            Self::SpendToken { reply, .. }
            | Self::RenewalAllowed { reply, .. }
            | Self::Renewed { reply, .. } => drop(reply.send(Err(error))),
            Self::Revoke { reply, .. } => drop(reply.send(Err(error))),
            Self::Remove { reply, .. } => drop(reply.send(Err(error))),
            Self::SessionOpened { reply, .. } => drop(reply.send(Err(error))),
            Self::Recover { reply, .. } => drop(reply.send(Err(error))),
            Self::Report { .. } | Self::Heartbeat { .. } | Self::SessionClosed { .. } => {}
        }
    }
}
