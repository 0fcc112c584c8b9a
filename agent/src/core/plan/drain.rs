//! Sessions come to their end before a process does: nothing that an operator asks for cuts calls
//! while this module holds it back.
//!
//! ```text
//!   first: about to end what serves ── none known three times in a row ── goes on
//!                                    ├ some, or unknown ── waits
//!                                    └ the limit is over ── declined: all is as it was before
//!   hold:  taken ── goes on running, looked after as ever ── none left: succeeded
//!                                                          └ the limit is over: declined
//! ```
//!
//! Until when is written before waiting begins, and outlives the agent. A service that does not run
//! has no sessions. One that hangs has those that its sockets show.

use std::time::Duration;

use extend_common::clock::after;
use extend_common::duration::show;
use extend_common::record::Drain;
use extend_common::status::{OutcomeKind, Phase, SessionCount};
use jiff::Timestamp;

use super::{Decision, Next, View, serve};
use crate::core::step::Step;
use crate::docker::Container;
use crate::sessions::Tally;

/// A count comes every second. An agent that was just started, or that has found none for the first
/// time, counts on for so long at most before it gives up.
const UNDECIDED: Duration = Duration::from_secs(30);

/// What holds the end of a container back that an operator's record is about to end; none when it
/// may end now.
pub(super) fn first(view: &View<'_>, container: &Container, now: Timestamp) -> Option<Decision> {
    let Drain::First { limit_seconds } = view.desired().drain else {
        return None;
    };
    if view.is_settled() || !container.is_up() {
        return None;
    }
    match wait(view, limit_seconds, now) {
        Wait::Begin(step) => Some(Decision::step(step, Phase::Draining, begun())),
        Wait::Over => None,
        Wait::Declined(step) => Some(Decision::step(step, Phase::Draining, "")),
        Wait::Until(at, words) => Some(Decision::wait(Some(at), Phase::Draining, words)),
    }
}

/// A server that takes no new sessions and goes on running; none when nothing is to be waited for,
/// or nothing any more.
pub(super) fn hold(view: &View<'_>, now: Timestamp) -> Option<Decision> {
    let Drain::Hold { limit_seconds } = view.desired().drain else {
        return None;
    };
    if !view.entry.is_holding() {
        return None;
    }
    if let Wait::Begin(step) = wait(view, limit_seconds, now) {
        return Some(Decision::step(step, Phase::Draining, begun()));
    }
    let tended = serve::plan(view, now, None);
    let Next::Wait(until) = tended.next else {
        return Some(Decision {
            phase: Phase::Draining,
            ..tended
        });
    };
    let runs = view.current().is_some_and(Container::is_up);
    Some(match wait(view, limit_seconds, now) {
        Wait::Until(at, words) if runs => {
            let at = until.map_or(at, |until| until.min(at));
            Decision::wait(Some(at), Phase::Draining, words)
        }
        Wait::Declined(step) if runs => Decision::step(step, Phase::Draining, ""),
        _ => {
            let step = settle(OutcomeKind::Succeeded, String::new());
            Decision::step(step, Phase::Draining, "")
        }
    })
}

enum Wait {
    Begin(Step),
    Over,
    Declined(Step),
    Until(Timestamp, String),
}

fn wait(view: &View<'_>, limit_seconds: u32, now: Timestamp) -> Wait {
    let limit = Duration::from_secs(limit_seconds.into());
    let Some(draining) = &view.entry.draining else {
        let until = after(now, limit);
        return Wait::Begin(Step::Drain { until });
    };
    let begun = Tally::begun();
    let tally = view.sessions.unwrap_or(&begun);
    if tally.is_over() {
        return Wait::Over;
    }
    let latest = after(draining.until, UNDECIDED);
    let is_late = now >= draining.until && !tally.is_undecided();
    if is_late || now >= latest {
        return Wait::Declined(settle(OutcomeKind::Declined, left(tally, limit)));
    }
    let again = if now < draining.until {
        draining.until
    } else {
        latest
    };
    let words = match tally.counted {
        0 => self::begun(),
        _ => format!("draining: {}", words(&tally.count)),
    };
    Wait::Until(again, words)
}

fn begun() -> String {
    "draining: counting sessions".to_owned()
}

/// How many sessions there are.
fn words(count: &SessionCount) -> String {
    match count.sessions {
        Some(1) => "1 session".to_owned(),
        Some(sessions) => format!("{sessions} sessions"),
        None => format!("sessions cannot be counted: {}", count.note),
    }
}

fn left(tally: &Tally, limit: Duration) -> String {
    let limit = show(limit);
    match (tally.count.sessions, &tally.count.note) {
        (Some(1), _) => format!("1 session was left after {limit}"),
        (Some(sessions), _) => format!("{sessions} sessions were left after {limit}"),
        (None, why) => format!("its sessions could not be counted for {limit}: {why}"),
    }
}

fn settle(kind: OutcomeKind, reason: String) -> Step {
    Step::Settle {
        kind,
        reason,
        container: None,
    }
}

impl View<'_> {
    /// Whether somebody waits for the sessions of what serves to end, so that they are counted.
    pub(crate) fn is_draining(&self) -> bool {
        let entry = self.entry;
        let waits = match self.desired().drain {
            Drain::Off => false,
            Drain::First { .. } => entry.draining.is_some() && entry.outcome.is_none(),
            Drain::Hold { .. } => !entry.is_declined(),
        };
        waits && self.current().is_some_and(Container::is_up)
    }

    /// Whether the server is to take no new sessions.
    pub(crate) fn is_held(&self) -> bool {
        let holds = matches!(self.desired().drain, Drain::Hold { .. });
        holds && !self.entry.is_declined()
    }
}
