//! The registrations in the PBX's portal, kept as the fleet wants them.
//!
//! ```text
//!       wanted changed │ every poll
//!                      ▼
//!   ┌──────► look ──► diff ──► steps, one after the other ──┐
//!   │                  └─ none: PortalSeen ──► engine       │
//!   └───────────────────────────────────────────────────────┘
//! ```
//!
//! Level-triggered, as every enforcer: a step follows from a look and from nothing that was
//! believed before. An answer that was lost is looked for; what may still come late is not made a
//! second time before it can no longer come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::Backoff;
use extend_common::clock::Clock;
use extend_common::ids::NodeAddr;
use extend_common::roles::Resource;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::pbx::{Pbx, PbxError, PbxId, Presence, Server};
use crate::portal::{
    Diff, Portal, PortalEntry, PortalSeen, PortalWanted, Problem, Step, Target, diff,
};

/// So often a round looks. What is left then is for the next round.
const LOOKS_A_ROUND: usize = 6;
/// So many steps are done before it is looked again.
const STEPS_A_LOOK: usize = 20;
/// Statuses that are asked for at the same time.
const AT_ONCE: usize = 2;
/// So long a server whose registration was not answered is not registered again: the PBX may be
/// slow, and do it yet.
const DOUBT: Duration = Duration::from_secs(15);
/// However long the PBX wants to be left alone, it is asked again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Looks after the portal.
#[derive(Debug)]
pub struct PortalTask {
    /// The way there.
    pub pbx: Pbx,
    /// What it is to be.
    pub wanted: watch::Receiver<Arc<PortalWanted>>,
    /// Who is told of every look.
    pub seen: mpsc::Sender<PortalSeen>,
    /// How often it is looked.
    pub poll: Duration,
    /// The waits after a look that came to nothing; never shorter than `poll`.
    pub backoff: Backoff,
    /// The time.
    pub clock: Clock,
    /// A number in 0.0..1.0.
    pub random: fn() -> f64,
}

/// What the task remembers. All of it may be lost.
#[derive(Default)]
struct Memory {
    /// What could not be done, since it is wanted.
    problems: BTreeMap<NodeAddr, Problem>,
    /// Servers that were registered, or may have been, and are not shown yet; and when that was.
    doubts: BTreeMap<(Resource, String), Instant>,
    /// Steps that failed: how often, and until when they are not tried again.
    held: Vec<Held>,
    /// Looks that came to nothing, one after the other.
    failed: u32,
}

/// A step that failed.
struct Held {
    step: Step,
    times: u32,
    until: Instant,
}

/// A look, whole.
struct Look {
    at: Timestamp,
    portal: Portal,
}

impl PortalTask {
    /// Goes on until `shutdown`, or until nobody wants to know any more.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut memory = Memory::default();
        loop {
            let (seen, wait) = tokio::select! {
                () = shutdown.cancelled() => return,
                round = self.round(&mut memory) => round,
            };
            let next = Instant::now() + self.next(&mut memory, &seen, wait);
            if self.seen.send(seen).await.is_err() {
                return;
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep_until(next) => {}
                changed = self.wanted.changed(), if memory.failed == 0 => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// How long until the next look, if nothing happens before.
    fn next(&self, memory: &mut Memory, seen: &PortalSeen, wait: Option<Duration>) -> Duration {
        let asked = wait.unwrap_or_default().min(LONGEST_WAIT);
        match &seen.result {
            Ok(_) => {
                if memory.failed > 0 {
                    info!("the portal of the PBX can be seen again");
                }
                memory.failed = 0;
                self.poll.max(asked)
            }
            Err(problem) => {
                if memory.failed == 0 {
                    warn!("{}", problem.sentence);
                }
                let wait = self.backoff.wait(memory.failed, (self.random)());
                memory.failed = memory.failed.saturating_add(1);
                wait.max(self.poll).max(asked)
            }
        }
    }

    /// Looks, does what follows, and looks again until nothing follows.
    async fn round(&mut self, memory: &mut Memory) -> (PortalSeen, Option<Duration>) {
        let mut wait = None;
        let mut looks = 0;
        loop {
            looks += 1;
            let wanted = Arc::clone(&self.wanted.borrow_and_update());
            let at = self.clock.now();
            let look = match self.look(&wanted).await {
                Ok(portal) => Look { at, portal },
                Err(error) => {
                    let result = Err(problem(&error));
                    return (PortalSeen { at, result }, error.wait());
                }
            };
            let found = diff(&wanted, &look.portal);
            memory.settle(&wanted, &look.portal, &found);
            let steps = memory.due(found.steps);
            if steps.is_empty() || looks == LOOKS_A_ROUND || wait.is_some() {
                return (told(look, memory), wait);
            }
            match self.walk(steps, memory).await {
                Walked::Done => {}
                // What is there now is told, with what went wrong.
                Walked::Stopped(asked) => wait = Some(asked.unwrap_or_default()),
            }
        }
    }

    /// Everything that is there, whole; an error when any list is missing.
    async fn look(&self, wanted: &PortalWanted) -> Result<Portal, PbxError> {
        let version = match self.pbx.admin_status().await {
            Ok(status) => status.version.unwrap_or_default(),
            // Not told, and the rest may be.
            Err(PbxError::Forbidden { .. } | PbxError::Malformed { .. }) => String::new(),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        for resource in Resource::ALL {
            let servers = self.pbx.servers(resource).await?;
            entries.extend(servers.into_iter().map(|server| entry(resource, server)));
        }
        let asked: Vec<usize> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| is_asked(entry, wanted))
            .map(|(at, _)| at)
            .collect();
        let statuses: Vec<_> = stream::iter(asked)
            .map(|at| {
                let about = entries
                    .get(at)
                    .map(|entry| (entry.resource, entry.id.clone()));
                let pbx = self.pbx.clone();
                async move {
                    let (resource, id) = about?;
                    let id = PbxId::try_from(id).ok()?;
                    // One that cannot be asked is not known; it may be gone since.
                    let status = pbx.server_status(resource, &id).await.ok()?;
                    Some((at, status))
                }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (at, status) in statuses.into_iter().flatten() {
            if let Some(entry) = entries.get_mut(at) {
                entry.sessions = status.sessions();
                entry.online = match status.presence {
                    Presence::Online => Some(true),
                    Presence::Offline => Some(false),
                    Presence::Unknown => None,
                };
            }
        }
        Ok(Portal {
            version,
            entries,
            problems: BTreeMap::new(),
        })
    }

    /// Does steps one after the other, as long as what they follow from is wanted.
    async fn walk(&mut self, steps: Vec<Step>, memory: &mut Memory) -> Walked {
        for step in steps.into_iter().take(STEPS_A_LOOK) {
            if self.wanted.has_changed().unwrap_or(false) {
                return Walked::Done;
            }
            let error = match self.apply(&step).await {
                Ok(()) => {
                    info!("{step}: done in the portal of the PBX");
                    memory.done(&step);
                    continue;
                }
                Err(error) => error,
            };
            let wait = |times| self.backoff.wait(times, (self.random)());
            if memory.failed(&step, &error, wait) {
                warn!("{error}");
            }
            // Refused: that is about this one, and others may go.
            let refused = matches!(error, PbxError::Refused { .. });
            if !refused || error.outcome_unknown() || error.passes() {
                return Walked::Stopped(error.wait());
            }
        }
        Walked::Done
    }

    async fn apply(&self, step: &Step) -> Result<(), PbxError> {
        match step {
            Step::Create(_, new) => self.pbx.create_server(new).await.map(|_| ()),
            Step::Enable(_, target) => self.set(target, true).await,
            Step::Disable(_, target) => self.set(target, false).await,
            Step::Destroy(target) => match PbxId::try_from(target.id.clone()) {
                Ok(id) => self.pbx.destroy_server(target.resource, &id).await,
                Err(_) => Ok(()),
            },
        }
    }

    async fn set(&self, target: &Target, enabled: bool) -> Result<(), PbxError> {
        match PbxId::try_from(target.id.clone()) {
            Ok(id) => self.pbx.set_enabled(target.resource, &id, enabled).await,
            Err(_) => Ok(()),
        }
    }
}

enum Walked {
    Done,
    /// Nothing more is tried, for as long as the PBX says if it says so.
    Stopped(Option<Duration>),
}

impl Memory {
    /// Problems end when what they were about is done or no longer wanted, doubts when what they
    /// were about is there or cannot come any more.
    fn settle(&mut self, wanted: &PortalWanted, portal: &Portal, found: &Diff) {
        let open: Vec<NodeAddr> = found.steps.iter().filter_map(Step::node).collect();
        self.problems
            .retain(|node, _| wanted.registered.contains_key(node) && open.contains(node));
        self.problems.extend(found.problems.clone());
        self.held.retain(|held| found.steps.contains(&held.step));
        self.doubts.retain(|(resource, name), since| {
            since.elapsed() < DOUBT && portal.entry(*resource, name).is_none()
        });
    }

    /// Without what may yet come by itself, and what has failed a moment ago.
    fn due(&self, steps: Vec<Step>) -> Vec<Step> {
        let now = Instant::now();
        let doubted =
            |step: &Step| registered(step).is_some_and(|key| self.doubts.contains_key(&key));
        let held = |step: &Step| {
            let mut held = self.held.iter();
            held.any(|held| held.step == *step && now < held.until)
        };
        let due = steps.into_iter();
        due.filter(|step| !doubted(step) && !held(step)).collect()
    }

    fn done(&mut self, step: &Step) {
        self.held.retain(|held| held.step != *step);
        if let Some(key) = registered(step) {
            self.doubts.insert(key, Instant::now());
        }
    }

    /// Whether it is the first time.
    fn failed(&mut self, step: &Step, error: &PbxError, wait: impl Fn(u32) -> Duration) -> bool {
        if let Some(key) = registered(step)
            && error.outcome_unknown()
        {
            self.doubts.insert(key, Instant::now());
        }
        if let Some(node) = step.node() {
            self.problems.insert(node, problem(error));
        }
        let now = Instant::now();
        if let Some(held) = self.held.iter_mut().find(|held| held.step == *step) {
            held.times = held.times.saturating_add(1);
            held.until = now + wait(held.times);
            return false;
        }
        self.held.push(Held {
            step: step.clone(),
            times: 0,
            until: now + wait(0),
        });
        true
    }
}

/// What a step registers.
fn registered(step: &Step) -> Option<(Resource, String)> {
    match step {
        Step::Create(_, new) => Some((new.resource, new.name.to_string())),
        Step::Enable(..) | Step::Disable(..) | Step::Destroy(_) => None,
    }
}

fn told(look: Look, memory: &Memory) -> PortalSeen {
    let Look { at, mut portal } = look;
    portal.problems = memory.problems.clone();
    PortalSeen {
        at,
        result: Ok(portal),
    }
}

fn entry(resource: Resource, server: Server) -> PortalEntry {
    PortalEntry {
        resource,
        id: server.id.to_string(),
        name: server.name,
        internal: server.internal,
        enabled: server.enabled,
        addresses: server.addresses,
        online: None,
        sessions: None,
    }
}

/// Whose status matters: what is wanted, and what could take its place.
fn is_asked(entry: &PortalEntry, wanted: &PortalWanted) -> bool {
    (entry.internal && entry.enabled) || wanted.registered.values().any(|new| new.stands_as(entry))
}

fn problem(error: &PbxError) -> Problem {
    Problem {
        sentence: error.to_string(),
        hint: error.hint(),
        lasting: !error.passes() && !error.outcome_unknown(),
    }
}
