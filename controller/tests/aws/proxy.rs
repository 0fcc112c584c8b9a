//! On the way to moto's server: lets things go wrong, and looks after every change whether
//! somebody is kept out who must not be.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, watch};

use super::moto;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// Too many requests.
    Throttle,
    /// An error of the server, and nothing happens.
    ServerError,
    /// It happens, and an error is answered.
    ErrorAfter,
    /// It happens, and the connection is cut.
    CutAfter,
    /// It happens later.
    Delay(Duration),
}

#[derive(Default)]
struct Inner {
    /// What becomes of the next calls of an action.
    mishaps: Vec<(&'static str, VecDeque<Mishap>)>,
    /// Nets that must not disappear once they are there.
    needed: Vec<String>,
    /// Changes that went on to the server.
    changes: Vec<String>,
    outages: Vec<String>,
}

/// Stands before moto's server.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    server: SocketAddr,
    group: String,
    inner: Arc<Mutex<Inner>>,
    /// One change after the other, so that each can be judged.
    turn: Arc<AsyncMutex<()>>,
    /// How many changes have gone on.
    pub(crate) count: watch::Sender<usize>,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr, group: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            server,
            group: group.to_owned(),
            inner: Arc::default(),
            turn: Arc::default(),
            count: watch::Sender::new(0),
        };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        proxy
    }

    /// The next calls of an action go wrong like this.
    pub(crate) fn arrange(&self, action: &'static str, mishaps: &[Mishap]) {
        let queue = mishaps.iter().copied().collect();
        self.inner.lock().unwrap().mishaps.push((action, queue));
    }

    /// These nets must not disappear once they are there.
    pub(crate) fn need(&self, nets: Vec<String>) {
        self.inner.lock().unwrap().needed = nets;
    }

    /// The changes that went on to the server.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.inner.lock().unwrap().changes.clone()
    }

    pub(crate) fn outages(&self) -> Vec<String> {
        self.inner.lock().unwrap().outages.clone()
    }

    /// Waits until so many changes have gone on.
    pub(crate) async fn changed(&self, count: usize) {
        let mut seen = self.count.subscribe();
        seen.wait_for(|done| *done >= count).await.unwrap();
    }

    /// One call a connection.
    async fn serve(&self, mut stream: TcpStream) {
        let Some((head, body)) = read(&mut stream).await else {
            return;
        };
        assert!(
            head.contains("AWS4-HMAC-SHA256 Credential=testing/"),
            "not signed: {head}"
        );
        let action = body.split('&').next().unwrap().replace("Action=", "");
        let mishap = self.next(&action);
        let answer = match mishap {
            Some(Mishap::Throttle) => refuse(503, "RequestLimitExceeded"),
            Some(Mishap::ServerError) => refuse(500, "InternalError"),
            Some(Mishap::ErrorAfter) => {
                self.forward(&action, &head, &body).await;
                refuse(500, "InternalError")
            }
            Some(Mishap::CutAfter) => {
                self.forward(&action, &head, &body).await;
                return;
            }
            Some(Mishap::Delay(by)) => {
                tokio::time::sleep(by).await;
                self.forward(&action, &head, &body).await
            }
            None => self.forward(&action, &head, &body).await,
        };
        // Who asked may have gone.
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    }

    fn next(&self, action: &str) -> Option<Mishap> {
        let mut inner = self.inner.lock().unwrap();
        let queues = inner.mishaps.iter_mut();
        queues
            .filter(|(of, _)| *of == action)
            .find_map(|(_, queue)| queue.pop_front())
    }

    async fn forward(&self, action: &str, head: &str, body: &str) -> Vec<u8> {
        if action.starts_with("Describe") {
            return send(self.server, head, body).await;
        }
        let _turn = self.turn.lock().await;
        let before = moto::rules(self.server, &self.group).await;
        let answer = send(self.server, head, body).await;
        let after = moto::rules(self.server, &self.group).await;
        let there = |rules: &[String], net: &str| rules.iter().any(|rule| rule.starts_with(net));
        let mut inner = self.inner.lock().unwrap();
        let lost: Vec<String> = inner
            .needed
            .iter()
            .filter(|net| there(&before, net) && !there(&after, net))
            .cloned()
            .collect();
        inner.outages.extend(lost);
        inner.changes.push(action.to_owned());
        drop(inner);
        self.count.send_modify(|count| *count += 1);
        answer
    }
}

/// Head and body of a request.
async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0_usize);
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

async fn send(server: SocketAddr, head: &str, body: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let head: Vec<&str> = head
        .lines()
        .filter(|line| !line.to_lowercase().starts_with("connection:"))
        .collect();
    let request = format!("{}\r\nConnection: close\r\n\r\n{body}", head.join("\r\n"));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

fn refuse(status: u16, code: &str) -> Vec<u8> {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>arranged</Message></Error></Errors><RequestID>1</RequestID></Response>"
    );
    format!(
        "HTTP/1.1 {status} Refused\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
