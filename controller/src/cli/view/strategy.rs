//! How an operation goes from server to server, as a document and in words.

use extend_common::operation::{Strategy, Verb};
use serde::Serialize;

use crate::cli::output::text::span;

/// How an operation goes from server to server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Document {
    /// So many servers of a type may be out of service at once: `2`, `25%`; null is the verb's
    /// default, one for `restart` and `upgrade`, all for the others.
    pub(crate) max_unavailable: Option<String>,
    /// So many servers of each type go first.
    pub(crate) canary: u32,
    /// For so long these have to stay healthy.
    pub(crate) bake_seconds: u64,
    /// With more failures than this nothing more begins.
    pub(crate) max_failures: u32,
    /// Type after type.
    pub(crate) serial: bool,
}

impl From<&Strategy> for Document {
    fn from(strategy: &Strategy) -> Self {
        Self {
            max_unavailable: strategy.max_unavailable.map(|share| share.to_string()),
            canary: strategy.canary,
            bake_seconds: strategy.bake.as_secs(),
            max_failures: strategy.max_failures,
            serial: strategy.serial,
        }
    }
}

/// The same in words: `1 of a type at a time, types side by side; stops at the first failure`.
pub(crate) fn in_words(verb: Verb, strategy: &Strategy) -> String {
    let rolling = matches!(verb, Verb::Restart | Verb::Upgrade);
    let side_by_side = match strategy.serial {
        true => "type after type",
        false => "types side by side",
    };
    let order = match strategy.max_unavailable {
        None if rolling => format!("1 of a type at a time, {side_by_side}"),
        None if strategy.serial => "all of a type at once, type after type".to_owned(),
        None => "all at once".to_owned(),
        Some(share) => format!("{share} of a type at a time, {side_by_side}"),
    };
    let canary = (strategy.canary > 0).then(|| {
        let (first, bake) = (strategy.canary, span(strategy.bake));
        format!("{first} of each type first, which must stay healthy for {bake}")
    });
    // What goes at once has begun before anything can have failed.
    let in_turns = rolling || strategy.serial || strategy.max_unavailable.is_some();
    let failures = in_turns.then(|| match strategy.max_failures {
        0 => "stops at the first failure".to_owned(),
        most => format!("stops once {} have failed", most.saturating_add(1)),
    });
    let parts = canary.into_iter().chain([order]).chain(failures);
    parts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use extend_common::operation::Share;

    use super::*;

    #[test]
    fn strategies_are_told_in_words() {
        let usual = Strategy::default();
        let careful = Strategy {
            max_unavailable: Some(Share::Percent(25)),
            canary: 1,
            bake: Duration::from_secs(300),
            max_failures: 2,
            serial: true,
        };
        let serial = Strategy {
            serial: true,
            ..usual
        };
        for (verb, strategy, words) in [
            (
                Verb::Restart,
                usual,
                "1 of a type at a time, types side by side; stops at the first failure",
            ),
            (Verb::Stop, usual, "all at once"),
            (
                Verb::Start,
                serial,
                "all of a type at once, type after type; stops at the first failure",
            ),
            (
                Verb::Upgrade,
                careful,
                "1 of each type first, which must stay healthy for 5m; 25% of a type at a time, \
                 type after type; stops once 3 have failed",
            ),
        ] {
            assert_eq!(in_words(verb, &strategy), words);
        }
    }
}
