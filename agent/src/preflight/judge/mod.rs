//! What the facts of a host mean by the guide's rules. Pure: facts in, verdicts out.
//!
//! What the guide demands fails, what is advice or merely likely to hurt warns, and what nobody can
//! tell is unknown: never ok.

mod machine;
mod network;
mod software;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use extend_common::checkup::{Check, CheckName};
use extend_common::cloud::CloudFacts;
use extend_common::host::ClockState;
use extend_common::ids::NodeAddr;
use extend_common::roles::RoleDefinition;

use super::facts::{Addressing, DataDisk, Facts, Known, Os, Power, Updates};
use crate::docker::EngineFacts;
use crate::host::PortUse;

/// What is judged beside the host itself.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// The node.
    pub node: NodeAddr,
    /// The role that is to be there.
    pub role: Option<&'a RoleDefinition>,
    /// A server of this role is there already: what it holds is its own.
    pub is_its_own: bool,
    /// What the cloud says.
    pub cloud: Option<Arc<CloudFacts>>,
}

/// Judges everything that a node alone can tell.
pub fn judge(facts: &Facts, case: &Case<'_>) -> Vec<Check> {
    let role = case.role;
    vec![
        software::os_release(known(&facts.os)),
        software::updates(known(&facts.updates)),
        machine::clock(known(&facts.clock)),
        network::static_address(known(&facts.addressing), case),
        machine::power_saving(known(&facts.power)),
        machine::disk_size(known(&facts.disk), role),
        software::postgresql(known(&facts.packages), known(&facts.ports)),
        software::remote_access(known(&facts.packages), known(&facts.tunnels)),
        network::dns_dhcp(known(&facts.ports)),
        network::ports(known(&facts.ports), case),
        software::docker(known(&facts.docker)),
        network::pbx_reachable(&facts.reached),
        software::one_role(known(&facts.containers), role),
    ]
}

/// A fact, or why there is none.
fn known<T>(fact: &Option<Known<T>>) -> Result<&T, String> {
    match fact {
        Some(Ok(fact)) => Ok(fact),
        Some(Err(why)) => Err(why.clone()),
        None => Err("it could not be looked at in time".to_owned()),
    }
}

/// The check of a fact that is there; unknown where it is not.
fn of<T>(name: CheckName, fact: Result<T, String>, judge: impl FnOnce(T) -> Check) -> Check {
    match fact {
        Ok(fact) => judge(fact),
        Err(why) => Check::unknown(name, why),
    }
}

impl Facts {
    /// A host as the guide wants it, for simulations.
    pub fn exemplary() -> Self {
        Self {
            os: Some(Ok(Os {
                id: "ubuntu".to_owned(),
                version: "24.04".to_owned(),
                name: "Ubuntu 24.04.3 LTS".to_owned(),
            })),
            updates: Some(Ok(Updates {
                pending: 0,
                security: 0,
                reboot: false,
                age: Duration::from_secs(3_600),
            })),
            clock: Some(Ok(ClockState::Synchronized)),
            addressing: Some(Ok(Addressing::Configured(
                "/etc/netplan/50.yaml".to_owned(),
            ))),
            power: Some(Ok(Power {
                governors: BTreeSet::new(),
                can_sleep: false,
                sleep_masked: true,
            })),
            disk: Some(Ok(DataDisk {
                path: "/var/lib/portsip".into(),
                total: 512_000_000_000,
            })),
            packages: Some(Ok(BTreeSet::new())),
            tunnels: Some(Ok(Vec::new())),
            ports: Some(Ok(PortUse::default())),
            docker: Some(Ok((
                EngineFacts {
                    version: "28.5.1".to_owned(),
                    driver: "overlay2".to_owned(),
                    root: Some("/var/lib/docker".into()),
                },
                Some(100_000_000_000),
            ))),
            containers: Some(Ok(Vec::new())),
            reached: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
