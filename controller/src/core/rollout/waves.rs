//! The waves of a plan: what would begin together if everything went well. By the rules of
//! [`super::next`], without going through an operation of thousands step by step.

use std::collections::BTreeMap;

use extend_common::ids::{NodeAddr, RoleName};

use super::{Scene, is_rolling, order};

/// Where a target stands in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct Wave {
    /// Targets of a lower wave end before this one begins: within the role, or with `--serial`
    /// whatever the role.
    pub(in crate::core) number: u32,
    /// It is one of those that go first.
    pub(in crate::core) canary: bool,
}

/// The wave of each target. Orders the scene's targets as they would have their turn.
pub(in crate::core) fn waves(scene: &mut Scene<'_>) -> BTreeMap<NodeAddr, Wave> {
    order(&mut scene.items, &scene.roles);
    let rolling = is_rolling(scene.verb);
    let canaries = match rolling {
        true => usize::try_from(scene.strategy.canary).unwrap_or(usize::MAX),
        false => 0,
    };
    let mut waves = BTreeMap::new();
    let mut first = 0;
    let mut at: Option<(&RoleName, usize)> = None;
    let mut highest = 0;
    for item in &scene.items {
        let place = match at {
            Some((role, place)) if role == item.role => place + 1,
            Some(_) if scene.strategy.serial => {
                first = highest + 1;
                0
            }
            _ => 0,
        };
        at = Some((item.role, place));
        let limit = match scene.roles.get(item.role) {
            Some(role) if rolling => role.limit(&scene.strategy),
            _ => usize::MAX,
        };
        let canary = place < canaries;
        let step = if canary {
            place / limit
        } else {
            // The canaries are done before the others begin.
            canaries.div_ceil(limit) + (place - canaries) / limit
        };
        let number = first + u32::try_from(step).unwrap_or(u32::MAX);
        highest = highest.max(number);
        waves.insert(item.node, Wave { number, canary });
    }
    waves
}
