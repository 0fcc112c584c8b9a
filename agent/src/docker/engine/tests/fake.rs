//! A socket behind which no Docker Engine is: it answers as a test wants.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::super::{Engine, EngineTimeouts};

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// `GET /containers/aa/json`.
    pub(super) line: String,
    pub(super) head: String,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What the fake does with a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Answers with a status and a body.
    With(u16, String),
    /// Takes the request and never answers.
    Silence,
    /// Answers 200 and sends these, each after a pause; then ends the body, or breaks it off, or
    /// falls silent.
    Stream(Vec<(Duration, Vec<u8>)>, End),
}

#[derive(Clone, Copy)]
pub(super) enum End {
    Proper,
    Broken,
    Silent,
}

pub(super) fn stream(parts: &[&str], end: End) -> Reply {
    let part = |text: &&str| (Duration::ZERO, text.as_bytes().to_vec());
    Reply::Stream(parts.iter().map(part).collect(), end)
}

/// The fake; what it was asked is kept.
pub(super) struct Fake {
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
    pub(super) hung_up: Arc<tokio::sync::Semaphore>,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fake {
    /// Gives every request the same answer.
    pub(super) fn new(reply: Reply) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let fake = Self {
            asked: Arc::default(),
            hung_up: Arc::new(tokio::sync::Semaphore::new(0)),
            socket,
            _directory: directory,
        };
        fake.listen(reply);
        fake
    }

    fn listen(&self, reply: Reply) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        let (asked, hung_up) = (self.asked.clone(), self.hung_up.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reply, asked, hung_up) = (reply.clone(), asked.clone(), hung_up.clone());
                tokio::spawn(async move {
                    answer(stream, reply, &asked).await;
                    hung_up.add_permits(1);
                });
            }
        });
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// An Engine with time-outs for tests.
    pub(super) fn engine(&self) -> Engine {
        Engine::connect(self.socket(), quick()).unwrap()
    }

    pub(super) fn asked(&self) -> Asked {
        self.asked
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default()
    }
}

pub(super) fn quick() -> EngineTimeouts {
    EngineTimeouts {
        read: Duration::from_millis(200),
        change: Duration::from_millis(300),
        signal: Duration::from_millis(250),
        pull_silence: Duration::from_millis(400),
        registry: Duration::from_millis(300),
        discard: Duration::from_millis(300),
    }
}

async fn answer(mut stream: UnixStream, reply: Reply, asked: &Mutex<Vec<Asked>>) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    asked.lock().unwrap().push(request);
    let head = |status: u16| format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
    match reply {
        Reply::Silence => {}
        Reply::With(status, body) => {
            let length = body.len();
            let text = format!("{}content-length: {length}\r\n\r\n{body}", head(status));
            let _ = stream.write_all(text.as_bytes()).await;
            return;
        }
        Reply::Stream(parts, end) => {
            let chunked = format!("{}transfer-encoding: chunked\r\n\r\n", head(200));
            let _ = stream.write_all(chunked.as_bytes()).await;
            for (pause, part) in parts {
                tokio::time::sleep(pause).await;
                let mut chunk = format!("{:x}\r\n", part.len()).into_bytes();
                chunk.extend(&part);
                chunk.extend(b"\r\n");
                let _ = stream.write_all(&chunk).await;
            }
            match end {
                End::Proper => {
                    let _ = stream.write_all(b"0\r\n\r\n").await;
                    return;
                }
                End::Broken => return,
                End::Silent => {}
            }
        }
    }
    // Until the other side hangs up.
    let _ = stream.read(&mut [0; 16]).await;
}

async fn read_request(stream: &mut UnixStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let (line, head) = text.split_once("\r\n")?;
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let mut asked = Asked {
        line,
        head: head.to_owned(),
        body: String::new(),
    };
    let length: usize = asked
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}
