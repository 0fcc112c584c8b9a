//! When the controller sees that an agent is gone: its process killed, and the whole of it frozen,
//! as on a host that has fallen silent. The operators' socket is asked every few milliseconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use extend_proto::v1::NodeState;
use nix::sys::signal::Signal;

use super::Fleet;
use crate::args::Measure;
use crate::figure::{Figure, Target};
use crate::fleet::SERVERS;
use crate::part::Part;
use crate::samples::Samples;

const DEAD: Target = Target {
    most: 1_000.0,
    words: "≤ 1 s",
};
const SILENT: Target = Target {
    most: 5_000.0,
    words: "≤ 5 s",
};
/// How often the controller is asked.
const PACE: Duration = Duration::from_millis(5);
/// Agents that came back have said all they had to, and are at different points of their heartbeats.
const REST: Duration = Duration::from_millis(3_300);
/// Longer than any of it takes.
const BOUND: Duration = Duration::from_secs(30);

pub(super) async fn measure(args: &Measure, fleet: &mut Fleet) -> anyhow::Result<Vec<Figure>> {
    let rounds = if args.brief { 1 } else { 3 };
    let mut dead = Samples::default();
    for server in SERVERS.iter().cycle().take(SERVERS.len() * rounds) {
        let began = Instant::now();
        fleet.kill_agent(*server)?;
        let seen = watch(fleet, &[server.node]).await?;
        dead.push((seen.gone(server.node)? - began).as_secs_f64() * 1e3);
        fleet.start_agent(*server, None)?;
        fleet.await_online().await?;
    }
    let (mut doubted, mut lost) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        tokio::time::sleep(REST).await;
        let began = Instant::now();
        fleet.signal_agents(Signal::SIGSTOP)?;
        let nodes = SERVERS.map(|server| server.node);
        let seen = watch(fleet, &nodes).await;
        fleet.signal_agents(Signal::SIGCONT)?;
        let seen = seen?;
        for node in nodes {
            doubted.push((seen.doubted(node)? - began).as_secs_f64() * 1e3);
            lost.push((seen.gone(node)? - began).as_secs_f64() * 1e3);
        }
        fleet.await_online().await?;
    }
    fleet.await_healthy().await?;
    let figure = |what| Figure::new(Part::Silence, what, "ms");
    Ok(vec![
        figure("agent process killed: node shown offline after").most(&dead, Some(DEAD)),
        figure("agent's host silent: node shown suspect after").most(&doubted, None),
        figure("agent's host silent: node shown offline after").most(&lost, Some(SILENT)),
    ])
}

/// When each node was first seen suspect, and when no longer connected.
#[derive(Default)]
struct Seen {
    suspect: BTreeMap<String, Instant>,
    offline: BTreeMap<String, Instant>,
}

impl Seen {
    fn gone(&self, node: &str) -> anyhow::Result<Instant> {
        match self.offline.get(node) {
            Some(at) => Ok(*at),
            None => bail!("{node} was not seen to be gone"),
        }
    }

    /// A node that is given up without having been suspect was doubted then.
    fn doubted(&self, node: &str) -> anyhow::Result<Instant> {
        self.suspect
            .get(node)
            .map_or_else(|| self.gone(node), |at| Ok(*at))
    }
}

/// Looks until all of the nodes are offline.
async fn watch(fleet: &Fleet, nodes: &[&str]) -> anyhow::Result<Seen> {
    let (began, mut seen) = (Instant::now(), Seen::default());
    while seen.offline.len() < nodes.len() {
        if began.elapsed() > BOUND {
            bail!("not all of {nodes:?} are offline after {BOUND:?}");
        }
        let shown = fleet.operator.nodes().await?;
        let now = Instant::now();
        for view in shown
            .iter()
            .filter(|view| nodes.contains(&view.node.as_str()))
        {
            let first = match view.state() {
                NodeState::Suspect => &mut seen.suspect,
                NodeState::Offline => &mut seen.offline,
                _ => continue,
            };
            first.entry(view.node.clone()).or_insert(now);
        }
        tokio::time::sleep(PACE).await;
    }
    Ok(seen)
}
