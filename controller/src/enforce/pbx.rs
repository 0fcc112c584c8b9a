//! The PBX's IP whitelist as an enforcer.

use std::time::Duration;

use tracing::debug;

use super::{Enforcer, Fault, FaultKind};
use crate::pbx::{IpFilter, NewIpFilter, Pbx, PbxError, PbxId, Target};
use crate::whitelist::{
    EnforcerKind, Entry, Kinds, Policy, Step, Verdict, is_ours, parse_net, single,
};

/// Makes, renews and takes away entries of the whitelist. What an entry does not say it leaves.
#[derive(Debug)]
pub struct PbxFilters {
    pbx: Pbx,
    expiry: Duration,
}

impl PbxFilters {
    /// Entries are made for `expiry`.
    #[must_use]
    pub fn new(pbx: Pbx, expiry: Duration) -> Self {
        Self { pbx, expiry }
    }

    /// Whether the PBX refused because it is so already.
    async fn already(&mut self, step: &Step) -> Result<bool, Fault> {
        let there = self.look().await?;
        Ok(match step {
            Step::Add { address, .. } => there
                .iter()
                .any(|entry| entry.ours && entry.own_address() == Some(*address)),
            Step::Renew { id, .. } | Step::Remove { id, .. } => {
                !there.iter().any(|entry| entry.id == *id)
            }
        })
    }
}

impl Enforcer for PbxFilters {
    fn kind(&self) -> EnforcerKind {
        EnforcerKind::Pbx
    }

    fn policy(&self) -> Policy {
        Policy {
            kinds: Kinds::BOTH,
            expiry: Some(self.expiry),
            limit: None,
        }
    }

    async fn look(&mut self) -> Result<Vec<Entry>, Fault> {
        let filters = self.pbx.ip_filters().await.map_err(fault)?;
        Ok(filters.into_iter().filter_map(entry).collect())
    }

    async fn apply(&mut self, step: &Step) -> Result<(), Fault> {
        let done = match step {
            Step::Add {
                address,
                holder,
                expires,
            } => {
                let new = NewIpFilter {
                    address: *address,
                    expires: *expires,
                    description: holder.description(),
                };
                self.pbx.create_ip_filter(&new).await.map(|_| ())
            }
            Step::Renew {
                id,
                address,
                holder,
                expires,
            } => {
                let new = NewIpFilter {
                    address: *address,
                    expires: *expires,
                    description: holder.description(),
                };
                self.pbx.update_ip_filter(&pbx_id(id)?, &new).await
            }
            Step::Remove { id, .. } => self.pbx.destroy_ip_filter(&pbx_id(id)?).await,
        };
        match done {
            Ok(()) => Ok(()),
            // Refused: perhaps it is so already.
            Err(error @ PbxError::Refused { .. }) if !error.outcome_unknown() => {
                if self.already(step).await? {
                    return Ok(());
                }
                Err(fault(error))
            }
            Err(error) => Err(fault(error)),
        }
    }
}

fn pbx_id(id: &str) -> Result<PbxId, Fault> {
    PbxId::try_from(id.to_owned()).map_err(|error| Fault {
        kind: FaultKind::ThisStep,
        sentence: format!("the PBX's entry cannot be named: {error}"),
        hint: String::new(),
        wait: None,
    })
}

/// As the whitelist has it. What cannot be read neither lets in nor keeps out, and is left.
fn entry(filter: IpFilter) -> Option<Entry> {
    let verdict = match filter.target {
        Target::Accept => Verdict::Accept,
        Target::Deny => Verdict::Deny,
        Target::Unknown => {
            debug!(id = %filter.id, "an entry of the PBX neither accepts nor denies");
            return None;
        }
    };
    let net = match parse_net(&filter.cidr) {
        Ok(net) => net,
        Err(error) => {
            debug!(id = %filter.id, %error, "an entry of the PBX cannot be read");
            return None;
        }
    };
    Some(Entry {
        id: filter.id.to_string(),
        // Somebody may have written our words beside a whole network: that is not our doing.
        ours: is_ours(&filter.description) && verdict == Verdict::Accept && single(&net).is_some(),
        net,
        verdict,
        expires: filter.expires,
        description: filter.description,
    })
}

/// What an error means for what comes next.
fn fault(error: PbxError) -> Fault {
    let kind = if error.outcome_unknown() {
        FaultKind::Unclear
    } else if matches!(error, PbxError::Refused { .. }) && !error.passes() {
        FaultKind::ThisStep
    } else {
        FaultKind::Everything
    };
    Fault {
        kind,
        sentence: error.to_string(),
        hint: error.hint(),
        wait: error.wait(),
    }
}
