//! The loop of an enforcer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use extend_common::clock::Clock;

use super::drift::Before;
use super::{Ask, Asked, Enforcer, Fault, FaultKind, Pace};
use crate::whitelist::{Diff, Entry, LetIn, Problem, Round, Seen, Step, diff};

/// So many steps are done before it is looked again: a long list does not rest on an old look.
const STEPS_A_LOOK: usize = 50;

/// So often a round looks. What is left then is for the next round.
const LOOKS_A_ROUND: usize = 8;

/// However long the other side wants to be left alone, it is tried again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// An enforcer with all that it needs to go on by itself.
#[derive(Debug)]
pub struct Task<E> {
    /// Who looks and acts.
    pub enforcer: E,
    /// What must be let in.
    pub list: watch::Receiver<Arc<LetIn>>,
    /// Where operators have it go at once.
    pub asked: Asked,
    /// Who is told of every round.
    pub rounds: mpsc::Sender<Round>,
    /// How fast it goes.
    pub pace: Pace,
    /// The time.
    pub clock: Clock,
    /// A number in 0.0..1.0.
    pub random: fn() -> f64,
}

/// What the loop remembers from round to round. Nothing of it decides what is done.
#[derive(Default)]
struct State {
    /// What let the addresses in.
    before: Before,
    /// Rounds with faults, one after the other.
    failed: u32,
    /// Since when.
    since: Option<Timestamp>,
}

/// The orphans that operators want gone, by their ids, with who does.
type Prune = BTreeMap<String, String>;

/// How a round ended.
struct Ended {
    round: Round,
    /// The other side wants to be left alone for so long.
    wait: Option<Duration>,
    /// It has come to an end although there was more to do.
    more: bool,
}

/// Why the loop goes on.
enum Wake {
    Shutdown,
    Time,
    Changed,
    Asked(Ask),
}

impl<E: Enforcer> Task<E> {
    /// Goes on until `shutdown`, or until nobody has a list or wants to know any more.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut state = State::default();
        let mut prune = BTreeMap::new();
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            let ended = tokio::select! {
                () = shutdown.cancelled() => return,
                ended = self.round(&mut state, &prune) => ended,
            };
            prune.clear();
            let next = self.next(&mut state, &ended);
            if self.rounds.send(ended.round).await.is_err() {
                return;
            }
            for done in waiting.drain(..) {
                // Who asked may have gone.
                let _ = done.send(());
            }
            match self.wake(&shutdown, next, state.failed == 0).await {
                Wake::Shutdown => return,
                Wake::Time | Wake::Changed => {}
                Wake::Asked(ask) => {
                    let mut ask = Some(ask);
                    while let Some(one) = ask.or_else(|| self.asked.try_recv().ok()) {
                        prune.extend(one.prune.into_iter().map(|id| (id, one.by.clone())));
                        waiting.push(one.done);
                        ask = None;
                    }
                }
            }
        }
    }

    /// When the next round begins, if nothing happens before.
    fn next(&self, state: &mut State, ended: &Ended) -> Instant {
        let trouble = match &ended.round.result {
            Ok(seen) => seen.trouble.as_ref(),
            Err(problem) => Some(problem),
        };
        let wait = match trouble {
            Some(problem) => {
                let wait = self.pace.backoff.wait(state.failed, (self.random)());
                if state.failed == 0 {
                    warn!(enforcer = %ended.round.enforcer, "{}", problem.sentence);
                }
                state.failed = state.failed.saturating_add(1);
                wait.min(self.pace.interval)
            }
            None => {
                if state.failed > 0 {
                    info!(enforcer = %ended.round.enforcer, "goes well again");
                }
                state.failed = 0;
                state.since = None;
                if ended.more {
                    self.pace.between
                } else {
                    self.pace.interval
                }
            }
        };
        let asked = ended.wait.unwrap_or_default().min(LONGEST_WAIT);
        Instant::now() + wait.max(asked)
    }

    /// Waits for the next reason to look. A changed list does not cut a wait short that a fault
    /// has caused; an operator does.
    async fn wake(&mut self, shutdown: &CancellationToken, next: Instant, eager: bool) -> Wake {
        tokio::select! {
            () = shutdown.cancelled() => Wake::Shutdown,
            () = sleep_until(next) => Wake::Time,
            changed = self.list.changed(), if eager => match changed {
                Ok(()) => Wake::Changed,
                Err(_) => Wake::Shutdown,
            },
            Some(ask) = self.asked.recv() => Wake::Asked(ask),
        }
    }

    /// Looks, does what follows, and looks again until nothing follows.
    async fn round(&mut self, state: &mut State, prune: &Prune) -> Ended {
        let mut told = Told::default();
        let mut done: Vec<Step> = Vec::new();
        for look in 1.. {
            let list = Arc::clone(&self.list.borrow_and_update());
            let at = self.clock.now();
            let actual = match self.look().await {
                Ok(actual) => actual,
                Err(fault) => return self.ended(at, Err(fault), state),
            };
            told.found = diff(&list, &actual, &self.enforcer.policy(), at);
            let mut steps = due(&told.found);
            if steps.is_empty() {
                steps = orphans_to_go(&told.found, prune);
            }
            told.more = !steps.is_empty();
            if !told.more || look == LOOKS_A_ROUND {
                state.before.keep(&told.found.standings);
                return self.ended(at, Ok(told), state);
            }
            steps.retain(|step| !done.iter().any(|done| same(done, step)));
            if steps.is_empty() {
                // All of it is done, and the other side does not show it yet.
                sleep(self.pace.backoff.first).await;
                continue;
            }
            let walked = self.walk(&steps).await;
            for (step, _) in walked.tried.iter().filter(|(_, good)| *good) {
                let pruned = pruned(step, &told.found.orphans, prune);
                if let Some(sentence) = pruned.or_else(|| state.before.mended(step, &actual, at)) {
                    info!(enforcer = %self.enforcer.kind(), "{sentence}");
                    told.drift.push(sentence);
                }
            }
            done.extend(walked.tried.into_iter().map(|(step, _)| step));
            let Some(fault) = walked.fault else {
                state.before.keep(&told.found.standings);
                continue;
            };
            // What is there now is told with what went wrong; where it cannot be seen, what was
            // there before.
            told.fault = Some(fault);
            told.more = false;
            if let Ok(actual) = self.look().await {
                told.found = diff(&list, &actual, &self.enforcer.policy(), self.clock.now());
            }
            state.before.keep(&told.found.standings);
            break;
        }
        self.ended(self.clock.now(), Ok(told), state)
    }

    async fn look(&mut self) -> Result<Vec<Entry>, Fault> {
        let kind = self.enforcer.kind();
        match timeout(self.pace.patience, self.enforcer.look()).await {
            Ok(result) => result,
            Err(_) => Err(Fault {
                kind: FaultKind::Everything,
                sentence: format!(
                    "looking at the entries ({kind}): no answer within {}",
                    humantime::format_duration(self.pace.patience)
                ),
                hint: "see whether it can be reached from this machine".to_owned(),
                wait: None,
            }),
        }
    }

    /// Does the steps one after the other, as far as it goes and as long as the list is the one
    /// that they follow from.
    async fn walk(&mut self, steps: &[Step]) -> Walked {
        let mut walked = Walked::default();
        for step in steps.iter().take(STEPS_A_LOOK) {
            if !walked.tried.is_empty() {
                sleep(self.pace.between).await;
            }
            if self.list.has_changed().unwrap_or(false) {
                break;
            }
            let result = match timeout(self.pace.patience, self.enforcer.apply(step)).await {
                Ok(result) => result,
                Err(_) => Err(Fault {
                    kind: FaultKind::Unclear,
                    sentence: format!(
                        "the entry of {} ({}): no answer within {}",
                        step.address(),
                        self.enforcer.kind(),
                        humantime::format_duration(self.pace.patience)
                    ),
                    hint: "it is looked again before it is repeated".to_owned(),
                    wait: None,
                }),
            };
            walked.tried.push((step.clone(), result.is_ok()));
            if let Err(fault) = result {
                let goes_on = fault.kind == FaultKind::ThisStep;
                walked.fault.get_or_insert(fault);
                if !goes_on {
                    break;
                }
            }
        }
        walked
    }

    fn ended(&self, at: Timestamp, result: Result<Told, Fault>, state: &mut State) -> Ended {
        let mut wait = None;
        let mut more = false;
        let mut problem = |fault: Fault| {
            wait = fault.wait;
            Problem {
                sentence: fault.sentence,
                hint: fault.hint,
                since: *state.since.get_or_insert(at),
            }
        };
        let result = match result {
            Err(fault) => Err(problem(fault)),
            Ok(told) => {
                more = told.more;
                Ok(Seen {
                    standings: told.found.standings,
                    orphans: told.found.orphans,
                    foreign_accepts: told.found.foreign_accepts,
                    denies: told.found.denies,
                    gone: told.found.gone,
                    drift: told.drift,
                    over_limit: told.found.over_limit,
                    trouble: told.fault.map(&mut problem),
                })
            }
        };
        let round = Round {
            enforcer: self.enforcer.kind(),
            at,
            result,
        };
        Ended { round, wait, more }
    }
}

/// What a round has come to so far.
#[derive(Default)]
struct Told {
    /// What the last look found.
    found: Diff,
    /// What was put right.
    drift: Vec<String>,
    /// What went wrong.
    fault: Option<Fault>,
    /// There is more to do than was done.
    more: bool,
}

/// What became of steps.
#[derive(Default)]
struct Walked {
    /// Those that were tried, and whether they are done.
    tried: Vec<(Step, bool)>,
    /// The first thing that went wrong.
    fault: Option<Fault>,
}

/// Whether two steps are the same but for the time at which they were found.
fn same(a: &Step, b: &Step) -> bool {
    match (a, b) {
        (Step::Add { address: a, .. }, Step::Add { address: b, .. }) => a == b,
        (Step::Renew { id: a, .. }, Step::Renew { id: b, .. })
        | (Step::Remove { id: a, .. }, Step::Remove { id: b, .. }) => a == b,
        _ => false,
    }
}

/// What is done after a look: what lets somebody in; only where nothing of that is left, what
/// takes something away.
fn due(found: &Diff) -> Vec<Step> {
    let (removals, others): (Vec<Step>, Vec<Step>) = found
        .steps
        .iter()
        .cloned()
        .partition(|step| matches!(step, Step::Remove { .. }));
    if others.is_empty() { removals } else { others }
}

/// The orphans that an operator wants gone, as far as they still are orphans.
fn orphans_to_go(found: &Diff, prune: &Prune) -> Vec<Step> {
    let orphans = found
        .orphans
        .iter()
        .filter(|entry| prune.contains_key(&entry.id));
    let steps = orphans.filter_map(|entry| match entry.net {
        ipnet::IpNet::V4(net) => Some(Step::Remove {
            id: entry.id.clone(),
            address: net.addr(),
        }),
        ipnet::IpNet::V6(_) => None,
    });
    steps.collect()
}

/// The sentence about an orphan that is gone because an operator wanted it.
fn pruned(step: &Step, orphans: &[Entry], prune: &Prune) -> Option<String> {
    let Step::Remove { id, .. } = step else {
        return None;
    };
    let by = prune.get(id)?;
    let orphan = orphans.iter().find(|entry| entry.id == *id)?;
    Some(format!(
        "the orphan {} (`{}`) was taken away for {by}",
        orphan.net, orphan.description
    ))
}
