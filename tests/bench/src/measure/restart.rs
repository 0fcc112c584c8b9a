//! A restart of four servers, and the same by hand: `docker stop` and `docker start` for all at
//! once from one shell, which send the same signal. In turns in one run, and both are over when the
//! Engine says that the last new process runs.
//!
//! While it is done by hand the agents are frozen, since they would start a server that somebody
//! else stopped.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use nix::sys::signal::Signal;

use super::Fleet;
use crate::args::Measure;
use crate::docker::{await_events, first, since};
use crate::figure::{Figure, Target};
use crate::fleet::{SERVERS, await_port};
use crate::part::Part;
use crate::program::output;
use crate::samples::Samples;

const RATIO: Target = Target {
    most: 1.1,
    words: "≤ 1.1 ×",
};
/// Neither way takes anywhere near it.
const BOUND: Duration = Duration::from_secs(30);

pub(super) async fn measure(args: &Measure, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let rounds = if args.brief { 2 } else { 15 };
    let (mut ours, mut whole) = (Samples::default(), Samples::default());
    let (mut by_hand, mut ratio) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        fleet.await_healthy().await?;
        let began = Timestamp::now();
        fleet.extend(&["restart"])?;
        whole.push(millis(since(began, Timestamp::now())));
        let extend = millis(running(began).await?);

        fleet.await_healthy().await?;
        fleet.signal_agents(Signal::SIGSTOP)?;
        let began = Timestamp::now();
        let outcome = hand();
        let hand = running(began).await;
        fleet.signal_agents(Signal::SIGCONT)?;
        outcome?;
        let hand = millis(hand?);

        ours.push(extend);
        by_hand.push(hand);
        ratio.push(extend / hand);
    }
    fleet.await_healthy().await?;
    let figure = |what, unit| Figure::new(Part::Restart, what, unit);
    Ok(vec![
        figure(
            "restart of 4 servers until the new processes run, over by hand",
            "×",
        )
        .median(&ratio, Some(RATIO)),
        figure("`extend restart`: until the new processes run", "ms").median(&ours, None),
        figure("by hand, all at once: until the new processes run", "ms").median(&by_hand, None),
        figure(
            "`extend restart`: until they have proved themselves and it returns",
            "ms",
        )
        .median(&whole, None),
    ])
}

/// How long it took until the last of the four processes ran that were started since then.
async fn running(began: Timestamp) -> anyhow::Result<Duration> {
    let last = await_events(began, BOUND, |events| {
        let starts = SERVERS.map(|server| first(events, server.container, "start"));
        starts
            .into_iter()
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .max()
    });
    let last = last.await?.context("not all servers were started")?;
    for server in SERVERS {
        await_port(server).await?;
    }
    ensure!(last > began, "the Engine's clock is another one");
    Ok(since(began, last))
}

fn hand() -> anyhow::Result<()> {
    let one = |name| format!("(docker stop --time 300 {name} && docker start {name}) & ");
    let all: String = SERVERS.map(|server| one(server.container)).concat();
    let script = format!("{all}wait");
    output(Command::new("/bin/sh").args(["-c", &script]), "").map(drop)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
