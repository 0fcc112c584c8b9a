//! The daemon: everything a running controller consists of, put together and taken apart.
//!
//! ```text
//! state (lock, authority, store) ── engine ──┬── agents      :7443  mTLS
//!                                            ├── enrolment   :7444  TLS
//!                                            ├── operators   Unix socket
//!                                            ├── HTTP        :7480  /healthz, /metrics
//!                                            └── enforcers   whitelist, portal
//! ```
//!
//! Owns the order of start and end, and nothing that is decided in between. [`run`] is the process
//! that systemd starts; [`Daemon`] is the same within a test.

mod door;
mod download;
mod enforcers;
mod error;
mod faces;
mod health;
mod http1;
mod notify;
mod process;
mod signals;
mod socket;
pub mod state;

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use extend_common::clock::Clock;
use extend_common::roles::RoleSet;
use extend_common::tls::accept::AcceptTally;
use extend_common::tls::{AcceptLimits, Time, system_time};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::faces::{Faces, Listeners};
use self::socket::OperatorSocket;
use self::state::{State, StateLock};
use crate::ca::{LeafIssuer, OwnCertificate};
use crate::config::Config;
use crate::core::{Kept, OutsideSettings};
use crate::enforce::firewalld::OwnPorts;
use crate::engine::{CrashHook, Engine, EngineConfig, EngineFailure, EngineHandle, NoCrash};
use crate::logs::Broker;
use crate::notify::Posts;
use crate::package::Shelf;
use crate::store::StoreHandle;

pub use error::DaemonError;
pub use process::{run, run_with};

/// What is under way may end by itself for so long: answers on their way out, verdicts of sessions.
const GRACE: Duration = Duration::from_secs(1);
/// Then connections are cut, and the engine and the store have so long to put down what they hold.
const LAST: Duration = Duration::from_millis(700);

/// What a test may exchange.
#[derive(Clone)]
pub struct DaemonOptions {
    /// The time that certificates are issued by and deadlines are kept by.
    pub clock: Clock,
    /// The time that certificates are judged by.
    pub time: Time,
    /// Where the engine may die.
    pub crash: Arc<dyn CrashHook>,
    /// What the TLS faces allow.
    pub limits: AcceptLimits,
}

impl Default for DaemonOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            time: system_time(),
            crash: Arc::new(NoCrash),
            limits: AcceptLimits::default(),
        }
    }
}

/// Where a daemon can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Agents.
    pub agents: SocketAddr,
    /// Joining nodes.
    pub enrolment: SocketAddr,
    /// `/healthz` and `/metrics`.
    pub http: SocketAddr,
    /// Operators.
    pub socket: PathBuf,
}

/// What became of the connections on the TLS faces.
#[derive(Debug, Clone)]
pub struct Tallies {
    /// On the agents' face.
    pub agents: Arc<AcceptTally>,
    /// On the enrolment face.
    pub enrolment: Arc<AcceptTally>,
}

/// A running controller.
#[derive(Debug)]
pub struct Daemon {
    addresses: Addresses,
    tallies: Tallies,
    engine: EngineHandle,
    engine_task: JoinHandle<Result<(), EngineFailure>>,
    store: StoreHandle,
    tasks: TaskTracker,
    ends: Ends,
    socket: OperatorSocket,
    // Last: nobody else may come before everything above has ended.
    lock: StateLock,
}

/// The three ways in which parts are told to end, in the order of a shutdown.
#[derive(Debug, Clone, Default)]
struct Ends {
    /// Take nothing new, and finish what is under way.
    soft: CancellationToken,
    /// Cut every connection.
    hard: CancellationToken,
    /// The engine.
    engine: CancellationToken,
}

impl Ends {
    /// Each tells its parts to end when it is dropped.
    fn guards(&self) -> [DropGuard; 3] {
        [&self.soft, &self.hard, &self.engine].map(|end| end.clone().drop_guard())
    }
}

impl Daemon {
    /// Starts a controller. When this returns it can be reached on every face.
    ///
    /// # Errors
    /// Says what is in the way; nothing is left running.
    pub async fn start(config: Config, options: DaemonOptions) -> Result<Self, DaemonError> {
        let roles = RoleSet::load(&config.roles_dir)?;
        // First: a second controller is told so, and not that some port is taken.
        let directory = config.state_dir.clone();
        let lock = blocking(move || Ok(StateLock::take(&directory)?)).await?;
        let listeners = Listeners::bind(&config.listen).await?;
        let now = options.clock.now();
        let (lock, state) = blocking(move || {
            let state = state::open(&lock, now)?;
            Ok((lock, state))
        })
        .await?;
        let store = state.store.clone();
        let started = Self::start_on(config, options, roles, listeners, (lock, state)).await;
        if started.is_err() {
            store.shutdown().await;
        }
        started
    }

    async fn start_on(
        config: Config,
        options: DaemonOptions,
        roles: RoleSet,
        listeners: Listeners,
        (lock, state): (StateLock, State),
    ) -> Result<Self, DaemonError> {
        let State {
            authority,
            store,
            recovering,
        } = state;
        let ends = Ends::default();
        // Whatever fails from here on, what was started ends with these.
        let guards = ends.guards();
        let lifetime = config.timing.leaf_lifetime;
        let own = OwnCertificate::issue(Arc::clone(&authority), options.clock, lifetime)?;
        let socket = OperatorSocket::bind(&config.socket, &config.socket_group).await?;
        let addresses = listeners.addresses(socket.path());

        for problem in config.alerts.unknown_roles(&roles) {
            tracing::warn!(problem, "the table [alerts] means nobody here");
        }
        let settings = engine_config(&config, &options, roles, recovering);
        let (engine, engine_task) =
            Engine::start(store.clone(), settings, ends.engine.clone()).await?;

        let tasks = TaskTracker::new();
        let issuer = LeafIssuer::new(authority, options.clock, lifetime);
        let posts = Posts::new(&config.alerts.receivers);
        let pokes = enforcers::start(
            &config,
            (&engine, own_ports(&addresses), &posts),
            options.clock,
            &ends.soft,
            &tasks,
        )?;
        let faces = Faces {
            engine: engine.clone(),
            issuer,
            live: own.live(),
            config: &config,
            options: &options,
            addresses: &addresses,
            ends: &ends,
            logs: Broker::default(),
            pokes,
            posts,
            packages: Shelf::new(&config.agent_package_dir),
        };
        let tallies = faces.serve(listeners, socket.listener()?, &tasks)?;
        tasks.spawn(own.keep_fresh(ends.soft.clone()));
        tasks.close();
        say(&config, &addresses, recovering);
        for guard in guards {
            guard.disarm();
        }
        Ok(Self {
            addresses,
            tallies,
            engine,
            engine_task,
            store,
            tasks,
            ends,
            socket,
            lock,
        })
    }

    /// Where it can be reached.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What became of the connections on the TLS faces so far.
    #[must_use]
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// Resolves when the engine ends without having been asked to: its store was taken over by
    /// another controller, or it died. There is nothing left to do but to start again.
    pub async fn engine_ended(&mut self) -> DaemonError {
        match (&mut self.engine_task).await {
            Ok(Err(failure)) => DaemonError::EngineFailed(failure),
            Ok(Ok(())) | Err(_) => DaemonError::Ended("the engine"),
        }
    }

    /// Ends the controller: what is under way is finished or told to come back, within two seconds.
    pub async fn shutdown(self) {
        self.ends.soft.cancel();
        if timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::info!("cutting the connections that have not ended");
        }
        self.put_down().await;
    }

    /// Ends the controller as a crash would: nobody is told anything.
    pub async fn kill(self) {
        self.engine_task.abort();
        self.put_down().await;
    }

    async fn put_down(mut self) {
        self.ends.soft.cancel();
        self.ends.hard.cancel();
        self.ends.engine.cancel();
        let ended = async {
            self.tasks.wait().await;
            if !self.engine_task.is_finished() {
                // It says itself what went wrong, if anything did.
                let _ = (&mut self.engine_task).await;
            }
            self.store.shutdown().await;
        };
        if timeout(LAST, ended).await.is_err() {
            tracing::warn!("the store has not ended in time; what was acknowledged is on the disk");
        }
        drop(self.socket);
        drop(self.lock);
    }
}

fn engine_config(
    config: &Config,
    options: &DaemonOptions,
    roles: RoleSet,
    recovering: bool,
) -> EngineConfig {
    EngineConfig {
        roles,
        default_image: config.image.clone(),
        pull: config.image_pull,
        pbx_address: config.pbx.address.clone(),
        heartbeat: config.timing.heartbeat,
        controllers: config.controllers().into(),
        kept: Kept::default(),
        alerts: Arc::new(config.alerts.settings(config.timing.leaf_lifetime)),
        outside: OutsideSettings {
            portal: config.pbx.api.is_some(),
            security_group: config.aws.security_group.is_some(),
            pbx_nodes: config.pbx.nodes.clone().into(),
            pbx_api: config.pbx.api_host(),
        },
        keep: config.audit.keep,
        recovering,
        clock: options.clock,
        crash: Arc::clone(&options.crash),
    }
}

/// Runs what waits for the disk where that holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DaemonError> + Send + 'static,
) -> Result<T, DaemonError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| DaemonError::Ended("the start"))?
}

/// What an operator should find in the log of a start.
fn say(config: &Config, addresses: &Addresses, recovering: bool) {
    let Addresses {
        agents,
        enrolment,
        http,
        socket,
    } = addresses;
    let socket = socket.display();
    tracing::info!(%agents, %enrolment, %http, %socket, "the controller is ready");
    if config.pbx.address.is_none() {
        tracing::warn!("pbx.address is not set in the configuration: `extend run` will be refused");
    }
    if UdpSocket::bind((config.address.ip(), 0)).is_err() {
        let address = config.address;
        tracing::warn!(%address, "not an address of this host: nodes with a token will look there");
    }
    if !http.ip().is_loopback() {
        tracing::warn!(%http, "everybody who reaches this address can read it");
    }
    if recovering {
        tracing::warn!(
            "the store is new and the certificate authority is not: nodes may know more than this \
             store; nothing is sent to them (extend controller recover)"
        );
    }
}

/// The address that tokens name.
fn enrolment_address(config: &Config, addresses: &Addresses) -> SocketAddrV4 {
    SocketAddrV4::new(config.address.ip(), addresses.enrolment.port())
}

/// The ports that nodes have to reach.
fn own_ports(addresses: &Addresses) -> OwnPorts {
    OwnPorts {
        agents: addresses.agents.port(),
        enrolment: addresses.enrolment.port(),
    }
}

/// Listens on a TCP address.
async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, DaemonError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| DaemonError::Listen {
            what,
            address,
            source,
        })
}
