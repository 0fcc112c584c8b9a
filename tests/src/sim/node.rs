//! One simulated node: a Docker Engine and a state directory that outlive its agent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use extend_agent::cloud::Cloud;
use extend_agent::core::health::Answer;
use extend_agent::core::spec::NodeFacts;
use extend_agent::daemon::{World, live};
use extend_agent::docker::memory::{MemoryDocker, Official};
use extend_agent::execute::Settings;
use extend_agent::faults::FaultPoint;
use extend_agent::host::MemoryHost;
use extend_agent::host::figures::Figures;
use extend_agent::probe::{Aim, Prober};
use extend_agent::service::Gauges;
use extend_agent::sessions::MemorySessions;
use extend_agent::watchdog::{NoWatchdog, Watchdog};
use extend_common::clock::Clock;
use extend_common::cloud::CloudFacts;
use extend_common::ids::NodeAddr;
use extend_common::roles::{Point, ProbeDefinition, RoleSet};
use extend_controller::api::connection::AgentPeer;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::faults::Trap;
use super::net::{Net, NetDial};

/// Probes what the simulated Engine says is listening.
pub(super) struct MemoryProber(pub(super) MemoryDocker);

#[async_trait]
impl Prober for MemoryProber {
    async fn ask(&self, aim: &Aim, _: &ProbeDefinition, point: Point) -> Answer {
        let answers = match point {
            Point::Tcp(port) | Point::Http(port) | Point::Https(port) | Point::Sip(_, port) => {
                self.0.listening(aim.node, port)
            }
            Point::Udp(_) | Point::Disk | Point::Memory | Point::Portal => true,
        };
        if answers {
            Answer::after(Duration::ZERO)
        } else {
            Answer::Failed("connection refused".to_owned())
        }
    }
}

/// A node.
pub struct Node {
    /// Its address.
    pub addr: NodeAddr,
    /// Its Engine.
    pub docker: MemoryDocker,
    /// Its host.
    pub host: MemoryHost,
    /// The sessions of its server.
    pub sessions: MemorySessions,
    /// What its cloud says.
    pub cloud: watch::Sender<Option<Arc<CloudFacts>>>,
    /// Minds whether its agent's loop turns, from its next start on.
    pub watchdog: Arc<dyn Watchdog>,
    /// Where its agent can be stopped.
    pub trap: Trap<FaultPoint>,
    /// The containers that PortSIP's own script has made there, by their ids.
    pub official: BTreeSet<String>,
    state: TempDir,
    roles: RoleSet,
    agent: Option<(JoinHandle<()>, CancellationToken)>,
}

impl Node {
    pub(super) fn new(addr: NodeAddr, roles: RoleSet, docker: MemoryDocker) -> Self {
        Self {
            addr,
            docker,
            host: MemoryHost::new(),
            sessions: MemorySessions::new(),
            cloud: watch::channel(None).0,
            watchdog: Arc::new(NoWatchdog),
            trap: Trap::default(),
            official: BTreeSet::new(),
            state: state_directory(),
            roles,
            agent: None,
        }
    }
    /// The directory that holds its ledger.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Where its servers keep their data, as far as anything of it is on a disk.
    pub fn data(&self) -> PathBuf {
        self.state.path().join("data")
    }

    fn facts(&self) -> NodeFacts {
        NodeFacts {
            node: self.addr,
            data: self.data(),
        }
    }

    /// Lets PortSIP's own script make a container, and gives its id.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn script(&mut self, official: &Official) -> String {
        let made = self.docker.official(&self.facts(), official);
        let id = made.expect("the script makes its container");
        self.official.insert(id.clone());
        id
    }

    /// Replaces the role definitions that its agent knows from its next start on.
    pub fn set_roles(&mut self, roles: RoleSet) {
        self.roles = roles;
    }

    /// Starts its agent.
    pub fn start(&mut self, net: &Net, peer: AgentPeer, clock: Clock) {
        let world = World {
            docker: Arc::new(self.docker.clone()),
            host: Arc::new(self.host.clone()),
            prober: Arc::new(MemoryProber(self.docker.clone())),
            sessions: Arc::new(self.sessions.clone()),
            figures: Figures::none(),
            cloud: Cloud::told_by(&self.cloud),
            dial: Arc::new(NetDial {
                net: net.clone(),
                peer,
            }),
            clock,
            faults: Arc::new(self.trap.clone()),
            watchdog: self.watchdog.clone(),
            gauges: Gauges::default(),
        };
        let settings = Settings {
            facts: self.facts(),
            roles: Arc::new(self.roles.clone()),
            repositories: vec!["portsip/*".to_owned()],
            credentials: "/nonexistent".into(),
        };
        let stop = CancellationToken::new();
        let (token, state) = (stop.clone(), self.state.path().to_owned());
        let task = tokio::spawn(async move {
            Box::pin(live(world, settings, &state, token))
                .await
                .expect("the agent starts");
        });
        self.agent = Some((task, stop));
    }

    /// `kill -9`: nothing more is done, nothing is said.
    pub async fn kill(&mut self) {
        if let Some((task, stop)) = self.agent.take() {
            task.abort();
            drop(task.await);
            // Helper tasks that hold no state end by this.
            stop.cancel();
        }
    }
}

/// A fleet that is over must not go on in the next one's time.
impl Drop for Node {
    fn drop(&mut self) {
        if let Some((task, stop)) = self.agent.take() {
            task.abort();
            stop.cancel();
        }
    }
}

/// On a file system in memory where there is one: ledgers are fsynced at every step.
pub(super) fn state_directory() -> TempDir {
    let shared_memory = Path::new("/dev/shm");
    let directory = if shared_memory.is_dir() {
        tempfile::tempdir_in(shared_memory)
    } else {
        tempfile::tempdir()
    };
    directory.expect("a temporary directory")
}
