//! The composition root: puts the agent together and keeps it running until it is told to end.
//!
//! Stopping the agent stops no service.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use extend_common::clock::Clock;
use extend_common::files;
use extend_common::roles::RoleSet;
use extend_common::telemetry;
use extend_common::tls::system_time;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cloud::{self, Cloud};
use crate::config::Config;
use crate::core::spec::NodeFacts;
use crate::docker::engine::{Engine, EngineTimeouts};
use crate::docker::{Docker, credentials};
use crate::dumps;
use crate::execute::{Executor, Settings};
use crate::failure::Failure;
use crate::faults::Faults;
use crate::host::figures::{self, Figures};
use crate::host::{HelperHost, Host, Places, SystemHost, helper};
use crate::identity::wait;
use crate::journal::Journal;
use crate::ledger::LedgerFile;
use crate::lock::StateLock;
use crate::logs::Sources;
use crate::preflight::{self, Examiner};
use crate::probe::{Prober, RealProber};
use crate::reconciler::{self, Parts};
use crate::service::Gauges;
use crate::session::controllers::Controllers;
use crate::session::dial::TlsDial;
use crate::session::{self, About, Dial};
use crate::sessions::{KernelSessions, SessionSource};
use crate::watchdog::{self, Link, ServiceManager, Watchdog};

/// What a running agent consists of, apart from its identity and its files: the real ones here,
/// simulated ones in tests.
pub struct World {
    /// The Engine.
    pub docker: Arc<dyn Docker>,
    /// Directories and ports.
    pub host: Arc<dyn Host>,
    /// Asks the service whether it answers.
    pub prober: Arc<dyn Prober>,
    /// Knows of sessions.
    pub sessions: Arc<dyn SessionSource>,
    /// How the machine does.
    pub figures: Figures,
    /// What its cloud says.
    pub cloud: Cloud,
    /// The way to the controller.
    pub dial: Arc<dyn Dial>,
    /// The time.
    pub clock: Clock,
    /// Kills the agent in tests.
    pub faults: Arc<dyn Faults>,
    /// Minds whether the agent's loop turns.
    pub watchdog: Arc<dyn Watchdog>,
    /// What is measured of the service beside the reconciler.
    pub gauges: Gauges,
}

/// Runs the agent as a daemon until SIGTERM or SIGINT. A node that has not joined is waited for,
/// and one that is joined anew goes on with its new identity.
///
/// # Errors
/// When it cannot start.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let (clock, manager) = (Clock::system(), ServiceManager);
    let stop = CancellationToken::new();
    tokio::spawn(ended_by_signal(stop.clone())?);
    files::private_directory(&config.state_dir).context("preparing the state directory")?;
    let _lock = StateLock::take(&config.state_dir)?;
    let roles = RoleSet::load(&config.roles_dir).context("loading the role definitions")?;
    let roles = Arc::new(roles);
    // Services are looked after all the same; a pull says it again.
    if let Err(error) = credentials::read(&config.registry_credentials) {
        tracing::error!("{}", Failure::of(&error));
    }
    let engine = Arc::new(Engine::connect(
        &config.docker_socket,
        EngineTimeouts::default(),
    )?);
    let (figures, sampling) = figures::keep(config.data_dir.clone(), engine.clone());
    tokio::spawn(sampling);
    let (cloud, asking) = cloud::keep(config.instance_metadata);
    tokio::spawn(asking);
    manager.ready();
    let state = &config.state_dir;
    while let Some(identity) = wait::for_identity(state, manager, clock, &stop).await {
        let node = identity.enrolment.node;
        telemetry::of_node(&node.to_string());
        tracing::info!(%node, version = env!("CARGO_PKG_VERSION"), "agent starts");
        let settings = Settings {
            facts: NodeFacts {
                node,
                data: config.data_dir.clone(),
            },
            roles: roles.clone(),
            repositories: config.repositories.clone(),
            credentials: config.registry_credentials.clone(),
        };
        let (life, mark) = (stop.child_token(), identity.mark());
        let controllers = Controllers::load(state, &config.controllers, identity.enrolment.agents);
        let dial = TlsDial::new(identity, controllers, system_time(), clock);
        let gauges = Gauges::default();
        let prober = RealProber::new(config.data_dir.clone(), engine.clone(), gauges.clone());
        let world = World {
            docker: engine.clone(),
            host: host(config),
            prober: Arc::new(prober),
            sessions: Arc::new(KernelSessions::default()),
            figures: figures.anew(),
            cloud: cloud.clone(),
            dial: Arc::new(dial),
            clock,
            faults: faults(),
            watchdog: Arc::new(manager),
            gauges,
        };
        let (lived, ()) = tokio::join!(
            async {
                let lived = Box::pin(live(world, settings, state, life.clone())).await;
                life.cancel();
                lived
            },
            wait::for_another(state, mark, &life),
        );
        lived?;
    }
    manager.stopping();
    tracing::info!("agent ends; services stay as they are");
    Ok(())
}

/// Lives in a world until `stop`.
///
/// # Errors
/// When the ledger or the journal cannot be read.
pub async fn live(
    world: World,
    settings: Settings,
    state: &Path,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let opened = LedgerFile::open(state, world.clock.now()).context("opening the ledger")?;
    let (journal, damaged) =
        Journal::open(state, world.clock.now()).context("opening the journal")?;
    let damage = opened.damage.clone().or(damaged);
    if let Some(damage) = &damage {
        tracing::error!("{damage}");
    }
    let mut ledger = opened.ledger;
    if let Some(entry) = &mut ledger.server
        && let Some(role) = settings.roles.get(&entry.record.desired.role)
    {
        entry.heed_clock(world.clock.now(), role.timing.stop_grace);
    }
    let settings = Arc::new(settings);
    let about = About {
        node: settings.facts.node,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        definitions: settings
            .roles
            .iter()
            .map(|r| (r.role.clone(), r.digest()))
            .collect(),
        figures: world.figures.clone(),
    };
    let host = world.host;
    let executor = Executor::new(world.docker.clone(), host.clone(), settings.clone());
    let (link, linked) = watch::channel(Link::default());
    let (reconciler, handle) = reconciler::new(Parts {
        docker: world.docker.clone(),
        executor,
        settings: settings.clone(),
        prober: world.prober,
        sessions: world.sessions,
        file: opened.file,
        ledger,
        damage,
        journal: journal.clone(),
        clock: world.clock,
        faults: world.faults,
        watchdog: world.watchdog.clone(),
        link: linked.clone(),
        gauges: world.gauges.clone(),
        figures: world.figures.clone(),
    });
    let view = handle.view();
    let examiner = Examiner::new(preflight::Parts {
        docker: world.docker.clone(),
        host: host.clone(),
        figures: world.figures,
        cloud: world.cloud,
        settings: settings.clone(),
        view: handle.view(),
    });
    let dumps = dumps::keep(world.gauges, settings.clone(), handle.view(), stop.clone());
    let logs = Sources {
        docker: world.docker,
        settings,
        view: handle.view(),
    };
    tokio::join!(
        dumps,
        reconciler.run(stop.clone()),
        session::run(
            session::Tells {
                handle,
                journal,
                logs,
                host,
                examiner,
                link,
            },
            world.dial,
            about,
            stop.clone()
        ),
        watchdog::tell_status(world.watchdog.as_ref(), view, linked, &stop),
    );
    Ok(())
}

/// Root does by itself what others ask the helper for.
fn host(config: &Config) -> Arc<dyn Host> {
    if nix::unistd::geteuid().is_root() {
        let host = SystemHost::new(Places::default(), config.host_changes);
        return Arc::new(host.keeping_firewall(config.firewall));
    }
    Arc::new(HelperHost::new(helper::SOCKET, config.host_changes))
}

fn ended_by_signal(
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    })
}

fn faults() -> Arc<dyn Faults> {
    #[cfg(feature = "failpoints")]
    return Arc::new(crate::faults::CrashFromEnvironment::new());
    #[cfg(not(feature = "failpoints"))]
    return Arc::new(crate::faults::NoFaults);
}
