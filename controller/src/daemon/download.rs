//! The agent's package, for nodes that have nothing of ours yet: one file over HTTP/1.1, on the
//! enrolment face.
//!
//! It stands behind the same door and the same handshakes as the calls there. Everything is
//! bounded: how many fetch it at once, how many from one address, how long each may take, how long
//! one may not read on. The file is read as it is sent; nothing of it is kept.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use extend_common::tls::TlsConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::http1::{self, Question};
use crate::api::access::{Face, Page, page};
use crate::api::connection::{Carried, StrangerPeer};
use crate::package::{AgentPackage, Shelf};

/// Nodes that are set up at the same time. Others are told to come again.
const AT_ONCE: usize = 64;
/// A node fetches once; a second time when its first connection was lost and we have not seen it.
const PER_SOURCE: usize = 2;
/// One that has a place asks at once.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// A few megabytes, over a slow network.
const LIMIT: Duration = Duration::from_secs(300);
/// One that reads nothing for so long is gone.
const STALL: Duration = Duration::from_secs(30);
/// How much is read and sent at a time.
const CHUNK: usize = 64 * 1024;

/// A connection of a stranger that speaks HTTP/1.1.
pub(super) type Stranger = Carried<TlsConnection, StrangerPeer>;

/// Hands the package out.
#[derive(Debug, Clone)]
pub(super) struct Downloads {
    shelf: Shelf,
    sources: Arc<Mutex<HashMap<Ipv4Addr, usize>>>,
    cut: CancellationToken,
}

/// A place among those that fetch; given back when it is dropped.
struct Place {
    source: Ipv4Addr,
    sources: Arc<Mutex<HashMap<Ipv4Addr, usize>>>,
}

impl Downloads {
    /// Hands out what is on the shelf, until `cut`.
    pub(super) fn new(shelf: Shelf, cut: CancellationToken) -> Self {
        Self {
            shelf,
            sources: Arc::default(),
            cut,
        }
    }

    /// Answers the one question of a connection.
    pub(super) async fn serve(self, mut stranger: Stranger) {
        let node = stranger.connect_info().source;
        let Some(_place) = self.enter(node) else {
            tracing::warn!(%node, "too many fetch the agent's package at once: sent away");
            let busy = "too many fetch it at once: try again in a few seconds\n";
            let answer = http1::say(&mut stranger, None, ("503 Service Unavailable", busy));
            drop(timeout(ASK_WITHIN, answer).await);
            return;
        };
        let answered = tokio::select! {
            () = self.cut.cancelled() => return,
            answered = timeout(LIMIT, self.answer(&mut stranger, node)) => answered,
        };
        match answered {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%node, %error, "the agent's package was not fetched"),
            Err(_) => {
                tracing::warn!(%node, limit = ?LIMIT, "fetching the agent's package took too long")
            }
        }
    }

    fn enter(&self, source: Ipv4Addr) -> Option<Place> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.values().sum::<usize>() >= AT_ONCE {
            return None;
        }
        let held = sources.entry(source).or_default();
        if *held >= PER_SOURCE {
            return None;
        }
        *held += 1;
        Some(Place {
            source,
            sources: Arc::clone(&self.sources),
        })
    }

    async fn answer(&self, stranger: &mut Stranger, node: Ipv4Addr) -> io::Result<()> {
        let read = timeout(ASK_WITHIN, http1::read(stranger)).await;
        let question = read.map_err(|_| io::Error::other("it asked for nothing"))??;
        let words = match &question {
            None => ("400 Bad Request", "this is no HTTP request\n"),
            Some(asked) if !matches!(asked.method.as_str(), "GET" | "HEAD") => {
                ("405 Method Not Allowed", "ask with GET\n")
            }
            Some(asked) => match page(Face::Enrolment, &asked.path) {
                Some(Page::AgentPackage) => return self.send(stranger, asked, node).await,
                None => ("404 Not Found", "there is /agent/extend-agent.deb\n"),
            },
        };
        http1::say(stranger, question.as_ref(), words).await
    }

    async fn send(
        &self,
        stranger: &mut Stranger,
        asked: &Question,
        node: Ipv4Addr,
    ) -> io::Result<()> {
        let shelf = self.shelf.clone();
        let opened = tokio::task::spawn_blocking(move || shelf.open()).await;
        let (file, package) = match opened.map_err(io::Error::other)? {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(%node, error = &error as &dyn std::error::Error, "no package to send");
                let words = format!("{error}, on the controller\n");
                return http1::say(stranger, Some(asked), ("404 Not Found", &words)).await;
            }
        };
        stranger.write_all(head(&package).as_bytes()).await?;
        if !asked.is_head() {
            let mut file = tokio::fs::File::from_std(file).take(package.size);
            let mut chunk = vec![0; CHUNK];
            loop {
                let read = file.read(&mut chunk).await?;
                if read == 0 {
                    break;
                }
                let writing = stranger.write_all(chunk.get(..read).unwrap_or_default());
                timeout(STALL, writing)
                    .await
                    .map_err(|_| io::Error::other("it stopped reading"))??;
            }
            let AgentPackage { version, size, .. } = &package;
            tracing::info!(%node, version, size, "the agent's package was sent");
        }
        stranger.shutdown().await
    }
}

/// The head of the answer that the package is the body of.
fn head(package: &AgentPackage) -> String {
    let AgentPackage {
        version,
        architecture,
        size,
        sha256,
        ..
    } = package;
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.debian.binary-package\r\n\
         content-length: {size}\r\netag: \"{sha256}\"\r\nx-sha256: {sha256}\r\n\
         content-disposition: attachment; filename=\"extend-agent_{version}_{architecture}.deb\"\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = sources.get_mut(&self.source) {
            *held -= 1;
            if *held == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn places_are_bounded_by_source_and_in_all_and_given_back() {
        let downloads = Downloads::new(Shelf::new(Path::new("/x")), CancellationToken::new());
        let from = |last| Ipv4Addr::new(10, 0, 0, last);
        let mut held: Vec<_> = (0..PER_SOURCE)
            .map(|_| downloads.enter(from(1)).unwrap())
            .collect();
        assert!(
            downloads.enter(from(1)).is_none(),
            "one source has its number"
        );
        drop(held.pop());
        held.extend(downloads.enter(from(1)));
        let others = u8::try_from(AT_ONCE - PER_SOURCE).unwrap();
        held.extend((0..others).map(|n| downloads.enter(from(2 + n)).unwrap()));
        assert!(downloads.enter(from(200)).is_none(), "all places are taken");
        held.clear();
        assert!(
            downloads.sources.lock().unwrap().is_empty(),
            "nothing is kept of who is gone"
        );
    }
}
