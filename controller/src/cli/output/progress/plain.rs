//! Progress for logs and pipes: a line for each phase, none of which is ever taken back.
//!
//! A target tells all phases it went through with their times, so that nothing is missing after
//! updates that were merged, or after a connection that was lost for a while.

use std::collections::HashMap;

use extend_common::ids::NodeAddr;
use extend_common::operation::{Operation, Target, TargetState};
use extend_common::status::Phase;
use jiff::Timestamp;

use crate::cli::output::text::{local_times, moment};
use crate::cli::view::progress::{phase_word, remark};

/// What has been told of each target.
#[derive(Debug, Default)]
pub(super) struct Plain {
    told: HashMap<NodeAddr, Told>,
}

#[derive(Debug, Default)]
struct Told {
    phases: usize,
    state: Option<TargetState>,
    waiting_for: String,
}

impl Plain {
    /// The lines that are new.
    pub(super) fn update(&mut self, operation: &Operation, now: Timestamp) -> Vec<String> {
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        for target in &operation.targets {
            let told = self.told.entry(target.node).or_default();
            lines.extend(told.phases(target, now));
            lines.extend(told.state(target, now));
        }
        // Between targets too the order is that of the events.
        lines.sort_by_key(|(at, _)| *at);
        lines
            .into_iter()
            .map(|(at, line)| format!("{} {line}", moment(at, now)))
            .collect()
    }
}

impl Told {
    fn phases(&mut self, target: &Target, now: Timestamp) -> Vec<(Timestamp, String)> {
        let new = target.phases.get(self.phases..).unwrap_or_default();
        self.phases = self.phases.max(target.phases.len());
        let last = new.len().saturating_sub(1);
        let mut lines = Vec::new();
        for (index, entry) in new.iter().enumerate() {
            // The first and the last phase say nothing that the states do not.
            if matches!(entry.phase, Phase::Pending | Phase::Settled) {
                continue;
            }
            let word = phase_word(target, entry.phase);
            let mut line = format!("{} ({}) {word}", target.name, target.node);
            let present = index == last && target.state == TargetState::Running;
            // Why something is given up is told with its end, which comes at once.
            if present && !target.detail.is_empty() && entry.phase != Phase::RollingBack {
                line.push_str(": ");
                line.push_str(&local_times(&target.detail, now));
            }
            lines.push((entry.at, line));
        }
        lines
    }

    fn state(&mut self, target: &Target, now: Timestamp) -> Option<(Timestamp, String)> {
        let remark = remark(target, now);
        let waits_for_another = target.state == TargetState::Waiting && self.waiting_for != remark;
        if self.state == Some(target.state) && !waits_for_another {
            return None;
        }
        self.state = Some(target.state);
        if target.state == TargetState::Waiting {
            self.waiting_for.clone_from(&remark);
        }
        // That it runs is told by its phases; that its turn has not come is no news.
        if matches!(target.state, TargetState::Queued | TargetState::Running) {
            return None;
        }
        let server = format!("{} ({}) {}", target.name, target.node, target.state);
        let line = match (remark.is_empty(), target.state) {
            (true, _) => server,
            (false, TargetState::Succeeded) if !target.reason.is_empty() => {
                format!("{server}, with a warning: {remark}")
            }
            (false, _) => format!("{server}: {remark}"),
        };
        Some((target.ended.unwrap_or(now), line))
    }
}
