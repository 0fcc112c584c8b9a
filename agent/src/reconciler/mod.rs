//! The agent's one loop: takes in what happened, looks at Docker, decides (`core::plan`), does at
//! most one thing at a time in a task of its own, and tells how it is.
//!
//! The loop itself never waits for an effect. The ledger has no other writer.
//!
//! ```text
//!   command, Docker's hint, probe round, timer, end of a job
//!        └→ take in → is a job in flight? → wait for its end
//!                     └ no → a record to take? → job Accept
//!                            look needed?      → job Look
//!                            plan says Do      → job Step
//!                            plan says Wait    → timer
//! ```

mod hints;
mod job;
mod view;

use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::Backoff;
use extend_common::clock::{Clock, after};
use extend_common::ids::RoleName;
use extend_common::record::{ServerRecord, Stamp};
use extend_common::roles::RoleDefinition;
use extend_common::status::Unclaimed;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use view::AgentView;

use crate::core::accept::{Ignored, SessionFacts};
use crate::core::entry::Ledger;
use crate::core::health::{Health, Verdict};
use crate::core::observed::{Observed, Owner};
use crate::core::plan::{Decision, MAX_TRIES, Next, Trouble, View, plan};
use crate::core::status::{Condition, condition, status};
use crate::core::step::Step;
use crate::docker::Docker;
use crate::execute::{Executor, Settings, StepError};
use crate::faults::Faults;
use crate::ledger::LedgerFile;
use crate::probe::{self, Aim, Prober, Round};
use job::{Ended, Job, Running};

/// Without any hint the agent looks again after this long.
const RESYNC: Duration = Duration::from_secs(30);
/// Between tries of something that was refused or did not answer.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(500),
    most: Duration::from_secs(5),
};
/// How often the progress of a pull is told.
const PROGRESS: Duration = Duration::from_secs(1);
/// Commands are rare and small; a session waits when so many are not yet taken in.
const COMMANDS: usize = 8;
/// Probe rounds wait at most this deep; the prober waits then.
const ROUNDS: usize = 16;

/// What a session tells the reconciler.
#[derive(Debug, Clone)]
pub enum Command {
    /// A controller has welcomed the agent.
    Welcomed(SessionFacts),
    /// A controller has assigned a record.
    Assign {
        /// By whom.
        session: SessionFacts,
        /// What.
        record: Box<ServerRecord>,
        /// It was taken back from this ledger.
        recovered: bool,
    },
}

/// Everything that the reconciler works with.
pub struct Parts {
    /// The Engine.
    pub docker: Arc<dyn Docker>,
    /// Does steps.
    pub executor: Executor,
    /// What the node knows and allows.
    pub settings: Arc<Settings>,
    /// Connects to ports.
    pub prober: Arc<dyn Prober>,
    /// Where the agent remembers.
    pub file: LedgerFile,
    /// What it remembers.
    pub ledger: Ledger,
    /// What was wrong with what it remembered.
    pub damage: Option<String>,
    /// The time.
    pub clock: Clock,
    /// Kills the agent in tests.
    pub faults: Arc<dyn Faults>,
}

/// A handle to the running reconciler.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    view: watch::Receiver<AgentView>,
}

impl Handle {
    /// Gives a command; waits when the reconciler has not taken in the ones before.
    ///
    /// # Errors
    /// The reconciler has ended.
    pub async fn command(&self, command: Command) -> Result<(), mpsc::error::SendError<Command>> {
        self.commands.send(command).await
    }

    /// What the agent has to tell; changes are announced.
    pub fn view(&self) -> watch::Receiver<AgentView> {
        self.view.clone()
    }
}

/// The loop's state.
pub struct Reconciler {
    parts: Parts,
    pending: Option<(SessionFacts, Box<ServerRecord>, bool)>,
    welcomed: Option<SessionFacts>,
    commands: mpsc::Receiver<Command>,
    rounds: mpsc::Receiver<Round>,
    aims: watch::Sender<Option<Aim>>,
    view: watch::Sender<AgentView>,
    observed: Option<Observed>,
    unclaimed: Vec<Unclaimed>,
    health: Option<Health>,
    trouble: Option<Trouble>,
    docker_trouble: String,
    ledger_trouble: String,
    condition: Option<(Condition, Timestamp)>,
    failures: u32,
    /// The last step was refused: a look that succeeds is no reason to hurry again.
    refused: bool,
    /// Not before this time is a ledger tried again that could not be written.
    accept_after: Option<Timestamp>,
    not_before: Option<Timestamp>,
    look_at: Timestamp,
    job: Option<Running>,
}

/// Makes the reconciler and the handle to it.
pub fn new(parts: Parts) -> (Reconciler, Handle) {
    let (commands_to, commands) = mpsc::channel(COMMANDS);
    let (rounds_to, rounds) = mpsc::channel(ROUNDS);
    let (aims, aims_from) = watch::channel(None);
    let (view, view_from) = watch::channel(AgentView::of(&parts.ledger));
    tokio::spawn(probe::run(parts.prober.clone(), aims_from, rounds_to));
    let look_at = parts.clock.now();
    let ledger_trouble = parts.damage.clone().unwrap_or_default();
    let reconciler = Reconciler {
        parts,
        pending: None,
        welcomed: None,
        commands,
        rounds,
        aims,
        view,
        observed: None,
        unclaimed: Vec::new(),
        health: None,
        trouble: None,
        docker_trouble: String::new(),
        ledger_trouble,
        condition: None,
        failures: 0,
        refused: false,
        accept_after: None,
        not_before: None,
        look_at,
        job: None,
    };
    (
        reconciler,
        Handle {
            commands: commands_to,
            view: view_from,
        },
    )
}

impl Reconciler {
    /// Turns until `stop`; a job in flight is left to its end by Docker, not by us.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut hints = hints::listen(self.parts.docker.clone(), stop.clone());
        loop {
            let wake = self.advance();
            let sleep = self.parts.clock.until(wake);
            tokio::select! {
                () = stop.cancelled() => return,
                Some(command) = self.commands.recv() => self.take_in(command),
                Some(()) = hints.recv() => self.look_at = self.parts.clock.now(),
                Some(round) = self.rounds.recv() => self.note_round(round),
                ended = job::ended(&mut self.job) => self.note_end(ended),
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    fn take_in(&mut self, command: Command) {
        match command {
            Command::Welcomed(facts) => self.welcomed = Some(facts),
            Command::Assign {
                session,
                record,
                recovered,
            } => {
                if record.desired.node != self.parts.settings.facts.node {
                    tracing::warn!(reason = %Ignored::OtherNode, "assignment ignored");
                    return;
                }
                let newer = |held: &ServerRecord| record.id.stamp > held.id.stamp;
                if self.pending.as_ref().is_none_or(|(_, held, _)| newer(held)) {
                    self.pending = Some((session, record, recovered));
                }
            }
        }
    }

    fn note_round(&mut self, round: Round) {
        let Some(health) = self
            .health
            .as_mut()
            .filter(|h| *h.instance() == round.instance)
        else {
            return;
        };
        health.note(&round.probe, round.results);
    }

    /// Starts what comes next, if nothing is in flight, and gives the time to wake up.
    fn advance(&mut self) -> Timestamp {
        let now = self.parts.clock.now();
        self.drop_what_is_overtaken();
        if let Some(job) = &self.job {
            let wake = if job.is_long() { PROGRESS } else { RESYNC };
            self.publish(None, now);
            return after(now, wake);
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return at;
        }
        let may_accept = self.accept_after.is_none_or(|at| at <= now);
        if let Some(next) = may_accept.then(|| self.next_ledger()).flatten() {
            self.job = Some(Job::Accept(Box::new(next)).spawn(self));
            return after(now, RESYNC);
        }
        if self.look_at <= now || self.observed.is_none() {
            self.look_at = after(now, RESYNC);
            self.job = Some(Job::Look.spawn(self));
            return self.look_at;
        }
        self.decide(now)
    }

    /// A newer record ends a step that may take minutes; every other step runs to its end.
    fn drop_what_is_overtaken(&mut self) {
        let Some((_, record, _)) = &self.pending else {
            return;
        };
        let held = self
            .parts
            .ledger
            .server
            .as_ref()
            .map(|entry| entry.record.id.stamp);
        let newer = held.is_none_or(|held| record.id.stamp > held);
        if newer && self.job.as_ref().is_some_and(Running::is_long) {
            self.job = None;
            self.look_at = self.parts.clock.now();
        }
    }

    /// The ledger with what the controller has said, if that changes it.
    fn next_ledger(&mut self) -> Option<Ledger> {
        if let Some((session, record, recovered)) = self.pending.take() {
            let stamp = record.id.stamp;
            match self
                .parts
                .ledger
                .accept(&session, *record.clone(), recovered)
            {
                Ok(next) => {
                    tracing::info!(%stamp, "taking a record");
                    self.pending = Some((session, record, recovered));
                    return Some(next);
                }
                Err(Ignored::Known) => {}
                Err(reason) => tracing::warn!(%stamp, %reason, "assignment ignored"),
            }
        }
        let facts = self.welcomed.as_ref()?;
        let ours = self
            .parts
            .ledger
            .store
            .as_ref()
            .is_some_and(|store| *store == facts.store);
        if ours && facts.epoch > self.parts.ledger.epoch {
            return Some(Ledger {
                epoch: facts.epoch,
                ..self.parts.ledger.clone()
            });
        }
        self.welcomed = None;
        None
    }

    fn decide(&mut self, now: Timestamp) -> Timestamp {
        self.aim_at_current();
        let Some(decision) = self.with_view(|view| plan(view, now)) else {
            self.aim(None);
            self.publish(None, now);
            return self.look_at;
        };
        self.publish(Some(&decision), now);
        match decision.next {
            Next::Do(step) => {
                tracing::info!(step = ?step.kind(), detail = %decision.detail, "step");
                self.job = Some(Job::Step(Box::new(step)).spawn(self));
                after(now, RESYNC)
            }
            Next::Wait(until) => until.map_or(self.look_at, |at| at.min(self.look_at)),
        }
    }

    fn definition(&self) -> Option<&RoleDefinition> {
        let entry = self.parts.ledger.server.as_ref()?;
        self.parts.settings.roles.get(&entry.record.desired.role)
    }

    fn verdict(&self) -> Verdict {
        let current = self
            .observed
            .as_ref()
            .and_then(|observed| observed.current.as_ref());
        match (current, &self.health) {
            (Some(current), Some(health)) if *health.instance() == current.instance() => {
                health.verdict(current.health)
            }
            _ => Verdict::Starting,
        }
    }

    fn with_view<T>(&self, ask: impl FnOnce(&View<'_>) -> T) -> Option<T> {
        let entry = self.parts.ledger.server.as_ref()?;
        let observed = self.observed.as_ref()?;
        let definition = self.definition()?;
        let container = definition.main_container();
        let owner = Owner {
            node: self.parts.settings.facts.node,
            role: entry.record.desired.role.clone(),
        };
        Some(ask(&View {
            entry,
            observed,
            verdict: &self.verdict(),
            owner: &owner,
            official: &container.name,
            timing: &definition.timing,
            policy: container.restart,
            seen: self
                .health
                .as_ref()
                .map_or_else(|| self.parts.clock.now(), Health::seen),
            trouble: self.trouble.as_ref(),
        }))
    }

    /// Points the prober at the present run, and forgets what was known of another.
    fn aim_at_current(&mut self) {
        let probe = self
            .definition()
            .and_then(|definition| definition.probes.first().cloned());
        let current = self
            .observed
            .as_ref()
            .and_then(|observed| observed.current.as_ref());
        let live = current.filter(|c| c.state.is_live()).map(|c| c.instance());
        if self.health.as_ref().map(Health::instance) != live.as_ref() {
            let now = self.parts.clock.now();
            self.health = live.clone().map(|instance| Health::of(instance, now));
        }
        let armed = self.health.as_ref().is_some_and(Health::is_armed);
        let node = self.parts.settings.facts.node;
        let aim = live.zip(probe).map(|(instance, probe)| Aim {
            instance,
            node,
            probe,
            armed,
        });
        self.aim(aim);
    }

    fn aim(&self, aim: Option<Aim>) {
        self.aims.send_if_modified(|held| {
            let changed = *held != aim;
            *held = aim;
            changed
        });
    }

    fn note_end(&mut self, ended: Ended) {
        let now = self.parts.clock.now();
        match ended {
            Ended::Accepted(Ok(ledger)) => {
                // A pending record stays: it may have come while another was written. The next turn
                // finds out whether it is known by now.
                if role(&ledger) != role(&self.parts.ledger) {
                    // What was seen bears other names: deciding on it would be deciding blindly.
                    self.observed = None;
                }
                self.parts.ledger = *ledger;
                self.trouble = None;
                self.refused = false;
                self.accept_after = None;
                self.ledger_trouble.clear();
                self.recovered_breath();
            }
            Ended::Looked(Ok(seen)) => {
                let (observed, unclaimed) = *seen;
                self.observed = Some(observed);
                self.unclaimed = unclaimed;
                self.docker_trouble.clear();
                if !self.refused {
                    self.recovered_breath();
                }
            }
            Ended::Looked(Err(error)) => self.docker_is_away(&error.to_string(), now),
            Ended::Stepped {
                step,
                ledger,
                result,
                unwritten,
            } => {
                self.parts.ledger = *ledger;
                self.ledger_trouble = unwritten.unwrap_or_default();
                self.look_at = now;
                self.note_step(&step, result, now);
            }
            Ended::Accepted(Err(error)) => {
                // What runs is looked after meanwhile.
                tracing::error!(%error, "a record cannot be written to the ledger");
                self.ledger_trouble = error;
                self.accept_after = Some(after(now, RETRY.most));
            }
            Ended::NotWritten(error) => {
                tracing::error!(%error, "the ledger cannot be written");
                self.ledger_trouble = error;
                self.back_off(now);
                self.publish(None, now);
            }
            Ended::Lost(error) => {
                tracing::error!(%error, "a task was lost");
                self.look_at = now;
                self.back_off(now);
            }
        }
    }

    fn note_step(&mut self, step: &Step, result: Result<(), StepError>, now: Timestamp) {
        let stamp = self
            .parts
            .ledger
            .server
            .as_ref()
            .map(|entry| entry.record.id.stamp);
        match result {
            Ok(()) => {
                self.trouble = None;
                self.refused = false;
                self.recovered_breath();
            }
            Err(StepError::Unavailable(error)) => self.docker_is_away(&error, now),
            Err(error) => {
                tracing::warn!(step = ?step.kind(), %error, "step refused");
                self.count_trouble(stamp.unwrap_or_default(), step, &error, now);
            }
        }
    }

    fn count_trouble(&mut self, stamp: Stamp, step: &Step, error: &StepError, now: Timestamp) {
        self.refused = true;
        let server = self.parts.ledger.server.as_ref();
        if server.is_some_and(|entry| entry.outcome.is_some()) {
            // Nobody waits for an end any more: the agent goes on trying, with patience.
            self.trouble = None;
            return self.back_off(now);
        }
        let before = self
            .trouble
            .take()
            .filter(|t| t.stamp == stamp && t.kind == step.kind());
        let tries = match error {
            StepError::Permanent(_) => MAX_TRIES,
            _ => before.map_or(0, |trouble| trouble.tries).saturating_add(1),
        };
        self.trouble = Some(Trouble {
            stamp,
            kind: step.kind(),
            tries,
            reason: error.to_string(),
        });
        if tries < MAX_TRIES {
            self.back_off(now);
        }
    }

    /// What became of the last call is not known: nothing is decided before the next look.
    fn docker_is_away(&mut self, error: &str, now: Timestamp) {
        if self.docker_trouble.is_empty() {
            tracing::warn!(%error, "docker unresponsive");
        }
        self.docker_trouble = format!("docker unresponsive: {error}");
        self.observed = None;
        self.back_off(now);
        self.publish(None, now);
    }

    fn back_off(&mut self, now: Timestamp) {
        let wait = RETRY.wait(self.failures, extend_common::backoff::jitter());
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(after(now, wait));
    }

    fn recovered_breath(&mut self) {
        self.failures = 0;
        self.not_before = None;
    }

    fn publish(&mut self, decision: Option<&Decision>, now: Timestamp) {
        let told = decision.and_then(|decision| {
            self.with_view(|view| (condition(view, decision, now), decision.clone()))
        });
        let mut next = AgentView::of(&self.parts.ledger);
        match told {
            Some((condition, decision)) => {
                let since = self.since(&condition, now);
                let data = self.data_directory();
                next.status = self.with_view(|view| {
                    status(view, &decision, condition.clone(), since, data.clone())
                });
            }
            None => {
                next.status = self
                    .view
                    .borrow()
                    .status
                    .clone()
                    .map(|status| self.stale(status));
            }
        }
        next.unclaimed.clone_from(&self.unclaimed);
        next.docker_trouble.clone_from(&self.docker_trouble);
        next.ledger_trouble.clone_from(&self.ledger_trouble);
        self.view.send_if_modified(|held| {
            let changed = *held != next;
            *held = next;
            changed
        });
    }

    /// The last status while a job is in flight, or while Docker is silent.
    fn stale(
        &self,
        mut status: extend_common::status::ServerStatus,
    ) -> extend_common::status::ServerStatus {
        if let Some(words) = self.job.as_ref().and_then(Running::progress) {
            status.detail = words;
        }
        if !self.docker_trouble.is_empty() {
            let unknown = Condition::unknown(self.docker_trouble.clone());
            status.health = unknown.health;
            status.reason = unknown.reason;
        }
        status
    }

    fn since(&mut self, condition: &Condition, now: Timestamp) -> Timestamp {
        match &self.condition {
            Some((held, since)) if held.health == condition.health => *since,
            _ => {
                self.condition = Some((condition.clone(), now));
                now
            }
        }
    }

    fn data_directory(&self) -> String {
        let entry = self.parts.ledger.server.as_ref();
        let facts = &self.parts.settings.facts;
        match (self.definition(), entry) {
            (Some(role), Some(entry)) => facts.data_directory(role, &entry.record.desired),
            _ => String::new(),
        }
    }
}

/// Which role's names are looked at.
fn role(ledger: &Ledger) -> Option<&RoleName> {
    let entry = ledger.server.as_ref()?;
    Some(&entry.record.desired.role)
}
