//! The life of a stand-in: what it should be doing now, given the controls and the signals.
//!
//! ```text
//!            start-delay-ms over                SIGTERM            stop-delay-ms over
//!   Waiting ─────────────────────▶ Serving ───────────────▶ (stopping) ──────────────▶ Stopped
//!                                   ▲   │ deaf                the ports stay bound
//!                                   │   ▼
//!                                   Deaf
//! ```
//!
//! `hang` freezes any of these where it is, before listening as well as after: signals wait,
//! clocks that run out take effect only when it turns false, and a crash has to wait too. From any
//! other mode `crash`, `crash-at-start` and `crash-after-ms` lead straight to `Crashed`. Pure: time
//! is a parameter, and sockets and signals belong to the caller.

use std::time::Duration;

use crate::control::Controls;

/// The code of `crash-after-ms`; no other way to end has it.
pub(crate) const CRASHED_LATER: u8 = 70;

/// What to be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing is listened on yet.
    Waiting,
    /// All ports are bound, connections are accepted.
    Serving,
    /// The UDP ports are bound, the TCP listeners are closed.
    Deaf,
    /// Frozen: what is bound stays bound, nothing is accepted, no signal is taken.
    Hung,
    /// Over after a SIGTERM, with this exit code.
    Stopped(u8),
    /// Over as the controls wanted it, with this exit code.
    Crashed(u8),
}

/// What became of a SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Stopping,
    AlreadyStopping,
    Ignored,
}

/// How far the stand-in has come.
#[derive(Debug, Default)]
pub(crate) struct Life {
    opened: bool,
    stopping_since: Option<Duration>,
}

impl Life {
    /// The mode at `now`, counted from the start of the process.
    pub(crate) fn step(&mut self, now: Duration, controls: &Controls) -> Mode {
        if controls.hang {
            return Mode::Hung;
        }
        if let Some(end) = self.end(now, controls) {
            return end;
        }
        if self.stopping_since.is_none() && now >= controls.start_delay {
            self.opened = true;
        }
        match (self.opened, controls.deaf) {
            (false, _) => Mode::Waiting,
            (true, false) => Mode::Serving,
            (true, true) => Mode::Deaf,
        }
    }

    fn end(&self, now: Duration, controls: &Controls) -> Option<Mode> {
        let at_start = controls.crash_at_start.filter(|_| !self.opened);
        let later = controls
            .crash_after
            .filter(|after| now >= *after)
            .map(|_| CRASHED_LATER);
        if let Some(code) = controls.crash.or(at_start).or(later) {
            return Some(Mode::Crashed(code));
        }
        let since = self.stopping_since?;
        let stopped = now >= controls.stop_delay.saturating_add(since);
        stopped.then_some(Mode::Stopped(controls.sigterm_exit))
    }

    /// Takes a SIGTERM; a hung stand-in must not be told of it.
    pub(crate) fn terminate(&mut self, now: Duration, controls: &Controls) -> Heard {
        if controls.ignore_sigterm {
            return Heard::Ignored;
        }
        if self.stopping_since.is_some() {
            return Heard::AlreadyStopping;
        }
        self.stopping_since = Some(now);
        Heard::Stopping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn controls(text: &str) -> Controls {
        Controls::parse(text, "22.3.0").unwrap()
    }

    #[test]
    fn an_untroubled_life() {
        let none = Controls::default();
        let mut life = Life::default();
        assert_eq!(life.step(MS(0), &none), Mode::Serving);
        assert_eq!(life.step(MS(9), &none), Mode::Serving);
        assert_eq!(life.terminate(MS(10), &none), Heard::Stopping);
        assert_eq!(life.step(MS(10), &none), Mode::Stopped(0));
    }

    #[test]
    fn a_slow_start_can_be_stopped() {
        let slow = controls("start-delay-ms=100\nsigterm-exit=9\nstop-delay-ms=50");
        let mut life = Life::default();
        assert_eq!(life.step(MS(99), &slow), Mode::Waiting);
        assert_eq!(life.terminate(MS(99), &slow), Heard::Stopping);
        assert_eq!(
            life.step(MS(148), &slow),
            Mode::Waiting,
            "it does not open while it stops"
        );
        assert_eq!(life.step(MS(149), &slow), Mode::Stopped(9));
        assert_eq!(Life::default().step(MS(100), &slow), Mode::Serving);
    }

    #[test]
    fn a_slow_stop_serves_to_its_end_and_can_be_released() {
        let slow = controls("stop-delay-ms=1000");
        let mut life = Life::default();
        life.step(MS(0), &slow);
        assert_eq!(life.terminate(MS(10), &slow), Heard::Stopping);
        assert_eq!(life.terminate(MS(20), &slow), Heard::AlreadyStopping);
        assert_eq!(life.step(MS(1009), &slow), Mode::Serving);
        assert_eq!(
            life.step(MS(1010), &slow),
            Mode::Stopped(0),
            "the first SIGTERM counts"
        );
        assert_eq!(life.step(MS(100), &Controls::default()), Mode::Stopped(0));
    }

    #[test]
    fn an_ignored_sigterm_is_forgotten() {
        let mut life = Life::default();
        assert_eq!(
            life.terminate(MS(1), &controls("ignore-sigterm=true")),
            Heard::Ignored
        );
        assert_eq!(life.step(MS(2), &Controls::default()), Mode::Serving);
    }

    #[test]
    fn crashes_end_it() {
        let at_start = controls("crash-at-start=1");
        assert_eq!(Life::default().step(MS(0), &at_start), Mode::Crashed(1));
        let mut running = Life::default();
        running.step(MS(0), &Controls::default());
        assert_eq!(
            running.step(MS(1), &at_start),
            Mode::Serving,
            "too late for a start"
        );
        assert_eq!(running.step(MS(2), &controls("crash=7")), Mode::Crashed(7));
        let later = controls("crash-after-ms=30");
        assert_eq!(running.step(MS(29), &later), Mode::Serving);
        assert_eq!(running.step(MS(30), &later), Mode::Crashed(CRASHED_LATER));
    }

    #[test]
    fn a_hang_freezes_everything_where_it_is() {
        let hung = controls("hang=true\ncrash=1\ncrash-after-ms=1\ndeaf=true");
        let mut life = Life::default();
        assert_eq!(life.step(MS(5), &hung), Mode::Hung);
        assert_eq!(
            life.step(MS(6), &controls("start-delay-ms=10")),
            Mode::Waiting
        );
        assert_eq!(life.step(MS(10), &controls("deaf=true")), Mode::Deaf);
        assert_eq!(life.step(MS(11), &hung), Mode::Hung);
        assert_eq!(life.step(MS(12), &Controls::default()), Mode::Serving);
    }
}
