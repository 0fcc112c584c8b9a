//! Events through the engine: told after the commit, kept over restarts, and read while the store
//! fails.

use std::sync::Arc;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use extend_common::clock::Clock;
use extend_common::operation::Verb;

use super::rig::{Rig, SOON, config, media};
use crate::core::request::{EventsWanted, sha256};
use crate::core::tests::bench::facts;
use crate::core::tests::told::journal_part;
use crate::engine::{Engine, EngineHandle, NoCrash};
use crate::store::{CommitFault, SqliteStore, StoreHandle};

fn texts(events: &[extend_common::event::StoredEvent]) -> Vec<&str> {
    events
        .iter()
        .map(|stored| stored.event.text.as_str())
        .collect()
}

async fn all(handle: &EngineHandle) -> Vec<String> {
    let wanted = EventsWanted {
        tail: 200,
        ..EventsWanted::default()
    };
    let begin = handle.begin_events(wanted).await.unwrap();
    let page = handle
        .events_after(begin.filter, begin.after)
        .await
        .unwrap();
    page.events
        .into_iter()
        .map(|stored| stored.event.text)
        .collect()
}

#[tokio::test]
async fn events_survive_a_restart_of_the_controller_on_its_disk() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let start = async |clock: Clock| {
        let store = StoreHandle::spawn(SqliteStore::open(&path).unwrap()).unwrap();
        let shutdown = CancellationToken::new();
        let config = config(clock, Arc::new(NoCrash));
        let (handle, task) = Engine::start(store.clone(), config, shutdown.clone())
            .await
            .unwrap();
        let stop = async move || {
            shutdown.cancel();
            task.await.unwrap().unwrap();
            store.shutdown().await;
        };
        (handle, stop)
    };
    let clock = Clock::system();
    let (handle, stop) = start(clock).await;
    let hash = sha256(&[7; 16]);
    handle
        .mint_token(media(), None, hash, "anna")
        .await
        .unwrap();
    handle
        .spend_token(media(), [7; 16], facts(media()))
        .await
        .unwrap();
    let before = all(&handle).await;
    assert_eq!(before.len(), 3, "{before:?}");
    stop().await;
    let (handle, stop) = start(clock).await;
    let after = all(&handle).await;
    assert_eq!(after[..3], before);
    assert_eq!(after[3..], ["the controller started at epoch 2"]);
    stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_told_that_its_journal_is_kept_only_when_it_is() {
    let mut rig = Rig::with_media().await;
    let session = rig.agent(media()).session.unwrap();
    rig.store.fail_commits(1, CommitFault::BeforeApplying);
    let part = journal_part("j", 1..=2);
    rig.handle
        .session_events(session, media(), part.clone())
        .await
        .unwrap();
    rig.listen(media()).await;
    assert!(rig.agent(media()).kept.is_empty());
    assert!(
        rig.links[&media()].receiver.is_none(),
        "the session was closed"
    );
    let session = rig.connect(media()).await.unwrap();
    rig.handle
        .session_events(session, media(), part)
        .await
        .unwrap();
    rig.listen(media()).await;
    assert_eq!(rig.agent(media()).kept, [("j".to_owned(), 2)]);
    let events = rig.events().await;
    let told = texts(&events);
    assert_eq!(told.iter().filter(|text| text.starts_with("j ")).count(), 2);
    // That the store had failed is told too, once.
    let failed = told
        .iter()
        .filter(|text| text.starts_with("the store failed"));
    assert_eq!(failed.count(), 1, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_was_written_and_not_confirmed_is_not_kept_twice() {
    let mut rig = Rig::with_media().await;
    let session = rig.agent(media()).session.unwrap();
    rig.store.fail_commits(1, CommitFault::AfterApplying);
    let part = journal_part("j", 1..=2);
    rig.handle
        .session_events(session, media(), part.clone())
        .await
        .unwrap();
    rig.listen(media()).await;
    let session = rig.connect(media()).await.unwrap();
    rig.handle
        .session_events(session, media(), part)
        .await
        .unwrap();
    rig.listen(media()).await;
    let events = rig.events().await;
    let told = texts(&events);
    assert_eq!(
        told.iter().filter(|text| text.starts_with("j ")).count(),
        2,
        "{told:?}"
    );
    assert_eq!(rig.agent(media()).kept, [("j".to_owned(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn readers_are_woken_after_the_commit_and_not_before() {
    let mut rig = Rig::with_media().await;
    let mut told = rig.handle.events_told();
    let before = *told.borrow_and_update();
    rig.store.fail_commits(1, CommitFault::BeforeApplying);
    let wanted = rig.submission(Verb::Stop, "");
    rig.handle.submit(wanted.clone()).await.unwrap_err();
    assert_eq!(*told.borrow_and_update(), before, "nothing of it is true");
    rig.handle.submit(wanted).await.unwrap();
    timeout(SOON, told.changed()).await.unwrap().unwrap();
    assert!(*told.borrow() > before);
}
