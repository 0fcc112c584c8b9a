//! The agent's one loop: takes in what happened, looks at Docker, decides (`core::plan`), does at
//! most one thing at a time in a task of its own, and tells how it is.
//!
//! The loop itself never waits for an effect. The ledger has no other writer. Beside this file:
//! `taking` (what sessions say), `judging` (what probes and looks say), `setbacks` (what was
//! refused), `telling` (status and events), `job` (what is in flight), `aside` (what goes on beside
//! it), `counting` (sessions that are waited for).
//!
//! ```text
//!   command, Docker's hint, probe round, timer, end of a job
//!        └→ take in → is a job in flight? → wait for its end
//!                     └ no → a record to take? → job Accept
//!                            look needed?      → job Look
//!                            plan says Do      → job Step
//!                            plan says Meanwhile → job Beside, and timer
//!                            plan says Wait    → timer
//! ```

mod aside;
mod counting;
mod hints;
mod job;
mod judging;
mod setbacks;
mod taking;
mod telling;
mod view;

use std::sync::Arc;
use std::time::Duration;

use extend_common::clock::{Clock, after};
use extend_common::ids::RoleName;
use extend_common::record::ServerRecord;
use extend_common::status::{OutcomeKind, Unclaimed};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use view::AgentView;

use crate::core::accept::SessionFacts;
use crate::core::entry::Ledger;
use crate::core::observed::Observed;
use crate::core::plan::{Hold, Next, Trouble, plan};
use crate::core::pulse::Pulse;
use crate::core::status::{Condition, undefined_words};
use crate::core::step::Step;
use crate::docker::Docker;
use crate::execute::{Executor, Settings};
use crate::faults::Faults;
use crate::host::figures::Figures;
use crate::journal::Journal;
use crate::ledger::LedgerFile;
use crate::probe::{self, Aim, Prober, Round};
use crate::service::{self, Gauges, ServiceNews};
use crate::sessions::SessionSource;
use crate::watchdog::{Link, Watchdog};
use aside::Aside;
use counting::Counting;
use job::{Ended, Job, Running};
use judging::Judged;
use setbacks::RETRY;
use telling::Concern;

/// Without any hint the agent looks again after this long: a Docker that fell silent tells nothing.
const RESYNC: Duration = Duration::from_secs(10);
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
    /// Many servers fail at once: no restart of one that hangs is begun for so long.
    Hold {
        /// From now.
        lasts: Duration,
        /// Why, in words.
        reason: String,
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
    /// Knows of sessions.
    pub sessions: Arc<dyn SessionSource>,
    /// Where the agent remembers.
    pub file: LedgerFile,
    /// What it remembers.
    pub ledger: Ledger,
    /// What was wrong with what it remembered.
    pub damage: Option<String>,
    /// Takes what is worth telling people.
    pub journal: Journal,
    /// The time.
    pub clock: Clock,
    /// Kills the agent in tests.
    pub faults: Arc<dyn Faults>,
    /// Minds whether the loop turns.
    pub watchdog: Arc<dyn Watchdog>,
    /// Whether there is a session.
    pub link: watch::Receiver<Link>,
    /// What is measured of the service beside this loop.
    pub gauges: Gauges,
    /// The machine, for its wall clock.
    pub figures: Figures,
}

/// A handle to the running reconciler.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    view: watch::Receiver<AgentView>,
    service: ServiceNews,
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

    /// How the service does, for a new session.
    pub fn service(&self) -> ServiceNews {
        self.service.anew()
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
    /// Docker has been looked at since the agent's start.
    looked: bool,
    judged: Judged,
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
    aside: Aside,
    counting: Counting,
    pulse: Pulse,
    service: service::Teller,
    /// Until when restarts of what hangs are held, and why.
    hold: Option<Hold>,
}

/// Makes the reconciler and the handle to it.
pub fn new(parts: Parts) -> (Reconciler, Handle) {
    let (commands_to, commands) = mpsc::channel(COMMANDS);
    let (rounds_to, rounds) = mpsc::channel(ROUNDS);
    let (aims, aims_from) = watch::channel(None);
    let (view, view_from) = watch::channel(AgentView::of(&parts.ledger));
    tokio::spawn(probe::run(parts.prober.clone(), aims_from, rounds_to));
    let (service, news) = service::channel();
    let counting = Counting::start(parts.sessions.clone());
    let look_at = parts.clock.now();
    let ledger_trouble = parts.damage.clone().unwrap_or_default();
    let pulse = Pulse::of(parts.watchdog.limit());
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
        looked: false,
        judged: Judged::new(look_at),
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
        aside: Aside::default(),
        counting,
        pulse,
        service,
        hold: None,
    };
    (
        reconciler,
        Handle {
            commands: commands_to,
            view: view_from,
            service: news,
        },
    )
}

impl Reconciler {
    /// Turns until `stop`; a job in flight is left to its end by Docker, not by us.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut hints = hints::listen(self.parts.docker.clone(), stop.clone());
        loop {
            let wake = self.advance();
            let wake = self.beat(wake);
            let sleep = self.parts.clock.until(wake);
            tokio::select! {
                () = stop.cancelled() => return,
                Some(command) = self.commands.recv() => self.take_in(command),
                Ok(()) = hints.changed() => {
                    self.judged.hear(&hints.borrow_and_update());
                    self.look_at = self.parts.clock.now();
                }
                Some(round) = self.rounds.recv() => self.note_round(round),
                Ok(()) = self.counting.found.changed() => {}
                Ok(()) = self.parts.link.changed() => {}
                ended = job::ended(&mut self.job) => self.note_end(ended),
                ended = job::ended(&mut self.aside.running) => self.note_end(ended),
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// The loop has turned: feeds the watchdog, and turns again in time for the next.
    fn beat(&mut self, wake: Timestamp) -> Timestamp {
        let in_flight = [&self.job, &self.aside.running].into_iter().flatten();
        let deadline = in_flight.map(Running::deadline).min();
        let beat = self.pulse.turn(self.parts.clock.now(), deadline);
        if beat.feed {
            self.parts.watchdog.feed();
        }
        beat.again.map_or(wake, |again| again.min(wake))
    }

    /// Starts what comes next, if nothing is in flight, and gives the time to wake up.
    fn advance(&mut self) -> Timestamp {
        let now = self.parts.clock.now();
        self.drop_what_is_overtaken();
        self.give_up_what_is_late(now);
        if let Some(job) = &self.job {
            let wake = if job.is_long() { PROGRESS } else { RESYNC };
            let wake = after(now, wake).min(job.deadline());
            self.publish(None, now);
            return wake;
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return at;
        }
        let may_accept = self.accept_after.is_none_or(|at| at <= now);
        if let Some(next) = may_accept.then(|| self.next_ledger()).flatten() {
            self.job = Some(Job::Accept(Box::new(next)).spawn(self));
            return after(now, RESYNC);
        }
        if let Some(job) = self.note_beside() {
            self.job = Some(job.spawn(self));
            return after(now, RESYNC);
        }
        if self.look_at <= now || self.observed.is_none() {
            self.look_at = after(now, RESYNC);
            self.job = Some(Job::Look.spawn(self));
            return self.look_at;
        }
        self.decide(now)
    }

    fn decide(&mut self, now: Timestamp) -> Timestamp {
        self.judge(now);
        self.count_sessions(now);
        let Some(mut decision) = self.with_view(|view| plan(view, now)) else {
            self.aim(None);
            self.publish(None, now);
            return self.give_up_undefined(now);
        };
        if let (Next::Meanwhile(..), Some(words)) = (&decision.next, self.aside.progress()) {
            decision.detail = words;
        }
        self.publish(Some(&decision), now);
        match decision.next {
            Next::Do(step) => {
                let Concern { server, operation } = self.concern();
                let (step, detail) = (Box::new(step), decision.detail);
                tracing::info!(server, operation, step = ?step.kind(), detail, "step");
                self.job = Some(Job::Step(step).spawn(self));
                after(now, RESYNC)
            }
            Next::Meanwhile(step, until) => {
                let wake = self.go_on_beside(step, now).min(self.look_at);
                until.map_or(wake, |at| at.min(wake))
            }
            Next::Wait(until) => until.map_or(self.look_at, |at| at.min(self.look_at)),
        }
    }

    /// A record of a role that this node does not know cannot be carried out.
    fn give_up_undefined(&mut self, now: Timestamp) -> Timestamp {
        let open = self.parts.ledger.server.as_ref();
        if let Some(entry) = open.filter(|entry| entry.outcome.is_none()) {
            let step = Step::Settle {
                kind: OutcomeKind::Failed,
                reason: undefined_words(entry),
                container: None,
            };
            self.job = Some(Job::Step(Box::new(step)).spawn(self));
            return after(now, RESYNC);
        }
        self.look_at
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
                let before = self.record_stamp();
                self.parts.ledger = *ledger;
                if self.record_stamp() != before {
                    self.aside.forget();
                }
                self.judged.forget_death();
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
                self.looked = true;
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
                if matches!(
                    *step,
                    Step::EndStop | Step::Start { .. } | Step::Witness { .. }
                ) {
                    self.judged.forget_death();
                }
                self.note_step(&step, result, now);
            }
            Ended::DoneBeside { step, result } => self.end_beside(step, result, now),
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
}

/// Which role's names are looked at.
fn role(ledger: &Ledger) -> Option<&RoleName> {
    let entry = ledger.server.as_ref()?;
    Some(&entry.record.desired.role)
}
