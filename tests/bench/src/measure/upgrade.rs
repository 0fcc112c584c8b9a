//! How long the port of an upgraded server does not answer. The image is on the node already: a
//! pull happens while the old container serves.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Fleet;
use crate::args::Measure;
use crate::docker::{events, since};
use crate::figure::Figure;
use crate::fleet::{MEDIA, Server};
use crate::part::Part;
use crate::samples::Samples;

/// How often the port is tried.
const EVERY: Duration = Duration::from_millis(5);
/// The versions that `scripts/bench.sh` makes for the upgrades.
const VERSIONS: [&str; 5] = ["22.3.1", "22.3.2", "22.3.3", "22.3.4", "22.3.5"];

pub(super) async fn measure(args: &Measure, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let versions: &[&str] = if args.brief {
        &VERSIONS[..2]
    } else {
        &VERSIONS
    };
    let (mut silent, mut engine) = (Samples::default(), Samples::default());
    for version in versions {
        fleet.await_healthy().await?;
        let knocking = Knocking::begin(MEDIA)?;
        let began = Timestamp::now();
        fleet.extend(&[
            "upgrade",
            "--yes",
            "-n",
            MEDIA.name,
            "-i",
            &fleet.image(version),
        ])?;
        let gap = knocking.end().await?;
        silent.push(gap.as_secs_f64() * 1e3);
        engine.push(exchange(began)?.as_secs_f64() * 1e3);
    }
    let figure = |what| Figure::new(Part::Upgrade, what, "ms");
    Ok(vec![
        figure("upgrade: the server's port does not answer for").median(&silent, None),
        figure("of it, in the Engine: from the stop signal to the new container's start")
            .median(&engine, None),
    ])
}

/// From the signal that ends the old container to the start of the new one, as the Engine has it.
fn exchange(began: Timestamp) -> anyhow::Result<Duration> {
    let all = events(began)?;
    let ours = |action| {
        let found = all.iter().filter(move |event| {
            event.container.starts_with(MEDIA.container) && event.action == action
        });
        found.map(|event| event.at)
    };
    let stopped = ours("kill").next().context("nothing was stopped")?;
    let started = ours("start").next_back().context("nothing was started")?;
    Ok(since(stopped, started))
}

/// Tries a port again and again.
struct Knocking {
    stop: CancellationToken,
    task: JoinHandle<Vec<(Instant, bool)>>,
}

impl Knocking {
    fn begin(server: Server) -> anyhow::Result<Self> {
        let at: SocketAddr = format!("{}:{}", server.node, server.port).parse()?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(knock(at, stop.clone()));
        Ok(Self { stop, task })
    }

    /// From the last answer before the silence to the first one after it.
    async fn end(self) -> anyhow::Result<Duration> {
        self.stop.cancel();
        longest_silence(&self.task.await?)
    }
}

async fn knock(at: SocketAddr, stop: CancellationToken) -> Vec<(Instant, bool)> {
    let mut seen = Vec::new();
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        tick.tick().await;
        let answer = timeout(EVERY * 4, TcpStream::connect(at)).await;
        seen.push((Instant::now(), matches!(answer, Ok(Ok(_)))));
    }
    seen
}

fn longest_silence(seen: &[(Instant, bool)]) -> anyhow::Result<Duration> {
    if seen.iter().all(|(_, answered)| *answered) {
        bail!("the port has answered all the time: was there an upgrade?");
    }
    let answers: Vec<Instant> = seen
        .iter()
        .filter(|(_, answered)| *answered)
        .map(|(at, _)| *at)
        .collect();
    let gaps = answers.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(*after - *before),
        _ => None,
    });
    gaps.max().context("the port has not answered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silence_is_from_the_last_answer_to_the_next() {
        let began = Instant::now();
        let at = |ms, answered| (began + Duration::from_millis(ms), answered);
        let seen = [
            at(0, true),
            at(5, true),
            at(10, false),
            at(15, false),
            at(25, true),
        ];
        assert_eq!(longest_silence(&seen).unwrap(), Duration::from_millis(20));
        assert!(longest_silence(&seen[..2]).is_err());
    }
}
