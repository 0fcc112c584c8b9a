//! The tasks beside the engine that make outside the nodes what the fleet wants there.
//!
//! ```text
//! engine ── wanted ──► list, portal ──► enforcers ──► rounds, looks ──► engine
//! ```
//!
//! Owns which of them there are, by the configuration, and carrying lists to them and rounds back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::{Backoff, jitter};
use extend_common::clock::Clock;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DaemonError;
#[cfg(feature = "aws")]
use crate::aws::{Ec2, Ec2Settings};
use crate::config::{Aws, Config};
#[cfg(feature = "aws")]
use crate::enforce::SecurityGroup;
use crate::enforce::firewalld::{self, Firewalld, OwnPorts};
use crate::enforce::{Enforcer, Pace, PbxFilters, Pokes, PortalTask, Task};
use crate::engine::EngineHandle;
use crate::notify::Posts;
use crate::pbx::{PasswordSource, Pbx, PbxLimits, PbxSettings};
use crate::portal::PortalSeen;
use crate::whitelist::{LetIn, Round};

/// Rounds and looks that the engine has not taken yet. Each task waits for the engine.
const TOLD: usize = 8;
/// After a look at the portal that came to nothing, and a step that was refused.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
};

/// What every enforcer gets.
struct Outside<'a> {
    engine: EngineHandle,
    list: watch::Receiver<Arc<LetIn>>,
    rounds: mpsc::Sender<Round>,
    clock: Clock,
    end: CancellationToken,
    tasks: &'a TaskTracker,
    pokes: Pokes,
}

/// Starts those that the configuration asks for; they go on until `end`.
pub(super) fn start(
    config: &Config,
    (engine, ports, posts): (&EngineHandle, OwnPorts, &Posts),
    clock: Clock,
    end: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Pokes, DaemonError> {
    let (rounds, told) = mpsc::channel(TOLD);
    let mut outside = Outside {
        engine: engine.clone(),
        list: part(engine, end, tasks, |wanted| Arc::clone(&wanted.let_in)),
        rounds,
        clock,
        end: end.clone(),
        tasks,
        pokes: Pokes::default(),
    };
    if let Some(pbx) = pbx(config)? {
        outside.portal(pbx.clone(), config.pbx.poll);
        outside.enforcer(PbxFilters::new(pbx, config.whitelist.expiry));
    }
    if let Some(group) = &config.aws.security_group {
        outside.security_group(group, &config.aws);
    }
    outside.firewalls(config, ports);
    let notices = part(engine, end, tasks, |wanted| Arc::clone(&wanted.notices));
    posts.start(engine, &notices, end, tasks);
    tasks.spawn(tell(engine.clone(), told));
    Ok(outside.pokes)
}

/// The client of the PBX that is configured, if one is.
fn pbx(config: &Config) -> Result<Option<Pbx>, DaemonError> {
    let pbx = &config.pbx;
    let (Some(api), Some(username)) = (&pbx.api, &pbx.username) else {
        return Ok(None);
    };
    Ok(Some(Pbx::new(PbxSettings {
        api: api.parse()?,
        username: username.clone(),
        password: password(&pbx.password_file),
        certificate: pbx.certificate.clone(),
        limits: PbxLimits::default(),
    })))
}

fn password(file: &Path) -> PasswordSource {
    PasswordSource::of_process(file.to_owned())
}

impl Outside<'_> {
    fn enforcer(&mut self, enforcer: impl Enforcer) {
        self.paced(enforcer, Pace::USUAL);
    }

    fn paced(&mut self, enforcer: impl Enforcer, pace: Pace) {
        let task = Task {
            asked: self.pokes.register(enforcer.kind()),
            enforcer,
            list: self.list.clone(),
            rounds: self.rounds.clone(),
            pace,
            clock: self.clock,
            random: jitter,
        };
        self.tasks.spawn(task.run(self.end.clone()));
    }

    #[cfg(feature = "aws")]
    fn security_group(&mut self, group: &str, aws: &Aws) {
        let ec2 = Ec2::new(Ec2Settings {
            region: aws.region.clone(),
            endpoint: aws.endpoint.clone(),
        });
        self.enforcer(SecurityGroup::new(ec2, group.to_owned(), aws.quota));
    }

    #[cfg(not(feature = "aws"))]
    fn security_group(&mut self, group: &str, _: &Aws) {
        let sentence = format!("{group} is not kept: this controller was built without EC2");
        let hint = "install the package, or build with --features extend-controller/aws";
        tracing::warn!(hint, "{sentence}");
        let kind = crate::whitelist::EnforcerKind::SecurityGroup;
        self.enforcer(crate::enforce::Absent::new(kind, &sentence, hint));
    }

    /// firewalld on each of the PBX's nodes, and before this controller's own ports if it is on
    /// one of them. A node on which no agent has joined is asked in vain, which costs nothing.
    fn firewalls(&mut self, config: &Config, ports: OwnPorts) {
        for node in &config.pbx.nodes {
            let (engine, list) = (self.engine.clone(), self.list.clone());
            self.paced(Firewalld::new(*node, engine, list), firewalld::PACE);
        }
        if config.pbx.nodes.contains(&config.address) {
            let task = firewalld::Ports {
                node: config.address,
                engine: self.engine.clone(),
                own: ports,
                door: self.engine.door(),
            };
            self.tasks.spawn(task.run(self.end.clone()));
        }
    }

    fn portal(&mut self, pbx: Pbx, poll: Duration) {
        let (seen, mut looks) = mpsc::channel::<PortalSeen>(TOLD);
        let engine = self.engine.clone();
        self.tasks.spawn(async move {
            while let Some(seen) = looks.recv().await {
                // An engine that has ended takes the daemon with it.
                if engine.portal_seen(seen).await.is_err() {
                    return;
                }
            }
        });
        let wanted = part(&self.engine, &self.end, self.tasks, |wanted| {
            Arc::clone(&wanted.portal)
        });
        let task = PortalTask {
            pbx,
            wanted,
            seen,
            poll,
            backoff: BACKOFF,
            clock: self.clock,
            random: jitter,
        };
        self.tasks.spawn(task.run(self.end.clone()));
    }
}

/// One part of what is wanted, woken only when it has changed.
fn part<T: PartialEq + Send + Sync + 'static>(
    engine: &EngineHandle,
    end: &CancellationToken,
    tasks: &TaskTracker,
    of: fn(&crate::engine::Wanted) -> Arc<T>,
) -> watch::Receiver<Arc<T>> {
    let mut wanted = engine.wanted();
    let first = of(&wanted.borrow_and_update());
    let (sender, receiver) = watch::channel(first);
    let end = end.clone();
    tasks.spawn(end.run_until_cancelled_owned(async move {
        while wanted.changed().await.is_ok() {
            let new = of(&wanted.borrow_and_update());
            sender.send_if_modified(|old| {
                let changed = *old != new;
                *old = new;
                changed
            });
        }
    }));
    receiver
}

/// Carries rounds to the engine.
async fn tell(engine: EngineHandle, mut rounds: mpsc::Receiver<Round>) {
    while let Some(round) = rounds.recv().await {
        if engine.enforced(round).await.is_err() {
            return;
        }
    }
}
