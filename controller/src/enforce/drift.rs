//! What a person had changed, told by what was seen before. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use crate::whitelist::{Entry, Standing, State, Step};

/// What let each address in at the last look.
#[derive(Debug, Default)]
pub(super) struct Before {
    entries: BTreeMap<Ipv4Addr, Entry>,
}

impl Before {
    /// Keeps what lets the addresses in now. What was known of one that is still missing stays
    /// known until it is mended.
    pub(super) fn keep(&mut self, standings: &[Standing]) {
        let wanted: BTreeMap<Ipv4Addr, &Standing> = standings
            .iter()
            .filter(|standing| standing.state != State::Leaving)
            .map(|standing| (standing.address, standing))
            .collect();
        self.entries
            .retain(|address, _| wanted.contains_key(address));
        for (address, standing) in wanted {
            let in_force = matches!(standing.state, State::InForce | State::Expiring);
            if let (true, Some(entry)) = (in_force, &standing.by) {
                self.entries.insert(address, entry.clone());
            }
        }
    }

    /// The sentence about what a step has put right, when somebody had changed it. `actual` is
    /// what was there before the step.
    pub(super) fn mended(&self, step: &Step, actual: &[Entry], now: Timestamp) -> Option<String> {
        let before = self.entries.get(&step.address())?;
        match step {
            Step::Add {
                address, holder, ..
            } => {
                let stands = actual.iter().any(|entry| entry == before);
                if stands || !before.lives(now) {
                    // It has lapsed by itself, or soon will.
                    return None;
                }
                Some(if before.ours {
                    format!(
                        "the entry of {address} for {} ({} address) had gone or been changed; it is there again",
                        holder.name, holder.kind
                    )
                } else {
                    format!(
                        "`{}`, which let {address} in for {} ({} address), no longer does; Extend has an entry of its own now",
                        before.net, holder.name, holder.kind
                    )
                })
            }
            Step::Renew {
                id,
                address,
                holder,
                ..
            } => {
                let found = actual.iter().find(|entry| entry.id == *id)?;
                let changed = before.id == found.id
                    && (found.expires != before.expires || found.description != before.description);
                changed.then(|| {
                    format!(
                        "the entry of {address} for {} ({} address) had been changed; it is as it was made again",
                        holder.name, holder.kind
                    )
                })
            }
            Step::Remove { .. } => None,
        }
    }
}
