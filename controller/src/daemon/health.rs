//! `/healthz`: whether the controller does its work, for whoever watches the host.
//!
//! Everything is bounded: who may talk at once, for how long, and how much is read. It has no
//! authentication and tells nothing but yes or no; it must stay so while it has none.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::http1;
use crate::engine::{EngineError, EngineHandle};

/// Watchers ask one question each.
const AT_ONCE: usize = 16;
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

/// Answers on `listener` until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    engine: EngineHandle,
    shutdown: CancellationToken,
) {
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
        let engine = engine.clone();
        tokio::spawn(async move {
            // Who asks and does not wait for the answer misses it.
            let _ = timeout(LIMIT, answer(stream, &engine)).await;
            drop(place);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn answer(mut stream: TcpStream, engine: &EngineHandle) -> io::Result<()> {
    let question = http1::read(&mut stream).await?;
    let asked = question
        .as_ref()
        .map(|asked| (asked.method.as_str(), asked.path.as_str()));
    let words = match asked {
        Some(("GET" | "HEAD", "/healthz")) => {
            if engine_answers(engine, ANSWER_WITHIN).await {
                ("200 OK", "ok\n")
            } else {
                ("503 Service Unavailable", "the engine does not answer\n")
            }
        }
        Some(("GET" | "HEAD", _)) => ("404 Not Found", "there is /healthz\n"),
        Some(_) => ("405 Method Not Allowed", "ask with GET\n"),
        None => ("400 Bad Request", "this is no HTTP request\n"),
    };
    http1::say(&mut stream, question.as_ref(), words).await
}
