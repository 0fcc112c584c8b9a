//! What a role changes on its host besides its containers: what may be said of it in a definition,
//! and how it is told to people before it is done.
//!
//! The agent's root helper does it; the controller lists it in plans. Nothing is done here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DirectoryDefinition, RoleDefinition};

/// What is set on the host, and put back when the server is removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostDefinition {
    /// Kernel parameters of the network, by their dotted names.
    #[serde(default)]
    pub sysctl: BTreeMap<String, String>,
}

/// Longer than any value that a parameter of the network has.
const MAX_SYSCTL_VALUE: usize = 64;

impl HostDefinition {
    /// The parameter that cannot be set, and why: the helper reaches those of the network only,
    /// and writes each on a line of a file.
    pub(super) fn broken_rule(&self) -> Option<(&str, String)> {
        self.sysctl.iter().find_map(|(name, value)| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            let mut parts = name.split('.');
            let is_of_network = parts.next() == Some("net") && name.contains('.');
            if !is_of_network || !parts.all(|p| !p.is_empty() && p.chars().all(is_name)) {
                let rule = format!("`{name}` is no kernel parameter of the network (net.…)");
                return Some((name.as_str(), rule));
            }
            let is_value = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
            let is_short = (1..=MAX_SYSCTL_VALUE).contains(&value.len());
            let is_good = is_short && value.trim() == value && value.chars().all(is_value);
            (!is_good).then(|| {
                let rule = format!("`{value}` is no value of a kernel parameter");
                (name.as_str(), rule)
            })
        })
    }
}

impl RoleDefinition {
    /// The name of the role's service in firewalld.
    pub fn firewall_service(&self) -> String {
        format!("extend-{}", self.role)
    }

    /// The role's ports as firewalld writes them, in the definition's order.
    pub fn firewall_ports(&self) -> Vec<String> {
        let udp = self.firewall.udp.iter().map(|range| format!("{range}/udp"));
        let tcp = self.firewall.tcp.iter().map(|range| format!("{range}/tcp"));
        udp.chain(tcp).collect()
    }

    /// What a node gets before the first container of this role, a line each. What is so already
    /// is left as it is.
    pub fn host_changes(&self) -> Vec<String> {
        let mut lines = directory_lines(&self.directories);
        let sysctl = self.host.sysctl.iter();
        lines.extend(sysctl.map(|(name, value)| format!("kernel parameter {name} = {value}")));
        if let Some(service) = self.firewall_line() {
            lines.push(service);
        }
        lines
    }

    /// What is undone on a node when a server of this role is removed, a line each.
    pub fn host_reversals(&self) -> Vec<String> {
        let sysctl = self.host.sysctl.keys();
        let mut lines: Vec<String> = sysctl
            .map(|name| format!("kernel parameter {name}: as it was before"))
            .collect();
        if self.firewall_line().is_some() {
            lines.push(format!(
                "firewalld service {}: removed",
                self.firewall_service()
            ));
        }
        lines
    }

    fn firewall_line(&self) -> Option<String> {
        let ports = self.firewall_ports();
        let service = self.firewall_service();
        (!ports.is_empty()).then(|| {
            format!(
                "firewalld service {service}, where firewalld runs: {}",
                ports.join(" ")
            )
        })
    }
}

/// Directories that lie in one another and are alike share a line.
fn directory_lines(directories: &[DirectoryDefinition]) -> Vec<String> {
    let mut lines: Vec<(String, &DirectoryDefinition, Vec<&str>)> = Vec::new();
    for directory in directories {
        let within = lines.last_mut().and_then(|(_, top, below)| {
            let rest = directory.path.strip_prefix(&top.path)?.strip_prefix('/')?;
            let alike =
                (directory.mode, directory.uid, directory.gid) == (top.mode, top.uid, top.gid);
            alike.then_some((below, rest))
        });
        match within {
            Some((below, rest)) => below.push(rest),
            None => lines.push((attributes(directory), directory, Vec::new())),
        }
    }
    let line = |(attributes, top, below): (String, &DirectoryDefinition, Vec<&str>)| {
        let with = match below.as_slice() {
            [] => String::new(),
            some => format!(", with {}", some.join(", ")),
        };
        format!("directory {} ({attributes}){with}", top.path)
    };
    lines.into_iter().map(line).collect()
}

fn attributes(directory: &DirectoryDefinition) -> String {
    let id = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    match (directory.uid, directory.gid) {
        (None, None) => format!("{:o}", directory.mode),
        (uid, gid) => format!("{:o} {}:{}", directory.mode, id(uid), id(gid)),
    }
}
