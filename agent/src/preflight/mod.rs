//! The checkup: whether this node is as the guide wants it. `collect` looks, `judge` (pure) says what
//! that means, and this asks the one and then the other, for a controller that wants to know.
//!
//! Called by the session. Nothing is changed, everything ends in time, and what cannot be told is
//! told as unknown. What only the controller can know (clocks side by side, the PBX's network,
//! addresses that operators name) it judges by itself.

pub mod collect;
mod facts;
pub mod judge;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use extend_common::checkup::Check;
use extend_common::ids::RoleName;
use extend_proto::v1;
use futures_util::future::join_all;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

pub use collect::Look;
pub use facts::{Addressing, DataDisk, Door, Facts, Known, NotReached, Os, Power, Tunnel, Updates};

use crate::cloud::Cloud;
use crate::docker::{Docker, Ownership};
use crate::execute::Settings;
use crate::host::Host;
use crate::host::figures::Figures;
use crate::reconciler::AgentView;

/// The controller waits for ten seconds, and the guide's reader for less: all of it ends by then.
const LIMIT: Duration = Duration::from_secs(6);
/// For a connection to the PBX, from a network like its own.
const REACH: Duration = Duration::from_secs(3);
/// The portal, and one port for messages; a controller that names more is another kind of asker.
const MAX_DOORS: usize = 4;
/// The longest word for what listens somewhere, in characters.
const MAX_PURPOSE: usize = 40;

/// Examines this node.
#[derive(Clone)]
pub struct Examiner {
    docker: Arc<dyn Docker>,
    host: Arc<dyn Host>,
    figures: Figures,
    cloud: Cloud,
    settings: Arc<Settings>,
    view: watch::Receiver<AgentView>,
    /// One look at a time: one that hangs on a dead file system is not joined by others.
    looking: Arc<Semaphore>,
}

/// What an examiner asks.
pub struct Parts {
    /// The Engine.
    pub docker: Arc<dyn Docker>,
    /// The host.
    pub host: Arc<dyn Host>,
    /// How the machine does.
    pub figures: Figures,
    /// What its cloud says.
    pub cloud: Cloud,
    /// What this node allows and knows.
    pub settings: Arc<Settings>,
    /// Which server it has.
    pub view: watch::Receiver<AgentView>,
}

impl std::fmt::Debug for Examiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examiner").finish_non_exhaustive()
    }
}

impl Examiner {
    /// An examiner of the node that these are of.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            docker,
            host,
            figures,
            cloud,
            settings,
            view,
        } = parts;
        Self {
            docker,
            host,
            figures,
            cloud,
            settings,
            view,
            looking: Arc::new(Semaphore::new(1)),
        }
    }

    /// What the cloud says, for the session.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Answers a controller. `wanted` is hostile.
    pub async fn answer(&self, wanted: v1::CheckupWanted) -> v1::CheckupTold {
        let doors = wanted.ports.into_iter().take(MAX_DOORS).map(door).collect();
        let role: Option<RoleName> = wanted.role.parse().ok();
        let checks = self.checks(role, doors).await;
        v1::CheckupTold {
            id: wanted.id,
            checks: checks.into_iter().map(Into::into).collect(),
        }
    }

    async fn checks(&self, role: Option<RoleName>, doors: Vec<Door>) -> Vec<Check> {
        let facts = self.facts(doors).await;
        let record = self.view.borrow().record.clone();
        let carries = record.map(|record| record.desired.role);
        let case = judge::Case {
            node: self.settings.facts.node,
            role: role.as_ref().and_then(|role| self.settings.roles.get(role)),
            is_its_own: carries.is_some() && carries == role,
            cloud: self.cloud.facts(),
        };
        judge::judge(&facts, &case)
    }

    /// Everything at once, each in its time.
    async fn facts(&self, doors: Vec<Door>) -> Facts {
        let (looked, docker, containers, reached) = tokio::join!(
            self.look(),
            timeout(LIMIT, self.engine()),
            timeout(LIMIT, self.docker.names()),
            join_all(doors.into_iter().map(|door| self.reached(door))),
        );
        let clock = self.figures.clock();
        let nobody = "no time service that can be asked runs there";
        Facts {
            clock: Some(clock.ok_or_else(|| nobody.to_owned())),
            docker: docker.ok(),
            containers: containers.ok().map(|names| {
                let names = names.map_err(|error| error.to_string())?;
                let node = self.settings.facts.node;
                // Where nodes share an Engine, as in tests, each has its own.
                let others = |owner: &Ownership| owner.node != node;
                let names = names
                    .into_iter()
                    .filter(|container| !container.owner.as_ref().is_some_and(others));
                Ok(names.map(|container| container.name).collect())
            }),
            reached,
            ..looked
        }
    }

    /// What the host shows within the limit.
    async fn look(&self) -> Facts {
        let Ok(place) = self.looking.clone().try_acquire_owned() else {
            return Facts::default();
        };
        let look = Look {
            node: self.settings.facts.node,
            data: self.settings.facts.data.clone(),
        };
        let found = Arc::new(Mutex::new(Facts::default()));
        let (host, into) = (self.host.clone(), found.clone());
        let looking = tokio::task::spawn_blocking(move || {
            host.examine(&look, &into);
            // Held for as long as the look takes, whoever has given up waiting for it.
            drop(place);
        });
        if timeout(LIMIT, looking).await.is_err() {
            tracing::warn!(limit = ?LIMIT, "looking at this host takes too long");
        }
        let found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    async fn engine(&self) -> Known<(crate::docker::EngineFacts, Option<u64>)> {
        let facts = self
            .docker
            .about()
            .await
            .map_err(|error| error.to_string())?;
        let (host, root) = (self.host.clone(), facts.root.clone());
        let free = tokio::task::spawn_blocking(move || host.free_space(&root?)).await;
        Ok((facts, free.ok().flatten()))
    }

    async fn reached(&self, door: Door) -> (Door, Result<(), NotReached>) {
        let to = match &door.to {
            Ok(to) => *to,
            Err(why) => {
                let untried = Err(NotReached::Untried(why.clone()));
                return (door, untried);
            }
        };
        let host = self.host.clone();
        let trying = tokio::task::spawn_blocking(move || host.reach(to, REACH));
        let reached = match timeout(LIMIT, trying).await {
            Ok(Ok(reached)) => reached,
            Ok(Err(_)) | Err(_) => Err(NotReached::Untried(
                "it was not tried to its end".to_owned(),
            )),
        };
        (door, reached)
    }
}

fn door(port: v1::CheckupPort) -> Door {
    let number = u16::try_from(port.port).ok().filter(|number| *number > 0);
    let to = match (port.address.parse::<Ipv4Addr>(), number) {
        (Ok(ip), Some(number)) => Ok(SocketAddrV4::new(ip, number)),
        (Err(_), _) => Err("names are not resolved on nodes".to_owned()),
        (_, None) => Err("it is no port".to_owned()),
    };
    let plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
    Door {
        to,
        purpose: port
            .purpose
            .chars()
            .filter(plain)
            .take(MAX_PURPOSE)
            .collect(),
        needed: port.needed,
    }
}

#[cfg(test)]
mod tests;
