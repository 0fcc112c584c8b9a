//! One command to many agents: every one of them is told, every one answers, on a real database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use extend_common::clock::Clock;
use extend_common::ids::NodeAddr;
use extend_common::operation::Verb;
use extend_common::record::RecordId;
use extend_common::status::{OutcomeKind, Phase};

use super::rig::config;
use crate::core::request::{SelectorWords, ToAgent};
use crate::core::tests::agent::Agent;
use crate::core::tests::bench::{facts, submission};
use crate::engine::session::{self, SessionReceiver};
use crate::engine::{Engine, EngineConfig, EngineHandle, NoCrash};
use crate::store::{SqliteStore, StoreHandle};

/// How many agents; the environment may ask for more, to measure.
fn agents() -> u32 {
    std::env::var("EXTEND_FANOUT")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(300)
}

fn address(number: u32) -> NodeAddr {
    std::net::Ipv4Addr::from(0x0a00_0000 + number + 1)
        .try_into()
        .unwrap()
}

/// An agent that has been deployed, and answers what it is told.
async fn serve(
    mut agent: Agent,
    mut receiver: SessionReceiver,
    handle: EngineHandle,
    acknowledged: mpsc::Sender<RecordId>,
) {
    while let Some(message) = receiver.recv().await {
        let is_new = matches!(message, ToAgent::Assignment { .. });
        agent.receive(message);
        let (Some(session), true) = (agent.session, is_new) else {
            continue;
        };
        let Some(status) = agent.status() else {
            continue;
        };
        let record = status.record;
        handle
            .session_report(session, agent.node, status)
            .await
            .unwrap();
        acknowledged.send(record).await.unwrap();
        agent.work(OutcomeKind::Succeeded, "", jiff::Timestamp::UNIX_EPOCH);
        let mut status = agent.status().unwrap();
        status.phase = Phase::Settled;
        handle
            .session_report(session, agent.node, status)
            .await
            .unwrap();
    }
}

/// Enrols and connects an agent, and runs its server.
async fn join(number: u32, handle: EngineHandle, acknowledged: mpsc::Sender<RecordId>) -> NodeAddr {
    let at = address(number);
    let secret = [7; 16];
    let hash = crate::core::request::sha256(&secret);
    handle.mint_token(at, None, hash, "anna").await.unwrap();
    handle.spend_token(at, secret, facts(at)).await.unwrap();
    let agent = Agent::new(at);
    let (sender, receiver) = session::channel();
    handle
        .session_opened(at, facts(at), agent.hello(), sender)
        .await
        .unwrap();
    tokio::spawn(serve(agent, receiver, handle.clone(), acknowledged));
    let mut run = submission(
        Verb::Run,
        &format!("-s media-server-only -n media-{number} -a {at}"),
    );
    run.request.0 = ulid::Ulid(u128::from(number) + 1);
    handle.submit(run).await.unwrap();
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_agent_is_told_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db")).unwrap();
    let store = StoreHandle::spawn(store).unwrap();
    let shutdown = CancellationToken::new();
    // Nobody sends heartbeats here, and joining thousands takes a while.
    let heartbeat = Duration::from_secs(60);
    let config = EngineConfig {
        heartbeat,
        ..config(Clock::system(), Arc::new(NoCrash))
    };
    let (handle, task) = Engine::start(store.clone(), config, shutdown.clone())
        .await
        .unwrap();
    let (acknowledged, mut acknowledgements) = mpsc::channel(1024);
    let mut joining = JoinSet::new();
    let mut joined = 0;
    for number in 0..agents() {
        joining.spawn(join(number, handle.clone(), acknowledged.clone()));
        if joining.len() >= 64 {
            joining.join_next().await;
        }
        while acknowledgements.try_recv().is_ok() {
            joined += 1;
        }
    }
    while joining.join_next().await.is_some() {}
    while joined < agents() {
        acknowledgements.recv().await.unwrap();
        joined += 1;
    }
    while !handle.operations(1, true).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let begun = Instant::now();
    let mut stop = submission(Verb::Stop, "");
    stop.request.0 = ulid::Ulid(1 << 80);
    let operation = handle.submit(stop).await.unwrap().operation.unwrap();
    let answered = begun.elapsed();
    let mut watch = handle.watch(&operation.id.to_string()).await.unwrap();
    for _ in 0..agents() {
        let record = acknowledgements.recv().await.unwrap();
        assert!(record.stamp.generation >= 2, "{record:?}");
    }
    let told = begun.elapsed();
    watch
        .wait_for(|operation| operation.ended.is_some())
        .await
        .unwrap();
    let done = begun.elapsed();
    eprintln!(
        "{} agents: stored {answered:?}, all answered {told:?}, done {done:?}",
        agents()
    );
    assert_eq!(watch.borrow().summary(), "succeeded");
    assert!(done < Duration::from_secs(30), "{done:?}");
    let view = handle.servers(SelectorWords::default()).await.unwrap();
    assert_eq!(view.servers.len(), usize::try_from(agents()).unwrap());
    shutdown.cancel();
    task.await.unwrap().unwrap();
    store.shutdown().await;
}
