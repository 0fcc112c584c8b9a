//! Readers of events on a live engine: bounded, in order, and not lost by a store that fails.

use std::sync::Arc;
use std::time::Duration;

use extend_common::clock::Clock;
use extend_common::record::PullPolicy;
use extend_common::roles::RoleSet;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::*;
use crate::core::Kept;
use crate::core::request::EventsWanted;
use crate::engine::{Engine, EngineConfig, NoCrash};
use crate::store::{CommitFault, MemoryStore, StoreHandle};

/// In virtual time longer than anything takes that is going to happen.
const SOON: Duration = Duration::from_secs(5);

struct World {
    engine: EngineHandle,
    store: MemoryStore,
    shutdown: CancellationToken,
    readers: Arc<Semaphore>,
}

impl World {
    async fn new() -> Self {
        let store = MemoryStore::new();
        let config = EngineConfig {
            roles: RoleSet::built_in().unwrap(),
            default_image: "portsip/pbx:22".to_owned(),
            pull: PullPolicy::Always,
            pbx_address: None,
            heartbeat: Duration::from_secs(1),
            controllers: Arc::new([]),
            outside: crate::core::OutsideSettings::default(),
            kept: Kept::default(),
            alerts: std::sync::Arc::default(),
            keep: Duration::from_secs(365 * 24 * 3_600),
            recovering: false,
            clock: Clock::system(),
            crash: Arc::new(NoCrash),
        };
        let handle = StoreHandle::in_place(store.clone());
        let shutdown = CancellationToken::new();
        let (engine, _) = Engine::start(handle, config, shutdown.clone())
            .await
            .unwrap();
        Self {
            engine,
            store,
            shutdown,
            readers: Arc::new(Semaphore::new(1)),
        }
    }

    /// Makes one event, about the node of that number.
    async fn happen(&self, number: u8) -> Result<(), EngineError> {
        let node = std::net::Ipv4Addr::new(10, 0, 0, number)
            .try_into()
            .unwrap();
        self.engine
            .mint_token(node, None, [0; 32], "anna")
            .await
            .map(drop)
    }

    async fn read(&self, tail: usize, after: u64, follow: bool) -> Reading {
        let wanted = EventsWanted {
            tail,
            after,
            ..EventsWanted::default()
        };
        let reader = Reader {
            engine: self.engine.clone(),
            begin: self.engine.begin_events(wanted).await.unwrap(),
            follow,
            shutdown: self.shutdown.clone(),
            place: Arc::clone(&self.readers).acquire_owned().await.unwrap(),
        };
        reader.start()
    }
}

/// What a reader is told next: the number, and the address that the event is about.
async fn next(reading: &mut Reading) -> (u64, String) {
    let message = timeout(SOON, reading.next())
        .await
        .expect("something happens");
    let message = message.expect("it goes on").expect("no failure");
    let what = match message.event {
        Some(event) => event.node,
        None => format!("mark {}", message.passed_over),
    };
    (message.sequence, what)
}

async fn next_event(reading: &mut Reading) -> (u64, String) {
    loop {
        let next = next(reading).await;
        if !next.1.starts_with("mark") {
            return next;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_following_the_stream_ends() {
    let world = World::new().await;
    for number in 1..=5 {
        world.happen(number).await.unwrap();
    }
    let reading = world.read(2, 0, false).await;
    let all: Vec<_> = timeout(SOON, reading.collect::<Vec<_>>()).await.unwrap();
    let sequences: Vec<_> = all.into_iter().map(|m| m.unwrap().sequence).collect();
    assert_eq!(sequences, [5, 6]);
    let reading = world.read(0, 0, false).await;
    assert_eq!(
        timeout(SOON, reading.collect::<Vec<_>>())
            .await
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_follower_is_told_where_it_is_and_then_what_happens() {
    let world = World::new().await;
    world.happen(1).await.unwrap();
    let mut reading = world.read(0, 0, true).await;
    assert_eq!(next(&mut reading).await, (2, "mark 0".to_owned()));
    world.happen(2).await.unwrap();
    assert_eq!(next(&mut reading).await, (3, "10.0.0.2".to_owned()));
    // Coming back with the place: no repeats and no gaps.
    drop(reading);
    world.happen(3).await.unwrap();
    let mut reading = world.read(50, 3, true).await;
    assert_eq!(next_event(&mut reading).await, (4, "10.0.0.3".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_only_a_pause() {
    let world = World::new().await;
    let mut reading = world.read(0, 0, true).await;
    assert_eq!(next(&mut reading).await, (1, "mark 0".to_owned()));
    world.store.fail_commits(1, CommitFault::BeforeApplying);
    world.happen(1).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.happen(2).await.unwrap();
    let first = next_event(&mut reading).await;
    let second = next_event(&mut reading).await;
    assert_eq!(first, (2, "10.0.0.2".to_owned()), "what failed never was");
    assert_eq!(second, (3, String::new()), "that the store had failed");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_holds_up_nobody_and_misses_nothing() {
    let world = World::new().await;
    let mut reading = world.read(0, 0, true).await;
    for _ in 0..20 {
        for number in 1..=50 {
            world.happen(number).await.unwrap();
        }
    }
    assert_eq!(next(&mut reading).await.1, "mark 0");
    for sequence in 2..=1_001 {
        assert_eq!(next_event(&mut reading).await.0, sequence);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_controller_is_no_good_end() {
    let world = World::new().await;
    let mut reading = world.read(0, 0, true).await;
    next(&mut reading).await;
    world.shutdown.cancel();
    let end = timeout(SOON, reading.next()).await.unwrap().unwrap();
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_gone_frees_its_place() {
    let world = World::new().await;
    let reading = world.read(0, 0, true).await;
    assert_eq!(world.readers.available_permits(), 0);
    drop(reading);
    let free = Arc::clone(&world.readers).acquire_owned();
    drop(
        timeout(SOON, free)
            .await
            .expect("nobody reads any more")
            .unwrap(),
    );
}
