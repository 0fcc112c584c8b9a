//! The way to the store: a cheap handle, and behind it a thread with a bounded queue.
//!
//! Held by the engine and the backup commands. A disk write never runs on the runtime and
//! submitting a commit never waits. Requests are answered in the order they were submitted. The
//! channel is nobody else's business.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Batch, CommitError, Entry, Epoch, MemoryStore, Page, Range, Revision, Store, StoreError,
    StoreId,
};

/// The most requests waiting for the store. The engine gathers what arrives during a commit into
/// the next batch, so that a handful wait at most; more means that the disk has stopped.
pub const MAX_QUEUED: usize = 64;

/// A cheap handle on a running store. When the last one is dropped the queue is drained, the store
/// closed and its thread ended; [`StoreHandle::shutdown`] does the same and waits for it.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    identity: StoreId,
    line: Line,
}

#[derive(Debug, Clone)]
enum Line {
    /// The thread holds the other end of `ended` and drops it after the store.
    Thread {
        queue: mpsc::Sender<Request>,
        ended: watch::Receiver<()>,
    },
    InPlace {
        store: MemoryStore,
        closed: Arc<AtomicBool>,
    },
}

#[derive(Debug)]
enum Request {
    Commit {
        batch: Batch,
        answer: oneshot::Sender<Result<Revision, CommitError>>,
    },
    Load {
        prefix: String,
        answer: oneshot::Sender<Result<Vec<Entry>, StoreError>>,
    },
    Range {
        range: Range,
        answer: oneshot::Sender<Result<Page, StoreError>>,
    },
    RaiseEpoch {
        at_least: u64,
        answer: oneshot::Sender<Result<Epoch, StoreError>>,
    },
    Snapshot {
        path: PathBuf,
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
    Close,
}

impl StoreHandle {
    /// Gives the store a thread of its own.
    pub fn spawn(store: impl Store) -> Result<Self, StoreError> {
        let identity = store.identity();
        let (queue, requests) = mpsc::channel(MAX_QUEUED);
        let (running, ended) = watch::channel(());
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                run(store, requests);
                drop(running);
            })
            .map_err(StoreError::Thread)?;
        Ok(Self {
            identity,
            line: Line::Thread { queue, ended },
        })
    }

    /// Answers each call before it returns, on the caller's thread. For the memory store only: see
    /// there.
    #[must_use]
    pub fn in_place(store: MemoryStore) -> Self {
        let closed = Arc::new(AtomicBool::new(false));
        Self {
            identity: store.identity(),
            line: Line::InPlace { store, closed },
        }
    }

    /// Which store this is.
    #[must_use]
    pub fn identity(&self) -> StoreId {
        self.identity
    }

    /// Submits a batch, at once and without waiting; the future says what became of it. Dropping
    /// the future does not take the batch back.
    pub fn commit(&self, batch: Batch) -> PendingCommit {
        let (answer, outcome) = oneshot::channel();
        let request = Request::Commit { batch, answer };
        match &self.line {
            Line::Thread { queue, .. } => {
                let refused = queue.try_send(request);
                if let Err(TrySendError::Full(Request::Commit { answer, .. })) = refused {
                    // The other end is in this function: the answer always arrives.
                    let _ = answer.send(Err(CommitError::QueueFull));
                }
            }
            Line::InPlace { store, closed } => serve_in_place(store, closed, request),
        }
        // A closed store has dropped the request and the answer with it.
        PendingCommit(outcome)
    }

    /// Every record whose key starts with `prefix`, sorted by key.
    pub async fn load(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.submit(Request::Load {
            prefix: prefix.to_owned(),
            answer,
        })
        .await;
        outcome.await.unwrap_or(Err(StoreError::Closed))
    }

    /// A page of a range.
    pub async fn range(&self, range: Range) -> Result<Page, StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.submit(Request::Range { range, answer }).await;
        outcome.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Makes the epoch the higher of its present value plus one and `at_least`.
    pub async fn raise_epoch(&self, at_least: u64) -> Result<Epoch, StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.submit(Request::RaiseEpoch { at_least, answer }).await;
        outcome.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Writes a consistent copy into the new file `path`. Commits wait for as long as it takes.
    pub async fn snapshot_to(&self, path: &Path) -> Result<(), StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.submit(Request::Snapshot {
            path: path.to_owned(),
            answer,
        })
        .await;
        outcome.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Answers what is queued, refuses what comes after, and returns when the store is closed and
    /// its file free for another. Other handles find the store closed.
    pub async fn shutdown(&self) {
        match &self.line {
            Line::Thread { queue, ended } => {
                // Refused if another handle was quicker. Either way the thread is on its way out,
                // and nothing is ever sent on `ended`: the wait is over when its other end is gone.
                let _ = queue.send(Request::Close).await;
                let _ = ended.clone().changed().await;
            }
            Line::InPlace { closed, .. } => closed.store(true, Ordering::Release),
        }
    }

    /// Hands a request over, waiting for a place in the queue. A store that is closed drops it,
    /// and its answer with it, which is how the caller learns.
    async fn submit(&self, request: Request) {
        match &self.line {
            Line::Thread { queue, .. } => {
                let _ = queue.send(request).await;
            }
            Line::InPlace { store, closed } => serve_in_place(store, closed, request),
        }
    }
}

/// A commit on its way; resolves to what became of it.
#[must_use = "the outcome of a commit decides what may be said about it"]
#[derive(Debug)]
pub struct PendingCommit(oneshot::Receiver<Result<Revision, CommitError>>);

impl Future for PendingCommit {
    type Output = Result<Revision, CommitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|outcome| outcome.unwrap_or_else(|_| Err(StoreError::Closed.into())))
    }
}

/// The life of the thread: serves until asked to close or until nobody is left to ask.
fn run(mut store: impl Store, mut requests: mpsc::Receiver<Request>) {
    while let Some(request) = requests.blocking_recv() {
        if let Request::Close = request {
            // No more are let in; those already in the queue are still received.
            requests.close();
        } else {
            serve(&mut store, request);
        }
    }
}

fn serve_in_place(store: &MemoryStore, closed: &AtomicBool, request: Request) {
    if !closed.load(Ordering::Acquire) {
        serve(&mut store.clone(), request);
    }
}

/// Answers one request.
fn serve(store: &mut impl Store, request: Request) {
    match request {
        Request::Commit { batch, answer } => reply(answer, store.commit(batch)),
        Request::Load { prefix, answer } => reply(answer, store.load(&prefix)),
        Request::Range { range, answer } => reply(answer, store.range(&range)),
        Request::RaiseEpoch { at_least, answer } => reply(answer, store.raise_epoch(at_least)),
        Request::Snapshot { path, answer } => reply(answer, store.snapshot_to(&path)),
        // Only the thread is asked this, and its loop has seen to it.
        Request::Close => {}
    }
}

/// The asker may be gone; that takes nothing back.
fn reply<T>(answer: oneshot::Sender<T>, outcome: T) {
    let _ = answer.send(outcome);
}
