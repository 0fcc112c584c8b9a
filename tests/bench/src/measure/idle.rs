//! A quiet minute: agents that watch a healthy server each, connected, and their controller. Nobody
//! asks anything meanwhile.

use std::path::Path;
use std::time::Duration;

use super::Fleet;
use crate::args::Measure;
use crate::figure::{Figure, Target};
use crate::fleet::SERVERS;
use crate::part::Part;
use crate::procfs::{footprint, processor_time};
use crate::samples::Samples;

const MIB: f64 = 1024.0 * 1024.0;
const MEMORY: Target = Target {
    most: 8.0,
    words: "≤ 8 MiB",
};
const PROCESSOR: Target = Target {
    most: 0.1,
    words: "≤ 0.1 % of a core",
};

pub(super) async fn measure(args: &Measure, fleet: &mut Fleet) -> anyhow::Result<Vec<Figure>> {
    let mut figures = minute(args, fleet, "agent").await?;
    let controller = fleet.controller.pid()?;
    figures.extend(quiet(args, &[controller], "controller with 4 agents", false).await?);
    if let Some(program) = &args.static_agent {
        exchange(fleet, Some(program)).await?;
        figures.extend(minute(args, fleet, "agent, static build").await?);
        exchange(fleet, None).await?;
    }
    Ok(figures)
}

/// Stops every agent and starts it as another build.
async fn exchange(fleet: &mut Fleet, program: Option<&Path>) -> anyhow::Result<()> {
    for server in SERVERS {
        fleet.stop_agent(server).await?;
        fleet.start_agent(server, program)?;
    }
    fleet.await_online().await?;
    fleet.await_healthy().await
}

async fn minute(args: &Measure, fleet: &Fleet, who: &str) -> anyhow::Result<Vec<Figure>> {
    quiet(args, &fleet.agent_pids(), who, true).await
}

async fn quiet(
    args: &Measure,
    pids: &[u32],
    who: &str,
    has_target: bool,
) -> anyhow::Result<Vec<Figure>> {
    let (settle, length) = if args.brief { (2, 5) } else { (20, 60) };
    tokio::time::sleep(Duration::from_secs(settle)).await;
    let used = || {
        pids.iter()
            .map(|pid| processor_time(*pid))
            .collect::<Result<Vec<_>, _>>()
    };
    let (began, before) = (std::time::Instant::now(), used()?);
    tokio::time::sleep(Duration::from_secs(length)).await;
    let (length, after) = (began.elapsed(), used()?);
    let percent: Samples = before
        .iter()
        .zip(&after)
        .map(|(before, after)| {
            after.saturating_sub(*before).as_secs_f64() / length.as_secs_f64() * 100.0
        })
        .collect();
    let prints = pids.iter().map(|pid| footprint(*pid));
    let prints = prints.collect::<Result<Vec<_>, _>>()?;
    let memory: Samples = prints.iter().map(|print| print.rss / MIB).collect();
    let anonymous: Samples = prints.iter().map(|print| print.anonymous / MIB).collect();
    let threads = prints.iter().map(|print| print.threads).max();
    let target = |target| has_target.then_some(target);
    let threads = threads.unwrap_or_default();
    Ok(vec![
        Figure::new(
            Part::Idle,
            format!("{who}: idle memory, VmRSS ({threads} threads)"),
            "MiB",
        )
        .most(&memory, target(MEMORY)),
        Figure::new(Part::Idle, format!("{who}: of it its own, RssAnon"), "MiB")
            .most(&anonymous, None),
        Figure::new(
            Part::Idle,
            format!("{who}: processor over a quiet minute"),
            "% of a core",
        )
        .most(&percent, target(PROCESSOR)),
    ])
}
