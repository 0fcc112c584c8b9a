//! A service that hangs: when its restart is begun, and when its new process runs. Both are the
//! Engine's own words: the first signal to the container, and its next start.
//!
//! All four servers hang at once, so that each round has four samples.

use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::Signal;

use super::Fleet;
use crate::args::Measure;
use crate::docker::{await_events, first, since};
use crate::figure::{Figure, Target};
use crate::fleet::{SERVERS, Server, first_process};
use crate::part::Part;
use crate::program::send;
use crate::samples::Samples;

/// The definitions that ship probe every 5 s, give a probe 2 s, and count to 3.
const BEGUN: Target = Target {
    most: 17_100.0,
    words: "≤ 17.1 s (interval × threshold + probe time-out + 100 ms)",
};
const RUNNING: Target = Target {
    most: 27_100.0,
    words: "≤ 27.1 s (10 s grace more)",
};
/// A restart that has not begun by now does not come.
const BOUND: Duration = Duration::from_secs(60);

pub(super) async fn measure(_args: &Measure, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    fleet.await_healthy().await?;
    let hung = round(fleet, |server| fleet.control(server, "hang=true\n")).await;
    for server in SERVERS {
        fleet.control(server, "")?;
    }
    figures.extend(show(
        "service hangs, and no connection to it is completed",
        &hung?,
    ));

    fleet.await_healthy().await?;
    let processes = SERVERS.map(first_process);
    let frozen = round(fleet, |server| {
        send(first_process(server)?, Signal::SIGSTOP)
    })
    .await;
    for pid in processes.into_iter().flatten() {
        // It goes on if nobody has replaced it.
        drop(send(pid, Signal::SIGCONT));
    }
    figures.extend(show("service's process is frozen (SIGSTOP)", &frozen?));
    Ok(figures)
}

/// How long each server took until its restart was begun, and until its new process ran.
struct Round {
    begun: Samples,
    running: Samples,
}

async fn round(
    fleet: &Fleet,
    hang: impl Fn(Server) -> anyhow::Result<()>,
) -> anyhow::Result<Round> {
    let began = Timestamp::now();
    for server in SERVERS {
        hang(server)?;
    }
    let all = await_events(began, BOUND, |events| {
        let running = |server: &Server| first(events, server.container, "start").is_some();
        SERVERS.iter().all(running).then(|| events.to_vec())
    });
    let events = match all.await? {
        Some(events) => events,
        None => crate::docker::events(began)?,
    };
    let times = |action: &str| -> Samples {
        let first = SERVERS
            .iter()
            .filter_map(|one| first(&events, one.container, action));
        first
            .map(|at| since(began, at).as_secs_f64() * 1e3)
            .collect()
    };
    let found = Round {
        begun: times("kill"),
        running: times("start"),
    };
    if found.running.len() == SERVERS.len() {
        fleet.await_online().await?;
    }
    Ok(found)
}

fn show(what: &str, round: &Round) -> [Figure; 2] {
    let figure = |then: &str, samples: &Samples, target| {
        let figure = Figure::new(Part::Hang, format!("{what}: {then}"), "ms");
        if samples.len() < SERVERS.len() {
            let (seen, all) = (samples.len(), SERVERS.len());
            return figure.absent(
                &format!("seen of {seen} of {all} within {BOUND:?}"),
                Some(target),
            );
        }
        figure.most(samples, Some(target))
    };
    [
        figure("restart begun after", &round.begun, BEGUN),
        figure("new process runs after", &round.running, RUNNING),
    ]
}
