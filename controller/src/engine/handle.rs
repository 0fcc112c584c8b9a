//! The cheap way to the engine: every question and every command, as one asynchronous method.
//!
//! Held by `api/` and the daemon. A method that changes something returns when the change is
//! committed. Calls are answered in the order they were made by one caller. The channel behind
//! it is bounded and nobody else's business.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use ulid::Ulid;

use extend_common::checkup::Check;
use extend_common::event::JournalPart;
use extend_common::firewall::FirewallTold;
use extend_common::ids::NodeAddr;
use extend_common::operation::{Operation, Verb};
use extend_common::status::ServerStatus;

use super::archive::{Archive, Listed};
use super::command::{
    AgentQuestion, Command, NodeCommand, Opening, OperationCommand, Question, Recovery, Reply,
    SessionCommand,
};
use super::meter::Meter;
use super::outside::Wanted;
use super::questions::Questions;
use super::session::SessionSender;
use crate::core::archive::{cancel_refused, retry_refused};
use crate::core::figures::FleetFigures;
use crate::core::refusal::{Known, Refusal, Unfound};
use crate::core::request::{
    EventsWanted, Heartbeat, Hello, KeyHash, Lead, LogsWanted, PeerFacts, Recovered, Retry,
    SelectorWords, SessionEnd, SessionNumber, ShimMended, Submission, Submitted,
};
use crate::core::view::{
    DoorSets, EventFilter, EventsBegin, EventsPage, HealthView, NodeView, Noted, OperationFilter,
    OperationList, ServersView,
};
use crate::store::{StoreError, StoreHandle, StoreId};

/// So many inputs wait for the engine; beyond it, callers do. One turn takes microseconds: a full
/// queue means that the disk is slow, and agents' reports have to feel that.
pub(super) const QUEUE: usize = 1024;

/// An agent that is connected answers within eight seconds, whatever its registry does.
const LEAD_LIMIT: Duration = Duration::from_secs(10);

/// Begins no key.
const NO_ROWS: &str = "!";

/// Why the engine did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A rule forbids it; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The controller is going down.
    #[error("the controller is shutting down")]
    Stopped,
    /// The change could not be committed, or nobody knows whether it was. A submission may be
    /// sent again with the same request id.
    #[error("the store failed: {0}")]
    StoreFailed(String),
    /// The archive cannot be read. Nothing was to be changed.
    #[error("the archive cannot be read: {0}")]
    Unread(String),
}

/// Whether the memory does not have the operation that was named.
fn is_unfound(error: &EngineError) -> bool {
    let refusal = match error {
        EngineError::Refused(refusal) => refusal,
        EngineError::Stopped | EngineError::StoreFailed(_) | EngineError::Unread(_) => {
            return false;
        }
    };
    matches!(refusal, Refusal::Unfound(what) if matches!(**what, Unfound::NoSuchOperation { .. }))
}

/// A cheap handle on the running engine.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) door: watch::Receiver<Arc<DoorSets>>,
    pub(super) outside: watch::Receiver<Wanted>,
    pub(super) events: watch::Receiver<u64>,
    pub(super) store: StoreHandle,
    pub(super) archive: Archive,
    pub(super) questions: Questions<Lead>,
    pub(super) firewalls: Questions<FirewallTold>,
    pub(super) checkups: Questions<Vec<Check>>,
    pub(super) meter: Arc<Meter>,
}

impl EngineHandle {
    /// Plans a verb and, unless only the plan was wanted, begins the operation. The same request
    /// id gives the same operation, however often it is sent.
    /// For the plan of an upgrade nodes are asked first where its references lead, and for every
    /// `run` that deploys its node whether it is as the guide wants it.
    pub async fn submit(&self, mut submission: Submission) -> Result<Submitted, EngineError> {
        if submission.plan_only && submission.verb == Verb::Upgrade {
            submission.leads = self.leads(&submission).await?;
        }
        if submission.verb == Verb::Run {
            submission.checkup = self.checkup_before(&submission).await?;
        }
        self.ask(|reply| OperationCommand::Submit {
            submission: Box::new(submission),
            reply,
        })
        .await
    }

    /// Where the references of an upgrade lead, as far as nodes can tell within ten seconds.
    async fn leads(&self, submission: &Submission) -> Result<BTreeMap<String, Lead>, EngineError> {
        let wanted = self.ask(|reply| Question::LeadsWanted {
            submission: Box::new(submission.clone()),
            reply,
        });
        let asking = wanted
            .await?
            .into_iter()
            .map(|(reference, node)| async move {
                let lead = match node {
                    Some(node) => self.lead(node, &reference).await?,
                    None => Lead::Unknown("no node that has such a server is online".to_owned()),
                };
                Ok((reference, lead))
            });
        futures_util::future::try_join_all(asking)
            .await
            .map(|leads| leads.into_iter().collect())
    }

    async fn lead(&self, node: NodeAddr, reference: &str) -> Result<Lead, EngineError> {
        let Some(question) = self.questions.open(node) else {
            return Ok(Lead::Unknown("too many others ask".to_owned()));
        };
        self.ask(|reply| {
            Question::ToAgent(AgentQuestion::Image {
                node,
                id: question.id(),
                reference: reference.to_owned(),
                reply,
            })
        })
        .await?;
        let seconds = LEAD_LIMIT.as_secs();
        Ok(match question.answer(LEAD_LIMIT).await {
            Some(Lead::Unknown(why)) => Lead::Unknown(format!("{node} was asked: {why}")),
            Some(lead) => lead,
            None => Lead::Unknown(format!(
                "{node} was asked: its agent did not answer within {seconds}s"
            )),
        })
    }

    /// Hands over what an agent tells of a reference. Nothing is waited for.
    pub fn image_told(&self, node: NodeAddr, id: Ulid, lead: Lead) {
        self.questions.told(node, id, lead);
    }

    /// Submits an operation again, with its options and on its servers.
    pub async fn retry(&self, mut retry: Retry) -> Result<Submitted, EngineError> {
        let id = retry.operation.clone();
        retry.checkup = self.checkup_again(&retry).await?;
        let answer = self.ask(|reply| OperationCommand::Retry {
            retry: Box::new(retry),
            reply,
        });
        self.unless_archived(&id, answer.await, retry_refused).await
    }

    /// One operation, by its id or an unambiguous ending of it.
    /// The archive is looked through when the memory has none.
    pub async fn operation(&self, id: &str) -> Result<Operation, EngineError> {
        let answer = self.ask(|reply| Question::Operation {
            id: id.to_owned(),
            reply,
        });
        match answer.await {
            Err(error) if is_unfound(&error) => self.archived(id).await?.ok_or(error),
            answer => answer,
        }
    }

    /// The newest operations in memory first.
    pub async fn operations(
        &self,
        limit: usize,
        open_only: bool,
    ) -> Result<Vec<Operation>, EngineError> {
        let filter = OperationFilter {
            limit,
            open_only,
            ..OperationFilter::default()
        };
        self.ask(|reply| Question::Operations { filter, reply })
            .await
    }

    /// The newest operations first, from the archive where the memory has too few.
    pub async fn list(&self, filter: OperationFilter) -> Result<OperationList, EngineError> {
        let wanted = filter.clone();
        let mut operations = self
            .ask(|reply| Question::Operations { filter, reply })
            .await?;
        if wanted.open_only || operations.len() >= wanted.limit {
            return Ok(OperationList {
                operations,
                cut: None,
            });
        }
        let Listed {
            operations: archived,
            cut,
        } = self.archive.operations(&wanted, &operations).await?;
        // One that was open for long is in memory with older ones in the archive.
        operations.extend(archived);
        operations.sort_by_key(|operation| std::cmp::Reverse(operation.id));
        operations.truncate(wanted.limit);
        Ok(OperationList { operations, cut })
    }

    /// An operation of the archive, by its whole id or by the ending of a newer one.
    async fn archived(&self, text: &str) -> Result<Option<Operation>, EngineError> {
        let wanted = text.trim().to_ascii_uppercase();
        if let Ok(id) = wanted.parse() {
            return self.archive.operation(id).await;
        }
        match self.archive.ending(&wanted).await?.as_slice() {
            [] => Ok(None),
            [only] => self.archive.operation(*only).await,
            several => {
                let (text, ids) = (text.to_owned(), several.to_vec());
                Err(Refusal::from(Unfound::AmbiguousOperation { text, ids }).into())
            }
        }
    }

    /// What is to be said of an operation that the memory does not have, if the archive has it.
    async fn unless_archived<T>(
        &self,
        id: &str,
        answer: Result<T, EngineError>,
        refusal: fn(&Operation) -> Refusal,
    ) -> Result<T, EngineError> {
        match answer {
            Err(error) if is_unfound(&error) => match self.archived(id).await? {
                Some(operation) => Err(refusal(&operation).into()),
                None => Err(error),
            },
            answer => answer,
        }
    }

    /// Ends an operation before its time: what has not begun is not begun, what is under way is
    /// put back.
    pub async fn cancel(&self, id: &str, by: &str) -> Result<Operation, EngineError> {
        let answer = self.ask(|reply| OperationCommand::Cancel {
            id: id.to_owned(),
            by: by.to_owned(),
            reply,
        });
        self.unless_archived(id, answer.await, cancel_refused).await
    }

    /// Keeps an event of the shim's repair. Told again, it is kept once.
    pub async fn note_shim(&self, mended: ShimMended) -> Result<(), EngineError> {
        self.ask(|reply| OperationCommand::NoteShim { mended, reply })
            .await
    }

    /// An operation as it changes: the present value first, the latest one always. The last value
    /// has `ended` set. When the receiver finds its sender gone before that, the engine has lost
    /// its memory and the operation has to be looked up again.
    pub async fn watch(&self, id: &str) -> Result<watch::Receiver<Arc<Operation>>, EngineError> {
        let answer = self.ask(|reply| Question::Watch {
            id: id.to_owned(),
            reply,
        });
        match answer.await {
            Err(error) if is_unfound(&error) => {
                let operation = self.archived(id).await?.ok_or(error)?;
                // Its end is all that there is to see.
                Ok(watch::channel(Arc::new(operation)).1)
            }
            answer => answer,
        }
    }

    /// The servers that a selector means; without one, all of them.
    pub async fn servers(&self, words: SelectorWords) -> Result<ServersView, EngineError> {
        self.ask(|reply| Question::Servers {
            words,
            recent: false,
            reply,
        })
        .await
    }

    /// The same, with how they were in the last two hours.
    pub async fn servers_lately(&self, words: SelectorWords) -> Result<ServersView, EngineError> {
        self.ask(|reply| Question::Servers {
            words,
            recent: true,
            reply,
        })
        .await
    }

    /// How servers are and were.
    pub async fn health(&self, words: SelectorWords) -> Result<Vec<HealthView>, EngineError> {
        self.ask(|reply| Question::Health { words, reply }).await
    }

    /// One node, or all of them.
    pub async fn nodes(&self, node: Option<NodeAddr>) -> Result<Vec<NodeView>, EngineError> {
        self.ask(|reply| Question::Nodes { node, reply }).await
    }

    /// Keeps the hash of a token's secret, in place of any earlier token of the node. Returns
    /// until when it is good.
    pub async fn mint_token(
        &self,
        node: NodeAddr,
        ttl: Option<Duration>,
        secret_hash: [u8; 32],
        by: &str,
    ) -> Result<Timestamp, EngineError> {
        self.ask(|reply| NodeCommand::MintToken {
            node,
            ttl,
            hash: secret_hash,
            by: by.to_owned(),
            reply,
        })
        .await
    }

    /// Spends a token and enrols the node with the key and the certificate it is about to get.
    /// When this returns, the token is gone for good: the certificate may be handed out.
    pub async fn spend_token(
        &self,
        node: NodeAddr,
        secret: [u8; 16],
        facts: PeerFacts,
    ) -> Result<(), EngineError> {
        self.ask(|reply| NodeCommand::SpendToken {
            node,
            secret,
            facts,
            reply,
        })
        .await
    }

    /// Whether a node may have a new certificate for this key.
    pub async fn renewal_allowed(&self, node: NodeAddr, key: KeyHash) -> Result<(), EngineError> {
        self.ask(|reply| Question::RenewalAllowed { node, key, reply })
            .await
    }

    /// The server whose logs a selector means, if its node can be asked.
    pub async fn logs_of(&self, words: SelectorWords) -> Result<Known, EngineError> {
        self.ask(|reply| Question::LogsOf { words, reply }).await
    }

    /// Asks the agent of a node to send what its server writes. That it was asked is all that is
    /// known when this returns.
    pub async fn want_logs(&self, node: NodeAddr, wanted: LogsWanted) -> Result<(), EngineError> {
        let wanted = Box::new(wanted);
        self.ask(|reply| {
            Question::ToAgent(AgentQuestion::Logs {
                node,
                wanted,
                reply,
            })
        })
        .await
    }

    /// Records a new certificate, checking again what [`Self::renewal_allowed`] checked. Only
    /// then may it be handed out.
    pub async fn renewed(&self, node: NodeAddr, facts: PeerFacts) -> Result<(), EngineError> {
        self.ask(|reply| NodeCommand::Renewed { node, facts, reply })
            .await
    }

    /// Stops accepting a node's certificate and token, and closes its session. The node is none
    /// any more if it had only a token.
    pub async fn revoke(
        &self,
        node: NodeAddr,
        by: &str,
    ) -> Result<Noted<Option<NodeView>>, EngineError> {
        self.ask(|reply| NodeCommand::Revoke {
            node,
            by: by.to_owned(),
            reply,
        })
        .await
    }

    /// Forgets a node; with `force` also its server and its open operations.
    pub async fn remove(
        &self,
        node: NodeAddr,
        force: bool,
        by: &str,
    ) -> Result<Noted<Option<NodeView>>, EngineError> {
        self.ask(|reply| NodeCommand::Remove {
            node,
            force,
            by: by.to_owned(),
            reply,
        })
        .await
    }

    /// Opens the session of a node, in place of any earlier one of it. Messages for the agent go
    /// to `sender`, the welcome first.
    pub async fn session_opened(
        &self,
        node: NodeAddr,
        facts: PeerFacts,
        hello: Hello,
        sender: SessionSender,
    ) -> Result<SessionNumber, EngineError> {
        self.ask(|reply| {
            let opening = Opening {
                node,
                facts,
                hello,
                sender,
                reply,
            };
            SessionCommand::Opened(Box::new(opening))
        })
        .await
    }

    /// Hands over what an agent sees. Returns when the engine has a place for it.
    pub async fn session_report(
        &self,
        session: SessionNumber,
        node: NodeAddr,
        status: ServerStatus,
    ) -> Result<(), EngineError> {
        self.tell(SessionCommand::Report {
            session,
            node,
            status: Box::new(status),
        })
        .await
    }

    /// Hands over a sign of life.
    pub async fn session_heartbeat(
        &self,
        session: SessionNumber,
        node: NodeAddr,
        heartbeat: Heartbeat,
    ) -> Result<(), EngineError> {
        self.tell(SessionCommand::Heartbeat {
            session,
            node,
            heartbeat,
        })
        .await
    }

    /// Says that a session's connection is gone.
    pub async fn session_closed(
        &self,
        session: SessionNumber,
        node: NodeAddr,
        end: SessionEnd,
    ) -> Result<(), EngineError> {
        self.tell(SessionCommand::Closed { session, node, end })
            .await
    }

    /// Hands over a piece of an agent's journal. The agent is told when it is kept.
    pub async fn session_events(
        &self,
        session: SessionNumber,
        node: NodeAddr,
        part: JournalPart,
    ) -> Result<(), EngineError> {
        self.tell(SessionCommand::Events {
            session,
            node,
            part,
        })
        .await
    }

    /// Where to begin to read the events that are wanted.
    pub async fn begin_events(&self, wanted: EventsWanted) -> Result<EventsBegin, EngineError> {
        let since = wanted.since;
        let mut begin = self
            .ask(|reply| Question::BeginEvents { wanted, reply })
            .await?;
        if let (Some(since), Some(oldest)) = (since, begin.before) {
            begin.after = self.archive.before(since, oldest).await?;
        }
        Ok(begin)
    }

    /// A page of the events after a place: what is in memory of them, and what the archive has.
    pub async fn events_after(
        &self,
        filter: EventFilter,
        after: u64,
    ) -> Result<EventsPage, EngineError> {
        let wanted = filter.clone();
        let page = self
            .ask(|reply| Question::EventsAfter {
                filter,
                after,
                reply,
            })
            .await?;
        self.archive.complete(page, after, &wanted).await
    }

    /// The number of the newest committed event. It may fall when the store is read again.
    pub fn events_told(&self) -> watch::Receiver<u64> {
        self.events.clone()
    }

    /// Takes the records of nodes that are ahead back from their ledgers: the named nodes, or all
    /// of them. `finish` closes the door that a new store opens for an older one's certificates.
    pub async fn recover(
        &self,
        nodes: Vec<NodeAddr>,
        finish: bool,
        by: &str,
    ) -> Result<Recovered, EngineError> {
        self.ask(|reply| Recovery {
            nodes,
            finish,
            by: by.to_owned(),
            reply,
        })
        .await
    }

    /// Writes a consistent copy of the store into the new file `path`.
    pub async fn snapshot(&self, path: &Path) -> Result<(), StoreError> {
        self.store.snapshot_to(path).await
    }

    /// Asks the store for rows that nobody has, and comes back when it has looked: false if it is
    /// closed.
    pub async fn store_answers(&self) -> bool {
        !matches!(self.store.load(NO_ROWS).await, Err(StoreError::Closed))
    }

    /// The fleet in numbers.
    pub async fn figures(&self) -> Result<Box<FleetFigures>, EngineError> {
        self.ask(|reply| Command::Figures { reply }).await
    }

    /// What was counted since the start.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// So many inputs wait for the engine, of so many that may.
    pub fn queued(&self) -> (usize, usize) {
        let most = self.commands.max_capacity();
        (most.saturating_sub(self.commands.capacity()), most)
    }

    /// Which store this is.
    pub fn store_id(&self) -> StoreId {
        self.store.identity()
    }

    /// Who may begin a handshake, at every moment. Changed only after the commit that changes it.
    pub fn door(&self) -> watch::Receiver<Arc<DoorSets>> {
        self.door.clone()
    }

    pub(super) async fn ask<T, C: Into<Command>>(
        &self,
        command: impl FnOnce(Reply<T>) -> C,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        // An engine that is dropped with the question unanswered has stopped.
        answer.await.unwrap_or(Err(EngineError::Stopped))
    }

    pub(super) async fn tell(&self, command: impl Into<Command>) -> Result<(), EngineError> {
        self.commands
            .send(command.into())
            .await
            .map_err(|_| EngineError::Stopped)
    }
}
