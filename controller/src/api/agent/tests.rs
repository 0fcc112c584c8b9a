//! Sessions over a simulated network: no TCP, no TLS, and time that passes when nothing else does.

mod logs;

use extend_common::clock;
use extend_common::record::PullPolicy;
use extend_common::roles::RoleSet;
use extend_common::status::NodeState;
use extend_common::tls::Authority;
use extend_proto::v1::agent_client::AgentClient;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Server};

use super::*;
use crate::api::connection::Connections;
use crate::core::request::{EventsWanted, KeyHash, PeerFacts};
use crate::engine::{Engine, EngineConfig, NoCrash};
use crate::store::{MemoryStore, StoreHandle};

const SECOND: Duration = Duration::from_secs(1);

/// An engine with one enrolled node.
struct World {
    engine: EngineHandle,
    issuer: LeafIssuer,
    settings: AgentSettings,
    node: NodeAddr,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::system();
        let shutdown = CancellationToken::new();
        let config = EngineConfig {
            alerts: std::sync::Arc::default(),
            roles: RoleSet::built_in().unwrap(),
            default_image: "portsip/pbx:22".to_owned(),
            pull: PullPolicy::Always,
            pbx_address: None,
            heartbeat: SECOND,
            controllers: Arc::new([]),
            outside: crate::core::OutsideSettings::default(),
            kept: crate::core::Kept::default(),
            keep: Duration::from_secs(365 * 24 * 3_600),
            recovering: false,
            clock,
            crash: Arc::new(NoCrash),
        };
        let store = StoreHandle::in_place(MemoryStore::new());
        let (engine, _) = Engine::start(store, config, shutdown.clone())
            .await
            .unwrap();
        let authority = Arc::new(Authority::create(clock.now()).unwrap());
        let issuer = LeafIssuer::new(authority, clock, SECOND * 3600);
        let settings = AgentSettings {
            heartbeat: SECOND,
            clock,
            shutdown,
            logs: Broker::default(),
        };
        let node: NodeAddr = "172.31.16.139".parse().unwrap();
        let world = Self {
            engine,
            issuer,
            settings,
            node,
        };
        let token = extend_common::tls::JoinToken {
            controller: "127.0.0.1:1".parse().unwrap(),
            node: node.ip(),
            ca: world.issuer.fingerprint(),
            secret: [7; 16],
        };
        world
            .engine
            .mint_token(node, None, token.secret_hash(), "anna")
            .await
            .unwrap();
        let facts = PeerFacts {
            key: KeyHash([1; 32]),
            leaf_not_after: Timestamp::MAX,
        };
        world
            .engine
            .spend_token(node, token.secret, facts)
            .await
            .unwrap();
        world
    }

    /// A connection of the node, with a certificate that ends then.
    async fn connect(&self, leaf_not_after: Timestamp) -> AgentClient<Channel> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let peer = AgentPeer {
            node: self.node,
            spki_hash: KeyHash([1; 32]),
            leaf_not_after,
        };
        let carried = Connections::default().carry(near, peer, None);
        let service = service(
            self.engine.clone(),
            self.issuer.clone(),
            self.settings.clone(),
        );
        let incoming = tokio_stream::iter([Ok::<_, std::io::Error>(carried)]);
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        let mut far = Some(TokioIo::new(far));
        let channel = Endpoint::from_static("http://controller.extend")
            .connect_with_connector(tower::service_fn(move |_| {
                let far = far
                    .take()
                    .ok_or_else(|| std::io::Error::other("one connection each"));
                async move { far }
            }))
            .await
            .unwrap();
        AgentClient::new(channel)
    }

    /// What is kept of what happened.
    async fn told(&self) -> Vec<String> {
        let wanted = EventsWanted {
            tail: 100,
            ..EventsWanted::default()
        };
        let begin = self.engine.begin_events(wanted).await.unwrap();
        let page = self.engine.events_after(begin.filter, begin.after).await;
        let events = page.unwrap().events.into_iter();
        events.map(|stored| stored.event.text).collect()
    }

    async fn state(&self) -> NodeState {
        self.engine
            .nodes(Some(self.node))
            .await
            .unwrap()
            .remove(0)
            .state
    }
}

struct Talk {
    to: mpsc::Sender<v1::AgentMessage>,
    from: Streaming<v1::ControllerMessage>,
}

impl Talk {
    async fn begin(mut client: AgentClient<Channel>) -> Result<Self, Status> {
        let (to, outbound) = mpsc::channel(16);
        let from = client
            .session(ReceiverStream::new(outbound))
            .await?
            .into_inner();
        Ok(Self { to, from })
    }

    async fn say(&self, kind: v1::agent_message::Kind) {
        let _ = self.to.send(v1::AgentMessage { kind: Some(kind) }).await;
    }

    async fn welcomed(world: &World, leaf_not_after: Timestamp) -> Self {
        let mut talk = Self::begin(world.connect(leaf_not_after).await)
            .await
            .unwrap();
        let hello = v1::Hello {
            node: world.node.to_string(),
            ..v1::Hello::default()
        };
        talk.say(v1::agent_message::Kind::Hello(hello)).await;
        let first = talk.from.message().await.unwrap().unwrap().kind;
        assert!(
            matches!(first, Some(v1::controller_message::Kind::Welcome(_))),
            "{first:?}"
        );
        talk
    }

    /// Beats every second until the session ends, if it `beats` at all.
    async fn end(mut self, beats: bool) -> Status {
        loop {
            match tokio::time::timeout(SECOND, self.from.message()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => return Status::ok("the stream has ended"),
                Ok(Err(status)) => return status,
                Err(_) if beats => {
                    self.say(v1::agent_message::Kind::Heartbeat(v1::Heartbeat::default()))
                        .await;
                }
                Err(_) => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_hello_a_session_lasts_five_seconds() {
    let world = World::new().await;
    let begun = Instant::now();
    let talk = Talk::begin(world.connect(Timestamp::MAX).await)
        .await
        .unwrap();
    assert_eq!(talk.end(false).await.code(), Code::DeadlineExceeded);
    let lasted = begun.elapsed();
    assert!(lasted >= SECOND * 5 && lasted < SECOND * 6, "{lasted:?}");
    assert_eq!(world.state().await, NodeState::Offline);
}

#[tokio::test(start_paused = true)]
async fn a_session_lasts_while_it_beats_and_ends_in_silence() {
    let world = World::new().await;
    let talk = Talk::welcomed(&world, Timestamp::MAX).await;
    assert_eq!(world.state().await, NodeState::Online);
    assert!(
        tokio::time::timeout(SECOND * 3600, talk.end(true))
            .await
            .is_err(),
        "an hour"
    );

    let talk = Talk::welcomed(&world, Timestamp::MAX).await;
    let begun = Instant::now();
    let status = talk.end(false).await;
    let lasted = begun.elapsed();
    assert!(
        matches!(status.code(), Code::Aborted | Code::DeadlineExceeded),
        "{status:?}"
    );
    assert!(
        lasted > SECOND * 4 && lasted < SECOND * 14,
        "{lasted:?}: {status:?}"
    );
    assert_eq!(world.state().await, NodeState::Offline);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_the_certificate_it_began_with() {
    let world = World::new().await;
    let begun = Instant::now();
    let end = clock::after(world.settings.clock.now(), SECOND * 600);
    let status = Talk::welcomed(&world, end).await.end(true).await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let lasted = begun.elapsed().as_secs();
    assert!((599..=602).contains(&lasted), "{lasted}");
}

#[tokio::test(start_paused = true)]
async fn the_engine_hears_of_an_agent_that_goes_and_of_one_that_hangs_up() {
    let world = World::new().await;
    for goodbye in [true, false] {
        let talk = Talk::welcomed(&world, Timestamp::MAX).await;
        assert_eq!(world.state().await, NodeState::Online);
        let Talk { to, mut from } = talk;
        if goodbye {
            drop(to);
            assert!(
                from.message().await.unwrap().is_none(),
                "the controller says goodbye too"
            );
        } else {
            drop((to, from));
        }
        // At once: the engine would find out by itself, at its next tick.
        tokio::time::sleep(SECOND / 100).await;
        assert_eq!(
            world.state().await,
            NodeState::Offline,
            "goodbye: {goodbye}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_in_a_loop_is_slowed_down() {
    let world = World::new().await;
    let mut client = world.connect(Timestamp::MAX).await;
    let mut turned_away = 0;
    for _ in 0..30 {
        let opened = client
            .session(tokio_stream::pending::<v1::AgentMessage>())
            .await;
        turned_away += usize::from(opened.is_err_and(|s| s.code() == Code::ResourceExhausted));
    }
    assert_eq!(turned_away, 20);
    tokio::time::sleep(SECOND * 10).await;
    let talk = Talk::welcomed(&world, Timestamp::MAX).await;
    drop(talk);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_controller_ends_every_session() {
    let world = World::new().await;
    let talk = Talk::welcomed(&world, Timestamp::MAX).await;
    world.settings.shutdown.cancel();
    assert_eq!(talk.end(true).await.code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn events_are_kept_and_the_agent_is_told_so() {
    let world = World::new().await;
    let mut talk = Talk::welcomed(&world, Timestamp::MAX).await;
    let entry = |sequence| v1::JournalEntry {
        sequence,
        event: Some(v1::Event {
            at_ms: 1,
            kind: v1::EventKind::Crash.into(),
            text: format!("crash {sequence}"),
            ..v1::Event::default()
        }),
    };
    let events = v1::Events {
        journal: "j".to_owned(),
        entries: vec![entry(1), entry(2)],
    };
    // Said twice, as after a lost answer: answered twice, kept once.
    for _ in 0..2 {
        talk.say(v1::agent_message::Kind::Events(events.clone()))
            .await;
        let answer = talk.from.message().await.unwrap().unwrap().kind;
        let kept = v1::EventsKept {
            journal: "j".to_owned(),
            sequence: 2,
        };
        assert_eq!(answer, Some(v1::controller_message::Kind::EventsKept(kept)));
    }
    assert_eq!(
        world.told().await[4..],
        ["crash 1", "crash 2"],
        "after the start, the token, the joining and the hello"
    );
}

#[tokio::test(start_paused = true)]
async fn why_a_session_ended_is_told() {
    let world = World::new().await;
    let end = clock::after(world.settings.clock.now(), SECOND * 600);
    Talk::welcomed(&world, end).await.end(true).await;
    tokio::time::sleep(SECOND / 100).await;
    let told = world.told().await;
    let last = told.last().unwrap();
    assert!(
        last.starts_with("node 172.31.16.139 is offline: the certificate has expired; last heard"),
        "{last}"
    );
    drop(Talk::welcomed(&world, Timestamp::MAX).await);
    tokio::time::sleep(SECOND / 100).await;
    let told = world.told().await;
    assert!(
        told.last()
            .unwrap()
            .contains("is offline: its connection was closed"),
        "{told:?}"
    );
}
