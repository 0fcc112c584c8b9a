//! The engine when nothing fails: sessions, watchers, the door, the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use extend_common::clock::Clock;
use extend_common::operation::{TargetState, Verb};
use extend_common::status::{NodeState, OutcomeKind};

use super::rig::{MEDIA, QUEUE, Rig, SOON, media};
use crate::core::CloseReason;
use crate::core::request::SelectorWords;
use crate::core::tests::bench::{facts, node};
use crate::engine::session::{self, SESSION_QUEUE};
use crate::engine::{Engine, EngineError, EngineFailure, NoCrash};
use crate::store::{
    Batch, CommitError, Entry, Epoch, MemoryStore, Page, Range, Revision, Store, StoreError,
    StoreHandle, StoreId,
};

#[tokio::test(start_paused = true)]
async fn a_server_is_run_watched_and_shown() {
    let mut rig = Rig::with_media().await;
    let operation = rig.submit(Verb::Restart, "").await;
    let mut watch = rig.handle.watch(&operation.id.short()).await.unwrap();
    assert_eq!(
        watch.borrow_and_update().targets[0].state,
        TargetState::Running
    );
    rig.succeed(media()).await;
    watch.changed().await.unwrap();
    assert!(watch.borrow_and_update().ended.is_some());
    assert!(
        watch.changed().await.is_err(),
        "nothing comes after the end"
    );
    // Watching an ended operation shows its end.
    let watch = rig.handle.watch(&operation.id.to_string()).await.unwrap();
    assert!(watch.borrow().ended.is_some());
    let view = rig.handle.servers(SelectorWords::default()).await.unwrap();
    assert_eq!(view.servers[0].node_state, NodeState::Online);
    assert_eq!(rig.handle.operations(10, false).await.unwrap().len(), 2);
    assert_eq!(rig.handle.operations(10, true).await.unwrap().len(), 0);
    let refused = rig.handle.operation("nothing").await.unwrap_err();
    assert!(
        matches!(refused, EngineError::Refused(refusal) if refusal.code() == "no-such-operation")
    );
}

#[tokio::test(start_paused = true)]
async fn the_door_follows_commits_and_is_shut_before_the_answer() {
    let mut rig = Rig::new().await;
    let door = rig.handle.door();
    let admits = |face: &str| {
        let sets = door.borrow();
        match face {
            "agents" => sets.admits_agent(media().ip()),
            _ => sets.admits_enrolment(media().ip()),
        }
    };
    assert!(!admits("agents") && !admits("enrolment"));
    rig.handle
        .mint_token(media(), None, [0; 32], "anna")
        .await
        .unwrap();
    assert!(!admits("agents") && admits("enrolment"));
    rig.enrol(media()).await.unwrap();
    assert!(admits("agents") && !admits("enrolment"));
    rig.connect(media()).await.unwrap();
    let (view, _) = rig.handle.revoke(media(), "anna").await.unwrap();
    assert!(!admits("agents"));
    assert_eq!(view.unwrap().state, NodeState::Revoked);
    let receiver = rig.links[&media()].receiver.as_ref().unwrap();
    timeout(SOON, receiver.closed())
        .await
        .expect("the live session was closed");
    assert_eq!(receiver.reason(), Some(CloseReason::Revoked));
    rig.connect(media()).await.unwrap_err();
    // A token that is not spent shuts the door by itself.
    rig.handle
        .mint_token(node(QUEUE), Some(Duration::from_secs(60)), [0; 32], "anna")
        .await
        .unwrap();
    assert!(door.borrow().admits_enrolment(node(QUEUE).ip()));
    sleep(Duration::from_secs(61)).await;
    assert!(!door.borrow().admits_enrolment(node(QUEUE).ip()));
}

#[tokio::test(start_paused = true)]
async fn a_newer_session_replaces_the_older_one_and_its_reports_are_dropped() {
    let mut rig = Rig::with_media().await;
    let old = rig.agent(media()).session.unwrap();
    let mut first = rig
        .links
        .get_mut(&media())
        .unwrap()
        .receiver
        .take()
        .unwrap();
    rig.connect(media()).await.unwrap();
    assert_eq!(first.recv().await, None);
    assert_eq!(first.reason(), Some(CloseReason::Replaced));
    let operation = rig.submit(Verb::Stop, "").await;
    rig.listen(media()).await;
    let now = rig.clock.now();
    rig.agent(media()).work(OutcomeKind::Succeeded, "", now);
    let status = rig.agent(media()).status().unwrap();
    rig.handle
        .session_report(old, media(), status)
        .await
        .unwrap();
    rig.handle
        .session_closed(old, media(), crate::core::request::SessionEnd::Closed)
        .await
        .unwrap();
    assert_eq!(
        rig.operation(&operation).await.targets[0].state,
        TargetState::Running
    );
    rig.report(media()).await;
    assert_eq!(
        rig.operation(&operation).await.targets[0].state,
        TargetState::Succeeded
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_takes_no_messages_loses_its_session() {
    let mut rig = Rig::with_media().await;
    // It goes on reporting, and reads nothing: each verb leaves a message in its queue.
    let receiver = rig
        .links
        .get_mut(&media())
        .unwrap()
        .receiver
        .take()
        .unwrap();
    for turn in 0..=SESSION_QUEUE {
        assert_eq!(receiver.reason(), None, "after {turn} messages");
        let verb = if turn % 2 == 0 {
            Verb::Stop
        } else {
            Verb::Start
        };
        rig.submit(verb, "").await;
        let view = rig.handle.servers(SelectorWords::default()).await.unwrap();
        let now = rig.clock.now();
        let agent = rig.agent(media());
        agent.record = Some(view.servers[0].record.clone());
        agent.work(OutcomeKind::Succeeded, "", now);
        let (session, status) = (agent.session.unwrap(), agent.status().unwrap());
        rig.handle
            .session_report(session, media(), status)
            .await
            .unwrap();
    }
    assert_eq!(receiver.reason(), Some(CloseReason::Slow));
    let view = rig.handle.nodes(Some(media())).await.unwrap();
    assert_eq!(view[0].state, NodeState::Offline);
    rig.connect(media()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_gone_is_noticed_without_a_word() {
    let mut rig = Rig::with_media().await;
    rig.links.get_mut(&media()).unwrap().receiver = None;
    sleep(Duration::from_millis(600)).await;
    let view = rig.handle.nodes(Some(media())).await.unwrap();
    assert_eq!(view[0].state, NodeState::Offline);
}

#[tokio::test(start_paused = true)]
async fn silence_and_deadlines_need_no_input() {
    let mut rig = Rig::with_media().await;
    let operation = rig.submit(Verb::Stop, "--timeout 30").await;
    sleep(Duration::from_secs(9)).await;
    let receiver = rig.links[&media()].receiver.as_ref().unwrap();
    assert_eq!(receiver.reason(), Some(CloseReason::Silent));
    assert_eq!(
        rig.operation(&operation).await.targets[0].state,
        TargetState::Waiting
    );
    sleep(Duration::from_secs(22)).await;
    assert_eq!(
        rig.operation(&operation).await.targets[0].state,
        TargetState::TimedOut
    );
    // It comes back not having heard of it: it is put back before anything else.
    rig.connect(media()).await.unwrap();
    let record = rig.agent(media()).record.clone().unwrap();
    assert_eq!(
        record.desired.run_state,
        extend_common::record::RunState::Running
    );
    assert_eq!(record.id.stamp.generation, 3);
}

#[tokio::test(start_paused = true)]
async fn another_holder_of_the_store_ends_the_engine() {
    let mut rig = Rig::with_media().await;
    rig.store.clone().raise_epoch(0).unwrap();
    let stop = rig.submission(Verb::Stop, "");
    assert_eq!(
        rig.handle.submit(stop.clone()).await.unwrap_err(),
        EngineError::Stopped
    );
    let ended = (&mut rig.task).await.unwrap();
    assert!(matches!(ended, Err(EngineFailure::TakenOver)), "{ended:?}");
    assert_eq!(
        rig.handle.submit(stop).await.unwrap_err(),
        EngineError::Stopped
    );
    let receiver = rig.links[&media()].receiver.as_ref().unwrap();
    assert_eq!(receiver.reason(), Some(CloseReason::ShuttingDown));
}

#[tokio::test(start_paused = true)]
async fn shutting_down_keeps_what_was_asked_for_and_answers_the_rest() {
    let mut rig = Rig::with_media().await;
    let operation = rig.submit(Verb::Stop, "").await;
    rig.shutdown.cancel();
    (&mut rig.task).await.unwrap().unwrap();
    let receiver = rig.links[&media()].receiver.as_ref().unwrap();
    assert_eq!(receiver.reason(), Some(CloseReason::ShuttingDown));
    assert_eq!(
        rig.handle.nodes(None).await.unwrap_err(),
        EngineError::Stopped
    );
    rig.kill_and_start().await;
    assert_eq!(
        rig.operation(&operation).await.targets[0].state,
        TargetState::Running
    );
    rig.connect(media()).await.unwrap();
    rig.succeed(media()).await;
    assert_eq!(rig.operation(&operation).await.summary(), "succeeded");
}

#[tokio::test(start_paused = true)]
async fn renewals_are_allowed_and_recorded() {
    let mut rig = Rig::new().await;
    let key = facts(media()).key;
    rig.handle.renewal_allowed(media(), key).await.unwrap_err();
    rig.enrol(media()).await.unwrap();
    rig.handle.renewal_allowed(media(), key).await.unwrap();
    rig.handle.renewed(media(), facts(media())).await.unwrap();
    let (view, notes) = rig.handle.remove(media(), false, "anna").await.unwrap();
    assert_eq!((view.unwrap().node, notes.len()), (media(), 0));
    rig.handle
        .renewed(media(), facts(media()))
        .await
        .unwrap_err();
    assert_eq!(rig.handle.nodes(None).await.unwrap(), []);
}

/// The whole way with a store that answers from its own thread, several inputs to a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_its_own_thread_gathers_inputs_into_batches() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = StoreHandle::spawn(crate::store::SqliteStore::open(&path).unwrap()).unwrap();
    let clock = extend_common::clock::Clock::system();
    let config = super::rig::config(clock, std::sync::Arc::new(crate::engine::NoCrash));
    let shutdown = tokio_util::sync::CancellationToken::new();
    let started = crate::engine::Engine::start(store.clone(), config, shutdown.clone()).await;
    let (handle, task) = started.unwrap();
    let minting = (1..=200_u8).map(|last| {
        let handle = handle.clone();
        let at = node(&format!("10.0.0.{last}"));
        async move {
            handle
                .mint_token(at, None, [last; 32], "anna")
                .await
                .unwrap()
        }
    });
    futures_util::future::join_all(minting).await;
    assert_eq!(handle.nodes(None).await.unwrap().len(), 200);
    let (sender, _receiver) = session::channel();
    let hello = crate::core::tests::agent::Agent::new(node(MEDIA)).hello();
    let refused = handle
        .session_opened(node(MEDIA), facts(node(MEDIA)), hello, sender)
        .await;
    refused.unwrap_err();
    handle
        .snapshot(&directory.path().join("copy.db"))
        .await
        .unwrap();
    shutdown.cancel();
    task.await.unwrap().unwrap();
    store.shutdown().await;
    let copy = crate::store::SqliteStore::open(&directory.path().join("copy.db")).unwrap();
    assert_eq!(copy.identity(), handle.store_id());
}

/// A store whose disk is slow.
struct Slow(MemoryStore);

impl Store for Slow {
    fn identity(&self) -> StoreId {
        self.0.identity()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the store's own thread")]
    fn commit(&mut self, batch: Batch) -> Result<Revision, CommitError> {
        std::thread::sleep(Duration::from_millis(30));
        self.0.commit(batch)
    }

    fn load(&mut self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        self.0.load(prefix)
    }

    fn range(&mut self, range: &Range) -> Result<Page, StoreError> {
        self.0.range(range)
    }

    fn raise_epoch(&mut self, at_least: u64) -> Result<Epoch, StoreError> {
        self.0.raise_epoch(at_least)
    }

    fn snapshot_to(&mut self, path: &std::path::Path) -> Result<(), StoreError> {
        self.0.snapshot_to(path)
    }
}

#[tokio::test]
async fn what_was_gathered_behind_a_slow_commit_is_committed_before_the_end() {
    let memory = MemoryStore::new();
    let store = StoreHandle::spawn(Slow(memory.clone())).unwrap();
    let shutdown = CancellationToken::new();
    let config = super::rig::config(Clock::system(), Arc::new(NoCrash));
    let (handle, task) = Engine::start(store, config, shutdown.clone())
        .await
        .unwrap();
    let minted = |last: u8| {
        let handle = handle.clone();
        async move {
            let at = node(&format!("10.0.0.{last}"));
            handle.mint_token(at, None, [last; 32], "anna").await
        }
    };
    let first = tokio::spawn(minted(1));
    all_tasks_run().await;
    let second = tokio::spawn(minted(2));
    all_tasks_run().await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(memory.clone().load("token/").unwrap().len(), 2);
}

/// Lets every task of a single-threaded runtime go as far as it can.
async fn all_tasks_run() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
