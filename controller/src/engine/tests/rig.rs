//! An engine that can be killed and started again on the same store, and its agents.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use extend_common::clock::Clock;
use extend_common::event::StoredEvent;
use extend_common::ids::NodeAddr;
use extend_common::operation::{Operation, Verb};
use extend_common::status::OutcomeKind;
use ulid::Ulid;

use crate::core::Kept;
use crate::core::request::{EventsWanted, SessionNumber, Submission, sha256};
use crate::core::tests::agent::Agent;
use crate::core::tests::bench::{START, facts, node, settings, submission};
use crate::engine::session::{self, SessionReceiver};
use crate::engine::{
    CrashHook, CrashPoint, Engine, EngineConfig, EngineError, EngineFailure, EngineHandle, NoCrash,
};
use crate::store::{MemoryStore, StoreHandle};

pub(super) const MEDIA: &str = "172.31.16.139";
pub(super) const QUEUE: &str = "172.31.16.138";

pub(super) fn media() -> NodeAddr {
    node(MEDIA)
}

/// Longer than any commit of the store in memory takes, shorter than anything the core waits for.
pub(super) const SOON: Duration = Duration::from_millis(20);

/// A node's agent and the end of its session.
pub(super) struct Link {
    pub(super) agent: Agent,
    pub(super) receiver: Option<SessionReceiver>,
}

/// Dies at a point, once: the engine stays there for ever.
pub(super) struct DieAt {
    pub(super) point: CrashPoint,
    pub(super) reached: AtomicBool,
    pub(super) seen: Mutex<Vec<CrashPoint>>,
}

impl DieAt {
    pub(super) fn new(point: CrashPoint) -> Arc<Self> {
        Arc::new(Self {
            point,
            reached: AtomicBool::new(false),
            seen: Mutex::default(),
        })
    }

    pub(super) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::SeqCst)
    }
}

impl CrashHook for DieAt {
    fn at(&self, point: CrashPoint) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.seen.lock().unwrap().push(point);
        if point == self.point {
            self.reached.store(true, Ordering::SeqCst);
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(()))
    }
}

/// A controller's engine and the world around it.
pub(super) struct Rig {
    pub(super) store: MemoryStore,
    pub(super) clock: Clock,
    pub(super) handle: EngineHandle,
    pub(super) task: JoinHandle<Result<(), EngineFailure>>,
    pub(super) shutdown: CancellationToken,
    pub(super) links: BTreeMap<NodeAddr, Link>,
    counter: u128,
}

pub(super) fn config(clock: Clock, crash: Arc<dyn CrashHook>) -> EngineConfig {
    let settings = settings();
    EngineConfig {
        roles: settings.roles,
        default_image: settings.default_image,
        pull: settings.pull,
        pbx_address: settings.pbx_address,
        heartbeat: settings.heartbeat_interval,
        controllers: settings.controllers,
        kept: Kept::default(),
        alerts: std::sync::Arc::default(),
        outside: settings.outside,
        keep: Duration::from_secs(365 * 24 * 3_600),
        recovering: false,
        clock,
        crash,
    }
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::on(MemoryStore::new(), Arc::new(NoCrash)).await
    }

    pub(super) async fn on(store: MemoryStore, crash: Arc<dyn CrashHook>) -> Self {
        Self::keeping(Kept::default(), store, crash).await
    }

    /// With so much of the past in memory.
    pub(super) async fn keeping(kept: Kept, store: MemoryStore, crash: Arc<dyn CrashHook>) -> Self {
        let clock = Clock::starting_at(Timestamp::from_second(START).unwrap());
        let config = EngineConfig {
            kept,
            ..config(clock, crash)
        };
        let (handle, task, shutdown) = begin(&store, config).await;
        Self {
            store,
            clock,
            handle,
            task,
            shutdown,
            links: BTreeMap::new(),
            counter: 0,
        }
    }

    /// Kills the engine as a process is killed, and starts another on the same store.
    pub(super) async fn kill_and_start(&mut self) {
        self.start_again(config(self.clock, Arc::new(NoCrash)))
            .await;
    }

    pub(super) async fn start_again(&mut self, config: EngineConfig) {
        self.task.abort();
        for link in self.links.values_mut() {
            link.receiver = None;
            link.agent.session = None;
        }
        let (handle, task, shutdown) = begin(&self.store, config).await;
        (self.handle, self.task, self.shutdown) = (handle, task, shutdown);
    }

    pub(super) async fn enrol(&mut self, at: NodeAddr) -> Result<(), EngineError> {
        self.links.entry(at).or_insert_with(|| Link {
            agent: Agent::new(at),
            receiver: None,
        });
        let secret = [7; 16];
        let hash = sha256(&secret);
        self.handle.mint_token(at, None, hash, "anna").await?;
        self.handle.spend_token(at, secret, facts(at)).await
    }

    pub(super) async fn connect(&mut self, at: NodeAddr) -> Result<SessionNumber, EngineError> {
        let (sender, receiver) = session::channel();
        let hello = self.links[&at].agent.hello();
        let number = self
            .handle
            .session_opened(at, facts(at), hello, sender)
            .await?;
        let link = self.links.get_mut(&at).unwrap();
        link.receiver = Some(receiver);
        link.agent.session = Some(number);
        self.listen(at).await;
        Ok(number)
    }

    /// Takes in whatever was said to the agent. A closed session is dropped.
    pub(super) async fn listen(&mut self, at: NodeAddr) {
        let link = self.links.get_mut(&at).unwrap();
        while let Some(receiver) = &mut link.receiver {
            match timeout(SOON, receiver.recv()).await {
                Ok(Some(message)) => link.agent.receive(message),
                Ok(None) => {
                    link.receiver = None;
                    link.agent.session = None;
                }
                Err(_) => return,
            }
        }
    }

    /// Lets the agent come to an end with what it was told, and say so.
    pub(super) async fn work(&mut self, at: NodeAddr, kind: OutcomeKind) {
        self.listen(at).await;
        let now = self.clock.now();
        let link = self.links.get_mut(&at).unwrap();
        if link.agent.outcome.is_none() {
            link.agent.work(kind, "", now);
        }
        self.report(at).await;
    }

    pub(super) async fn succeed(&mut self, at: NodeAddr) {
        self.work(at, OutcomeKind::Succeeded).await;
    }

    pub(super) async fn report(&mut self, at: NodeAddr) {
        let agent = &self.links[&at].agent;
        if let (Some(session), Some(status)) = (agent.session, agent.status()) {
            let _ = timeout(SOON, self.handle.session_report(session, at, status)).await;
        }
        tokio::time::sleep(SOON).await;
        self.listen(at).await;
    }

    pub(super) fn submission(&mut self, verb: Verb, line: &str) -> Submission {
        self.counter += 1;
        let mut wanted = submission(verb, line);
        wanted.request.0 = Ulid(self.counter);
        wanted
    }

    pub(super) async fn submit(&mut self, verb: Verb, line: &str) -> Operation {
        let wanted = self.submission(verb, line);
        self.handle.submit(wanted).await.unwrap().operation.unwrap()
    }

    pub(super) async fn operation(&self, operation: &Operation) -> Operation {
        self.handle
            .operation(&operation.id.to_string())
            .await
            .unwrap()
    }

    /// Every event that is kept, as an operator reads them.
    pub(super) async fn events(&self) -> Vec<StoredEvent> {
        let wanted = EventsWanted {
            tail: usize::MAX,
            ..EventsWanted::default()
        };
        let begin = self.handle.begin_events(wanted).await.unwrap();
        let (mut after, mut events) = (begin.after, Vec::new());
        while after < begin.last {
            let filter = begin.filter.clone();
            let page = self.handle.events_after(filter, after).await.unwrap();
            after = page.upto;
            events.extend(page.events);
        }
        events
    }

    /// A node with a media server that runs.
    pub(super) async fn with_media() -> Self {
        let mut rig = Self::new().await;
        rig.deploy_media().await;
        rig
    }

    pub(super) async fn deploy_media(&mut self) {
        self.enrol(media()).await.unwrap();
        self.connect(media()).await.unwrap();
        let run = "-s media-server-only -n media-server-1 -a 172.31.16.139";
        let operation = self.submit(Verb::Run, run).await;
        self.succeed(media()).await;
        assert_eq!(self.operation(&operation).await.summary(), "succeeded");
    }

    pub(super) fn agent(&mut self, at: NodeAddr) -> &mut Agent {
        &mut self.links.get_mut(&at).unwrap().agent
    }
}

async fn begin(
    store: &MemoryStore,
    config: EngineConfig,
) -> (
    EngineHandle,
    JoinHandle<Result<(), EngineFailure>>,
    CancellationToken,
) {
    let shutdown = CancellationToken::new();
    let store = StoreHandle::in_place(store.clone());
    let (handle, task) = Engine::start(store, config, shutdown.clone())
        .await
        .unwrap();
    (handle, task, shutdown)
}
