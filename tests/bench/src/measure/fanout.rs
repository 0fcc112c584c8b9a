//! One operation to every simulated agent. `stop` and `start` in turns: they go to all at once.
//!
//! Times are from the submission: until the last agent has answered its assignment, until the
//! controller has taken the last report in (the latest end of a target, by its clock, which is this
//! machine's), and until a watcher of the operation sees its end, which is after the commit.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use extend_proto::v1;
use jiff::Timestamp;

use super::Site;
use crate::args::Measure;
use crate::docker::since;
use crate::figure::{Figure, Target};
use crate::load::is_done;
use crate::part::Part;
use crate::procfs::processor_time;
use crate::samples::Samples;

/// An agent that has not answered by now does not answer.
const BOUND: Duration = Duration::from_secs(60);
/// Between two rounds, so that each begins with empty queues.
const REST: Duration = Duration::from_millis(1_500);

/// What all agents have to have acknowledged within.
fn target(agents: u32) -> Option<Target> {
    match agents {
        1_000 => Some(Target {
            most: 60.0,
            words: "≤ 60 ms",
        }),
        10_000 => Some(Target {
            most: 600.0,
            words: "≤ 600 ms",
        }),
        _ => None,
    }
}

pub(super) async fn measure(args: &Measure, site: &mut Site) -> anyhow::Result<Vec<Figure>> {
    let rounds = if args.brief { 2 } else { 10 };
    let agents = site.load.size();
    // Everything is warm then, and everybody runs again.
    round(site, v1::Verb::Stop).await?;
    tokio::time::sleep(REST).await;
    round(site, v1::Verb::Start).await?;
    let (mut answered, mut reported) = (Samples::default(), Samples::default());
    let mut seen = Samples::default();
    let (mut controllers, mut simulators) = (Samples::default(), Samples::default());
    let pids = (site.controller.pid()?, std::process::id());
    for number in 0..rounds {
        let verb = if number % 2 == 0 {
            v1::Verb::Stop
        } else {
            v1::Verb::Start
        };
        let used = || anyhow::Ok((processor_time(pids.0)?, processor_time(pids.1)?));
        tokio::time::sleep(REST).await;
        let before = used()?;
        let times = round(site, verb).await?;
        let after = used()?;
        controllers.push(after.0.saturating_sub(before.0).as_secs_f64() * 1e3);
        simulators.push(after.1.saturating_sub(before.1).as_secs_f64() * 1e3);
        answered.push(times.answered.as_secs_f64() * 1e3);
        reported.push(times.reported.as_secs_f64() * 1e3);
        seen.push(times.seen.as_secs_f64() * 1e3);
    }
    let figure = |what: &str| {
        let what = format!("fan-out to {agents} simulated agents: {what}");
        Figure::new(Part::FanOut, what, "ms")
    };
    Ok(vec![
        figure("all acknowledged (the last report is in)").median(&reported, target(agents)),
        figure("the last agent has its record and has answered").median(&answered, None),
        figure("the operation's end is committed and seen by its watcher").median(&seen, None),
        figure("processor time of the controller meanwhile").median(&controllers, None),
        figure("processor time of the simulator meanwhile").median(&simulators, None),
    ])
}

struct Times {
    answered: Duration,
    reported: Duration,
    seen: Duration,
}

async fn round(site: &Site, verb: v1::Verb) -> anyhow::Result<Times> {
    site.load.board().begin(site.load.size());
    let (began, began_at) = (Instant::now(), Timestamp::now());
    let everything = v1::Selector::default();
    let operation = site.operator.submit(verb, everything).await?;
    let ended = site.operator.end(&operation.id).await?;
    let seen = began.elapsed();
    let answered = site.load.board().complete(BOUND).await? - began;
    let agents = usize::try_from(site.load.size())?;
    ensure!(
        ended.targets.len() == agents && ended.targets.iter().all(is_done),
        "not every target of {} has succeeded",
        ended.id
    );
    let last = ended.targets.iter().map(|target| target.ended_ms).max();
    let last = Timestamp::from_millisecond(last.context("no targets")?)?;
    Ok(Times {
        answered,
        reported: since(began_at, last),
        seen,
    })
}
