//! Time passes: deadlines, silences, tokens, and targets that were left for later.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::after;

use super::fleet::Fleet;
use super::turn::Turn;

/// How often to look when nothing is due: silences are judged this finely.
pub const TICK: Duration = Duration::from_millis(250);

impl Fleet {
    /// Does what is due. Answers when to come again at the latest.
    pub fn tick(&mut self, now: Timestamp) -> Turn<Timestamp> {
        self.watch_silence(now);
        self.warm_up(now);
        self.end_overdue(now);
        self.let_expire(now);
        for id in std::mem::take(&mut self.backlog) {
            self.advance(id, now);
        }
        for id in self.paced.clone() {
            self.advance(id, now);
        }
        self.tend_breaker(now);
        self.tend_portal(now);
        self.pass_gates(now);
        self.tell_many(now);
        self.tend_alerts(now);
        self.archive_old(now);
        self.keep_histories(now);
        let wake = self.next_wake(now);
        self.turn(wake)
    }

    /// Whether targets could begin that were left for the next tick.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    fn next_wake(&self, now: Timestamp) -> Timestamp {
        if self.has_backlog() {
            return now;
        }
        let soon = after(now, TICK);
        self.next_end().map_or(soon, |end| end.clamp(now, soon))
    }
}
