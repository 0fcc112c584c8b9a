//! Whether the options of a rollout mean something for the verb, and how long it may take.

use std::time::Duration;

use extend_common::operation::{PlannedTarget, Strategy, Verb};
use extend_common::roles::Timing;

use super::super::refusal::{Asked, Misuse, Refusal};
use super::super::request::Submission;
use super::super::rollout::is_rolling;
use super::super::settings::Settings;

/// How long an operation may take when nothing else is said, and not longer is to be expected.
pub(in crate::core) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What a wave may take at the longest, apart from waiting for sessions: a stop to its end, a start
/// window, another one for the way back, and some time for everything else.
fn wave(timing: &Timing) -> Duration {
    timing.stop_grace + timing.start_window * 2 + Duration::from_secs(180)
}

/// `--bake` is within these.
const BAKES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

/// The longest that an operation may take.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What is wrong with the options, whatever the fleet is like.
pub(super) fn check(submission: &Submission, asked: &Asked) -> Result<(), Refusal> {
    let Strategy {
        max_unavailable,
        canary,
        bake,
        max_failures,
        serial,
    } = submission.strategy;
    let rolling = is_rolling(submission.verb);
    let ordered = rolling || matches!(submission.verb, Verb::Start | Verb::Stop);
    let misplaced = [
        ("--max-unavailable", max_unavailable.is_some(), rolling),
        ("--canary", canary > 0, rolling),
        (
            "--max-failures",
            max_failures > 0,
            rolling || ordered && serial,
        ),
        ("--serial", serial, ordered),
        (
            "--to-previous",
            submission.to_previous,
            submission.verb == Verb::Upgrade,
        ),
        (
            "-i",
            submission.to_previous && submission.image.is_some(),
            false,
        ),
    ];
    if let Some((option, ..)) = misplaced
        .iter()
        .find(|(_, given, applies)| *given && !applies)
    {
        let asked = asked.clone();
        return Err(Misuse::OptionDoesNotApply { asked, option }.into());
    }
    let (least, most) = BAKES;
    if canary > 0 && (bake < least || bake > most) {
        return Err(Misuse::BadDuration {
            asked: asked.clone(),
            option: "--bake",
            given: bake,
            bounds: BAKES,
        }
        .into());
    }
    Ok(())
}

/// How long an operation on these servers may take when nothing else is said: a large fleet, one
/// server at a time, must not run into a deadline that was meant for a small one.
pub(super) fn timeout(
    settings: &Settings,
    submission: &Submission,
    targets: &[PlannedTarget],
    drain: Option<Duration>,
) -> Duration {
    if let Some(timeout) = submission.timeout {
        return timeout;
    }
    let mut roles: Vec<_> = targets.iter().map(|target| &target.role).collect();
    roles.sort_unstable();
    roles.dedup();
    let bakes = match submission.strategy {
        Strategy { canary: 0, .. } => 0,
        Strategy { serial: true, .. } => u32::try_from(roles.len()).unwrap_or(u32::MAX),
        _ => 1,
    };
    let longest = roles.iter().filter_map(|role| settings.roles.get(role));
    let longest = longest.map(|definition| wave(&definition.timing)).max();
    let wave = longest.unwrap_or_default() + drain.unwrap_or_default();
    let last = targets.iter().map(|target| target.wave).max().unwrap_or(0);
    let waves = wave.saturating_mul(last.saturating_add(1));
    let bakes = submission.strategy.bake.saturating_mul(bakes);
    waves.saturating_add(bakes).clamp(DEFAULT_TIMEOUT, LONGEST)
}
