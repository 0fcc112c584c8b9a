//! A host that exists in memory only: for tests and simulations.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use extend_common::firewall::{
    FirewallChange, FirewallState, FirewallTold, Opening, SeenOpening, ZoneSource,
};
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::roles::{DirectoryDefinition, PortRange};

use super::{BusyPort, Holder, Host, HostAnswer, HostError, HostVerb, RoleNeeds};
use crate::preflight::{Facts, Look, NotReached};

#[derive(Debug, Default)]
struct State {
    directories: BTreeMap<PathBuf, DirectoryDefinition>,
    occupied: BTreeMap<u16, Option<Holder>>,
    sizes: BTreeMap<PathBuf, u64>,
    changes: BTreeSet<(RoleName, &'static str)>,
    trouble: Option<String>,
    free: Option<u64>,
    zone: Option<Zone>,
    facts: Option<Facts>,
    unreachable: BTreeMap<SocketAddrV4, NotReached>,
}

/// firewalld, all of it ours.
#[derive(Debug, Default)]
struct Zone {
    trusted: BTreeSet<Ipv4Addr>,
    open: BTreeSet<Opening>,
}

/// A host in memory. Clones are handles to the same one.
#[derive(Debug, Clone, Default)]
pub struct MemoryHost(Arc<Mutex<State>>);

impl MemoryHost {
    /// A host with nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets some other process listen on a TCP port.
    pub fn occupy(&self, port: u16) {
        self.state().occupied.insert(port, None);
    }

    /// Lets a process that can be named listen on a TCP port.
    pub fn occupy_as(&self, port: u16, holder: Holder) {
        self.state().occupied.insert(port, Some(holder));
    }

    /// Ends what [`Self::occupy`] began.
    pub fn release(&self, port: u16) {
        self.state().occupied.remove(&port);
    }

    /// Says how large a directory is.
    pub fn set_size(&self, path: impl Into<PathBuf>, bytes: u64) {
        self.state().sizes.insert(path.into(), bytes);
    }

    /// Lets every change of the host fail with these words; `None` ends that.
    pub fn set_trouble(&self, cause: Option<&str>) {
        self.state().trouble = cause.map(str::to_owned);
    }

    /// Says how many bytes are free on its disk; there is no end of them otherwise.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.state().free = bytes;
    }

    /// Installs a firewalld in which nobody else has anything.
    pub fn install_firewall(&self) {
        self.state().zone.get_or_insert_default();
    }

    /// What its trusted zone has.
    pub fn trusted(&self) -> BTreeSet<Ipv4Addr> {
        let state = self.state();
        let zone = state.zone.as_ref();
        zone.map(|zone| zone.trusted.clone()).unwrap_or_default()
    }

    /// Somebody takes a source out of its trusted zone.
    pub fn distrust(&self, address: Ipv4Addr) {
        if let Some(zone) = &mut self.state().zone {
            zone.trusted.remove(&address);
        }
    }

    /// Changes what a checkup finds on it, which is as the guide wants it otherwise.
    pub fn set_facts(&self, change: impl FnOnce(&mut Facts)) {
        let mut state = self.state();
        let mut facts = state.facts.take().unwrap_or_else(Facts::exemplary);
        change(&mut facts);
        state.facts = Some(facts);
    }

    /// Lets nobody reach an address from here; `None` ends that.
    pub fn set_unreachable(&self, to: SocketAddrV4, why: Option<NotReached>) {
        let mut state = self.state();
        match why {
            Some(why) => state.unreachable.insert(to, why),
            None => state.unreachable.remove(&to),
        };
    }

    /// What was changed for roles besides directories, and not undone.
    pub fn changes(&self) -> Vec<(RoleName, &'static str)> {
        self.state().changes.iter().cloned().collect()
    }

    /// The directories that were made, by path.
    pub fn directories(&self) -> Vec<DirectoryDefinition> {
        self.state().directories.values().cloned().collect()
    }
}

impl Host for MemoryHost {
    fn act(&self, verb: HostVerb, needs: &RoleNeeds) -> Result<HostAnswer, HostError> {
        let mut state = self.state();
        if let Some(cause) = state
            .trouble
            .as_ref()
            .filter(|_| verb != HostVerb::MeasureData)
        {
            return Err(HostError::new("changing the host", &needs.data, cause));
        }
        let mut answer = HostAnswer::default();
        let role = needs.role.clone();
        match verb {
            HostVerb::MakeDirectories => {
                let made = needs.directories.iter();
                let made = made.map(|directory| (directory.path.clone().into(), directory.clone()));
                state.directories.extend(made);
            }
            HostVerb::SetParameters => {
                state.changes.insert((role, "parameters"));
            }
            HostVerb::OpenFirewall => {
                state.changes.insert((role, "firewall"));
            }
            HostVerb::Undo => state.changes.retain(|(of, _)| *of != role),
            HostVerb::MeasureData => {
                answer.bytes = state.sizes.get(&needs.data).copied().unwrap_or(0);
            }
        }
        Ok(answer)
    }

    fn firewall(&self, change: &FirewallChange) -> Result<FirewallTold, HostError> {
        let mut state = self.state();
        let zone = &mut state.zone;
        let Some(zone) = zone else {
            return Ok(FirewallTold::of(FirewallState::Absent));
        };
        zone.trusted.extend(&change.trust);
        zone.trusted
            .retain(|address| !change.untrust.contains(address));
        zone.open.extend(&change.open);
        zone.open.retain(|opening| !change.close.contains(opening));
        let source = |address: &Ipv4Addr| ZoneSource {
            zone: "trusted".to_owned(),
            address: *address,
            prefix: 32,
            accepts: true,
            first: false,
            runtime: true,
            permanent: true,
            ours: true,
        };
        let opening = |opening: &Opening| SeenOpening {
            opening: *opening,
            whole: true,
        };
        Ok(FirewallTold {
            sources: zone.trusted.iter().map(source).collect(),
            openings: zone.open.iter().map(opening).collect(),
            ..FirewallTold::of(FirewallState::Running)
        })
    }

    fn examine(&self, _: &Look, found: &Mutex<Facts>) {
        let facts = self.state().facts.clone();
        let facts = facts.unwrap_or_else(Facts::exemplary);
        *found.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    fn reach(&self, to: SocketAddrV4, _: Duration) -> Result<(), NotReached> {
        match self.state().unreachable.get(&to) {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    fn free_space(&self, _: &Path) -> Option<u64> {
        Some(self.state().free.unwrap_or(u64::MAX))
    }

    fn busy_port(&self, tcp: &[PortRange], _: NodeAddr) -> Result<Option<BusyPort>, HostError> {
        let state = self.state();
        let mut occupied = state.occupied.iter();
        let taken = occupied.find(|(port, _)| tcp.iter().any(|range| range.contains(**port)));
        Ok(taken.map(|(port, holder)| BusyPort {
            port: *port,
            holder: holder.clone(),
        }))
    }
}
