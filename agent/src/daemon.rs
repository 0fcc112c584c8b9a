//! The composition root: puts the agent together and keeps it running until it is told to end.
//!
//! Stopping the agent stops no service.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use extend_common::clock::Clock;
use extend_common::files;
use extend_common::roles::RoleSet;
use extend_common::tls::system_time;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::core::spec::NodeFacts;
use crate::docker::engine::{Engine, EngineTimeouts};
use crate::docker::{Docker, RegistryAuth};
use crate::execute::{Executor, Settings};
use crate::faults::Faults;
use crate::host::figures::{self, Figures};
use crate::host::{Host, SystemHost};
use crate::identity::Identity;
use crate::journal::Journal;
use crate::ledger::LedgerFile;
use crate::lock::StateLock;
use crate::logs::Sources;
use crate::probe::{Prober, TcpProber};
use crate::reconciler::{self, Parts};
use crate::session::controllers::Controllers;
use crate::session::dial::TlsDial;
use crate::session::{self, About, Dial};

/// What a running agent consists of, apart from its identity and its files: the real ones here,
/// simulated ones in tests.
pub struct World {
    /// The Engine.
    pub docker: Arc<dyn Docker>,
    /// Directories and ports.
    pub host: Arc<dyn Host>,
    /// Connects to ports.
    pub prober: Arc<dyn Prober>,
    /// How the machine does.
    pub figures: Figures,
    /// The way to the controller.
    pub dial: Arc<dyn Dial>,
    /// The time.
    pub clock: Clock,
    /// Kills the agent in tests.
    pub faults: Arc<dyn Faults>,
}

/// Runs the agent as a daemon until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let clock = Clock::system();
    files::private_directory(&config.state_dir).context("preparing the state directory")?;
    let _lock = StateLock::take(&config.state_dir)?;
    let identity = Identity::load(&config.state_dir).context("reading this node's identity")?;
    let settings = settings(config, &identity)?;
    tracing::info!(node = %settings.facts.node, version = env!("CARGO_PKG_VERSION"), "agent starts");
    let engine = Arc::new(Engine::connect(
        &config.docker_socket,
        EngineTimeouts::default(),
    )?);
    let controllers = Controllers::load(
        &config.state_dir,
        &config.controllers,
        identity.enrolment.agents,
    );
    let (figures, sampling) = figures::keep(config.data_dir.clone(), engine.clone());
    tokio::spawn(sampling);
    let world = World {
        docker: engine,
        host: Arc::new(SystemHost),
        prober: Arc::new(TcpProber::default()),
        figures,
        dial: Arc::new(TlsDial::new(identity, controllers, system_time(), clock)),
        clock,
        faults: faults(),
    };
    let stop = CancellationToken::new();
    tokio::spawn(ended_by_signal(stop.clone())?);
    notify(&[sd_notify::NotifyState::Ready]);
    Box::pin(live(world, settings, &config.state_dir, stop)).await?;
    notify(&[sd_notify::NotifyState::Stopping]);
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
        figures: world.figures,
    };
    let executor = Executor::new(world.docker.clone(), world.host, settings.clone());
    let (reconciler, handle) = reconciler::new(Parts {
        docker: world.docker.clone(),
        executor,
        settings: settings.clone(),
        prober: world.prober,
        file: opened.file,
        ledger,
        damage,
        journal: journal.clone(),
        clock: world.clock,
        faults: world.faults,
    });
    let logs = Sources {
        docker: world.docker,
        settings,
        view: handle.view(),
    };
    tokio::join!(
        reconciler.run(stop.clone()),
        session::run(
            session::Tells {
                handle,
                journal,
                logs,
            },
            world.dial,
            about,
            stop.clone()
        ),
    );
    Ok(())
}

fn settings(config: &Config, identity: &Identity) -> anyhow::Result<Settings> {
    let roles = RoleSet::load(&config.roles_dir).context("loading the role definitions")?;
    Ok(Settings {
        facts: NodeFacts {
            node: identity.enrolment.node,
            data: config.data_dir.clone(),
        },
        roles: Arc::new(roles),
        repositories: config.repositories.clone(),
        credentials: credentials(&config.registry_credentials)?,
    })
}

/// Docker's `config.json`, as far as it holds credentials.
pub(crate) fn credentials(path: &Path) -> anyhow::Result<BTreeMap<String, RegistryAuth>> {
    let text = match files::read_secret(path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).context("reading the registry credentials"),
    };
    crate::docker::credentials::parse(&text)
        .with_context(|| format!("reading the registry credentials {}", path.display()))
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

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

fn faults() -> Arc<dyn Faults> {
    #[cfg(feature = "failpoints")]
    return Arc::new(crate::faults::CrashFromEnvironment::new());
    #[cfg(not(feature = "failpoints"))]
    return Arc::new(crate::faults::NoFaults);
}
