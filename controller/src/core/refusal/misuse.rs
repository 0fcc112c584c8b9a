//! Commands that are wrong by themselves, whatever the fleet is like. Exit code 2.

use std::time::Duration;

use extend_common::duration;

use super::asked::quoted;
use super::{Action, Asked, Text};

/// What is wrong with the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misuse {
    /// The word after `-s` is none of the types.
    UnknownType {
        /// The command.
        asked: Asked,
        /// Every type, with the other words for it.
        known: Vec<String>,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// `run` without all that it needs.
    MissingOptions {
        /// The command.
        asked: Asked,
        /// What is missing.
        missing: Vec<&'static str>,
    },
    /// `run` on several nodes.
    OneNodeOnly {
        /// The command.
        asked: Asked,
    },
    /// An option that means nothing for the verb.
    OptionDoesNotApply {
        /// The command.
        asked: Asked,
        /// Which.
        option: &'static str,
    },
    /// No image reference.
    BadImage {
        /// The command.
        asked: Asked,
        /// What was given for one.
        image: String,
    },
    /// A `--timeout` out of its bounds.
    BadTimeout {
        /// The command.
        asked: Asked,
        /// What was given.
        given: Duration,
        /// The shortest and the longest.
        bounds: (Duration, Duration),
    },
    /// Another duration out of its bounds.
    BadDuration {
        /// The command.
        asked: Asked,
        /// Which option.
        option: &'static str,
        /// What was given.
        given: Duration,
        /// The shortest and the longest.
        bounds: (Duration, Duration),
    },
    /// A `--ttl` out of its bounds.
    BadTtl {
        /// What was to be done.
        action: Action,
        /// What was given.
        given: Duration,
        /// The shortest and the longest.
        bounds: (Duration, Duration),
    },
}

impl Misuse {
    pub(super) fn text(&self) -> Text {
        match self {
            Self::UnknownType {
                asked,
                known,
                nearest,
            } => unknown_type(asked, known, nearest.as_deref()),
            Self::MissingOptions { asked, missing } => Text::new(
                "missing-options",
                format!("cannot run a server without {}", listed(missing)),
                asked.line(),
            ),
            Self::OneNodeOnly { asked } => Text::new(
                "one-node-only",
                format!("cannot run one server on {} nodes", asked.nodes.len()),
                asked
                    .nodes
                    .first()
                    .map_or(asked.line(), |first| asked.with_node(*first).line()),
            )
            .because("run deploys one server on one node"),
            Self::OptionDoesNotApply { asked, option } => Text::new(
                "option-does-not-apply",
                format!(
                    "cannot {} with {option}: it means nothing there",
                    asked.action()
                ),
                asked.without(option).line(),
            ),
            Self::BadImage { asked, image } => Text::new(
                "bad-image",
                format!(
                    "cannot {} from {}: it is no image reference",
                    asked.action(),
                    quoted(image)
                ),
                asked.with_image("portsip/pbx:22").line(),
            )
            .because("an image is named as for `docker pull`"),
            Self::BadTimeout {
                asked,
                given,
                bounds,
            } => Text::new(
                "bad-timeout",
                out_of_bounds(&asked.action(), "--timeout", *given, *bounds),
                format!("{} --timeout 30m", asked.line()),
            ),
            Self::BadDuration {
                asked,
                option,
                given,
                bounds,
            } => Text::new(
                "bad-duration",
                out_of_bounds(&asked.action(), option, *given, *bounds),
                format!("{} {option} 30m", asked.line()),
            ),
            Self::BadTtl {
                action,
                given,
                bounds,
            } => Text::new(
                "bad-ttl",
                out_of_bounds(action, "--ttl", *given, *bounds),
                format!("{} --ttl 10m", action.line()),
            ),
        }
    }
}

fn listed(missing: &[&str]) -> String {
    match missing {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => missing.concat(),
    }
}

fn unknown_type(asked: &Asked, known: &[String], nearest: Option<&str>) -> Text {
    let word = quoted(asked.role.as_deref().unwrap_or_default());
    let sentence = format!("cannot {}: {word} is no type of server", asked.action());
    let hint = nearest.map_or("extend status".to_owned(), |nearest| {
        Asked {
            role: Some(nearest.to_owned()),
            ..asked.clone()
        }
        .line()
    });
    Text::new("unknown-type", sentence, hint).because(format!("the types are {}", known.join(", ")))
}

fn out_of_bounds(
    action: &Action,
    option: &str,
    given: Duration,
    (least, most): (Duration, Duration),
) -> String {
    format!(
        "cannot {action} with {option} {}: it must be from {} to {}",
        duration::show(given),
        duration::show(least),
        duration::show(most)
    )
}
