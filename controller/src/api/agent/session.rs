//! One session of one agent, from its hello to its end.
//!
//! ```text
//! begin ── hello within 5 s, of the certificate's node ── opened ── statuses, heartbeats ──┐
//!   └──────────────────┴───── verdict ◀── silent · too fast · not understood · expired ◀───┘
//! ```
//!
//! Owns the reading side, as a task of its own; [`Outgoing`] is the other. It ends when either side
//! goes, when the engine closes the session, at the end of the certificate, and at shutdown; and
//! whatever the end, a session that was opened is closed at the engine exactly once.

use std::pin::pin;
use std::time::Duration;

use extend_common::checkup::Check;
use extend_common::event::JournalPart;
use extend_common::wire::WireError;
use extend_proto::v1;
use extend_proto::v1::agent_message::Kind;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Code, Status, Streaming};

use super::outgoing::{Outgoing, Verdict};
use super::{AgentSettings, IDLE_MARGIN, stopping};
use crate::api::connection::AgentPeer;
use crate::api::pace::{Pace, Rate};
use crate::api::{status, wire};
use crate::core::request::{Hello, PeerFacts, SessionEnd, SessionNumber};
use crate::engine::EngineHandle;
use crate::engine::session::{self, SessionSender};

/// An agent says hello before anything else, and has nothing to wait for.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// How fast an agent may speak: many times what one that watches a crash loop has to say.
const MESSAGES: Rate = Rate {
    every: Duration::from_millis(20),
    burst: 100,
};

/// A timer cannot be set for the end of time. A session that lasts so long is no worry.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How a session ends: with a verdict, or because there is nobody to tell one to.
type End = Option<Verdict>;

/// The reading side of a session.
pub(super) struct Session {
    engine: EngineHandle,
    settings: AgentSettings,
    peer: AgentPeer,
    inbound: Streaming<v1::AgentMessage>,
    verdict: oneshot::Sender<Verdict>,
}

impl Session {
    /// Starts reading, and returns what the agent will hear.
    pub(super) fn begin(
        engine: EngineHandle,
        settings: AgentSettings,
        peer: AgentPeer,
        inbound: Streaming<v1::AgentMessage>,
    ) -> Outgoing {
        let (sender, messages) = session::channel();
        let (verdict, outcome) = oneshot::channel();
        let closed = messages.closed();
        let session = Self {
            engine,
            settings,
            peer,
            inbound,
            verdict,
        };
        tokio::spawn(session.run(sender, closed));
        Outgoing::new(messages, outcome)
    }

    async fn run(mut self, sender: SessionSender, closed: impl Future<Output = ()>) {
        let end = match self.hello().await {
            Ok(hello) => self.talk(hello, sender, closed).await,
            Err(end) => end,
        };
        let node = self.peer.node;
        match &end {
            None => tracing::info!(%node, "session ended by the agent"),
            // The engine has said so, and why.
            Some(Verdict::Closed) => {}
            Some(Verdict::Told(status)) => self.log(status),
        }
        if let Some(verdict) = end {
            // An agent that has gone in the meantime is not told.
            let _ = self.verdict.send(verdict);
        }
    }

    /// What belongs to the life of a session is told quietly; what an agent did wrong is not.
    fn log(&self, status: &Status) {
        let (node, reason) = (self.peer.node, status.message());
        match status.code() {
            Code::Unavailable | Code::Unauthenticated | Code::Cancelled | Code::Unknown => {
                tracing::info!(%node, reason, "session closed");
            }
            _ => tracing::warn!(%node, reason, "session closed"),
        }
    }

    /// The first message, which must be the hello of the node that the certificate names.
    async fn hello(&mut self) -> Result<Hello, End> {
        let shutdown = self.settings.shutdown.clone();
        let first = tokio::select! {
            () = self.verdict.closed() => return Err(None),
            () = shutdown.cancelled() => return Err(told(stopping())),
            first = timeout(HELLO_TIMEOUT, self.inbound.message()) => first,
        };
        let message = first
            .map_err(|_| {
                told(Status::deadline_exceeded(
                    "there was no hello within 5 seconds",
                ))
            })?
            .map_err(told)?
            .ok_or(None)?;
        let Some(Kind::Hello(hello)) = message.kind else {
            return Err(told(Status::invalid_argument(
                "the first message must be a hello",
            )));
        };
        let hello = wire::hello(hello).map_err(not_understood)?;
        if hello.node != self.peer.node {
            return Err(told(Status::permission_denied(format!(
                "the hello is of node {}, the certificate of node {}",
                hello.node, self.peer.node
            ))));
        }
        Ok(hello)
    }

    /// From the hello on. Opening is not cut short by anything: a session that the engine knows of
    /// is closed at the engine.
    async fn talk(
        &mut self,
        hello: Hello,
        sender: SessionSender,
        closed: impl Future<Output = ()>,
    ) -> End {
        let node = self.peer.node;
        let facts = PeerFacts {
            key: self.peer.spki_hash,
            leaf_not_after: self.peer.leaf_not_after,
        };
        let number = match self.engine.session_opened(node, facts, hello, sender).await {
            Ok(number) => number,
            Err(error) => return told(error.into()),
        };
        let end = self.listen(number, closed).await;
        // An engine that has stopped has no sessions.
        let why = self.why(&end);
        let _ = self.engine.session_closed(number, node, why).await;
        end
    }

    /// The end in words for those who ask why the node is away.
    fn why(&self, end: &End) -> SessionEnd {
        if self.settings.shutdown.is_cancelled() {
            return SessionEnd::Stopping;
        }
        let Some(Verdict::Told(status)) = end else {
            return SessionEnd::Closed;
        };
        match status.code() {
            // The library's words for a connection that broke help nobody.
            Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal => {
                SessionEnd::Closed
            }
            _ => SessionEnd::GivenUp(status.message().to_owned()),
        }
    }

    async fn listen(&mut self, number: SessionNumber, closed: impl Future<Output = ()>) -> End {
        let AgentSettings {
            heartbeat,
            clock,
            shutdown,
            ..
        } = self.settings.clone();
        let patience = heartbeat * 3 + IDLE_MARGIN;
        let expiry = Instant::now() + clock.until(self.peer.leaf_not_after).min(LONGEST);
        let mut pace = Pace::default();
        let mut deadline = Instant::now() + patience;
        let mut closed = pin!(closed);
        loop {
            // What a branch that loses has begun is only waiting: reading a message can be given up.
            let message = tokio::select! {
                biased;
                () = self.verdict.closed() => return None,
                () = &mut closed => return Some(Verdict::Closed),
                () = shutdown.cancelled() => return told(stopping()),
                () = sleep_until(expiry) => {
                    return told(Status::unauthenticated("the certificate has expired"));
                }
                message = self.inbound.message() => message,
                () = sleep_until(deadline) => {
                    let text = format!("nothing was heard for {patience:?}");
                    return told(Status::deadline_exceeded(text));
                }
            };
            let message = match message {
                Ok(Some(message)) => message,
                // The agent has said goodbye.
                Ok(None) => return None,
                // The connection broke, or what came was no message: the library has the words.
                Err(error) => return told(error),
            };
            if !pace.allows(MESSAGES, Instant::now()) {
                return told(Status::resource_exhausted("the agent speaks too fast"));
            }
            if let Err(end) = self.pass_on(number, message).await {
                return end;
            }
            deadline = Instant::now() + patience;
        }
    }

    async fn pass_on(&self, number: SessionNumber, message: v1::AgentMessage) -> Result<(), End> {
        let node = self.peer.node;
        let passed = match message.kind {
            Some(Kind::Status(status)) => {
                let status = status.try_into().map_err(not_understood)?;
                self.engine.session_report(number, node, status).await
            }
            Some(Kind::Heartbeat(heartbeat)) => {
                let heartbeat =
                    wire::heartbeat(heartbeat, Timestamp::now()).map_err(not_understood)?;
                self.engine.session_heartbeat(number, node, heartbeat).await
            }
            Some(Kind::Events(events)) => {
                let part = JournalPart::try_from(events).map_err(not_understood)?;
                self.engine.session_events(number, node, part).await
            }
            Some(Kind::ImageTold(told)) => {
                let (id, lead) = wire::image_told(told).map_err(not_understood)?;
                self.engine.image_told(node, id, lead);
                Ok(())
            }
            Some(Kind::FirewallTold(told)) => {
                let (id, told) = wire::firewall_told(told).map_err(not_understood)?;
                self.engine.firewall_told(node, id, told);
                Ok(())
            }
            Some(Kind::CheckupTold(told)) => {
                let id = wire::parse("id", &told.id).map_err(not_understood)?;
                self.engine.checkup_told(node, id, Check::list(told.checks));
                Ok(())
            }
            Some(Kind::Hello(_)) => {
                return Err(told(Status::invalid_argument("a session has one hello")));
            }
            // A kind that this release does not know: a newer agent says it in addition.
            None => return Ok(()),
        };
        passed.map_err(|error| told(error.into()))
    }
}

fn told(status: Status) -> End {
    Some(Verdict::Told(status))
}

fn not_understood(error: WireError) -> End {
    told(status::from_wire(&error))
}
