//! How a verb goes from server to server, and what it does about sessions.

use std::time::Duration;

use clap::Args;
use extend_common::operation::{Share, Strategy};

use super::parse_whole_seconds;

/// More servers than a fleet has.
const MAX_SERVERS: i64 = 10_000;

/// Order and bounds of the verbs that take servers one after the other: `restart` and `upgrade`.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct RolloutArgs {
    /// How many servers of a type may be out of service at once, or what part of them
    /// [default: 1]
    #[arg(long, value_name = "N|P%", value_parser = parse_share, help_heading = "Rollout")]
    max_unavailable: Option<Share>,

    /// So many servers of each type go first, and the others when these have stayed healthy
    #[arg(long, value_name = "N", value_parser = servers(1), help_heading = "Rollout")]
    canary: Option<u32>,

    /// How long those that go first have to stay healthy [default: 2m]
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_whole_seconds,
        requires = "canary",
        help_heading = "Rollout"
    )]
    bake: Option<Duration>,

    #[command(flatten)]
    order: OrderArgs,
}

impl RolloutArgs {
    /// What was said about it; none is the verb's default.
    pub(crate) fn strategy(&self) -> Option<Strategy> {
        let Self {
            max_unavailable,
            canary,
            bake,
            order,
        } = *self;
        if max_unavailable.is_none() && canary.is_none() && order.strategy().is_none() {
            return None;
        }
        Some(Strategy {
            max_unavailable,
            canary: canary.unwrap_or(0),
            bake: bake.unwrap_or(Strategy::DEFAULT_BAKE),
            ..order.strategy().unwrap_or_default()
        })
    }
}

/// Order and bounds of the verbs that take all servers at once: `start` and `stop`.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct OrderArgs {
    /// How many servers may fail before nothing more is begun [default: 0]
    #[arg(long, value_name = "N", value_parser = servers(0), help_heading = "Rollout")]
    max_failures: Option<u32>,

    /// Type after type: media, queue, meeting, IVR; and not side by side
    #[arg(long, help_heading = "Rollout")]
    serial: bool,
}

impl OrderArgs {
    /// What was said about it; none is the verb's default.
    pub(crate) fn strategy(&self) -> Option<Strategy> {
        let Self {
            max_failures,
            serial,
        } = *self;
        (serial || max_failures.is_some()).then(|| Strategy {
            max_failures: max_failures.unwrap_or(0),
            serial,
            ..Strategy::default()
        })
    }
}

/// What is done about the sessions of servers whose process is ended.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct SessionsArgs {
    /// Let the sessions of each server end before it is stopped, for this long at most; without a
    /// time, as long as its type says. It is not stopped while some are left
    // Two layers: whether it was said, and with which time.
    #[arg(long, value_name = "DURATION", value_parser = parse_whole_seconds,
        help_heading = "Sessions")]
    #[expect(
        clippy::option_option,
        reason = "how the parser tells an option's value apart"
    )]
    drain: Option<Option<Duration>>,

    /// Do not wait for sessions: stop at once, with the usual grace to end
    #[arg(long, conflicts_with = "drain", help_heading = "Sessions")]
    now: bool,
}

/// The same as a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sessions {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// As long as the role's definition says.
    ByType,
    /// For so long.
    For(Duration),
    /// Not at all.
    Now,
}

impl From<SessionsArgs> for Sessions {
    fn from(args: SessionsArgs) -> Self {
        match (args.drain, args.now) {
            (Some(Some(limit)), _) => Self::For(limit),
            (Some(None), _) => Self::ByType,
            (None, true) => Self::Now,
            (None, false) => Self::Unsaid,
        }
    }
}

/// A number of servers, `least` or more.
fn servers(least: i64) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(least..=MAX_SERVERS)
}

fn parse_share(text: &str) -> Result<Share, String> {
    // The sentence names the text, and so does the parser of the arguments.
    let share = text.parse::<Share>();
    share.map_err(|_| "write a number of servers, like 2, or a part of them, like 25%".to_owned())
}
