//! The loop: takes inputs, gathers turns, commits one batch at a time, and releases what a commit
//! has made true.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch as latest};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use extend_common::clock::Clock;

use super::apply::Ground;
use super::batch::{Gathering, Revisions, Rows, Sealed, send};
use super::command::{Command, Recovery};
use super::config::EngineConfig;
use super::crash::{CrashPoint, InputKind, Moment};
use super::meter::Meter;
use super::outside::Wanted;
use super::revival::{self, Memory};
use super::sessions::Sessions;
use super::watch::Watchers;
use super::{EngineError, EngineFailure, StartError};
use crate::core::request::SessionEnd;
use crate::core::view::DoorSets;
use crate::core::{CloseReason, Fleet, Key, Turn};
use crate::store::{CommitError, Epoch, PendingCommit, Revision, StoreHandle};

/// So many inputs are taken from the queue at once: between two of these the commit that is under
/// way is looked after.
const TAKE: usize = 256;

/// The engine's task.
pub(super) struct Task {
    pub(super) store: StoreHandle,
    pub(super) config: EngineConfig,
    pub(super) fleet: Fleet,
    pub(super) epoch: Epoch,
    pub(super) revisions: Revisions,
    pub(super) sessions: Sessions,
    pub(super) watchers: Watchers,
    pub(super) meter: Arc<Meter>,
    pub(super) door: latest::Sender<Arc<DoorSets>>,
    /// What is wanted outside the nodes.
    pub(super) outside: latest::Sender<Wanted>,
    /// The newest event that is committed.
    pub(super) events: latest::Sender<u64>,
    pub(super) gathering: Gathering,
    /// When the fleet wants its next tick.
    wake: Timestamp,
    /// Inputs that were taken and wait for a barrier.
    waiting: VecDeque<Command>,
    pub(super) queue: mpsc::Receiver<Command>,
    pub(super) shutdown: CancellationToken,
}

/// A batch on its way to the disk.
pub(super) struct Flight {
    commit: PendingCommit,
    left: Instant,
    keys: Vec<(Key, bool)>,
    sealed: Sealed,
}

/// What the loop woke up for.
enum Event {
    Committed(Result<Revision, CommitError>),
    Inputs(usize),
    Tick,
    Shutdown,
}

impl Task {
    /// Takes the store over and loads what is in it.
    pub(super) async fn start(
        store: StoreHandle,
        config: EngineConfig,
        (door, events): (latest::Sender<Arc<DoorSets>>, latest::Sender<u64>),
        outside: latest::Sender<Wanted>,
        (queue, shutdown): (mpsc::Receiver<Command>, CancellationToken),
    ) -> Result<Self, StartError> {
        let Memory {
            fleet,
            epoch,
            revisions,
        } = revival::load(&store, &config, 0, true).await?;
        let now = config.clock.now();
        let mut task = Self {
            store,
            config,
            fleet,
            epoch,
            revisions,
            sessions: Sessions::default(),
            watchers: Watchers::default(),
            meter: Arc::default(),
            door,
            outside,
            events,
            gathering: Gathering::default(),
            wake: now,
            waiting: VecDeque::new(),
            queue,
            shutdown,
        };
        if task.config.recovering {
            task.note_recovering().await?;
        }
        task.publish_door();
        task.publish_outside();
        task.events.send_replace(task.fleet.last_event());
        // Committed as the first thing that the loop does.
        let turn = task.fleet.say_started(task.clock().now());
        task.gathering.add(InputKind::Tick, turn);
        Ok(task)
    }

    async fn note_recovering(&mut self) -> Result<(), StartError> {
        let turn = self.fleet.begin_recovering(self.clock().now());
        self.gathering.add(InputKind::Tick, turn);
        if let Some((rows, sealed)) = self.seal().await {
            let flight = self.depart(rows, sealed);
            let revision = flight
                .commit
                .await
                .map_err(|error| StartError::Commit(with_sources(&error)))?;
            self.revisions.committed(flight.keys, revision);
        }
        Ok(())
    }

    pub(super) fn clock(&self) -> Clock {
        self.config.clock
    }

    pub(super) fn publish_door(&mut self) {
        let sets = self.fleet.door(self.clock().now());
        self.door.send_replace(Arc::new(sets));
    }

    pub(super) fn publish_outside(&mut self) {
        self.outside.send_replace(Wanted::of(&self.fleet));
    }

    /// Runs until it is told to end, or must not go on.
    pub(super) async fn run(mut self) -> Result<(), EngineFailure> {
        let ended = self.serve().await;
        if let Err(failure) = &ended {
            tracing::error!(reason = with_sources(failure), "the engine must not go on");
        }
        self.gathering.fail(&EngineError::Stopped);
        self.queue.close();
        while let Ok(command) = self.queue.try_recv() {
            command.fail(EngineError::Stopped);
        }
        self.sessions.close_all(CloseReason::ShuttingDown);
        ended
    }

    async fn serve(&mut self) -> Result<(), EngineFailure> {
        let mut flight: Option<Flight> = None;
        let mut inputs = Vec::with_capacity(TAKE);
        loop {
            if flight.is_none() {
                flight = self.depart_or_release().await;
            }
            if flight.is_none() && !self.waiting.is_empty() {
                self.pass_barrier().await?;
                continue;
            }
            let takes = self.waiting.is_empty() && !self.gathering.is_full();
            let event = self.next(&mut flight, &mut inputs, takes).await;
            match event {
                Event::Committed(outcome) => {
                    let Some(landed) = flight.take() else {
                        continue;
                    };
                    self.land(landed, outcome).await?;
                }
                Event::Inputs(0) | Event::Shutdown => {
                    // What was asked for before is still done; without a disk, not for ever.
                    return self.finish(flight).await;
                }
                Event::Inputs(count) => {
                    self.meter.took(count);
                    self.take(&mut inputs);
                }
                Event::Tick => self.tick(),
            }
        }
    }

    /// Waits for whatever comes first. Every branch may be dropped half-way without losing
    /// anything: a commit goes on by itself, and inputs are in the queue until they are in
    /// `inputs`.
    async fn next(
        &mut self,
        flight: &mut Option<Flight>,
        inputs: &mut Vec<Command>,
        takes: bool,
    ) -> Event {
        let tick = self.sleep();
        tokio::select! {
            // A finished commit first: others wait for what it releases. Then the end; then time,
            // which a full queue must not hold up.
            biased;
            outcome = landing(flight) => Event::Committed(outcome),
            () = self.shutdown.cancelled() => Event::Shutdown,
            () = tick, if takes => Event::Tick,
            count = self.queue.recv_many(inputs, TAKE), if takes => Event::Inputs(count),
        }
    }

    fn sleep(&self) -> tokio::time::Sleep {
        let wait = if self.fleet.has_backlog() {
            std::time::Duration::ZERO
        } else {
            self.clock().until(self.wake)
        };
        tokio::time::sleep(wait)
    }

    /// Applies inputs up to one that has to wait until everything before it is committed.
    fn take(&mut self, inputs: &mut Vec<Command>) {
        for command in inputs.drain(..) {
            self.waiting.push_back(command);
        }
        self.apply_waiting();
    }

    fn apply_waiting(&mut self) {
        let now = self.clock().now();
        while let Some(command) = self.waiting.pop_front() {
            let (fleet, sessions) = (&mut self.fleet, &mut self.sessions);
            let mut ground = Ground {
                fleet,
                sessions,
                gathering: &mut self.gathering,
            };
            match command {
                Command::Operation(command) => ground.operation(command, now),
                Command::Node(command) => ground.node(command, now),
                Command::Session(command) => ground.session(command, now),
                Command::Question(question) => ground.answer(question, now),
                Command::Outside(command) => ground.outside(command, now),
                Command::Alert(command) => ground.alert(command, now),
                Command::Figures { reply } => ground.figures(reply, now),
                Command::Prune { keys, reply } => {
                    ground.gathering.prune(keys);
                    ground.gathering.answer(reply, Ok(()));
                }
                Command::Recover(_) => return self.waiting.push_front(command),
            }
        }
    }

    fn tick(&mut self) {
        let now = self.clock().now();
        for (node, number) in self.sessions.gone() {
            self.sessions.forget(node, number);
            let end = SessionEnd::Closed;
            let turn = self.fleet.session_closed(number, node, end, now);
            self.gathering.add(InputKind::SessionClosed, turn);
        }
        self.watchers.sweep();
        for id in self.watchers.stale() {
            self.gathering.add(InputKind::Tick, Turn::showing(id));
        }
        let turn = self.fleet.tick(now);
        if turn.is_quiet() {
            self.wake = turn.answer;
        } else {
            self.wake = self.gathering.add(InputKind::Tick, turn);
        }
    }

    /// Everything before is committed and released: what needs the store itself is done now.
    async fn pass_barrier(&mut self) -> Result<(), EngineFailure> {
        match self.waiting.pop_front() {
            Some(Command::Recover(recovery)) => self.recover(recovery).await?,
            Some(other) => self.waiting.push_front(other),
            None => {}
        }
        self.apply_waiting();
        Ok(())
    }

    async fn recover(&mut self, recovery: Recovery) -> Result<(), EngineFailure> {
        let Recovery {
            nodes,
            finish,
            by,
            reply,
        } = recovery;
        let raised = match self.fleet.epoch_to_recover(&nodes) {
            Some(at_least) => self.store.raise_epoch(at_least).await,
            None => Ok(self.epoch),
        };
        match raised {
            Ok(epoch) => self.epoch = epoch,
            Err(error) => {
                let failure = EngineError::StoreFailed(with_sources(&error));
                send(reply, Err(failure.clone()));
                // Nobody knows at which epoch the store is.
                return self.revive(failure).await;
            }
        }
        self.config.crash.at(CrashPoint::RecoverRaised).await;
        let epoch = self.epoch;
        tracing::info!(by, %epoch, finish, "taking records back from the nodes' ledgers");
        let turn = self
            .fleet
            .recover(&nodes, finish, (epoch.0, &by), self.clock().now());
        let answer = self.gathering.add(InputKind::Recover, turn);
        self.gathering.answer(reply, Ok(answer));
        Ok(())
    }

    /// Sends the gathered batch off; one that writes nothing is released at once.
    async fn depart_or_release(&mut self) -> Option<Flight> {
        let (rows, sealed) = self.seal().await?;
        if rows.is_empty() {
            // Not even a question: a fleet's heartbeats would fill the queue before the next commit.
            self.release(sealed).await;
            return None;
        }
        Some(self.depart(rows, sealed))
    }

    /// Closes the gathered batch, if there is one.
    async fn seal(&mut self) -> Option<(Rows, Sealed)> {
        let gathering = std::mem::take(&mut self.gathering);
        if gathering.is_empty() {
            return None;
        }
        let (rows, sealed) = gathering.seal(&self.fleet, &self.config.clock, &mut self.watchers);
        self.hit(&sealed, Moment::BeforeCommit).await;
        Some((rows, sealed))
    }

    /// Gives a batch to the store.
    fn depart(&self, rows: Rows, sealed: Sealed) -> Flight {
        let keys: Vec<_> = rows
            .live
            .iter()
            .map(|(key, value)| (*key, value.is_some()))
            .collect();
        let batch = self.revisions.batch(self.epoch, rows);
        self.meter.departed(batch.writes.len());
        Flight {
            left: Instant::now(),
            commit: self.store.commit(batch),
            keys,
            sealed,
        }
    }

    /// A commit has returned.
    async fn land(
        &mut self,
        flight: Flight,
        outcome: Result<Revision, CommitError>,
    ) -> Result<(), EngineFailure> {
        self.meter.committed(flight.left.elapsed(), outcome.is_ok());
        match outcome {
            Ok(revision) => {
                self.revisions.committed(flight.keys, revision);
                self.release(flight.sealed).await;
                Ok(())
            }
            Err(CommitError::Fenced { .. }) => {
                flight.sealed.fail(&EngineError::Stopped);
                Err(EngineFailure::TakenOver)
            }
            Err(error) => {
                let failure = EngineError::StoreFailed(with_sources(&error));
                flight.sealed.fail(&failure);
                self.revive(failure).await
            }
        }
    }

    /// The end: what is on its way lands, what was gathered is committed, and no more.
    async fn finish(&mut self, flight: Option<Flight>) -> Result<(), EngineFailure> {
        let mut flight = flight;
        loop {
            let Some(mut leaving) = flight.take() else {
                return Ok(());
            };
            match (&mut leaving.commit).await {
                Ok(revision) => {
                    self.revisions.committed(leaving.keys, revision);
                    self.release(leaving.sealed).await;
                }
                Err(CommitError::Fenced { .. }) => {
                    leaving.sealed.fail(&EngineError::Stopped);
                    return Err(EngineFailure::TakenOver);
                }
                Err(error) => {
                    let failure = EngineError::StoreFailed(with_sources(&error));
                    leaving.sealed.fail(&failure);
                    std::mem::take(&mut self.gathering).fail(&failure);
                    return Ok(());
                }
            }
            flight = self.depart_or_release().await;
        }
    }
}

async fn landing(flight: &mut Option<Flight>) -> Result<Revision, CommitError> {
    match flight {
        Some(flight) => (&mut flight.commit).await,
        None => std::future::pending().await,
    }
}

/// An error with everything that led to it.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
