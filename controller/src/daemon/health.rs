//! `/healthz`: whether the controller does its work, for whoever watches the host.
//!
//! Owns a few lines of HTTP/1.1, enough for one question. Everything is bounded: who may talk at
//! once, for how long, and how much is read. It has no authentication and tells nothing but yes or
//! no; it must stay so while it has none.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::engine::{EngineError, EngineHandle};

/// Watchers ask one question each.
const AT_ONCE: usize = 16;
/// A question and its answer.
const LIMIT: Duration = Duration::from_secs(5);
/// The head of a request: a line and some headers.
const MAX_HEAD: usize = 8 * 1024;
/// An engine that takes longer does not do its work.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// After a want of descriptors, trying again at once would spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether the engine answers a question within `limit`.
pub(super) async fn engine_answers(engine: &EngineHandle, limit: Duration) -> bool {
    let asked = timeout(limit, engine.operations(1, true)).await;
    matches!(asked, Ok(Ok(_) | Err(EngineError::Refused(_))))
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
    let head = read_head(&mut stream).await?;
    let (status, body) = match request(&head) {
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
    let length = body.len();
    let body = if head.starts_with(b"HEAD ") { "" } else { body };
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads to the empty line, or to the bound.
async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while head.len() < MAX_HEAD && !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer).await? {
            0 => break,
            read => head.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(head)
}

/// The method and the path, without a query.
fn request(head: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    Some((method, target.split('?').next().unwrap_or(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_is_read_and_anything_else_is_none() {
        assert_eq!(
            request(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"),
            Some(("GET", "/healthz"))
        );
        assert_eq!(
            request(b"GET /healthz?a=b HTTP/1.0\r\n"),
            Some(("GET", "/healthz"))
        );
        for other in [
            &b""[..],
            b"GET /healthz",
            b"GET / HTTP/2\r\n",
            b"\x16\x03\x01",
            b"a b c d\r",
        ] {
            assert_eq!(request(other), None, "{other:?}");
        }
    }
}
