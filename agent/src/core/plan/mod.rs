//! From what should be, what is, and what was begun, to the one next step. Pure: the same view at
//! the same time gives the same decision, and a decision that was carried out halfway is decided
//! anew from what is then seen.
//!
//! ```text
//!   a stop in flight ── wait, kill at the deadline
//!   to be taken over ── adopt: remembered as it is, nothing is done to it
//!   image ahead ─────── stage: fetched beside whatever `tend` does
//!   to take no calls ── drain: none left, or declined; `first` holds the others back
//!   tombstone ───────── remove: stop and remove what is ours
//!   new deployment ──── deploy: resolve → old aside → create → start → verify → promote
//!   otherwise ───────── serve: the serving container under the official name, run state as wanted
//!                       └ once that is so ── tend: what ends or hangs is started again
//! ```

mod adopt;
mod answers;
mod deploy;
mod drain;
mod remove;
mod serve;
mod spare;
mod stage;
mod tend;

use std::time::Duration;

use extend_common::clock::after;
use extend_common::hint::with_hint;
use extend_common::record::{Desired, RunState, Stamp};
use extend_common::roles::{RestartPolicy, Timing};
use extend_common::status::{ContainerState, OutcomeKind, Phase};
use jiff::Timestamp;

use super::entry::Entry;
use super::health::{Signs, Verdict};
use super::observed::{Observed, Owner};
use super::step::{Step, StepKind};
use crate::docker::{Container, Death};
use crate::sessions::Tally;

/// A step that the Engine or the host refuses is tried so often before the record fails.
pub const MAX_TRIES: u32 = 3;
/// A killed container is killed again after this long: SIGKILL needs no time, but a process that
/// waits for a disk does not die at once.
const KILL_AGAIN: Duration = Duration::from_secs(10);

/// A step that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For which record.
    pub stamp: Stamp,
    /// Which step.
    pub kind: StepKind,
    /// How often in a row.
    pub tries: u32,
    /// Why, in words.
    pub reason: String,
}

/// The controller holds restarts, for many servers fail at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Until when.
    pub until: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// Everything that a decision depends on, besides the time.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What the agent remembers.
    pub entry: &'a Entry,
    /// What Docker shows.
    pub observed: &'a Observed,
    /// Whether the current container answers.
    pub verdict: &'a Verdict,
    /// What is seen beside the verdict.
    pub signs: &'a Signs,
    /// Whose containers may be touched.
    pub owner: &'a Owner,
    /// The official container name.
    pub official: &'a str,
    /// The role's times.
    pub timing: &'a Timing,
    /// The role's restart policy.
    pub policy: RestartPolicy,
    /// Since when this process has seen the current container's present run. Docker's own start
    /// time is the wall clock's, which may be stepped.
    pub seen: Timestamp,
    /// Since when, without a break, the verdict has been of its present kind.
    pub verdict_since: Timestamp,
    /// How a process ended that the Engine told of last.
    pub death: Option<&'a Death>,
    /// The step that was refused last.
    pub trouble: Option<&'a Trouble>,
    /// The same of those that go on beside others.
    pub aside: Option<&'a Trouble>,
    /// What is known of the sessions, while they are counted.
    pub sessions: Option<&'a Tally>,
    /// How long a server that does not answer is left alone while it carries calls; none where nobody
    /// knows how to count them.
    pub spare: Option<Duration>,
    /// The controller holds restarts.
    pub hold: Option<&'a Hold>,
    /// No controller is in reach that could.
    pub alone: bool,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A step.
    Do(Step),
    /// A step that takes long, touches no container and goes on beside others, and until this time
    /// nothing else.
    Meanwhile(Step, Option<Timestamp>),
    /// Nothing until something changes, or until this time.
    Wait(Option<Timestamp>),
}

/// A decision, with the words that tell people what is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What comes next.
    pub next: Next,
    /// Where the record is.
    pub phase: Phase,
    /// In words.
    pub detail: String,
}

impl Decision {
    fn step(step: Step, phase: Phase, detail: impl Into<String>) -> Self {
        Self {
            next: Next::Do(step),
            phase,
            detail: detail.into(),
        }
    }

    fn wait(until: Option<Timestamp>, phase: Phase, detail: impl Into<String>) -> Self {
        Self {
            next: Next::Wait(until),
            phase,
            detail: detail.into(),
        }
    }
}

/// Decides what comes next.
pub fn plan(view: &View<'_>, now: Timestamp) -> Decision {
    let decision = next(view, now);
    match (decision.next, view.retiring()) {
        (Next::Wait(until), Some(step)) => Decision {
            next: Next::Meanwhile(step, until),
            ..decision
        },
        (next, _) => Decision { next, ..decision },
    }
}

fn next(view: &View<'_>, now: Timestamp) -> Decision {
    if let Some(decision) = stop_in_flight(view, now) {
        return decision;
    }
    if view.is_settled() && !view.is_tended() {
        // It failed: the next word is the operator's.
        return Decision::wait(None, Phase::Settled, "");
    }
    let given_up = view.given_up();
    if let Some(decision) = adopt::plan(view, now, given_up) {
        return decision;
    }
    if let Some(decision) = stage::plan(view, now) {
        return decision;
    }
    if let Some(decision) = drain::hold(view, now) {
        return decision;
    }
    if view.run_state().is_tombstone() {
        return remove::plan(view, now, given_up);
    }
    if view.entry.is_deploying() {
        if view.is_settled() {
            // A record that has come to its end begins no deployment.
            return Decision::wait(None, Phase::Settled, "");
        }
        return deploy::plan(view, now, given_up);
    }
    serve::plan(view, now, given_up)
}

fn stop_signal(container: &Container) -> String {
    let wanted = &container.stop_signal;
    if wanted.is_empty() {
        "SIGTERM".to_owned()
    } else {
        wanted.clone()
    }
}

/// A stop that was begun runs to its end, whatever the record says meanwhile: a signal cannot be
/// taken back.
fn stop_in_flight(view: &View<'_>, now: Timestamp) -> Option<Decision> {
    let stopping = view.entry.stopping.as_ref()?;
    let instance = &stopping.instance;
    let phase = view.stopping_phase();
    let same = view
        .observed
        .by_id(&instance.container_id)
        .filter(|c| c.state.is_live() && c.started_at == instance.started_at);
    let Some(container) = same else {
        return Some(Decision::step(Step::EndStop, phase, "it has ended"));
    };
    let is_refused = view
        .trouble
        .is_some_and(|trouble| trouble.kind == StepKind::Stop && trouble.tries >= MAX_TRIES);
    if !stopping.signalled && !is_refused {
        let healing = view.entry.healing.as_ref() == Some(instance);
        if healing && *view.verdict == Verdict::Healthy {
            return Some(Decision::step(Step::EndStop, phase, "it answers again"));
        }
        let signal = stop_signal(container);
        // Whoever is asked late has its time all the same.
        let late = stopping.deadline <= now && !healing && view.serves(container);
        let grace = if late {
            view.grace(now)
        } else {
            view.timing.short_grace
        };
        let deadline = stopping.deadline.max(after(now, grace));
        let step = Step::Stop {
            instance: instance.clone(),
            signal,
            deadline,
            restart: None,
        };
        return Some(Decision::step(
            step,
            phase,
            format!("stopping {}", container.name),
        ));
    }
    if now < stopping.deadline {
        let left = extend_common::clock::since(now, stopping.deadline);
        let words = format!(
            "waiting for {} to end, at most {}",
            container.name,
            extend_common::duration::show(left)
        );
        return Some(Decision::wait(Some(stopping.deadline), phase, words));
    }
    let step = Step::Kill {
        id: container.id.clone(),
        again: after(now, KILL_AGAIN),
    };
    let words = format!("{} did not end in time: killing it", container.name);
    Some(Decision::step(step, phase, words))
}

impl View<'_> {
    fn desired(&self) -> &Desired {
        &self.entry.record.desired
    }

    /// Whether nothing is to be done for the record any more, or nothing that the server itself
    /// would notice.
    pub(crate) fn is_settled(&self) -> bool {
        self.entry.outcome.is_some() || self.entry.is_beside_the_server()
    }

    fn run_state(&self) -> RunState {
        self.entry.run_state()
    }

    /// The step that takes stock of a container when the ledger was lost.
    fn recall(&self) -> Option<Decision> {
        let is_lost = self.entry.serving.is_none() && self.current().is_some();
        is_lost.then(|| Decision::step(Step::Recall, Phase::Preparing, "taking stock"))
    }

    /// Why the step that was refused last is not tried again.
    fn given_up(&self) -> Option<&str> {
        let trouble = self.trouble.filter(|_| !self.is_settled())?;
        let same_record = trouble.stamp == self.entry.record.id.stamp;
        (same_record && trouble.tries >= MAX_TRIES).then_some(trouble.reason.as_str())
    }

    /// The image that goes once the record has come to its end: nobody waits for that.
    fn retiring(&self) -> Option<Step> {
        let identity = self
            .entry
            .outcome
            .as_ref()
            .and(self.entry.retired_image())?;
        let may = self.gave_up_beside(StepKind::RemoveImage).is_none();
        let identity = identity.to_owned();
        may.then_some(Step::RemoveImage { identity })
    }

    /// The container under the official name, if it is ours.
    pub(crate) fn current(&self) -> Option<&Container> {
        self.observed
            .current
            .as_ref()
            .filter(|c| self.owner.owns(c))
    }

    /// The container under the official name, if it is somebody else's.
    fn foreign(&self) -> Option<&Container> {
        self.observed
            .current
            .as_ref()
            .filter(|c| !self.owner.owns(c))
    }

    /// Whether it is the container of the deployment that serves.
    fn serves(&self, container: &Container) -> bool {
        let serving = self.entry.serving.as_ref();
        serving.is_some_and(|serving| self.owner.made_by(container, serving.made_by))
    }

    /// Why somebody else's container under the official name is in the way.
    fn taken_by(&self, foreign: &Container) -> String {
        let words = format!(
            "the name {} is held by a container that is not ours ({})",
            self.official,
            foreign.id.get(..12).unwrap_or(&foreign.id)
        );
        with_hint(words, format!("extend adopt -a {}", self.desired().node))
    }

    fn previous(&self) -> Option<&Container> {
        self.observed
            .previous
            .as_ref()
            .filter(|c| self.owner.owns(c))
    }

    fn failed(&self) -> Option<&Container> {
        self.observed.failed.as_ref().filter(|c| self.owner.owns(c))
    }

    fn stopping_phase(&self) -> Phase {
        match self.run_state() {
            state if state.is_tombstone() => Phase::Removing,
            _ if self.entry.spent.is_some() => Phase::RollingBack,
            _ => Phase::Stopping,
        }
    }

    /// Takes a live container a step towards its end: its restart policy goes first, so that
    /// Docker does not bring it back after a restart of its own.
    fn end(&self, container: &Container, grace: Duration, now: Timestamp) -> Decision {
        let phase = self.stopping_phase();
        if container.policy != RestartPolicy::No {
            let step = Step::SetPolicy {
                id: container.id.clone(),
                policy: RestartPolicy::No,
            };
            return Decision::step(step, phase, format!("stopping {}", container.name));
        }
        self.signal(container, grace, now, None)
    }

    fn signal(
        &self,
        container: &Container,
        grace: Duration,
        now: Timestamp,
        restart: Option<Timestamp>,
    ) -> Decision {
        let signal = stop_signal(container);
        let step = Step::Stop {
            instance: container.instance(),
            signal,
            deadline: after(now, grace),
            restart,
        };
        Decision::step(
            step,
            self.stopping_phase(),
            format!("stopping {}", container.name),
        )
    }

    /// The time a container gets to end: the long one only for a service that was not failing.
    fn grace(&self, now: Timestamp) -> Duration {
        match self.ailment(now) {
            Some(_) => self.timing.short_grace,
            None => self.timing.stop_grace,
        }
    }

    /// Why a container that was started for this record does not run as it should.
    fn has_ended(&self, container: &Container) -> Option<String> {
        let started = self.entry.attempt.as_ref().is_some_and(|attempt| {
            attempt.stamp == self.entry.record.id.stamp
                && attempt.before.container_id == container.id
                && attempt.before.started_at != container.started_at
        });
        let restarts = container.restart_count > 0 || container.state == ContainerState::Restarting;
        (started && (restarts || !container.state.is_live())).then(|| ending_words(container))
    }

    fn settle(&self, kind: OutcomeKind, reason: impl Into<String>) -> Decision {
        if self.is_settled() {
            return Decision::wait(None, Phase::Settled, "");
        }
        let step = Step::Settle {
            kind,
            reason: reason.into(),
            container: None,
        };
        Decision::step(step, Phase::Settled, "")
    }

    fn fail(&self, reason: impl Into<String>, container: Option<&Container>) -> Decision {
        let reason = reason.into();
        if self.is_settled() {
            return Decision::wait(None, Phase::Settled, reason);
        }
        let container = container.map(|c| c.id.clone());
        let step = Step::Settle {
            kind: OutcomeKind::Failed,
            reason: reason.clone(),
            container,
        };
        Decision::step(step, Phase::Settled, reason)
    }
}

/// How a container ended, in words.
pub(crate) fn ending_words(container: &Container) -> String {
    if container.oom_killed {
        return format!(
            "{} was killed by the kernel for want of memory",
            container.name
        );
    }
    if !container.error.is_empty() {
        return format!(
            "{} could not be started: {}",
            container.name, container.error
        );
    }
    if container.state == ContainerState::Created {
        return format!("{} was not started", container.name);
    }
    match signal_name(container.exit_code) {
        Some(signal) => format!(
            "{} was ended by {signal} (exit code {})",
            container.name, container.exit_code
        ),
        None => format!(
            "{} exited with code {}",
            container.name, container.exit_code
        ),
    }
}

/// The signal that a process was ended by, as Docker's exit codes tell it: 128 and its number.
fn signal_name(exit_code: i64) -> Option<&'static str> {
    Some(match exit_code - 128 {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
