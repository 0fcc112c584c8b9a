//! Logs on their way to an operator: who may read is asked of the engine, the agent is told, and
//! then its pieces are passed on as fast as they are taken.
//!
//! Owns the words for what a node could not show.

use std::pin::Pin;
use std::task::{Context, Poll};

use extend_common::logs::{LogFault, LogFaultKind, LogPiece, LogQuery, LogSource};
use extend_common::wire::RefusalText;
use extend_proto::v1;
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};

use crate::api::status;
use crate::core::refusal::Known;
use crate::core::request::{LogsWanted, SelectorWords};
use crate::engine::EngineHandle;
use crate::logs::{Broker, Full, Passed, Reader, Unanswered};

/// A request of an operator.
pub(super) struct Wanted {
    pub(super) selector: SelectorWords,
    pub(super) query: LogQuery,
    pub(super) by: String,
}

/// Finds the server, asks its agent and waits until that has answered.
pub(super) async fn begin(
    engine: &EngineHandle,
    broker: &Broker,
    shutdown: &CancellationToken,
    wanted: Wanted,
) -> Result<Pieces, Status> {
    let Wanted {
        selector,
        query,
        by,
    } = wanted;
    let found = engine.logs_of(selector).await?;
    let of = Of {
        source: query.source.clone(),
        found,
    };
    let Known { name, role, node } = of.found.clone();
    let mut reader = broker.open(node).map_err(|full| of.full(full))?;
    tracing::info!(by, server = %name, %node, source = ?query.source, follow = query.follow, "logs are read");
    let id = reader.id();
    let wanted = LogsWanted { id, role, query };
    engine.want_logs(node, wanted).await?;
    reader
        .answered()
        .await
        .map_err(|unanswered| of.unanswered(unanswered))?;
    Ok(Pieces {
        of,
        reader,
        shutdown: Box::pin(shutdown.clone().cancelled_owned()),
        ended: false,
    })
}

/// The stream of one reader. Dropping it is how the agent learns to stop.
pub struct Pieces {
    of: Of,
    reader: Reader,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl Stream for Pieces {
    type Item = Result<v1::LogPiece, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match self.reader.poll_next(cx) {
            Poll::Ready(Some(Passed::Piece(LogPiece::Fault(fault)))) => Err(self.of.fault(&fault)),
            Poll::Ready(Some(Passed::Piece(piece))) => return Poll::Ready(Some(Ok(piece.into()))),
            Poll::Ready(Some(Passed::End)) => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Poll::Ready(None) => Err(self.of.broken()),
            Poll::Pending if self.shutdown.as_mut().poll(cx).is_pending() => return Poll::Pending,
            Poll::Pending => Err(Status::unavailable("the controller is stopping")),
        };
        self.ended = true;
        Poll::Ready(Some(next))
    }
}

/// Whose logs, and which.
struct Of {
    found: Known,
    source: LogSource,
}

impl Of {
    fn status(&self, code: Code, word: &str, why: &str, hint: String) -> Told {
        let text = RefusalText {
            code: word.to_owned(),
            sentence: format!("cannot show the logs of {}: {why}", self.found),
            causes: Vec::new(),
            hint,
        };
        Told { code, text }
    }

    fn full(&self, full: Full) -> Status {
        let hint = "end another `extend logs`, then run this again".to_owned();
        self.status(Code::FailedPrecondition, "busy", &full.to_string(), hint)
            .into()
    }

    fn unanswered(&self, unanswered: Unanswered) -> Status {
        let why = format!("its agent did not send any ({unanswered})");
        self.status(Code::Aborted, "unanswered", &why, self.look())
            .because("an agent of an older version knows nothing of logs")
            .into()
    }

    fn broken(&self) -> Status {
        let why = "the connection to its node was lost";
        self.status(Code::Aborted, "broken", why, self.look())
            .into()
    }

    fn is_about_dumps(&self) -> bool {
        matches!(self.source, LogSource::Dump(_) | LogSource::DumpList)
    }

    fn look(&self) -> String {
        format!("extend node show {}", self.found.node)
    }

    fn list(&self) -> String {
        format!("extend logs {} --list", self.found.name)
    }

    /// What the node says about why there is nothing, or no more.
    fn fault(&self, fault: &LogFault) -> Status {
        let file = match &self.source {
            LogSource::File(path) => path.to_string(),
            LogSource::Dump(path) => format!("the crash dump {path}"),
            _ => "it".to_owned(),
        };
        let rule = Code::FailedPrecondition;
        let status = format!("extend status -a {}", self.found.node);
        let told = match fault.kind {
            LogFaultKind::NoServer => {
                let why = "its node has another server, or none";
                self.status(rule, "no-such-server", why, status)
            }
            LogFaultKind::NoContainer if self.source == LogSource::FailedOutput => {
                let why = "no failed container of it is kept";
                self.status(rule, "no-container", why, status)
            }
            LogFaultKind::NoContainer => {
                self.status(rule, "no-container", "it has no container", status)
            }
            LogFaultKind::NoFile => {
                let why = format!("there is no file {file}");
                self.status(rule, "no-such-file", &why, self.list())
            }
            LogFaultKind::NotAFile => {
                let why = format!("{file} is no regular file");
                self.status(rule, "not-a-file", &why, self.list())
            }
            LogFaultKind::NoDirectory if self.is_about_dumps() => {
                let why = "it has no directory of crash dumps";
                self.status(rule, "no-log-directory", why, status)
            }
            LogFaultKind::NoDirectory => {
                let hint = format!("extend logs {}", self.found.name);
                self.status(rule, "no-log-directory", "it has no log directory", hint)
            }
            LogFaultKind::Busy => {
                let why = "its node reads as many logs as it may";
                let hint = "end another `extend logs` of it, then run this again".to_owned();
                self.status(rule, "busy", why, hint)
            }
            LogFaultKind::Docker => {
                let why = "Docker does not show them";
                self.status(Code::Aborted, "docker", why, self.look())
            }
            LogFaultKind::Unreadable => {
                let why = format!("{file} cannot be read");
                self.status(Code::Aborted, "unreadable", &why, self.list())
            }
            LogFaultKind::NotUnderstood => {
                let why = "its agent does not understand the request";
                self.status(Code::Aborted, "not-understood", why, self.look())
            }
        };
        told.because(&fault.detail).into()
    }
}

struct Told {
    code: Code,
    text: RefusalText,
}

impl Told {
    fn because(mut self, cause: &str) -> Self {
        if !cause.is_empty() {
            self.text.causes.push(cause.to_owned());
        }
        self
    }
}

impl From<Told> for Status {
    fn from(told: Told) -> Self {
        status::with_text(told.code, told.text)
    }
}
