//! The machine itself: what is asked is done here and now, with the rights that this process has.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use extend_common::firewall::{FirewallChange, FirewallState, FirewallTold};
use extend_common::ids::NodeAddr;
use extend_common::roles::PortRange;

use crate::preflight::{Facts, Look, NotReached, collect};

use super::changes::{Firewall, Notes, Parameters};
use super::firewall::Zones;
use super::{
    BusyPort, Host, HostAnswer, HostError, HostVerb, RoleNeeds, directory_size, ensure_directories,
    figures, holder, listening_ports,
};

/// Where a host keeps what is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Root's notes of what was changed, and what was there before.
    pub notes: PathBuf,
    /// Where kernel parameters are set for the next boot.
    pub sysctl: PathBuf,
    /// Where others may have set them.
    pub sysctl_others: Vec<PathBuf>,
    /// Where they are set now.
    pub proc_sys: PathBuf,
    /// firewalld's command.
    pub firewall_cmd: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            notes: "/var/lib/extend-agent-host".into(),
            sysctl: "/etc/sysctl.d".into(),
            sysctl_others: vec![
                "/etc/sysctl.conf".into(),
                "/run/sysctl.d".into(),
                "/usr/local/lib/sysctl.d".into(),
                "/usr/lib/sysctl.d".into(),
                "/lib/sysctl.d".into(),
            ],
            proc_sys: "/proc/sys".into(),
            firewall_cmd: "/usr/bin/firewall-cmd".into(),
        }
    }
}

/// The machine.
#[derive(Debug, Clone, Default)]
pub struct SystemHost {
    places: Places,
    makes_changes: bool,
    keeps_firewall: bool,
}

impl SystemHost {
    /// A host whose kernel parameters and firewall are changed only if `makes_changes`.
    pub fn new(places: Places, makes_changes: bool) -> Self {
        Self {
            places,
            makes_changes,
            keeps_firewall: false,
        }
    }

    /// The same, with whether firewalld's trusted zone is kept as a controller says.
    #[must_use]
    pub fn keeping_firewall(mut self, keeps: bool) -> Self {
        self.keeps_firewall = keeps;
        self
    }

    fn set_parameters(&self, needs: &RoleNeeds) -> Result<Vec<String>, HostError> {
        let parameters = Parameters::of(&self.places, &needs.role);
        if !self.makes_changes || needs.parameters.is_empty() {
            return Ok(Vec::new());
        }
        let missing = parameters.missing(&needs.parameters)?;
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let mut notes = Notes::open(&self.places.notes, &needs.role)?;
        parameters.set(&missing, &mut notes)
    }

    fn open_firewall(&self, needs: &RoleNeeds) -> Result<Vec<String>, HostError> {
        if !self.makes_changes || needs.ports.is_empty() {
            return Ok(Vec::new());
        }
        let firewall = Firewall::of(&self.places);
        if !firewall.runs()? {
            return Ok(Vec::new());
        }
        let mut notes = Notes::open(&self.places.notes, &needs.role)?;
        firewall.open(&needs.service, &needs.ports, &mut notes)
    }

    /// What can be put back is, whatever cannot: the first thing that cannot is told.
    fn undo(&self, needs: &RoleNeeds) -> Result<Vec<String>, HostError> {
        let Some(mut notes) = Notes::of_before(&self.places.notes, &needs.role)? else {
            return Ok(Vec::new());
        };
        let parameters = Parameters::of(&self.places, &needs.role).put_back(&mut notes);
        let firewall = Firewall::of(&self.places).close(&mut notes);
        let mut changed = parameters?;
        changed.extend(firewall?);
        Ok(changed)
    }
}

impl Host for SystemHost {
    fn act(&self, verb: HostVerb, needs: &RoleNeeds) -> Result<HostAnswer, HostError> {
        let (mut changed, mut bytes) = (Vec::new(), 0);
        match verb {
            HostVerb::MakeDirectories => changed = ensure_directories(&needs.directories)?,
            HostVerb::SetParameters => changed = self.set_parameters(needs)?,
            HostVerb::OpenFirewall => changed = self.open_firewall(needs)?,
            HostVerb::Undo => changed = self.undo(needs)?,
            HostVerb::MeasureData => bytes = directory_size(&needs.data)?,
        }
        if !changed.is_empty() {
            let (role, all) = (&needs.role, changed.join("; "));
            tracing::info!(%role, ?verb, changed = all, "host changed");
        }
        Ok(HostAnswer { changed, bytes })
    }

    fn firewall(&self, change: &FirewallChange) -> Result<FirewallTold, HostError> {
        let firewall = Zones::of(&self.places);
        if self.keeps_firewall {
            firewall.act(change)
        } else {
            firewall.untouched(FirewallState::NotAllowed)
        }
    }

    fn examine(&self, look: &Look, found: &Mutex<Facts>) {
        collect::look(Path::new("/"), look, found);
    }

    fn reach(&self, to: SocketAddrV4, limit: Duration) -> Result<(), NotReached> {
        collect::reach(to, limit)
    }

    fn free_space(&self, path: &Path) -> Option<u64> {
        figures::free_space(path)
    }

    fn busy_port(&self, tcp: &[PortRange], node: NodeAddr) -> Result<Option<BusyPort>, HostError> {
        let busy = listening_ports()?.busy(tcp, node);
        Ok(busy.map(|port| BusyPort {
            port,
            holder: holder::of_port(port),
        }))
    }
}
