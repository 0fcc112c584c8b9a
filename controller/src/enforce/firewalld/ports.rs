//! The controller's own ports, where firewalld runs on its node: open to those whom the door lets
//! in, and to nobody else.
//!
//! Level-triggered like everything here: it looks, does what is missing, and looks again, whenever
//! the door changes and every few seconds. An opening of ours goes when the door no longer knows
//! its source; that takes nothing from anybody whom the door would let in. While records are taken
//! back the door lets in whom the store does not know, so nothing goes then.

use std::collections::BTreeSet;
use std::sync::Arc;

use extend_common::backoff::jitter;
use extend_common::firewall::{FirewallChange, FirewallState, MAX_ADDRESSES, Opening, SeenOpening};
use extend_common::ids::NodeAddr;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{PACE, ask, done};
use crate::core::view::DoorSets;
use crate::enforce::Fault;
use crate::engine::EngineHandle;

/// The ports of the two own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnPorts {
    /// Where agents come.
    pub agents: u16,
    /// Where nodes join, and renew certificates that have expired.
    pub enrolment: u16,
}

/// Keeps the ports of the controller on its node.
#[derive(Debug)]
pub struct Ports {
    /// The node that carries the controller.
    pub node: NodeAddr,
    /// The way there.
    pub engine: EngineHandle,
    /// Which ports.
    pub own: OwnPorts,
    /// Who may come.
    pub door: watch::Receiver<Arc<DoorSets>>,
}

impl Ports {
    /// Goes on until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut failed = 0;
        loop {
            let kept = tokio::select! {
                () = shutdown.cancelled() => return,
                kept = self.keep() => kept,
            };
            let wait = match kept {
                Ok(()) => {
                    if failed > 0 {
                        tracing::info!(node = %self.node, "firewalld lets nodes to the controller again");
                    }
                    failed = 0;
                    PACE.interval
                }
                Err(fault) => {
                    if failed == 0 {
                        let (node, hint) = (self.node, fault.hint);
                        tracing::warn!(%node, hint, "{}", fault.sentence);
                    }
                    failed += 1;
                    PACE.backoff.wait(failed, jitter())
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(wait) => {}
                changed = self.door.changed(), if failed == 0 => if changed.is_err() { return },
            }
        }
    }

    /// Looks, and does what follows.
    async fn keep(&mut self) -> Result<(), Fault> {
        let door = Arc::clone(&self.door.borrow_and_update());
        let look = FirewallChange::default();
        let Some(told) = ask(&self.engine, self.node, look).await? else {
            return Ok(());
        };
        if told.state != FirewallState::Running {
            return Ok(());
        }
        let change = change(&wanted(&door, self.own), &told.openings, door.recovering);
        if change.is_empty() {
            return Ok(());
        }
        match ask(&self.engine, self.node, change).await? {
            Some(told) => done(self.node, told),
            None => Ok(()),
        }
    }
}

/// What has to be open for whom the door lets in.
fn wanted(door: &DoorSets, own: OwnPorts) -> BTreeSet<Opening> {
    let to = |port| {
        move |source: &std::net::Ipv4Addr| Opening {
            port,
            source: *source,
        }
    };
    let agents = door.agents.iter().map(to(own.agents));
    agents
        .chain(door.enrolment.iter().map(to(own.enrolment)))
        .filter(|opening| extend_common::firewall::is_a_hosts(opening.source))
        .collect()
}

/// What has to be done where `seen` is there: as much of it as one message takes. What is shut by
/// mistake hurts more than what is open by mistake: the door stands behind it.
fn change(wanted: &BTreeSet<Opening>, seen: &[SeenOpening], recovering: bool) -> FirewallChange {
    let whole: BTreeSet<Opening> = seen
        .iter()
        .filter(|seen| seen.whole)
        .map(|seen| seen.opening)
        .collect();
    let open: BTreeSet<Opening> = wanted
        .difference(&whole)
        .copied()
        .take(MAX_ADDRESSES)
        .collect();
    let spare = seen.iter().map(|seen| seen.opening);
    let spare = spare.filter(|opening| !recovering && !wanted.contains(opening));
    FirewallChange {
        close: spare.take(MAX_ADDRESSES).collect(),
        open,
        ..FirewallChange::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use super::*;

    const OWN: OwnPorts = OwnPorts {
        agents: 7443,
        enrolment: 7444,
    };

    fn at(port: u16, last: u8) -> Opening {
        Opening {
            port,
            source: Ipv4Addr::new(172, 31, 16, last),
        }
    }

    fn seen(openings: &[(Opening, bool)]) -> Vec<SeenOpening> {
        let seen = openings.iter().map(|(opening, whole)| SeenOpening {
            opening: *opening,
            whole: *whole,
        });
        seen.collect()
    }

    #[test]
    fn each_port_is_for_those_whom_its_face_lets_in() {
        let door = DoorSets {
            agents: HashSet::from([at(0, 139).source, Ipv4Addr::LOCALHOST]),
            enrolment: HashSet::from([at(0, 140).source]),
            refused: HashSet::from([at(0, 141).source]),
            recovering: false,
        };
        let expected = BTreeSet::from([at(7443, 139), at(7444, 140)]);
        assert_eq!(wanted(&door, OWN), expected);
    }

    #[test]
    fn what_is_missing_or_not_whole_is_opened_and_what_nobody_needs_is_shut() {
        let wanted = BTreeSet::from([at(7443, 139), at(7443, 140), at(7443, 141)]);
        let there = seen(&[
            (at(7443, 139), true),
            (at(7443, 140), false),
            (at(7444, 140), true),
        ]);
        let expected = FirewallChange {
            open: BTreeSet::from([at(7443, 140), at(7443, 141)]),
            close: BTreeSet::from([at(7444, 140)]),
            ..FirewallChange::default()
        };
        assert_eq!(change(&wanted, &there, false), expected);
        // Whom the store does not know may be whom it has to take back.
        let nothing_goes = FirewallChange {
            close: BTreeSet::new(),
            ..expected
        };
        assert_eq!(change(&wanted, &there, true), nothing_goes);
        let all = wanted.iter().map(|opening| (*opening, true));
        let all: Vec<_> = all.collect();
        assert!(change(&wanted, &seen(&all), false).is_empty());
    }
}
