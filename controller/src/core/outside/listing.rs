//! What operators are shown of the whitelist.

use jiff::Timestamp;

use super::super::fleet::Fleet;
use super::Outside;
use crate::whitelist::{Drift, Overview, Round};

/// So many sentences about what people had changed are kept for each enforcer. All of them are
/// among the events.
const KEPT: usize = 8;

impl Outside {
    /// Keeps what a round has put right: the next round replaces it.
    pub(super) fn keep_drift(&mut self, round: &Round) {
        let Ok(seen) = &round.result else { return };
        if seen.drift.is_empty() {
            return;
        }
        let kept = self.drift.entry(round.enforcer).or_default();
        for sentence in &seen.drift {
            kept.push_back(Drift {
                at: round.at,
                sentence: sentence.clone(),
            });
        }
        while kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

impl Fleet {
    /// How every address stands with every enforcer.
    pub fn whitelist(&self, now: Timestamp) -> Overview {
        let enforcers = self.enforcers().into_iter().map(|kind| {
            let round = self.outside.rounds.get(&kind).cloned();
            let drift = self.outside.drift.get(&kind);
            let drift = drift.into_iter().flatten().cloned().collect();
            (kind, round, drift)
        });
        let door = self.door(now);
        let mut overview = Overview::of(&self.let_in(), enforcers);
        overview.door_nodes = door.agents.len();
        overview.door_recovering = door.recovering;
        overview
    }
}
