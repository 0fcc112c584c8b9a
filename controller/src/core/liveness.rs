//! From silence to a verdict: suspect before lost, and never because of our own slowness.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, since};
use extend_common::duration;
use extend_common::ids::NodeAddr;
use extend_common::operation::TargetState;

use super::fleet::Fleet;
use super::settings::Settings;
use super::turn::CloseReason;

/// When ticks come later than this, the controller itself was held up, and what agents said
/// meanwhile may still lie in its queues.
const OWN_LAG: Duration = Duration::from_secs(2);

/// What silence says about an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Alive,
    Suspect,
    Lost,
}

/// Judges a silence.
pub(super) fn judge(silence: Duration, settings: &Settings) -> Verdict {
    if silence >= settings.lost_after() {
        Verdict::Lost
    } else if silence >= settings.suspect_after() {
        Verdict::Suspect
    } else {
        Verdict::Alive
    }
}

impl Fleet {
    /// Looks at every session.
    pub(super) fn watch_silence(&mut self, now: Timestamp) {
        let gap = since(self.ticked, now);
        if gap > OWN_LAG {
            self.forgive(gap, now);
        }
        self.ticked = now;
        let judged: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|(node, entry)| Some((*node, judge(entry.silence(now)?, &self.settings))))
            .filter(|(_, verdict)| *verdict != Verdict::Alive)
            .collect();
        for (node, verdict) in judged {
            if verdict == Verdict::Lost {
                self.give_up(node, now);
            } else if let Some(session) = self.nodes.get_mut(&node).and_then(|n| n.session.as_mut())
            {
                session.suspect = true;
            }
        }
    }

    /// The controller was held up: that time is nobody's silence.
    fn forgive(&mut self, gap: Duration, now: Timestamp) {
        if !self.warm {
            self.started = after(self.started, gap);
        }
        for entry in self.nodes.values_mut() {
            if let Some(session) = entry.session.as_mut() {
                session.heard = after(session.heard, gap).min(now);
            }
        }
    }

    /// Half-open connections say nothing for ever: the agent dials again when it can.
    fn give_up(&mut self, node: NodeAddr, now: Timestamp) {
        let silence = self.nodes.get(&node).and_then(|entry| entry.silence(now));
        let silence = duration::show(silence.unwrap_or_default());
        self.close(node, CloseReason::Silent);
        self.lose(node, format!("nothing was heard of it for {silence}"), now);
    }

    /// Nodes without a session whose target is said to be under way.
    pub(super) fn away_with_running_target(&self) -> Vec<NodeAddr> {
        self.nodes
            .iter()
            .filter(|(_, entry)| entry.session.is_none())
            .filter_map(|(node, entry)| Some((node, self.operations.get(&entry.open()?)?)))
            .filter(|(node, operation)| {
                operation
                    .target(**node)
                    .is_some_and(|row| row.target.state == TargetState::Running)
            })
            .map(|(node, _)| *node)
            .collect()
    }
}
