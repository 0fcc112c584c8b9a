//! The door while the list it is made from cannot be written or read: the last good one stays, and
//! it never opens.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use extend_common::operation::Verb;

use super::rig::{QUEUE, Rig, media};
use crate::core::tests::bench::node;
use crate::core::view::DoorSets;
use crate::engine::EngineFailure;
use crate::store::CommitFault;

fn only_media() -> DoorSets {
    DoorSets {
        agents: HashSet::from([media().ip()]),
        ..DoorSets::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_not_kept_opens_and_shuts_nothing() {
    let rig = Rig::with_media().await;
    let door = rig.handle.door();
    assert_eq!(**door.borrow(), only_media());
    let fault = CommitFault::BeforeApplying;
    rig.store.fail_commits(1, fault);
    let minted = rig.handle.mint_token(node(QUEUE), None, [0; 32], "anna");
    minted.await.unwrap_err();
    assert_eq!(**door.borrow(), only_media(), "no token");
    sleep(Duration::from_secs(5)).await;
    rig.store.fail_commits(1, fault);
    rig.handle.revoke(media(), "anna").await.unwrap_err();
    assert_eq!(**door.borrow(), only_media(), "not revoked");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(**door.borrow(), only_media());

    // Written all the same: then that holds, once it has been read.
    rig.store.fail_commits(1, CommitFault::AfterApplying);
    rig.handle.revoke(media(), "anna").await.unwrap_err();
    let mut changing = door.clone();
    let shut = changing.wait_for(|sets| !sets.admits_agent(media().ip()));
    assert!(timeout(Duration::from_secs(5), shut).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_leaves_the_last_good_list() {
    let mut rig = Rig::with_media().await;
    let door = rig.handle.door();
    rig.store.fail_commits(1, CommitFault::BeforeApplying);
    rig.store.fail_loads(6);
    let wanted = rig.submission(Verb::Stop, "");
    rig.handle.submit(wanted).await.unwrap_err();
    for _ in 0..100 {
        sleep(Duration::from_millis(200)).await;
        assert_eq!(**door.borrow(), only_media());
    }
    assert_eq!(rig.store.loads_to_fail(), 0, "it was tried again and again");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(**door.borrow(), only_media());
    rig.connect(media()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_damaged_list_ends_the_engine_and_leaves_the_last_good_one() {
    for key in ["token/172.31.16.138", "node/172.31.16.139"] {
        let mut rig = Rig::with_media().await;
        let door = rig.handle.door();
        rig.store.spoil(key, b"{\"damaged");
        rig.store.fail_commits(1, CommitFault::BeforeApplying);
        let wanted = rig.submission(Verb::Stop, "");
        rig.handle.submit(wanted).await.unwrap_err();
        let ended = timeout(Duration::from_secs(60), &mut rig.task).await;
        let ended = ended.unwrap().unwrap();
        assert!(matches!(ended, Err(EngineFailure::Load(_))), "{ended:?}");
        // Whoever still asks, until the process has ended, finds what held.
        assert_eq!(**door.borrow(), only_media(), "{key}");
    }
}
