//! The handle: order, bounds, and how it ends.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::store::{CommitFault, MAX_QUEUED, Page, PendingCommit, Range, StoreError, StoreHandle};

const SOON: Duration = Duration::from_secs(10);

/// A store whose commits wait to be let through, and which tells when it is closed.
struct Gate {
    inner: MemoryStore,
    entered: mpsc::Sender<()>,
    pass: mpsc::Receiver<()>,
    closed: mpsc::Sender<()>,
}

/// The test's side of a [`Gate`].
struct Keeper {
    entered: mpsc::Receiver<()>,
    pass: mpsc::Sender<()>,
    closed: mpsc::Receiver<()>,
}

fn gate() -> (Gate, Keeper) {
    let (entered, entered_here) = mpsc::channel();
    let (pass_here, pass) = mpsc::channel();
    let (closed, closed_here) = mpsc::channel();
    let keeper = Keeper {
        entered: entered_here,
        pass: pass_here,
        closed: closed_here,
    };
    (
        Gate {
            inner: MemoryStore::new(),
            entered,
            pass,
            closed,
        },
        keeper,
    )
}

impl Store for Gate {
    fn identity(&self) -> StoreId {
        self.inner.identity()
    }

    fn commit(&mut self, batch: Batch) -> Result<Revision, CommitError> {
        self.entered.send(()).unwrap();
        self.pass.recv_timeout(SOON).unwrap();
        self.inner.commit(batch)
    }

    fn load(&mut self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        self.inner.load(prefix)
    }

    fn range(&mut self, range: &Range) -> Result<Page, StoreError> {
        self.inner.range(range)
    }

    fn raise_epoch(&mut self, at_least: u64) -> Result<Epoch, StoreError> {
        self.inner.raise_epoch(at_least)
    }

    fn snapshot_to(&mut self, path: &Path) -> Result<(), StoreError> {
        self.inner.snapshot_to(path)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.closed.send(());
    }
}

fn is_closed(outcome: &Result<Revision, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Storage(StoreError::Closed)))
}

#[test]
fn a_pending_commit_can_be_kept_anywhere() {
    fn kept<T: Send + 'static + Unpin>() {}
    kept::<PendingCommit>();
    kept::<StoreHandle>();
}

#[tokio::test]
async fn commits_are_answered_in_the_order_they_were_submitted() {
    let disk = SqliteDisk::new();
    let store = StoreHandle::spawn(disk.open()).unwrap();
    let epoch = store.raise_epoch(3).await.unwrap();
    assert_eq!(epoch, Epoch(3));

    let pending: Vec<_> = (0..20)
        .map(|_| store.commit(puts(epoch, [("a", "1")])))
        .collect();
    assert_eq!(store.load("").await.unwrap(), [entry("a", "1", 20)]);
    for (n, commit) in (1..).zip(pending) {
        assert_eq!(commit.await.unwrap(), Revision(n));
    }

    let snapshot = SqliteDisk::new();
    store.snapshot_to(&snapshot.path()).await.unwrap();
    let copy = snapshot.open();
    assert_eq!(copy.identity(), store.identity());
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (store, keeper) = gate();
    let store = StoreHandle::spawn(store).unwrap();
    let batch = || puts(Epoch(0), [("a", "1")]);

    let held = store.commit(batch());
    keeper.entered.recv_timeout(SOON).unwrap();
    let queued: Vec<_> = (0..MAX_QUEUED).map(|_| store.commit(batch())).collect();
    let outcome = store.commit(batch()).now_or_never().unwrap();
    assert!(matches!(outcome, Err(CommitError::QueueFull)));
    assert!(outcome.unwrap_err().wrote_nothing());

    for _ in 0..=MAX_QUEUED {
        keeper.pass.send(()).unwrap();
    }
    assert_eq!(held.await.unwrap(), Revision(1));
    for commit in queued {
        commit.await.unwrap();
    }
}

#[tokio::test]
async fn shutting_down_answers_what_was_queued() {
    let disk = SqliteDisk::new();
    let store = StoreHandle::spawn(disk.open()).unwrap();
    let other = store.clone();
    let pending: Vec<_> = (0..MAX_QUEUED / 2)
        .map(|_| store.commit(puts(Epoch(0), [("a", "1")])))
        .collect();
    store.shutdown().await;

    for commit in pending {
        commit
            .now_or_never()
            .expect("answered before the end")
            .unwrap();
    }
    // The file is free, and the handles that are left say so.
    assert_eq!(revision_of(&mut disk.open()), Revision(32));
    assert!(is_closed(&other.commit(Batch::new(Epoch(0))).await));
    assert!(matches!(other.load("").await, Err(StoreError::Closed)));
    assert!(matches!(
        other.raise_epoch(0).await,
        Err(StoreError::Closed)
    ));
    other.shutdown().await;
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_thread() {
    let (store, keeper) = gate();
    let store = StoreHandle::spawn(store).unwrap();
    let other = store.clone();
    drop(store);
    let pending = other.commit(puts(Epoch(0), [("a", "1")]));
    drop(other);
    keeper.pass.send(()).unwrap();
    pending.await.unwrap();
    keeper.closed.recv_timeout(SOON).unwrap();
}

#[tokio::test]
async fn a_thread_that_dies_is_a_closed_store() {
    let (store, keeper) = gate();
    let store = StoreHandle::spawn(store).unwrap();
    // The gate panics when its keeper has gone.
    drop(keeper);
    let outcome = store.commit(Batch::new(Epoch(0))).await;
    assert!(is_closed(&outcome));
    assert!(!outcome.unwrap_err().wrote_nothing());
    store.shutdown().await;
}

#[test]
fn in_place_everything_is_answered_before_the_call_returns() {
    let memory = MemoryStore::new();
    let store = StoreHandle::in_place(memory.clone());
    assert_eq!(store.identity(), memory.identity());
    let epoch = store.raise_epoch(0).now_or_never().unwrap().unwrap();
    // Not even polled: submitting is enough.
    drop(store.commit(puts(epoch, [("a", "1")])));
    assert_eq!(
        store.load("").now_or_never().unwrap().unwrap(),
        [entry("a", "1", 1)]
    );

    let other = store.clone();
    store.shutdown().now_or_never().unwrap();
    assert!(is_closed(
        &other.commit(Batch::new(epoch)).now_or_never().unwrap()
    ));
    // The next controller starts on the same content.
    let next = StoreHandle::in_place(memory);
    assert_eq!(
        next.raise_epoch(0).now_or_never().unwrap().unwrap(),
        Epoch(2)
    );
}

#[test]
fn a_memory_store_fails_on_demand() {
    let disk = MemoryStore::new();
    let mut store = disk.clone();
    let batch = || puts(Epoch(0), [("a", "1")]);

    disk.fail_commits(2, CommitFault::BeforeApplying);
    for _ in 0..2 {
        let error = store.commit(batch()).unwrap_err();
        assert!(matches!(error, CommitError::Storage(StoreError::Injected)));
        assert!(!error.wrote_nothing());
    }
    assert_eq!(store.load("").unwrap(), []);
    store.commit(batch()).unwrap();

    disk.fail_commits(1, CommitFault::AfterApplying);
    store.commit(batch()).unwrap_err();
    assert_eq!(store.load("").unwrap(), [entry("a", "1", 2)]);

    // A doubtful commit of a former epoch stays out once the epoch is raised.
    store.raise_epoch(0).unwrap();
    assert!(matches!(
        store.commit(batch()),
        Err(CommitError::Fenced { .. })
    ));
}

#[test]
fn a_memory_store_can_be_rolled_back() {
    let disk = MemoryStore::new();
    let mut store = disk.clone();
    store.raise_epoch(5).unwrap();
    let yesterday = disk.image();
    let before = seen(&mut store);
    store.raise_epoch(0).unwrap();
    store.commit(puts(Epoch(6), [("a", "1")])).unwrap();

    disk.roll_back(yesterday);
    assert_eq!(seen(&mut store), before);
    assert_eq!(
        store.raise_epoch(0).unwrap(),
        Epoch(6),
        "the same epoch is given out twice"
    );
}
