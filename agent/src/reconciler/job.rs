//! One thing in flight: a look at Docker, a record going to the ledger, or a step with the ledger
//! written before and after it.

use extend_common::clock::{Clock, after};
use extend_common::status::Unclaimed;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use super::Reconciler;
use crate::core::entry::Ledger;
use crate::core::observed::Observed;
use crate::core::step::{Done, Step};
use crate::docker::DockerError;
use crate::execute::{Executor, Settings, StepError};
use crate::faults::{FaultPoint, Faults};
use crate::ledger::LedgerFile;

use std::sync::Arc;
use std::time::Duration;

/// A few calls to the Engine, and a few more for each container that nobody has claimed; each of
/// them is bounded.
const LOOK_LIMIT: Duration = Duration::from_secs(60);
/// A busy disk may take its time; a broken one takes for ever.
const WRITE_LIMIT: Duration = Duration::from_secs(120);
/// Two writes, a call to the Engine, and the host's part.
const STEP_LIMIT: Duration = Duration::from_secs(10 * 60);
/// An image may have to be fetched again on the way.
const CREATE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// A pull goes on for as long as something comes; so slow a registry is none.
const RESOLVE_LIMIT: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a step may take at most, whatever happens.
fn step_limit(step: &Step) -> Duration {
    match step {
        Step::Resolve { .. } | Step::Stage { .. } => RESOLVE_LIMIT,
        Step::Create { .. } => CREATE_LIMIT,
        _ => STEP_LIMIT,
    }
}

/// What to do.
pub(super) enum Job {
    /// See what Docker has.
    Look,
    /// Put a ledger with a new record on disk.
    Accept(Box<Ledger>),
    /// Do a step.
    Step(Box<Step>),
    /// Do what a step is about, and leave the ledger alone: it goes on beside others.
    Beside(Box<Step>),
    /// Write what such a step has come to.
    Note(Box<Step>, Done),
}

/// How it ended.
pub(super) enum Ended {
    Looked(Result<Box<(Observed, Vec<Unclaimed>)>, DockerError>),
    Accepted(Result<Box<Ledger>, String>),
    Stepped {
        step: Box<Step>,
        /// As it is in memory now; `unwritten` tells why it is not on disk.
        ledger: Box<Ledger>,
        result: Result<(), StepError>,
        unwritten: Option<String>,
    },
    /// Nothing of it is in the ledger yet.
    DoneBeside {
        step: Box<Step>,
        result: Result<Done, StepError>,
    },
    /// The ledger could not be written: the step counts as not done.
    NotWritten(String),
    Lost(JoinError),
}

/// A job in flight. Dropping it gives it up.
pub(super) struct Running {
    task: JoinHandle<Ended>,
    what: String,
    deadline: Timestamp,
    long: bool,
    progress: watch::Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    pub(super) fn is_long(&self) -> bool {
        self.long
    }

    /// By when it has ended, or is given up.
    pub(super) fn deadline(&self) -> Timestamp {
        self.deadline
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// What a pull tells of its progress.
    pub(super) fn progress(&self) -> Option<String> {
        Some(self.progress.borrow().clone()).filter(|words| !words.is_empty())
    }
}

/// Waits for the end of the job, for ever when there is none. Safe to be dropped and called
/// again: the job is taken out only at its end. Progress wakes nobody; it is told with the next
/// publication.
pub(super) async fn ended(job: &mut Option<Running>) -> Ended {
    let Some(running) = job else {
        return std::future::pending().await;
    };
    let ended = (&mut running.task).await.unwrap_or_else(Ended::Lost);
    *job = None;
    ended
}

/// What a job's task works with.
struct Means {
    executor: Executor,
    settings: Arc<Settings>,
    file: LedgerFile,
    ledger: Ledger,
    observed: Observed,
    clock: Clock,
    faults: Arc<dyn Faults>,
}

impl Job {
    pub(super) fn spawn(self, of: &Reconciler) -> Running {
        let means = Means {
            executor: of.parts.executor.clone(),
            settings: of.parts.settings.clone(),
            file: of.parts.file.clone(),
            ledger: of.parts.ledger.clone(),
            observed: Observed {
                probed: of.judged.said.clone(),
                ..of.observed.clone().unwrap_or_default()
            },
            clock: of.parts.clock,
            faults: of.parts.faults.clone(),
        };
        let (what, limit) = match &self {
            Self::Look => ("a look".to_owned(), LOOK_LIMIT),
            Self::Accept(_) => ("writing a record".to_owned(), WRITE_LIMIT),
            Self::Step(step) | Self::Beside(step) => {
                (format!("{:?}", step.kind()), step_limit(step))
            }
            Self::Note(..) => ("writing what came of a step".to_owned(), WRITE_LIMIT),
        };
        let deadline = after(of.parts.clock.now(), limit);
        let long = matches!(&self, Self::Step(step) | Self::Beside(step) if step.is_long());
        let (progress_to, progress) = watch::channel(String::new());
        let task = tokio::spawn(async move {
            match self {
                Self::Look => Ended::Looked(means.look().await),
                Self::Accept(ledger) => Ended::Accepted(means.accept(ledger).await),
                Self::Step(step) => means.step(step, &progress_to).await,
                Self::Beside(step) => means.beside(step, &progress_to).await,
                Self::Note(step, done) => means.note(step, done).await,
            }
        });
        Running {
            task,
            what,
            deadline,
            long,
            progress,
        }
    }
}

impl Means {
    async fn look(&self) -> Result<Box<(Observed, Vec<Unclaimed>)>, DockerError> {
        let entry = self.ledger.server.as_ref();
        let role = entry.and_then(|entry| self.settings.roles.get(&entry.record.desired.role));
        let observed = match role {
            Some(role) => self.executor.observe(&role.main_container().name).await?,
            None => Observed::default(),
        };
        // A confirmed tombstone claims nothing any more.
        let claimed =
            entry.filter(|entry| !(entry.run_state().is_tombstone() && entry.outcome.is_some()));
        let unclaimed = self.executor.unclaimed(claimed).await?;
        Ok(Box::new((observed, unclaimed)))
    }

    async fn accept(&self, ledger: Box<Ledger>) -> Result<Box<Ledger>, String> {
        self.faults.at(FaultPoint::Accepting).await;
        self.write(&ledger).await?;
        self.faults.at(FaultPoint::Accepted).await;
        Ok(ledger)
    }

    /// Intent to disk, effect, note to disk. A step that only changes what is remembered has not
    /// been done as long as it cannot be written.
    async fn step(self, step: Box<Step>, progress: &watch::Sender<String>) -> Ended {
        let mut ledger = self.ledger.clone();
        let Some(entry) = ledger.server.as_mut() else {
            return Ended::NotWritten("there is no record".to_owned());
        };
        let without_disk = step.goes_on_without_disk();
        let mut unwritten = None;
        if entry.intend(&step)
            && let Err(error) = self.write(&ledger).await
        {
            // A service that hung is restarted even when the disk is full; what an operator asked
            // for waits.
            if !without_disk {
                return Ended::NotWritten(error);
            }
            unwritten = Some(error);
        }
        self.faults.at(FaultPoint::Before(step.kind())).await;
        let Some(entry) = ledger.server.as_mut() else {
            return Ended::NotWritten("there is no record".to_owned());
        };
        let done = self
            .executor
            .execute(&step, entry, &self.observed, progress)
            .await;
        self.faults.at(FaultPoint::After(step.kind())).await;
        let result = match done {
            Ok(done) => {
                if entry.note(&step, done, self.clock.now())
                    && let Err(error) = self.write(&ledger).await
                {
                    // That a stop was sent or is over is seen again by a look.
                    if !without_disk && !matches!(*step, Step::EndStop | Step::Stop { .. }) {
                        return Ended::NotWritten(error);
                    }
                    unwritten = Some(error);
                }
                self.faults.at(FaultPoint::Noted(step.kind())).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        Ended::Stepped {
            step,
            ledger: Box::new(ledger),
            result,
            unwritten,
        }
    }

    /// The long half of a step: neither intent nor end is written here, since another step may be
    /// under way.
    async fn beside(self, step: Box<Step>, progress: &watch::Sender<String>) -> Ended {
        self.faults.at(FaultPoint::Before(step.kind())).await;
        let result = match &self.ledger.server {
            Some(entry) => {
                self.executor
                    .execute(&step, entry, &self.observed, progress)
                    .await
            }
            None => Err(StepError::Refused("there is no record".to_owned())),
        };
        self.faults.at(FaultPoint::After(step.kind())).await;
        Ended::DoneBeside { step, result }
    }

    /// The short half of it.
    async fn note(self, step: Box<Step>, done: Done) -> Ended {
        let mut ledger = self.ledger.clone();
        let entry = ledger.server.as_mut();
        if entry.is_some_and(|entry| entry.note(&step, done, self.clock.now()))
            && let Err(error) = self.write(&ledger).await
        {
            return Ended::NotWritten(error);
        }
        self.faults.at(FaultPoint::Noted(step.kind())).await;
        Ended::Stepped {
            step,
            ledger: Box::new(ledger),
            result: Ok(()),
            unwritten: None,
        }
    }

    async fn write(&self, ledger: &Ledger) -> Result<(), String> {
        let (file, ledger, turn) = (self.file.clone(), ledger.clone(), self.file.turn());
        tokio::task::spawn_blocking(move || {
            file.write(&ledger, turn)?;
            file.fill_reserve();
            Ok(())
        })
        .await
        .map_err(|error| format!("writing the ledger: {error}"))?
        .map_err(|error: crate::ledger::LedgerError| {
            if error.is_disk_full() {
                format!("disk full: {error}")
            } else {
                error.to_string()
            }
        })
    }
}
