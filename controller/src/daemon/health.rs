//! The HTTP face: `/healthz`, whether the controller does its work, and `/metrics`, how it does.
//!
//! Everything is bounded: who may talk at once, for how long, and how much is read. `/metrics` has
//! places of its own, so that scrapers that are slow or many hold up nobody who asks `/healthz`.
//! There is no authentication, so that nothing but numbers and names of servers may be told here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::http1::{self, Question};
use crate::engine::{EngineError, EngineHandle};
use crate::metrics::{CONTENT_TYPE, Metrics};

/// Watchers ask one question each.
const AT_ONCE: usize = 16;
/// A pair of Prometheus servers, and two people who look.
const SCRAPES: usize = 4;
/// A question and its answer.
const LIMIT: Duration = Duration::from_secs(5);
/// An engine that takes longer does not do its work.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// After a want of descriptors, trying again at once would spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether the engine answers a question within `limit`.
pub(super) async fn engine_answers(engine: &EngineHandle, limit: Duration) -> bool {
    let asked = timeout(limit, engine.operations(1, true)).await;
    matches!(asked, Ok(Ok(_) | Err(EngineError::Refused(_))))
}

/// Whether the store's thread has been to its file within `limit`. What it found there is another
/// question: a store that says what is wrong with it has answered.
pub(super) async fn store_answers(engine: &EngineHandle, limit: Duration) -> bool {
    matches!(timeout(limit, engine.store_answers()).await, Ok(true))
}

/// What is asked here, and who answers it.
#[derive(Debug, Clone)]
pub(super) struct Face {
    engine: EngineHandle,
    metrics: Arc<Metrics>,
    scrapes: Arc<Semaphore>,
}

impl Face {
    pub(super) fn new(engine: EngineHandle, metrics: Metrics) -> Self {
        Self {
            engine,
            metrics: Arc::new(metrics),
            scrapes: Arc::new(Semaphore::new(SCRAPES)),
        }
    }

    /// Answers on `listener` until `shutdown`.
    pub(super) async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = accept(&listener, &places) => accepted,
            };
            let Ok((stream, place)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let face = self.clone();
            tokio::spawn(async move {
                // Who asks and does not wait for the answer misses it.
                let _ = timeout(LIMIT, face.answer(stream, place)).await;
            });
        }
    }

    async fn answer(&self, mut stream: TcpStream, place: OwnedSemaphorePermit) -> io::Result<()> {
        let question = http1::read(&mut stream).await?;
        let asked = question
            .as_ref()
            .map(|asked| (asked.method.as_str(), asked.path.as_str()));
        let words = match asked {
            Some(("GET" | "HEAD", "/healthz")) => {
                if engine_answers(&self.engine, ANSWER_WITHIN).await {
                    ("200 OK", "ok\n")
                } else {
                    SILENT
                }
            }
            Some(("GET" | "HEAD", "/metrics")) => {
                let Ok(_scrape) = self.scrapes.try_acquire() else {
                    return http1::say(&mut stream, question.as_ref(), CROWDED).await;
                };
                // From here on it is in nobody's way who asks something else.
                drop(place);
                return self.show(stream, question.as_ref()).await;
            }
            Some(("GET" | "HEAD", _)) => ("404 Not Found", "there are /healthz and /metrics\n"),
            Some(_) => ("405 Method Not Allowed", "ask with GET\n"),
            None => ("400 Bad Request", "this is no HTTP request\n"),
        };
        http1::say(&mut stream, question.as_ref(), words).await
    }

    async fn show(&self, mut stream: TcpStream, question: Option<&Question>) -> io::Result<()> {
        match self.metrics.text(ANSWER_WITHIN).await {
            Some(text) => {
                let head = ("200 OK", CONTENT_TYPE);
                http1::tell(&mut stream, question, head, &text).await
            }
            None => http1::say(&mut stream, question, SILENT).await,
        }
    }
}

const SILENT: (&str, &str) = ("503 Service Unavailable", "the engine does not answer\n");
const CROWDED: (&str, &str) = (
    "503 Service Unavailable",
    "as many are being shown the metrics as may be at once\n",
);

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

#[cfg(test)]
mod tests;
