//! One agent alone, in virtual time: no controller and no network, records are given by hand. What
//! a record asks of an agent is told here without the verb that it comes from.

use std::sync::Arc;
use std::time::Duration;

use extend_agent::core::accept::SessionFacts;
use extend_agent::core::entry::Entry;
use extend_agent::core::spec::NodeFacts;
use extend_agent::docker::memory::MemoryDocker;
use extend_agent::execute::{Executor, Settings};
use extend_agent::faults::FaultPoint;
use extend_agent::host::MemoryHost;
use extend_agent::host::figures::Figures;
use extend_agent::journal::Journal;
use extend_agent::ledger::LedgerFile;
use extend_agent::reconciler::{self, Command, Handle, Parts};
use extend_agent::service::Gauges;
use extend_agent::sessions::MemorySessions;
use extend_agent::watchdog::{Link, NoWatchdog};
use extend_common::clock::Clock;
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::record::{
    Deployment, Desired, Drain, ImageRequest, Parameters, PullPolicy, RunState, ServerRecord, Stamp,
};
use extend_common::roles::RoleSet;
use extend_common::status::{Health, Outcome, OutcomeKind, ServerStatus};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::faults::Trap;
use super::fleet::{IMAGE, image};
use super::node::{MemoryProber, state_directory};

/// Nothing takes longer here, in virtual time.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// An agent and its node.
pub struct Alone {
    /// Its Engine.
    pub docker: MemoryDocker,
    /// Its host.
    pub host: MemoryHost,
    /// The sessions of its server.
    pub sessions: MemorySessions,
    /// Where it can be stopped.
    pub trap: Trap<FaultPoint>,
    /// The record that it was given last.
    pub record: ServerRecord,
    clock: Clock,
    state: TempDir,
    roles: RoleSet,
    agent: Option<(JoinHandle<()>, CancellationToken, Handle)>,
}

impl Alone {
    /// A node with the image of version 22.3.0 on it and a media server deployed from that.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn deployed() -> Self {
        Self::deployed_as("media-server-only").await
    }

    /// The same with a server of this role.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn deployed_as(role: &str) -> Self {
        let mut alone = Self::with_role(role);
        alone.docker.add_image(IMAGE, image("22.3.0"));
        alone.start();
        alone.give().await;
        let ended = alone.ended().await;
        assert_eq!(ended.kind, OutcomeKind::Succeeded, "{ended:?}");
        alone.healthy().await;
        alone
    }

    /// A node with nothing on it and a record for a server of this role, which it has not been
    /// given yet.
    ///
    /// # Panics
    /// When there is no such role.
    #[must_use]
    pub fn with_role(role: &str) -> Self {
        let roles = RoleSet::built_in().expect("the built-in roles");
        let role: RoleName = role.parse().expect("a role");
        let node: NodeAddr = "172.31.16.139".parse().expect("an address");
        let definition = roles.get(&role).expect("a role").digest();
        let desired = Desired {
            node,
            name: "server-1".parse().expect("a name"),
            role,
            definition,
            run_state: RunState::Running,
            deployment: Deployment(1),
            image: ImageRequest {
                reference: IMAGE.to_owned(),
                pull: PullPolicy::Missing,
                allow_older: false,
                pin: None,
                newest: None,
            },
            parameters: Parameters {
                pbx_address: "54.151.30.9".to_owned(),
                public_address: None,
            },
            replace: None,
            secrets: Vec::new(),
            operation: None,
            adopted: None,
            staged: None,
            drain: Drain::Off,
        };
        let first = Stamp {
            epoch: 1,
            generation: 1,
        };
        let start = jiff::Timestamp::from_second(1_767_225_600).expect("a time");
        Self {
            docker: MemoryDocker::new(roles.clone()),
            host: MemoryHost::new(),
            sessions: MemorySessions::new(),
            trap: Trap::default(),
            record: ServerRecord::seal(first, desired),
            clock: Clock::starting_at(start),
            state: state_directory(),
            roles,
            agent: None,
        }
    }

    /// Starts the agent.
    ///
    /// # Panics
    /// When its files cannot be read.
    pub fn start(&mut self) {
        let state = self.state.path();
        let opened = LedgerFile::open(state, self.clock.now()).expect("a ledger");
        let (journal, _) = Journal::open(state, self.clock.now()).expect("a journal");
        let settings = Arc::new(Settings {
            facts: NodeFacts {
                node: self.record.desired.node,
                data: state.join("data"),
            },
            roles: Arc::new(self.roles.clone()),
            repositories: vec!["portsip/*".to_owned()],
            credentials: "/nonexistent".into(),
        });
        let docker = Arc::new(self.docker.clone());
        let host = Arc::new(self.host.clone());
        let (reconciler, handle) = reconciler::new(Parts {
            link: watch::channel(Link::Welcomed).1,
            gauges: Gauges::default(),
            figures: Figures::none(),
            docker: docker.clone(),
            executor: Executor::new(docker, host, settings.clone()),
            settings,
            prober: Arc::new(MemoryProber(self.docker.clone())),
            sessions: Arc::new(self.sessions.clone()),
            file: opened.file,
            ledger: opened.ledger,
            damage: opened.damage,
            journal,
            clock: self.clock,
            faults: Arc::new(self.trap.clone()),
            watchdog: Arc::new(NoWatchdog),
        });
        let stop = CancellationToken::new();
        let running = tokio::spawn(reconciler.run(stop.clone()));
        self.agent = Some((running, stop, handle));
    }

    /// `kill -9` of the agent, and its start by the service manager.
    pub async fn restart(&mut self) {
        if let Some((running, stop, _)) = self.agent.take() {
            running.abort();
            drop(running.await);
            stop.cancel();
        }
        self.start();
    }

    /// What the agent has on disk of its server.
    ///
    /// # Panics
    /// When it has nothing.
    #[must_use]
    pub fn remembered(&self) -> Entry {
        let opened = LedgerFile::open(self.state.path(), self.clock.now()).expect("a ledger");
        opened.ledger.server.expect("a server")
    }

    fn handle(&self) -> &Handle {
        let agent = self.agent.as_ref().expect("an agent");
        &agent.2
    }

    /// Gives the agent the record, as a controller does after every hello.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn give(&self) {
        let assign = Command::Assign {
            session: SessionFacts {
                store: "store".to_owned(),
                epoch: 1,
            },
            record: Box::new(self.record.clone()),
            recovered: false,
        };
        self.handle().command(assign).await.expect("an agent");
    }

    /// Makes the next record from the present one, without what such a record wants once only, and
    /// gives it.
    pub async fn assign(&mut self, change: impl FnOnce(&mut Desired, u64)) {
        let generation = self.record.id.stamp.generation + 1;
        let mut desired = self.record.desired.clone();
        desired.replace = None;
        desired.staged = None;
        desired.drain = Drain::Off;
        change(&mut desired, generation);
        let stamp = Stamp {
            epoch: 1,
            generation,
        };
        self.record = ServerRecord::seal(stamp, desired);
        self.give().await;
    }

    /// What the agent tells, once it is about the present record.
    pub async fn status(&self) -> ServerStatus {
        self.until(|_| true).await
    }

    /// Waits until what the agent tells of the present record is so.
    ///
    /// # Panics
    /// When it does not come to that.
    pub async fn until(&self, is_so: impl Fn(&ServerStatus) -> bool) -> ServerStatus {
        let mut view = self.handle().view();
        let wait = async {
            loop {
                let status = view.borrow_and_update().status.clone();
                let status = status.filter(|s| s.record == self.record.id && is_so(s));
                match status {
                    Some(status) => return status,
                    None => view.changed().await.expect("the agent lives"),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(status) => status,
            Err(_) => panic!("it did not come to that: {:#?}", view.borrow().status),
        }
    }

    /// The end of the present record.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn ended(&self) -> Outcome {
        let status = self.until(|status| status.outcome.is_some()).await;
        status.outcome.expect("an end")
    }

    /// Waits until the server is healthy.
    pub async fn healthy(&self) -> ServerStatus {
        self.until(|status| status.health == Health::Healthy).await
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if let Some((running, stop, _)) = self.agent.take() {
            running.abort();
            stop.cancel();
        }
    }
}
