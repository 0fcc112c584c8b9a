//! Stores that are empty, older or others: nothing is sent to nodes that know more, until an
//! operator takes their records back.

use std::sync::Arc;

use extend_common::operation::Verb;
use extend_common::record::RunState;
use extend_common::status::NodeState;

use super::rig::{Rig, config, media};
use crate::engine::{EngineError, NoCrash};
use crate::store::MemoryStore;

async fn state(rig: &Rig) -> (NodeState, String) {
    let view = rig.handle.nodes(Some(media())).await.unwrap().remove(0);
    (view.state, view.reason)
}

async fn is_refused_as_ahead(rig: &mut Rig) {
    let wanted = rig.submission(Verb::Restart, "-a 172.31.16.139");
    let error = rig.handle.submit(wanted).await.unwrap_err();
    let EngineError::Refused(refusal) = error else {
        panic!("{error}")
    };
    // In an empty store there is not even a server to name.
    assert!(
        ["ahead", "no-server-at"].contains(&refusal.code()),
        "{refusal}"
    );
    rig.listen(media()).await;
    assert_eq!(
        rig.agent(media())
            .record
            .as_ref()
            .unwrap()
            .desired
            .run_state,
        RunState::Running
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_store_beside_the_old_authority_lets_nodes_in_and_takes_them_back() {
    let mut rig = Rig::with_media().await;
    rig.store = MemoryStore::new();
    let mut lost = config(rig.clock, Arc::new(NoCrash));
    lost.recovering = true;
    rig.start_again(lost).await;
    assert!(rig.handle.door().borrow().admits_agent(media().ip()));
    rig.connect(media()).await.unwrap();
    let (now, why) = state(&rig).await;
    assert_eq!(now, NodeState::Ahead);
    assert!(why.contains("not in this store"), "{why}");
    assert!(rig.agent(media()).ahead);
    is_refused_as_ahead(&mut rig).await;
    let recovered = rig.handle.recover(Vec::new(), false, "root").await.unwrap();
    assert_eq!(
        (recovered.nodes.len(), recovered.notes.len()),
        (1, 0),
        "{recovered:?}"
    );
    rig.listen(media()).await;
    let record = rig.agent(media()).record.clone().unwrap();
    assert_eq!((record.id.stamp.epoch, record.id.stamp.generation), (2, 2));
    assert!(rig.handle.door().borrow().recovering);
    rig.handle.recover(Vec::new(), true, "root").await.unwrap();
    assert!(!rig.handle.door().borrow().recovering);
    // From here on all is as ever, also after another start, whatever the daemon believed then.
    rig.agent(media()).store = Some(rig.handle.store_id());
    rig.kill_and_start().await;
    rig.connect(media()).await.unwrap();
    assert_eq!(state(&rig).await.0, NodeState::Online);
    // The record that was taken back comes to its end before anything else is begun.
    rig.succeed(media()).await;
    let operation = rig.submit(Verb::Restart, "").await;
    rig.succeed(media()).await;
    assert_eq!(rig.operation(&operation).await.summary(), "succeeded");
}

#[tokio::test(start_paused = true)]
async fn an_older_copy_sends_nothing_until_it_is_recovered() {
    let mut rig = Rig::with_media().await;
    let backup = rig.store.image();
    rig.kill_and_start().await;
    rig.connect(media()).await.unwrap();
    rig.submit(Verb::Restart, "").await;
    rig.succeed(media()).await;
    rig.store.roll_back(backup);
    rig.kill_and_start().await;
    rig.connect(media()).await.unwrap();
    assert_eq!(state(&rig).await.0, NodeState::Ahead);
    is_refused_as_ahead(&mut rig).await;
    rig.handle
        .recover(vec![media()], false, "root")
        .await
        .unwrap();
    rig.listen(media()).await;
    assert_eq!(state(&rig).await.0, NodeState::Online);
    rig.succeed(media()).await;
    let operation = rig.submit(Verb::Restart, "").await;
    rig.succeed(media()).await;
    assert_eq!(rig.operation(&operation).await.summary(), "succeeded");
}

#[tokio::test(start_paused = true)]
async fn another_store_sends_nothing_until_it_is_recovered() {
    let mut rig = Rig::with_media().await;
    // Another store in which the same node is enrolled, at a higher epoch.
    let mut other = Rig::on(MemoryStore::new(), Arc::new(NoCrash)).await;
    other.links = std::mem::take(&mut rig.links);
    other.enrol(media()).await.unwrap();
    for _ in 0..3 {
        other.kill_and_start().await;
    }
    other.connect(media()).await.unwrap();
    let (now, why) = state(&other).await;
    assert_eq!(now, NodeState::Ahead);
    assert!(why.contains("the records of store"), "{why}");
    is_refused_as_ahead(&mut other).await;
    other
        .handle
        .recover(Vec::new(), false, "root")
        .await
        .unwrap();
    other.listen(media()).await;
    assert_eq!(state(&other).await.0, NodeState::Online);
    assert_eq!(
        other.agent(media()).record.as_ref().unwrap().id.stamp.epoch,
        5
    );
}
