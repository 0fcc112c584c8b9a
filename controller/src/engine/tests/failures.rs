//! Commits that fail: nobody is told what may not be true, and what holds is found out.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use extend_common::operation::{TargetState, Verb};

use super::rig::{Rig, SOON, media};
use crate::core::CloseReason;
use crate::core::request::Heartbeat;
use crate::engine::EngineError;
use crate::store::CommitFault;

fn failed(error: &EngineError) -> bool {
    matches!(error, EngineError::StoreFailed(_))
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_failed_before_it_was_written_leaves_nothing() {
    let mut rig = Rig::with_media().await;
    let wanted = rig.submission(Verb::Stop, "");
    rig.store.fail_commits(1, CommitFault::BeforeApplying);
    let error = rig.handle.submit(wanted.clone()).await.unwrap_err();
    assert!(failed(&error), "{error}");
    // The agent heard nothing of it, and comes back to hear what holds.
    rig.listen(media()).await;
    assert!(
        rig.links[&media()].receiver.is_none(),
        "the session was closed"
    );
    assert_eq!(
        rig.agent(media())
            .record
            .as_ref()
            .unwrap()
            .id
            .stamp
            .generation,
        1
    );
    assert_eq!(rig.handle.operations(10, true).await.unwrap(), []);
    rig.connect(media()).await.unwrap();
    assert_eq!(rig.agent(media()).epoch, 2, "the epoch was raised");
    // The same request id now makes the operation.
    let operation = rig.handle.submit(wanted).await.unwrap().operation.unwrap();
    rig.succeed(media()).await;
    assert_eq!(rig.operation(&operation).await.summary(), "succeeded");
}

#[tokio::test(start_paused = true)]
async fn what_writes_nothing_does_not_go_to_the_store() {
    let mut rig = Rig::with_media().await;
    rig.store.fail_commits(1, CommitFault::BeforeApplying);
    rig.handle.operations(10, true).await.unwrap();
    let number = rig.agent(media()).session.unwrap();
    let beat = rig
        .handle
        .session_heartbeat(number, media(), Heartbeat::default());
    beat.await.unwrap();
    sleep(SOON).await;
    let wanted = rig.submission(Verb::Stop, "");
    let error = rig.handle.submit(wanted).await.unwrap_err();
    assert!(failed(&error), "this was the first commit: {error}");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_written_and_failed_all_the_same_is_found_again() {
    let mut rig = Rig::with_media().await;
    let wanted = rig.submission(Verb::Stop, "");
    rig.store.fail_commits(1, CommitFault::AfterApplying);
    let error = rig.handle.submit(wanted.clone()).await.unwrap_err();
    assert!(failed(&error), "{error}");
    let open = rig.handle.operations(10, true).await.unwrap();
    assert_eq!(open.len(), 1);
    let again = rig.handle.submit(wanted).await.unwrap().operation.unwrap();
    assert_eq!(again.id, open[0].id, "the request id finds it");
    rig.listen(media()).await;
    rig.connect(media()).await.unwrap();
    rig.succeed(media()).await;
    assert_eq!(rig.operation(&again).await.summary(), "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_report_whose_commit_failed_is_told_again_after_the_next_hello() {
    for fault in [CommitFault::BeforeApplying, CommitFault::AfterApplying] {
        let mut rig = Rig::with_media().await;
        let operation = rig.submit(Verb::Stop, "").await;
        let mut watch = rig.handle.watch(&operation.id.to_string()).await.unwrap();
        rig.listen(media()).await;
        rig.store.fail_commits(1, fault);
        rig.succeed(media()).await;
        let closed = rig.links[&media()].receiver.is_none();
        assert!(closed, "the session was closed: {fault:?}");
        rig.connect(media()).await.unwrap();
        sleep(SOON).await;
        assert_eq!(
            rig.operation(&operation).await.summary(),
            "succeeded",
            "{fault:?}"
        );
        // Whoever watched sees the end, though the memory was lost in between.
        let end = timeout(SOON, watch.wait_for(|operation| operation.ended.is_some())).await;
        assert!(end.unwrap().is_ok(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_left_when_its_operation_was_never_committed() {
    let mut rig = Rig::with_media().await;
    let operation = rig.submit(Verb::Stop, "").await;
    let mut watch = rig.handle.watch(&operation.id.to_string()).await.unwrap();
    // The store is put back to before the operation, and then fails.
    let image = crate::store::MemoryStore::new().image();
    rig.store.roll_back(image);
    let wanted = rig.submission(Verb::Start, "");
    let _ = rig.handle.submit(wanted).await;
    watch.borrow_and_update();
    assert!(watch.changed().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_is_told_when_the_store_fails() {
    let mut rig = Rig::with_media().await;
    rig.store.fail_commits(1, CommitFault::BeforeApplying);
    let stop = rig.submission(Verb::Stop, "");
    let handle = rig.handle.clone();
    let (submitted, nodes, token) = tokio::join!(
        rig.handle.submit(stop),
        handle.nodes(None),
        handle.mint_token(media(), None, [0; 32], "anna")
    );
    for error in [
        submitted.unwrap_err(),
        nodes.unwrap_err(),
        token.unwrap_err(),
    ] {
        assert!(failed(&error), "{error}");
    }
    // A moment later everything works again.
    assert_eq!(rig.handle.nodes(None).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_is_waited_for() {
    let mut rig = Rig::with_media().await;
    let receiver = rig
        .links
        .get_mut(&media())
        .unwrap()
        .receiver
        .take()
        .unwrap();
    rig.store.fail_commits(3, CommitFault::BeforeApplying);
    for _ in 0..3 {
        let stop = rig.submission(Verb::Stop, "");
        assert!(failed(&rig.handle.submit(stop).await.unwrap_err()));
    }
    assert_eq!(receiver.reason(), Some(CloseReason::StoreFailed));
    rig.connect(media()).await.unwrap();
    let operation = rig.submit(Verb::Stop, "").await;
    rig.succeed(media()).await;
    assert_eq!(
        rig.operation(&operation).await.targets[0].state,
        TargetState::Succeeded
    );
    // Session numbers go on: no report of an older memory's session can be taken for a new one's.
    assert!(rig.agent(media()).session.unwrap().0 >= 2);
    sleep(Duration::from_secs(1)).await;
}
