//! A controller that is copied, lost and put back; and states of the disk that it does not start
//! from.

use std::fs;
use std::path::Path;

use extend_controller::backup::{RestoreOptions, restore};
use extend_controller::daemon::DaemonOptions;
use extend_controller::store::{Batch, Expect, SqliteStore, StoreHandle, Write};
use extend_proto::v1;
use tonic::Code;

use super::support::*;

pub(super) async fn back_up(controller: &Controller, to: &Path) {
    let mut operator = controller.operator().await;
    let mut pieces = operator
        .backup(v1::BackupRequest {})
        .await
        .unwrap()
        .into_inner();
    let mut archive = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        assert!(piece.data.len() <= 64 * 1024);
        archive.extend(piece.data);
    }
    fs::write(to, archive).unwrap();
}

/// Makes a store so large that a backup of it does not fit between its writer and its reader.
async fn fatten(store: &Path) {
    let store = StoreHandle::spawn(SqliteStore::open(store).unwrap()).unwrap();
    let epoch = store.raise_epoch(0).await.unwrap();
    let key = |number: u32| format!("junk/{number}");
    let mut filling = Batch::new(epoch);
    let mut emptying = Batch::new(epoch);
    for number in 0..32 {
        filling
            .writes
            .push(Write::put(key(number), Expect::Any, vec![7; 1024 * 1024]));
        emptying
            .writes
            .push(Write::delete(key(number), Expect::Any));
    }
    store.commit(filling).await.unwrap();
    // The pages stay in the file.
    store.commit(emptying).await.unwrap();
    store.shutdown().await;
}

fn force(force: bool) -> RestoreOptions {
    RestoreOptions {
        force,
        now: jiff::Timestamp::now(),
    }
}

#[tokio::test]
async fn a_backup_is_a_whole_controller() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let controller = place.start().await;
    let mut agent = controller.joined(node(2)).await;
    let first = agent.session().await.welcome;
    let archive = place.root().join("backup.tar");
    back_up(&controller, &archive).await;
    controller.daemon.shutdown().await;

    let restored = restore(&archive, &elsewhere.state(), force(false)).unwrap();
    assert_eq!(restored.store, first.store_id);
    assert_eq!(restored.epoch, first.epoch);
    let controller = elsewhere.start().await;
    agent.controller = controller.daemon.addresses().agents;
    let welcome = agent.session().await.welcome;
    assert_eq!(welcome.store_id, first.store_id);
    assert!(welcome.epoch > first.epoch && !welcome.ahead);

    let error = restore(&archive, &elsewhere.state(), force(true)).unwrap_err();
    assert!(
        error.hint().unwrap().contains("systemctl stop"),
        "a running one: {error}"
    );
    controller.daemon.shutdown().await;
    let error = restore(&archive, &elsewhere.state(), force(false)).unwrap_err();
    assert!(error.hint().unwrap().contains("--force"), "{error}");
}

#[tokio::test]
async fn one_backup_is_taken_at_a_time_and_leaves_nothing_when_its_reader_goes() {
    let place = Place::new();
    place.start().await.daemon.shutdown().await;
    fatten(&place.state().join("store.db")).await;
    let controller = place.start().await;
    let mut operator = controller.operator().await;
    let held = operator.backup(v1::BackupRequest {}).await.unwrap();
    assert_code(
        operator.backup(v1::BackupRequest {}).await,
        Code::ResourceExhausted,
    );
    drop(held);
    drop(operator);
    until("the next one may be taken", async || {
        controller
            .operator()
            .await
            .backup(v1::BackupRequest {})
            .await
            .is_ok()
    })
    .await;
    until("nothing is left of them", async || {
        let names = fs::read_dir(place.state()).unwrap();
        !names.into_iter().any(|name| {
            name.unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with(".b")
        })
    })
    .await;
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_damaged_store_is_refused_with_the_way_out_and_left_as_it_is() {
    let place = Place::new();
    place.start().await.daemon.shutdown().await;
    let store = place.state().join("store.db");
    let mut bytes = fs::read(&store).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&store, &bytes).unwrap();
    let error = place
        .try_start(DaemonOptions::default())
        .await
        .err()
        .expect("it must not start");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("extend controller restore"),
        "{error}: {hint}"
    );
    assert!(hint.contains(&store.display().to_string()), "{hint}");
    assert_eq!(fs::read(&store).unwrap(), bytes);
    assert!(!place.socket().exists());
}

#[tokio::test]
async fn a_new_store_beside_an_old_authority_lets_the_old_nodes_in_as_ahead() {
    let place = Place::new();
    let controller = place.start().await;
    let mut agent = controller.joined(node(2)).await;
    controller.daemon.shutdown().await;
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = fs::remove_file(place.state().join(name));
    }
    let controller = place.start().await;
    agent.controller = controller.daemon.addresses().agents;
    let session = agent.session().await;
    assert!(
        session.welcome.ahead,
        "nothing is sent to a node that is not in the store"
    );
    assert_eq!(
        controller.node_view(node(2)).await.state(),
        v1::NodeState::Ahead
    );
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn two_controllers_on_one_state_are_one_too_many() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    let error = place
        .try_start(DaemonOptions::default())
        .await
        .err()
        .expect("it must not start");
    assert!(error.to_string().contains("another controller"), "{error}");
    assert!(error.hint().is_some());
    assert!(agent.can_come_in().await, "the first goes on");
    assert!(place.socket().exists());
    controller.daemon.shutdown().await;
}
