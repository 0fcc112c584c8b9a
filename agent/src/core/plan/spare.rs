//! What holds the restart of a server back that does not answer: calls that it carries, a controller
//! that sees many fail at once, and, without one, a little chance.
//!
//! ```text
//!   hangs ── the controller holds restarts ── waits for as long
//!         ├ media flows ── spared: written, told, waited for ── none flows any more ── restarted
//!         │                                                  └ the time is over ────── restarted
//!         └ no controller in reach ── up to ten seconds, another time on every node
//! ```
//!
//! A process that is frozen reads nothing from its sockets, however many are bound: it carries no
//! calls, and is restarted at once.

use std::time::Duration;

use extend_common::clock::after;
use extend_common::record::Drain;
use extend_common::status::Phase;
use jiff::Timestamp;

use super::{Decision, View};
use crate::core::entry::Spared;
use crate::core::health::Verdict;
use crate::core::restart::chance;
use crate::core::step::Step;
use crate::docker::Container;

/// Whether it carries calls is known by then, or taken as so.
const UNDECIDED: Duration = Duration::from_secs(10);
/// A server that answers again for so long has recovered.
const RECOVERED: Duration = Duration::from_secs(60);
/// Without a controller that could hold them, restarts of many nodes are spread over so long.
const SPREAD: Duration = Duration::from_secs(10);

/// Why a restart is not begun now; none when it may be.
pub(super) fn restraint(view: &View<'_>, current: &Container, now: Timestamp) -> Option<Decision> {
    held(view, now)
        .or_else(|| carrying(view, current, now))
        .or_else(|| spread(view, now))
}

fn held(view: &View<'_>, now: Timestamp) -> Option<Decision> {
    let hold = view.hold.filter(|hold| now < hold.until)?;
    let words = format!("restarts are held: {}", hold.reason);
    Some(Decision::wait(Some(hold.until), Phase::Settled, words))
}

fn carrying(view: &View<'_>, current: &Container, now: Timestamp) -> Option<Decision> {
    let spare = view.spare?;
    let carries = view.sessions.and_then(crate::sessions::Tally::carries);
    let waits = |until, words: &str| Some(Decision::wait(Some(until), Phase::Settled, words));
    if carries == Some(false) {
        return None;
    }
    if let Some(spared) = view.spared().filter(|s| s.instance == current.instance()) {
        return match now < spared.until {
            true => waits(spared.until, "it carries calls"),
            false => None,
        };
    }
    // Counting begins with the trouble, which a verdict may have taken its time to become.
    let noticed = view.entry.incident.as_ref().map(|incident| incident.at);
    let begun = noticed.map_or(view.verdict_since, |at| at.max(view.verdict_since));
    let decided = after(begun, UNDECIDED);
    if carries.is_none() && now < decided {
        return waits(decided, "counting its sessions");
    }
    if spare.is_zero() {
        return None;
    }
    let step = Step::Spare {
        instance: current.instance(),
        until: after(now, spare),
    };
    Some(Decision::step(step, Phase::Settled, "it carries calls"))
}

fn spread(view: &View<'_>, now: Timestamp) -> Option<Decision> {
    let incident = view.entry.incident.as_ref().filter(|_| view.alone)?;
    let at = after(incident.at, chance(incident.at, SPREAD));
    let words = "waiting a moment: no controller is in reach";
    (now < at).then(|| Decision::wait(Some(at), Phase::Settled, words))
}

impl View<'_> {
    /// The mercy that the ledger tells of, whatever run it was for.
    pub(crate) fn spared(&self) -> Option<&Spared> {
        self.entry.spared.as_ref()
    }

    /// Whether the mercy is over by itself: it answers again and has for a while, or is another run.
    /// An agent that has just been started has not asked yet, and one good answer is no recovery:
    /// the time that is left goes on.
    pub(super) fn is_spared_in_vain(&self, current: &Container, now: Timestamp) -> bool {
        let is_well = *self.verdict == Verdict::Healthy && self.ailment(now).is_none();
        let lasts = is_well && now >= after(self.verdict_since, RECOVERED);
        self.spared()
            .is_some_and(|spared| spared.instance != current.instance() || lasts)
    }

    /// Whether what is known of sessions decides anything now.
    pub(crate) fn asks_for_sessions(&self, now: Timestamp) -> bool {
        let ails = self.signs.failing.is_some() || self.ailment(now).is_some();
        self.is_draining() || (ails && self.spare.is_some())
    }

    /// Whether somebody waits for its sessions to end, and some may be left.
    pub(super) fn is_being_drained(&self) -> bool {
        let waits = !matches!(self.desired().drain, Drain::Off) && self.entry.outcome.is_none();
        let carries = self.sessions.and_then(crate::sessions::Tally::carries);
        waits && self.is_draining() && carries != Some(false)
    }
}
