//! A simulated fleet: one controller at a time, some nodes, and what operators ask of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use extend_agent::docker::Image;
use extend_agent::docker::memory::{Effect, MemoryDocker, Official};
use extend_common::clock::Clock;
use extend_common::ids::{NodeAddr, OperationId, RequestId};
use extend_common::operation::{Operation, Strategy, Verb};
use extend_common::record::PullPolicy;
use extend_common::roles::RoleSet;
use extend_common::status::Unclaimed;
use extend_common::tls::Authority;
use extend_controller::api::agent::{AgentSettings, service};
use extend_controller::api::connection::AgentPeer;
use extend_controller::api::operator::OperatorSettings;
use extend_controller::ca::LeafIssuer;
use extend_controller::core::request::{
    DrainWish, KeyHash, PeerFacts, SelectorWords, Submission, Submitted,
};
use extend_controller::core::view::ServerView;
use extend_controller::core::{Kept, OutsideSettings};
use extend_controller::engine::{CrashPoint, Engine, EngineConfig, EngineError, EngineHandle};
use extend_controller::logs::Broker;
use extend_controller::package::Shelf;
use extend_controller::store::{MemoryStore, StoreHandle};
use rustls_pki_types::CertificateDer;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::faults::Trap;
use super::invariants::{self, Mark};
use super::net::Net;
use super::node::Node;

/// The reference that simulated nodes know.
pub const IMAGE: &str = "portsip/pbx:22";
/// Sparse: in virtual time a heartbeat costs more than a second.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// No operation of a simulated fleet takes longer, in virtual time.
const PATIENCE: Duration = Duration::from_secs(2400);

struct Controller {
    engine: EngineHandle,
    tasks: Vec<JoinHandle<()>>,
    life: CancellationToken,
    logs: Broker,
}

/// The fleet.
pub struct Fleet {
    /// The controller's disk.
    pub store: MemoryStore,
    /// Where the controller can be stopped.
    pub trap: Trap<CrashPoint>,
    /// The nodes.
    pub nodes: BTreeMap<NodeAddr, Node>,
    /// The network.
    pub net: Net,
    /// The next controller finds a store that is new beside an old authority.
    pub recovering: bool,
    clock: Clock,
    roles: RoleSet,
    authority: Arc<Authority>,
    controller: Option<Controller>,
    requests: u128,
}

impl Fleet {
    /// A fleet with a controller and nodes at these addresses, each enrolled and with the image
    /// of version 22.3.0.
    pub async fn new(nodes: &[&str]) -> Self {
        // `EXTEND_LOG=debug` tells what went on in a run that failed.
        if std::env::var_os("EXTEND_LOG").is_some() {
            extend_common::telemetry::start();
        }
        let start = jiff::Timestamp::from_second(1_767_225_600).expect("a time");
        let clock = Clock::starting_at(start);
        let mut fleet = Self {
            store: MemoryStore::new(),
            trap: Trap::default(),
            nodes: BTreeMap::new(),
            net: Net::default(),
            recovering: false,
            clock,
            roles: RoleSet::built_in().expect("the built-in roles"),
            authority: Arc::new(Authority::create(start).expect("an authority")),
            controller: None,
            requests: 0,
        };
        fleet.start_controller().await;
        for addr in nodes {
            fleet.enrol(addr.parse().expect("an address")).await;
        }
        fleet
    }

    async fn enrol(&mut self, addr: NodeAddr) {
        let docker = MemoryDocker::new(self.roles.clone());
        docker.add_image(IMAGE, image("22.3.0"));
        let mut node = Node::new(addr, self.roles.clone(), docker);
        let secret = [7; 16];
        let hash = extend_common::hash::sha256(&secret);
        let engine = self.engine();
        let minted = engine.mint_token(addr, None, hash, "anna").await;
        minted.expect("a token");
        engine
            .spend_token(addr, secret, self.facts(addr))
            .await
            .expect("enrolled");
        node.start(&self.net, self.peer(addr), self.clock);
        self.nodes.insert(addr, node);
    }

    fn facts(&self, addr: NodeAddr) -> PeerFacts {
        let peer = self.peer(addr);
        PeerFacts {
            key: peer.spki_hash,
            leaf_not_after: peer.leaf_not_after,
        }
    }

    fn peer(&self, addr: NodeAddr) -> AgentPeer {
        AgentPeer {
            node: addr,
            spki_hash: KeyHash::of(addr.to_string().as_bytes()),
            leaf_not_after: jiff::Timestamp::from_second(1_900_000_000).expect("a time"),
        }
    }

    /// The engine of the present controller.
    ///
    /// # Panics
    /// When there is none.
    pub fn engine(&self) -> EngineHandle {
        self.controller
            .as_ref()
            .expect("a controller")
            .engine
            .clone()
    }

    /// Starts a controller on the store.
    pub async fn start_controller(&mut self) {
        let life = CancellationToken::new();
        let config = EngineConfig {
            roles: self.roles.clone(),
            default_image: IMAGE.to_owned(),
            pull: PullPolicy::Missing,
            pbx_address: Some("54.151.30.9".to_owned()),
            heartbeat: HEARTBEAT,
            controllers: Arc::new([]),
            kept: Kept::default(),
            alerts: std::sync::Arc::default(),
            outside: OutsideSettings::default(),
            keep: Duration::from_secs(365 * 24 * 3_600),
            recovering: self.recovering,
            clock: self.clock,
            crash: Arc::new(self.trap.clone()),
        };
        let store = StoreHandle::in_place(self.store.clone());
        let (engine, running) = Engine::start(store, config, life.clone())
            .await
            .expect("the engine starts");
        let logs = Broker::default();
        let settings = AgentSettings {
            heartbeat: HEARTBEAT,
            clock: self.clock,
            shutdown: life.clone(),
            logs: logs.clone(),
        };
        let lifetime = Duration::from_secs(24 * 3600);
        let issuer = LeafIssuer::new(self.authority.clone(), self.clock, lifetime);
        let service = service(engine.clone(), issuer, settings);
        let accepted = self.net.listen(life.clone());
        let server = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(ReceiverStream::new(accepted));
        let tasks = vec![
            tokio::spawn(async move { drop(running.await) }),
            tokio::spawn(async move { drop(server.await) }),
        ];
        self.controller = Some(Controller {
            engine,
            tasks,
            life,
            logs,
        });
    }

    /// Lets the real command line reach the controller.
    pub fn serve_operators(&self, socket: &Path) {
        let controller = self.controller.as_ref().expect("a controller");
        let settings = OperatorSettings {
            posts: extend_controller::notify::Posts::default(),
            enrolment: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7444),
            authority: CertificateDer::from(Vec::new()),
            packages: Shelf::new(Path::new("/nowhere")),
            state_dir: socket.parent().unwrap_or(Path::new("/")).to_owned(),
            clock: self.clock,
            shutdown: controller.life.clone(),
            logs: controller.logs.clone(),
            pokes: extend_controller::enforce::Pokes::default(),
        };
        super::operators::serve(controller.engine.clone(), socket, settings);
    }

    /// `kill -9` of the controller: what is not in the store is lost, connections break.
    pub async fn kill_controller(&mut self) {
        let Some(controller) = self.controller.take() else {
            return;
        };
        for task in &controller.tasks {
            task.abort();
        }
        self.net.close();
        controller.life.cancel();
        for task in controller.tasks {
            drop(task.await);
        }
        self.trap.clear();
    }

    /// `kill -9` of an agent, and its start by the service manager.
    pub async fn restart_agent(&mut self, addr: NodeAddr) {
        let peer = self.peer(addr);
        let node = self.nodes.get_mut(&addr).expect("a node");
        node.kill().await;
        node.start(&self.net, peer, self.clock);
    }

    /// A submission by a new request.
    pub fn submission(&mut self, verb: Verb, role: &str, nodes: &[NodeAddr]) -> Submission {
        self.requests += 1;
        Submission {
            limits: extend_controller::portal::Limits::default(),
            confirmed: true,
            request: RequestId(Ulid(self.requests)),
            verb,
            selector: SelectorWords {
                role: role.to_owned(),
                nodes: nodes.to_vec(),
                name: None,
            },
            image: None,
            public_address: None,
            plan_only: false,
            timeout: None,
            message: String::new(),
            force: false,
            by: "root".to_owned(),
            strategy: Strategy::default(),
            drain: DrainWish::Unsaid,
            queue: false,
            to_previous: false,
            from: None,
            leads: BTreeMap::new(),
            retry_of: None,
            pins: BTreeMap::new(),
            accepted: Vec::new(),
            checkup: None,
        }
    }

    /// Submits, as the command line does: with the same request again when no answer came.
    pub async fn submit(&mut self, submission: &Submission) -> Result<Submitted, EngineError> {
        self.engine().submit(submission.clone()).await
    }

    /// Submits and waits for the end.
    ///
    /// # Panics
    /// When it is refused or does not end.
    pub async fn perform(&mut self, submission: &Submission) -> Operation {
        let submitted = self.submit(submission).await.expect("accepted");
        let operation = submitted.operation.expect("something to do");
        self.ended(operation.id).await
    }

    /// Waits for the end of an operation.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn ended(&self, id: OperationId) -> Operation {
        let engine = self.engine();
        let wait = async {
            let mut changes = engine.watch(&id.to_string()).await.expect("known");
            let ended = changes
                .wait_for(|operation| operation.ended.is_some())
                .await;
            ended.expect("the engine lives").as_ref().clone()
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(operation) => operation,
            Err(_) => panic!("no end: {:#?}", engine.operation(&id.to_string()).await),
        }
    }

    /// Deploys a server and waits for it.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn deploy(&mut self, addr: NodeAddr, role: &str, name: &str) -> Operation {
        let mut submission = self.submission(Verb::Run, role, &[addr]);
        submission.selector.name = Some(name.parse().expect("a name"));
        self.perform(&submission).await
    }

    /// Lets PortSIP's own script make a container on a node, and waits until the controller has
    /// been told of it.
    ///
    /// # Panics
    /// When it is not.
    pub async fn script(&mut self, addr: NodeAddr, official: &Official) -> String {
        let node = self.nodes.get_mut(&addr).expect("a node");
        let id = node.script(official);
        self.await_unclaimed(addr, 1).await;
        id
    }

    /// Waits until the controller knows of so many unclaimed containers on a node.
    ///
    /// # Panics
    /// When it does not come to that.
    pub async fn await_unclaimed(&self, addr: NodeAddr, wanted: usize) {
        let told = async {
            while self.unclaimed(addr).await.len() != wanted {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let told = tokio::time::timeout(PATIENCE, told).await;
        told.expect("the controller is told of unclaimed containers");
    }

    /// The unclaimed containers that the controller knows of on a node.
    pub async fn unclaimed(&self, addr: NodeAddr) -> Vec<Unclaimed> {
        let words = SelectorWords::default();
        let view = self.engine().servers(words).await.expect("an answer");
        let there = view.unclaimed.into_iter().filter(|(node, _)| *node == addr);
        there.map(|(_, unclaimed)| unclaimed).collect()
    }

    /// What the controller knows of the server on a node.
    pub async fn server(&self, addr: NodeAddr) -> Option<ServerView> {
        let words = SelectorWords {
            role: String::new(),
            nodes: Vec::new(),
            name: None,
        };
        let view = self.engine().servers(words).await.expect("an answer");
        view.servers
            .into_iter()
            .find(|server| server.record.desired.node == addr)
    }

    /// Waits until the controller has heard from every node and each holds its record.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn settled(&self) {
        let all = async {
            loop {
                let words = SelectorWords {
                    role: String::new(),
                    nodes: Vec::new(),
                    name: None,
                };
                let view = self.engine().servers(words).await.expect("an answer");
                let is_settled = |server: &ServerView| {
                    server.status.as_ref().is_some_and(|status| {
                        status.record == server.record.id && status.outcome.is_some()
                    })
                };
                if view.servers.iter().all(is_settled) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .expect("every node holds its record");
    }

    /// The history of a node's Engine.
    pub fn history(&self, addr: NodeAddr) -> Vec<Effect> {
        self.nodes
            .get(&addr)
            .map(|node| node.docker.history())
            .unwrap_or_default()
    }

    /// Where a node's history stands.
    pub fn mark(&self, addr: NodeAddr) -> Mark {
        Mark(self.history(addr).len())
    }

    /// The invariants that hold always, on every node.
    pub fn check(&self) {
        for node in self.nodes.values() {
            invariants::always(&node.docker.history(), &node.official);
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.net.close();
        if let Some(controller) = self.controller.take() {
            controller.life.cancel();
            for task in &controller.tasks {
                task.abort();
            }
        }
    }
}

/// The image of a version, as a node that imported it has it.
pub fn image(version: &str) -> Image {
    Image {
        id: format!("sha256:{version}"),
        repo_digests: Vec::new(),
        labels: BTreeMap::from([
            ("product".to_owned(), "PBX".to_owned()),
            ("version".to_owned(), version.to_owned()),
        ]),
        size: 0,
    }
}
