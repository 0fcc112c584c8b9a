//! One simulated process: when it ends, if nobody interferes.

use tokio::time::Instant;

use super::behaviour::{Behaviour, StopBehaviour};

/// The exit code of a process that a signal killed, SIGKILL.
pub(super) const KILLED: i64 = 137;

/// The end of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) at: Instant,
    pub(super) code: i64,
    pub(super) by_kernel_for_memory: bool,
}

/// A process, from its start until the Engine has noticed its end.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) started: Instant,
    /// Its end, which a daemon that sleeps has not noticed.
    pub(super) ended: Option<End>,
    hung: bool,
    paused: bool,
    /// When it last began to run: at its start, or after a hang or a pause.
    awake_since: Instant,
    /// Asked to end while it could not hear.
    asked_meanwhile: bool,
    /// It has heard, and ends then.
    leaves: Option<(Instant, i64)>,
    /// It ends then, whatever it does.
    doomed: Option<End>,
}

impl Process {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            ended: None,
            hung: false,
            paused: false,
            awake_since: now,
            asked_meanwhile: false,
            leaves: None,
            doomed: None,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.ended.is_none()
    }

    pub(super) fn is_awake(&self) -> bool {
        self.is_alive() && !self.hung && !self.paused
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Ends it.
    pub(super) fn kill(&mut self, now: Instant, code: i64, for_memory: bool) {
        let end = End {
            at: now,
            code,
            by_kernel_for_memory: for_memory,
        };
        self.doomed.get_or_insert(end);
    }

    /// Asks it to end. What it does is decided when it hears.
    pub(super) fn ask(&mut self, now: Instant, behaviour: &Behaviour) {
        if !self.is_awake() {
            self.asked_meanwhile = true;
        } else if self.leaves.is_none()
            && let StopBehaviour::After(delay, code) = behaviour.stop
        {
            self.leaves = Some((now + delay, code));
        }
    }

    pub(super) fn set_hung(&mut self, hung: bool, now: Instant, behaviour: &Behaviour) {
        self.hung = hung;
        self.wake(now, behaviour);
    }

    pub(super) fn set_paused(&mut self, paused: bool, now: Instant, behaviour: &Behaviour) {
        self.paused = paused;
        self.wake(now, behaviour);
    }

    fn wake(&mut self, now: Instant, behaviour: &Behaviour) {
        if self.is_awake() {
            self.awake_since = now;
            if std::mem::take(&mut self.asked_meanwhile) {
                self.ask(now, behaviour);
            }
        }
    }

    /// When and how it ends, as things stand.
    pub(super) fn end(&self, behaviour: &Behaviour) -> Option<End> {
        if self.ended.is_some() || self.doomed.is_some() || !self.is_awake() {
            return self.doomed.filter(|_| self.ended.is_none());
        }
        let by_itself = behaviour
            .exits_after
            .map(|(after, code)| (self.started + after, code));
        let ends = [self.leaves, by_itself].into_iter().flatten();
        ends.min_by_key(|(at, _)| *at).map(|(at, code)| End {
            at: at.max(self.awake_since),
            code,
            by_kernel_for_memory: false,
        })
    }
}
