//! The servers that go first: who they are, and whether they have stayed healthy for long enough.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, since};
use extend_common::ids::RoleName;
use extend_common::operation::TargetState;

use super::{Item, Scene, Stand, because_of, is_rolling};

/// Whether more than the canaries may begin.
pub(super) enum Gate {
    /// Everything; since when the canaries have been seen healthy, if that was waited for.
    Open(Option<Timestamp>),
    /// Only canaries, so many of each role; since when those of the role before have been seen
    /// healthy, until the first one begins.
    Canaries {
        left: BTreeMap<RoleName, usize>,
        baked: Option<Timestamp>,
    },
    /// All canaries are done and have to stay healthy for a while.
    Bake { since: Timestamp, left: Duration },
    /// Nobody can tell how this canary is.
    Unseen(String),
    /// Nothing more begins, for this reason.
    Closed(String),
}

/// Whether more than the canaries may begin, and what is waited for if not.
pub(super) fn canaries(scene: &Scene<'_>, turn: &[&RoleName], now: Timestamp) -> Gate {
    let wanted = usize::try_from(scene.strategy.canary).unwrap_or(usize::MAX);
    // Side by side, the canaries of all roles speak for all; role after role, each for its own.
    let of_turn = |item: &&Item<'_>| !scene.strategy.serial || turn.contains(&item.role);
    if wanted == 0 || !is_rolling(scene.verb) {
        return Gate::Open(None);
    }
    if let Some(gate) = canaries_before(scene, turn, now) {
        return gate;
    }
    let begun = |item: &&Item<'_>| {
        !item.canary
            && !item.spares
            && matches!(
                item.stand,
                Stand::UnderWay | Stand::Ended(TargetState::Succeeded)
            )
    };
    if scene.items.iter().filter(of_turn).any(|item| begun(&item)) {
        // They have shown what they had to show.
        return Gate::Open(None);
    }
    let mut left = BTreeMap::new();
    for role in turn {
        let of_role = |item: &&Item<'_>| item.role == *role;
        let flagged = scene
            .items
            .iter()
            .filter(of_role)
            .filter(|i| i.canary)
            .count();
        let could = |item: &&Item<'_>| item.stand == Stand::Ready && !item.spares;
        let could = scene.items.iter().filter(of_role).filter(could).count();
        let more = wanted.saturating_sub(flagged).min(could);
        if more > 0 {
            left.insert((*role).clone(), more);
        }
    }
    let mut flagged = scene
        .items
        .iter()
        .filter(of_turn)
        .filter(|i| i.canary)
        .peekable();
    if flagged.peek().is_none() && left.is_empty() {
        return Gate::Open(None);
    }
    let mut under_way = false;
    for canary in flagged.clone() {
        match canary.stand {
            Stand::Ended(TargetState::Succeeded) => {}
            Stand::Ended(_) => return Gate::Closed(because_of(canary)),
            _ => under_way = true,
        }
    }
    if under_way || !left.is_empty() {
        let baked = scene.baking.filter(|_| flagged.peek().is_none());
        return Gate::Canaries { left, baked };
    }
    bake(scene, flagged, now)
}

/// Role after role, the canaries of one role have to stay healthy before the next one begins, also
/// where the role has nobody but canaries.
fn canaries_before(scene: &Scene<'_>, turn: &[&RoleName], now: Timestamp) -> Option<Gate> {
    let role = turn.first().filter(|_| scene.strategy.serial)?;
    let begun = |item: &&Item<'_>| {
        let stand = item.stand;
        let begun = matches!(
            stand,
            Stand::UnderWay | Stand::Ended(TargetState::Succeeded)
        );
        begun && !item.spares
    };
    let mut of_role = scene.items.iter().filter(|item| item.role == *role);
    if of_role.any(|item| begun(&item)) {
        return None;
    }
    let rank = |role: &RoleName| scene.roles.get(role).map(|role| role.rank);
    let before = scene
        .items
        .iter()
        .filter(begun)
        .filter(|i| rank(i.role) < rank(role));
    let last = before.max_by_key(|item| rank(item.role))?.role;
    let of_last = || {
        scene
            .items
            .iter()
            .filter(|item| item.role == last)
            .filter(begun)
    };
    if of_last().any(|item| !item.canary) {
        return None;
    }
    match bake(scene, of_last(), now) {
        Gate::Open(_) => None,
        gate => Some(gate),
    }
}

fn bake<'a>(
    scene: &Scene<'_>,
    canaries: impl Iterator<Item = &'a Item<'a>> + Clone,
    now: Timestamp,
) -> Gate {
    if let Some(ill) = canaries.clone().find(|item| item.ailment.is_some()) {
        let why = ill.ailment.as_deref().unwrap_or_default();
        let (name, node) = (ill.name, ill.node);
        return Gate::Closed(format!(
            "not begun, because the canary {name} at {node} did not stay healthy: {why}"
        ));
    }
    if let Some(unseen) = canaries.clone().find(|item| !item.available) {
        return Gate::Unseen(unseen.name.to_string());
    }
    let from = scene.baking.unwrap_or(now);
    let left = scene.strategy.bake.saturating_sub(since(from, now));
    if left.is_zero() && after(from, scene.strategy.bake) <= now {
        return Gate::Open(Some(from));
    }
    Gate::Bake { since: from, left }
}
