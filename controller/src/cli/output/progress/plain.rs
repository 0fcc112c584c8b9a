//! Progress for logs and pipes: a line for each phase, none of which is ever taken back.
//!
//! A target tells all phases it went through with their times, so that nothing is missing after
//! updates that were merged, or after a connection that was lost for a while.

use std::collections::HashMap;
use std::time::Duration;

use extend_common::clock::since;
use extend_common::ids::NodeAddr;
use extend_common::operation::{Operation, Target, TargetState};
use extend_common::status::Phase;
use jiff::Timestamp;

use crate::cli::output::text::{local_times, moment};
use crate::cli::view::progress::{has_waves, phase_word, remark, remark_in_turn};

/// A log is told of sessions that end so often at most.
const SESSIONS_EVERY: Duration = Duration::from_secs(30);

/// What has been told of each target.
#[derive(Debug, Default)]
pub(super) struct Plain {
    told: HashMap<NodeAddr, Told>,
    /// What all wait for, without the numbers in it, which may change every second.
    note: String,
}

#[derive(Debug, Default)]
struct Told {
    phases: usize,
    state: Option<TargetState>,
    waiting_for: String,
    /// When the sessions were told of last, and in which words.
    sessions: Option<(Timestamp, String)>,
}

impl Plain {
    /// The lines that are new.
    pub(super) fn update(&mut self, operation: &Operation, now: Timestamp) -> Vec<String> {
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        let waves = has_waves(operation);
        // What was skipped was so because of another that ended at the same moment.
        let mut targets: Vec<&Target> = operation.targets.iter().collect();
        targets.sort_by_key(|target| target.state == TargetState::Skipped);
        for target in targets {
            let told = self.told.entry(target.node).or_default();
            lines.extend(told.phases(target, waves, now));
            lines.extend(told.sessions(target, now));
            lines.extend(told.state(target, waves, now));
        }
        lines.extend(self.note(operation, now));
        // Between targets too the order is that of the events.
        lines.sort_by_key(|(at, _)| *at);
        lines
            .into_iter()
            .map(|(at, line)| format!("{} {line}", moment(at, now)))
            .collect()
    }
}

impl Plain {
    fn note(&mut self, operation: &Operation, now: Timestamp) -> Option<(Timestamp, String)> {
        let words = operation.note.split_whitespace();
        let kind: String = words
            .filter(|word| !word.starts_with(|c: char| c.is_ascii_digit()))
            // One server, several servers.
            .map(|word| word.trim_end_matches([',', 's']))
            .collect();
        if kind == self.note {
            return None;
        }
        self.note = kind;
        let note = local_times(&operation.note, now);
        (!note.is_empty() && operation.ended.is_none()).then_some((now, note))
    }
}

impl Told {
    fn phases(&mut self, target: &Target, waves: bool, now: Timestamp) -> Vec<(Timestamp, String)> {
        let known = self.phases;
        let new = target.phases.get(known..).unwrap_or_default();
        self.phases = self.phases.max(target.phases.len());
        let last = new.len().saturating_sub(1);
        // Its turn has come with the first phase that is not of its image.
        let mut phases = target.phases.iter();
        let turn = phases.position(|entry| !is_of_image(entry.phase));
        let turn = turn.filter(|_| waves);
        let mut lines = Vec::new();
        for (index, entry) in new.iter().enumerate() {
            // The first and the last phase say nothing that the states do not.
            if matches!(entry.phase, Phase::Pending | Phase::Settled) {
                continue;
            }
            let word = phase_word(target, entry.phase);
            let mut line = format!("{} ({}) {word}", target.name, target.node);
            if turn == Some(known + index) {
                line.push_str(&format!(" (wave {})", target.wave.saturating_add(1)));
            }
            let present = index == last && target.state == TargetState::Running;
            // Why something is given up is told with its end, which comes at once.
            if present && !target.detail.is_empty() && entry.phase != Phase::RollingBack {
                line.push_str(": ");
                line.push_str(&remark(target, now));
            }
            if entry.phase == Phase::Ready {
                line.push_str(": the image is there");
            }
            if entry.phase == Phase::Draining {
                self.sessions = Some((entry.at, target.detail.clone()));
            }
            lines.push((entry.at, line));
        }
        lines
    }

    /// How many sessions are left, now and then.
    fn sessions(&mut self, target: &Target, now: Timestamp) -> Option<(Timestamp, String)> {
        let drains = target.state == TargetState::Running && target.phase() == Phase::Draining;
        let (told, words) = self.sessions.as_mut().filter(|_| drains)?;
        // The first number comes a moment after the phase.
        let is_first = !words.contains(|c: char| c.is_ascii_digit());
        let is_due = is_first || since(*told, now) >= SESSIONS_EVERY;
        if !is_due || *words == target.detail {
            return None;
        }
        (*told, *words) = (now, target.detail.clone());
        let (name, node, left) = (&target.name, target.node, remark(target, now));
        Some((now, format!("{name} ({node}) {}: {left}", Phase::Draining)))
    }

    fn state(
        &mut self,
        target: &Target,
        waves: bool,
        now: Timestamp,
    ) -> Option<(Timestamp, String)> {
        // That its turn has not come is no news; that another operation holds it is.
        let is_held = target.state == TargetState::Queued && !target.reason.is_empty();
        let remark = match is_held {
            true => remark_in_turn(target, waves, now),
            false => remark(target, now),
        };
        let waits = is_held || target.state == TargetState::Waiting;
        if self.state == Some(target.state) && (!waits || self.waiting_for == remark) {
            return None;
        }
        self.state = Some(target.state);
        if waits {
            self.waiting_for.clone_from(&remark);
        }
        // That it runs is told by its phases.
        let has_news = waits || target.state.has_ended();
        if !has_news {
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

/// Nothing is asked of the server yet.
fn is_of_image(phase: Phase) -> bool {
    use Phase::{Pending, Preparing, Pulling, Ready};
    matches!(phase, Pending | Preparing | Pulling | Ready)
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
