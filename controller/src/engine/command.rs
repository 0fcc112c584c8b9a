//! What the handle says to the engine's task. Never public: the methods of
//! [`super::EngineHandle`] are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use ulid::Ulid;

use extend_common::event::JournalPart;
use extend_common::firewall::FirewallChange;
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::Operation;
use extend_common::status::ServerStatus;

use super::EngineError;
use super::batch::send;
use super::crash::InputKind;
use super::session::SessionSender;
use crate::core::alerts::{AlertsView, Delivery, SilenceRow};
use crate::core::checkup::Subject;
use crate::core::figures::FleetFigures;
use crate::core::refusal::Known;
use crate::core::request::{
    EventsWanted, Heartbeat, Hello, KeyHash, LogsWanted, PeerFacts, Recovered, Retry,
    SelectorWords, SessionEnd, SessionNumber, ShimMended, Submission, Submitted,
};
use crate::core::view::{
    EventFilter, EventsBegin, EventsPage, HealthView, NodeView, Noted, OperationFilter, ServersView,
};
use crate::core::{ArchiveKey, Reach};

use crate::portal::PortalSeen;
use crate::whitelist::{Overview, Round};

pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// One input.
pub(super) enum Command {
    Operation(OperationCommand),
    Node(NodeCommand),
    Session(SessionCommand),
    Question(Question),
    /// What lies outside the nodes, as it was seen.
    Outside(OutsideCommand),
    Alert(AlertCommand),
    /// The fleet in numbers.
    Figures {
        reply: Reply<Box<FleetFigures>>,
    },
    /// Rows of the archive that are too old, from the task that looks for them.
    Prune {
        keys: Vec<ArchiveKey>,
        reply: Reply<()>,
    },
    /// Not for the core alone: the store's epoch is raised in the middle of it.
    Recover(Recovery),
}

/// From those who look at what lies outside the nodes. Lost, it is told again with the next look.
pub(super) enum OutsideCommand {
    Portal(Box<PortalSeen>),
    Enforced(Box<Round>),
}

/// About alerts: from operators, and from whoever tells receivers.
pub(super) enum AlertCommand {
    Delivered {
        delivery: Box<Delivery>,
        reply: Reply<()>,
    },
    List {
        reply: Reply<AlertsView>,
    },
    Acknowledge {
        id: Option<u64>,
        note: String,
        by: String,
        reply: Reply<usize>,
    },
    Silence {
        words: SelectorWords,
        lasts: Duration,
        note: String,
        by: String,
        reply: Reply<SilenceRow>,
    },
    Unsilence {
        id: u64,
        by: String,
        reply: Reply<()>,
    },
}

/// From operators, about servers.
pub(super) enum OperationCommand {
    Submit {
        submission: Box<Submission>,
        reply: Reply<Submitted>,
    },
    Retry {
        retry: Box<Retry>,
        reply: Reply<Submitted>,
    },
    Cancel {
        id: String,
        by: String,
        reply: Reply<Operation>,
    },
    /// About none: what was done on the primary itself.
    NoteShim {
        mended: ShimMended,
        reply: Reply<()>,
    },
}

/// From operators and the enrolment face, about nodes.
pub(super) enum NodeCommand {
    MintToken {
        node: NodeAddr,
        ttl: Option<Duration>,
        hash: [u8; 32],
        by: String,
        reply: Reply<Timestamp>,
    },
    SpendToken {
        node: NodeAddr,
        secret: [u8; 16],
        facts: PeerFacts,
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
        reply: Reply<Noted<Option<NodeView>>>,
    },
    Remove {
        node: NodeAddr,
        force: bool,
        by: String,
        reply: Reply<Noted<Option<NodeView>>>,
    },
}

/// From agents.
pub(super) enum SessionCommand {
    Opened(Box<Opening>),
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
    Events {
        session: SessionNumber,
        node: NodeAddr,
        part: JournalPart,
    },
    Closed {
        session: SessionNumber,
        node: NodeAddr,
        end: SessionEnd,
    },
}

/// A hello, and the way back to who said it.
pub(super) struct Opening {
    pub(super) node: NodeAddr,
    pub(super) facts: PeerFacts,
    pub(super) hello: Hello,
    pub(super) sender: SessionSender,
    pub(super) reply: Reply<SessionNumber>,
}

/// What changes nothing.
pub(super) enum Question {
    Operation {
        id: String,
        reply: Reply<Operation>,
    },
    Operations {
        filter: OperationFilter,
        reply: Reply<Vec<Operation>>,
    },
    Watch {
        id: String,
        reply: Reply<watch::Receiver<Arc<Operation>>>,
    },
    Servers {
        words: SelectorWords,
        /// Also how they were in the last two hours.
        recent: bool,
        reply: Reply<ServersView>,
    },
    Health {
        words: SelectorWords,
        reply: Reply<Vec<HealthView>>,
    },
    Nodes {
        node: Option<NodeAddr>,
        reply: Reply<Vec<NodeView>>,
    },
    Whitelist {
        reply: Reply<Overview>,
    },

    RenewalAllowed {
        node: NodeAddr,
        key: KeyHash,
        reply: Reply<()>,
    },
    BeginEvents {
        wanted: EventsWanted,
        reply: Reply<EventsBegin>,
    },
    EventsAfter {
        filter: EventFilter,
        after: u64,
        reply: Reply<EventsPage>,
    },
    LeadsWanted {
        submission: Box<Submission>,
        reply: Reply<BTreeMap<String, Option<NodeAddr>>>,
    },
    Checkups {
        words: SelectorWords,
        reply: Reply<Vec<Subject>>,
    },
    CheckupWanted {
        submission: Box<Submission>,
        reply: Reply<Option<Subject>>,
    },
    CheckupOfRetry {
        retry: Box<Retry>,
        reply: Reply<Option<Subject>>,
    },
    LogsOf {
        words: SelectorWords,
        reply: Reply<Known>,
    },
    /// What an agent has to be asked for.
    ToAgent(AgentQuestion),
}

/// What is passed on to an agent; its answer comes past the engine.
pub(super) enum AgentQuestion {
    Image {
        node: NodeAddr,
        id: Ulid,
        reference: String,
        reply: Reply<()>,
    },
    Firewall {
        node: NodeAddr,
        id: Ulid,
        change: Box<FirewallChange>,
        reply: Reply<Reach>,
    },
    Checkup {
        node: NodeAddr,
        id: Ulid,
        role: Option<RoleName>,
        reply: Reply<()>,
    },
    Logs {
        node: NodeAddr,
        wanted: Box<LogsWanted>,
        reply: Reply<()>,
    },
}

/// `extend controller recover`
pub(super) struct Recovery {
    pub(super) nodes: Vec<NodeAddr>,
    pub(super) finish: bool,
    pub(super) by: String,
    pub(super) reply: Reply<Recovered>,
}

impl Command {
    /// Answers that it was not done; a message without an answer is simply lost, which is
    /// harmless: it is said again after the next hello.
    pub(super) fn fail(self, error: EngineError) {
        match self {
            Self::Operation(
                OperationCommand::Submit { reply, .. } | OperationCommand::Retry { reply, .. },
            ) => send(reply, Err(error)),
            Self::Operation(OperationCommand::Cancel { reply, .. })
            | Self::Question(Question::Operation { reply, .. }) => send(reply, Err(error)),
            Self::Operation(OperationCommand::NoteShim { reply, .. }) => send(reply, Err(error)),
            Self::Node(NodeCommand::MintToken { reply, .. }) => send(reply, Err(error)),
            Self::Node(
                NodeCommand::SpendToken { reply, .. } | NodeCommand::Renewed { reply, .. },
            )
            | Self::Question(
                Question::RenewalAllowed { reply, .. }
                | Question::ToAgent(
                    AgentQuestion::Logs { reply, .. }
                    | AgentQuestion::Image { reply, .. }
                    | AgentQuestion::Checkup { reply, .. },
                ),
            ) => send(reply, Err(error)),
            Self::Node(NodeCommand::Revoke { reply, .. } | NodeCommand::Remove { reply, .. }) => {
                send(reply, Err(error));
            }
            Self::Session(SessionCommand::Opened(opening)) => send(opening.reply, Err(error)),
            Self::Outside(_) => {}
            Self::Session(
                SessionCommand::Report { .. }
                | SessionCommand::Heartbeat { .. }
                | SessionCommand::Events { .. }
                | SessionCommand::Closed { .. },
            ) => {}
            Self::Question(Question::ToAgent(AgentQuestion::Firewall { reply, .. })) => {
                send(reply, Err(error))
            }
            Self::Question(Question::Operations { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::BeginEvents { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::EventsAfter { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::LeadsWanted { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::Watch { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::Checkups { reply, .. }) => send(reply, Err(error)),
            Self::Question(
                Question::CheckupWanted { reply, .. } | Question::CheckupOfRetry { reply, .. },
            ) => send(reply, Err(error)),
            Self::Question(Question::LogsOf { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::Health { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::Servers { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::Nodes { reply, .. }) => send(reply, Err(error)),
            Self::Question(Question::Whitelist { reply }) => send(reply, Err(error)),
            Self::Alert(AlertCommand::List { reply }) => send(reply, Err(error)),
            Self::Alert(AlertCommand::Acknowledge { reply, .. }) => send(reply, Err(error)),
            Self::Alert(AlertCommand::Silence { reply, .. }) => send(reply, Err(error)),
            Self::Alert(
                AlertCommand::Unsilence { reply, .. } | AlertCommand::Delivered { reply, .. },
            ) => send(reply, Err(error)),
            Self::Figures { reply } => send(reply, Err(error)),
            Self::Prune { reply, .. } => send(reply, Err(error)),
            Self::Recover(recovery) => send(recovery.reply, Err(error)),
        }
    }
}

impl OperationCommand {
    pub(super) fn kind(&self) -> InputKind {
        match self {
            Self::Submit { .. } => InputKind::Submit,
            Self::Retry { .. } => InputKind::Retry,
            Self::Cancel { .. } => InputKind::Cancel,
            Self::NoteShim { .. } => InputKind::NoteShim,
        }
    }
}

impl NodeCommand {
    pub(super) fn kind(&self) -> InputKind {
        match self {
            Self::MintToken { .. } => InputKind::MintToken,
            Self::SpendToken { .. } => InputKind::SpendToken,
            Self::Renewed { .. } => InputKind::Renewed,
            Self::Revoke { .. } => InputKind::Revoke,
            Self::Remove { .. } => InputKind::Remove,
        }
    }
}

impl SessionCommand {
    pub(super) fn kind(&self) -> InputKind {
        match self {
            Self::Opened(_) => InputKind::SessionOpened,
            Self::Report { .. } => InputKind::Report,
            Self::Heartbeat { .. } => InputKind::Heartbeat,
            Self::Events { .. } => InputKind::Events,
            Self::Closed { .. } => InputKind::SessionClosed,
        }
    }
}

macro_rules! into_command {
    ($($from:ident => $variant:ident),*) => {$(
        impl From<$from> for Command {
            fn from(inner: $from) -> Self {
                Self::$variant(inner)
            }
        }
    )*};
}
into_command!(
    OperationCommand => Operation,
    NodeCommand => Node,
    SessionCommand => Session,
    Question => Question,
    OutsideCommand => Outside,
    AlertCommand => Alert,
    Recovery => Recover
);
