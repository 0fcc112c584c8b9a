//! What must hold whatever was killed: checked against the Engines' own histories.

use std::collections::BTreeSet;

use extend_agent::docker::memory::{Effect, EffectKind, overlap};

/// The name of the agent's handle in histories.
const AGENT: &str = "agent";

/// How an Engine's history stood at some moment.
#[derive(Debug, Clone, Copy)]
pub struct Mark(pub usize);

/// I6: never two running containers of one server. I5: nothing without our labels changes, apart
/// from containers that were to be taken over.
///
/// # Panics
/// When one does not hold.
pub fn always(history: &[Effect], adopted: &BTreeSet<String>) {
    if let Some(words) = overlap(history) {
        panic!("I6: {words}\n{}", tell(history));
    }
    if let Some(effect) = killed_unasked(history) {
        panic!(
            "killed without having been asked to end: {effect:?}\n{}",
            tell(history)
        );
    }
    let foreign = history
        .iter()
        .find(|e| e.actor == AGENT && e.owner.is_none() && !adopted.contains(&e.container_id));
    assert!(foreign.is_none(), "I5: {foreign:?}\n{}", tell(history));
}

/// A SIGKILL by the agent for a run that it never sent the stop signal.
fn killed_unasked(history: &[Effect]) -> Option<&Effect> {
    let mut asked = BTreeSet::new();
    for effect in history {
        match &effect.kind {
            EffectKind::Started { .. } => {
                asked.remove(&effect.container_id);
            }
            EffectKind::Signalled { signal }
                if effect.actor == AGENT
                    && signal == "SIGKILL"
                    && !asked.contains(&effect.container_id) =>
            {
                return Some(effect);
            }
            EffectKind::Signalled { .. } if effect.actor == AGENT => {
                asked.insert(effect.container_id.clone());
            }
            _ => {}
        }
    }
    None
}

/// I7 and I4: nothing has happened since the mark.
///
/// # Panics
/// When something has.
pub fn untouched_since(history: &[Effect], mark: Mark) {
    let since = history.get(mark.0..).unwrap_or_default();
    assert!(
        since.is_empty(),
        "I4 or I7: it was touched\n{}",
        tell(since)
    );
}

/// The agent has done nothing since the mark.
///
/// # Panics
/// When it has.
pub fn nothing_done_since(history: &[Effect], mark: Mark) {
    let since = history.get(mark.0..).unwrap_or_default();
    let done = since.iter().find(|effect| effect.actor == AGENT);
    assert!(done.is_none(), "{done:?}\n{}", tell(since));
}

/// How often the agent started a container since the mark.
pub fn starts_since(history: &[Effect], mark: Mark) -> usize {
    let since = history.get(mark.0..).unwrap_or_default();
    since
        .iter()
        .filter(|e| e.actor == AGENT && matches!(e.kind, EffectKind::Started { .. }))
        .count()
}

/// A history for people.
pub fn tell(history: &[Effect]) -> String {
    let line = |effect: &Effect| {
        let id = effect.container_id.get(..6).unwrap_or_default();
        format!(
            "{:>10.3?} {:8} {id} {} {:?}",
            effect.at, effect.actor, effect.name, effect.kind
        )
    };
    history.iter().map(line).collect::<Vec<_>>().join("\n")
}
