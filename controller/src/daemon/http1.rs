//! A few lines of HTTP/1.1, enough for one question on one connection.
//!
//! Used for `/healthz`, `/metrics` and for the agent's package. Owns reading the head of a request within a
//! bound, and writing the head of an answer. No keep-alive, no bodies that come in.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The head of a request: a line and some headers.
const MAX_HEAD: usize = 8 * 1024;
/// What an answer in words is.
const TEXT: &str = "text/plain; charset=utf-8";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) method: String,
    /// Without a query.
    pub(super) path: String,
}

impl Question {
    /// Whether the answer has no body.
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// Reads to the empty line, or to the bound. None: it is no request.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Question>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Ok(None);
        }
        match stream.read(&mut buffer).await? {
            0 => return Ok(None),
            read => head.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(question(&head))
}

/// The method and the path.
fn question(head: &[u8]) -> Option<Question> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    Some(Question {
        method: method.to_owned(),
        path: target.split('?').next().unwrap_or(target).to_owned(),
    })
}

/// A short answer in words, and the end of the connection.
pub(super) async fn say(
    stream: &mut (impl AsyncWrite + Unpin),
    question: Option<&Question>,
    (status, words): (&str, &str),
) -> io::Result<()> {
    tell(stream, question, (status, TEXT), words).await
}

/// An answer of a type, and the end of the connection.
pub(super) async fn tell(
    stream: &mut (impl AsyncWrite + Unpin),
    question: Option<&Question>,
    (status, content_type): (&str, &str),
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if !question.is_some_and(Question::is_head) {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_is_read_and_anything_else_is_none() {
        let read = |head: &[u8]| question(head).map(|asked| (asked.method, asked.path));
        let healthz = |method: &str| Some((method.to_owned(), "/healthz".to_owned()));
        assert_eq!(
            read(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"),
            healthz("GET")
        );
        assert_eq!(read(b"HEAD /healthz?a=b HTTP/1.0\r\n"), healthz("HEAD"));
        for other in [
            &b""[..],
            b"GET /healthz",
            b"GET / HTTP/2\r\n",
            b"\x16\x03\x01",
            b"a b c d\r",
        ] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_no_request() {
        let endless = [b"GET / HTTP/1.1\r\n".to_vec(), vec![b'x'; 3 * MAX_HEAD]].concat();
        let mut from = endless.as_slice();
        assert_eq!(read(&mut from).await.unwrap(), None);
        assert!(from.len() > MAX_HEAD, "the rest is not read");
        assert_eq!(read(&mut &b"GET / HTTP/1.1\r\n"[..]).await.unwrap(), None);
    }
}
