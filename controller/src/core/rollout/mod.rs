//! In which order the targets of an operation begin. Pure: from how every server stands to what
//! begins next; the plan's waves come from the same rules ([`waves`]).
//!
//! ```text
//! upgrade: image fetched on all that can be reached ──┐
//! others:  ───────────────────────────────────────────┤
//!                                                     ▼
//!   role after role (--serial), or side by side
//!     └► canaries, then --bake ──► the others, as many at once as the role can spare
//!   more failures than --max-failures: nothing more begins
//! ```
//!
//! `run`, `start`, `stop`, `rm`, `adopt`, `drain` and `undrain` begin everywhere at once. `restart`
//! and `upgrade` take servers out of service: one of a role at a time unless more are allowed.

mod canary;
mod capacity;
mod waves;

use std::collections::BTreeMap;

use jiff::Timestamp;

use extend_common::duration;
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::{Strategy, TargetState, Verb};

use canary::{Gate, canaries};
pub(super) use capacity::Role;
pub(super) use waves::waves;

/// So many targets begin in one turn; the rest follow in the next ones. It keeps a transaction
/// small, and the first agents are told while the others' records are still being written.
pub const BEGINS_AT_ONCE: usize = 2_000;

/// What happens next to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// Its image is fetched ahead.
    Stage(NodeAddr),
    /// Its turn has come.
    Begin {
        /// Which.
        node: NodeAddr,
        /// It is one of those that go first.
        canary: bool,
    },
    /// Its turn will not come.
    Skip(NodeAddr, String),
}

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Its image has to be fetched before its turn can come.
    Unstaged,
    /// Its image is being fetched.
    Staging,
    /// Its turn can come.
    Ready,
    /// It could not begin now: its node is away, or another operation holds it.
    Blocked,
    /// It has begun.
    UnderWay,
    /// It has ended, like this.
    Ended(TargetState),
}

impl Stand {
    fn has_not_begun(self) -> bool {
        matches!(self, Self::Unstaged | Self::Ready | Self::Blocked)
    }
}

/// One target, as far as its turn depends on it.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// Where.
    pub node: NodeAddr,
    /// Which server.
    pub name: &'a ServerName,
    /// Its role.
    pub role: &'a RoleName,
    /// How it stands.
    pub stand: Stand,
    /// Whether it counts as capacity of its role: it runs well, and nobody has taken it.
    pub available: bool,
    /// Taking its turn puts nothing out of service: there is nothing to change, or it is stopped.
    pub spares: bool,
    /// It has begun as one of those that go first.
    pub canary: bool,
    /// What is wrong with it, if it was seen not to run well.
    pub ailment: Option<String>,
}

/// An operation in its fleet.
#[derive(Debug)]
pub struct Scene<'a> {
    /// What is done.
    pub verb: Verb,
    /// How it goes from server to server.
    pub strategy: Strategy,
    /// The last healthy server of a role may be taken.
    pub force: bool,
    /// The targets, in any order.
    pub items: Vec<Item<'a>>,
    /// The roles of the targets, with all their servers counted.
    pub roles: BTreeMap<&'a RoleName, Role>,
    /// Since when all canaries have been seen healthy.
    pub baking: Option<Timestamp>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moves {
    /// What happens to targets, in this order.
    pub advances: Vec<Advance>,
    /// What the operation as a whole waits for, in words; may be empty.
    pub note: String,
    /// Since when all canaries have been seen healthy, while that is waited for.
    pub baking: Option<Timestamp>,
    /// What comes next may change without any target's doing: by time, or by another server's
    /// health.
    pub paced: bool,
    /// More could begin at once than one turn takes.
    pub more: bool,
}

/// Whether a verb goes from server to server.
pub fn is_rolling(verb: Verb) -> bool {
    matches!(verb, Verb::Restart | Verb::Upgrade)
}

/// What happens next.
pub fn next(scene: &mut Scene<'_>, now: Timestamp) -> Moves {
    order(&mut scene.items, &scene.roles);
    for item in scene
        .items
        .iter()
        .filter(|item| item.stand == Stand::UnderWay)
    {
        if let Some(role) = scene.roles.get_mut(item.role) {
            role.own += 1;
        }
    }
    if let Some(why) = why_stopped(scene) {
        return skip_all(scene, &why);
    }
    let mut moves = Moves::default();
    stage(scene, &mut moves);
    if waits_for_images(scene, &mut moves) {
        return moves;
    }
    let turn = whose_turn(scene);
    match canaries(scene, &turn, now) {
        // Kept, so that a bake is not begun again while nothing else may begin.
        Gate::Open(baked) => moves.baking = baked,
        Gate::Canaries { left, baked } => {
            begin(scene, &turn, Some(left), &mut moves);
            // With the first one that begins the time of these begins anew.
            let begins = |advance: &Advance| matches!(advance, Advance::Begin { canary: true, .. });
            moves.baking = baked.filter(|_| !moves.advances.iter().any(begins));
            return moves;
        }
        Gate::Bake { since: from, left } => {
            moves.baking = Some(from);
            moves.paced = true;
            let bake = duration::show(scene.strategy.bake);
            let left = duration::show(left);
            moves.note = format!("the canaries have to stay healthy for {bake}: {left} left");
            return moves;
        }
        Gate::Unseen(name) => {
            moves.paced = true;
            moves.note = format!("waits until the canary {name} is healthy");
            return moves;
        }
        Gate::Closed(why) => return skip_all(scene, &why),
    }
    begin(scene, &turn, None, &mut moves);
    moves
}

/// Roles by their rank, and in a role what does not serve before what does: it has the least to
/// lose, and may be capacity again when the others have their turn.
fn order(items: &mut [Item<'_>], roles: &BTreeMap<&RoleName, Role>) {
    items.sort_by(|a, b| {
        let key = |item: &Item<'_>| {
            let rank = roles.get(item.role).map_or(u32::MAX, |role| role.rank);
            (rank, item.available, item.node)
        };
        let (first, second) = (key(a), key(b));
        (first.0, a.role)
            .cmp(&(second.0, b.role))
            .then_with(|| first.cmp(&second))
    });
}

/// Why nothing more begins.
fn why_stopped(scene: &Scene<'_>) -> Option<String> {
    if !is_rolling(scene.verb) && !scene.strategy.serial {
        return None;
    }
    let mut failures = scene.items.iter().filter(|item| is_stopper(item.stand));
    let first = failures.next()?;
    let more = failures.count();
    let allowed = usize::try_from(scene.strategy.max_failures).unwrap_or(usize::MAX);
    // `more` is one less than there are.
    (more >= allowed).then(|| because_of(first))
}

/// A failure after which nothing more begins. A skipped target is the consequence of one.
fn is_stopper(stand: Stand) -> bool {
    matches!(stand, Stand::Ended(state) if state.is_failure() && state != TargetState::Skipped)
}

/// Names the target, not its reason: that stands beside the target itself.
fn because_of(failed: &Item<'_>) -> String {
    let ended = match failed.stand {
        Stand::Ended(TargetState::Cancelled) => "was cancelled",
        Stand::Ended(TargetState::TimedOut) => "timed out",
        _ => "failed",
    };
    let (name, node) = (failed.name, failed.node);
    format!("not begun, because {name} at {node} {ended}")
}

fn skip_all(scene: &Scene<'_>, why: &str) -> Moves {
    let left = scene.items.iter().filter(|item| item.stand.has_not_begun());
    let advances = left.map(|item| Advance::Skip(item.node, why.to_owned()));
    Moves {
        advances: advances.collect(),
        ..Moves::default()
    }
}

/// Images are fetched everywhere at once: nothing is out of service meanwhile.
fn stage(scene: &mut Scene<'_>, moves: &mut Moves) {
    let unstaged = scene
        .items
        .iter_mut()
        .filter(|item| item.stand == Stand::Unstaged);
    for item in unstaged {
        if moves.advances.len() >= BEGINS_AT_ONCE {
            moves.more = true;
            return;
        }
        item.stand = Stand::Staging;
        moves.advances.push(Advance::Stage(item.node));
    }
}

/// Before anything is put out of service, every image that can be had is there. A node that comes
/// back later holds up nobody.
fn waits_for_images(scene: &Scene<'_>, moves: &mut Moves) -> bool {
    let is_begun = |item: &Item<'_>| match item.stand {
        Stand::UnderWay | Stand::Ended(TargetState::Succeeded) => !item.spares,
        _ => false,
    };
    let missing = |item: &&Item<'_>| matches!(item.stand, Stand::Staging | Stand::Unstaged);
    let missing = scene.items.iter().filter(missing).count();
    if missing == 0 || scene.items.iter().any(is_begun) {
        return false;
    }
    let servers = if missing == 1 { "server" } else { "servers" };
    // A node that goes in the middle of it is heard of by nobody's report.
    moves.paced = true;
    moves.note = format!("fetching the image on {missing} {servers}, while everything serves");
    true
}

/// The roles whose servers may begin.
fn whose_turn<'a>(scene: &Scene<'a>) -> Vec<&'a RoleName> {
    let mut roles: Vec<&RoleName> = Vec::new();
    for item in &scene.items {
        // What cannot begin anyway does not hold up the roles after it.
        let counts = matches!(
            item.stand,
            Stand::Ready | Stand::Unstaged | Stand::Staging | Stand::UnderWay
        );
        if counts && !roles.contains(&item.role) {
            roles.push(item.role);
        }
    }
    if scene.strategy.serial {
        roles.truncate(1);
        // A node that came back late: its role waits until the present one has come to a stop.
        let others = |item: &Item<'_>| item.stand == Stand::UnderWay && !roles.contains(&item.role);
        if scene.items.iter().any(others) {
            roles.clear();
        }
    }
    roles
}

/// Servers that this operation is done with and that were seen to be ill since, by their roles: as
/// long as one is, no healthy one is put through the same.
fn ill_since(scene: &Scene<'_>) -> BTreeMap<RoleName, ServerName> {
    let is_ill = |item: &&Item<'_>| {
        let done = item.stand == Stand::Ended(TargetState::Succeeded) && !item.spares;
        done && item.ailment.is_some()
    };
    let ill = scene.items.iter().filter(is_ill);
    ill.map(|item| (item.role.clone(), item.name.clone()))
        .collect()
}

/// Lets begin what may begin: of each role as many as it can spare.
fn begin(
    scene: &mut Scene<'_>,
    turn: &[&RoleName],
    canaries: Option<BTreeMap<RoleName, usize>>,
    moves: &mut Moves,
) {
    let rolling = is_rolling(scene.verb);
    let is_canary = canaries.is_some();
    let mut left = canaries.unwrap_or_default();
    let mut begun = moves.advances.len();
    let ill = ill_since(scene);
    for item in &mut scene.items {
        if item.stand != Stand::Ready || !turn.contains(&item.role) {
            continue;
        }
        if begun >= BEGINS_AT_ONCE {
            moves.more = true;
            return;
        }
        let Some(role) = scene.roles.get_mut(item.role) else {
            continue;
        };
        let counts = is_canary && !item.spares;
        let of_role = left.get_mut(item.role).filter(|left| **left > 0);
        if counts && of_role.is_none() {
            continue;
        }
        if rolling
            && item.available
            && !item.spares
            && let Some(name) = ill.get(item.role)
        {
            moves.paced = true;
            moves.note = format!("waits until {name}, which is done, is healthy again");
            continue;
        }
        if rolling && !item.spares {
            match role.take(item.available, &scene.strategy, scene.force) {
                Ok(()) => role.own += 1,
                // It may be another operation that has taken what there was to take.
                Err(hold) => {
                    moves.paced = true;
                    if moves.note.is_empty() {
                        moves.note = hold.words(item, role);
                    }
                    continue;
                }
            }
        }
        if counts && let Some(left) = of_role {
            *left -= 1;
        }
        item.stand = Stand::UnderWay;
        item.canary |= counts;
        begun += 1;
        moves.advances.push(Advance::Begin {
            node: item.node,
            canary: counts,
        });
    }
}
