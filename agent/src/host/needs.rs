//! What a role wants of its host, rendered from the node's own files: by the agent, and by the root
//! helper anew, so that the agent's word is not needed for any path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use extend_common::ids::RoleName;
use extend_common::roles::{DirectoryDefinition, RoleDefinition};

/// What a role wants of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleNeeds {
    /// The role.
    pub role: RoleName,
    /// Its directories, in order.
    pub directories: Vec<DirectoryDefinition>,
    /// Where its data lies.
    pub data: PathBuf,
    /// Its kernel parameters.
    pub parameters: BTreeMap<String, String>,
    /// The name of its service in firewalld.
    pub service: String,
    /// The service's ports: `8840-8845/udp`.
    pub ports: Vec<String>,
}

impl RoleNeeds {
    /// What `role` wants on a node whose services keep their data in `data`.
    pub fn of(role: &RoleDefinition, data: &Path) -> Self {
        // A definition has no other placeholder in these.
        let fill = |text: &str| text.replace("{data}", &data.to_string_lossy());
        let directories = role
            .directories
            .iter()
            .map(|directory| DirectoryDefinition {
                path: fill(&directory.path),
                ..directory.clone()
            });
        let first = role.main_container().mounts.first();
        Self {
            role: role.role.clone(),
            directories: directories.collect(),
            data: first
                .map(|mount| fill(&mount.source).into())
                .unwrap_or_default(),
            parameters: role.host.sysctl.clone(),
            service: role.firewall_service(),
            ports: role.firewall_ports(),
        }
    }
}
