//! Simulated fleets: many agents in one process, each with an identity and an address of its own.
//!
//! ```text
//! token (operators' socket) ── join from the node's address (:7444, TLS) ── leaf
//!   └─ for as long as the load is up: dial from the node's address (:7443, mTLS) ── hello ──
//!      heartbeats, and for each assignment at once a status that says it has succeeded ── again
//! ```
//!
//! What is real: keys, certificates, handshakes, one connection each, the messages, the heartbeats,
//! the waits between two tries. What is not: a Docker Engine behind the agent, so that a record
//! comes to its end the moment it is received.

mod board;
mod enrol;
mod limits;
mod node;
mod session;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use extend_common::ids::NodeAddr;
use extend_common::roles::RoleSet;
use extend_proto::v1;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args::Simulate;
use crate::operator::Operator;
pub(crate) use board::Board;
use node::Node;

/// The first node's address. All of 127.0.0.0/8 is this machine's on Linux.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);
/// So many join or are deployed at once: enough to keep two processors busy.
const AT_ONCE: usize = 64;
/// What every simulated server is.
const ROLE: &str = "media-server-only";
/// Descriptors of a process beside the connections of its agents.
const SPARE_DESCRIPTORS: u32 = 512;
/// Joining or coming back takes milliseconds for each agent, and nothing for ever.
const PATIENCE: Duration = Duration::from_secs(180);

/// A simulated fleet. Its agents end when it is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    board: Arc<Board>,
    up: watch::Sender<bool>,
    about: Arc<[v1::DefinitionDigest]>,
    agents: JoinSet<()>,
    deployed: u32,
}

impl Load {
    /// A fleet of no agents, with room for `most`.
    ///
    /// # Errors
    /// When this process may not open so many connections.
    pub(crate) fn new(most: u32) -> anyhow::Result<Self> {
        limits::allow_descriptors(most.saturating_add(SPARE_DESCRIPTORS).into())?;
        let roles = RoleSet::built_in().context("reading the built-in roles")?;
        let digest = |role: &extend_common::roles::RoleDefinition| v1::DefinitionDigest {
            role: role.role.to_string(),
            digest: role.digest().to_string(),
        };
        Ok(Self {
            board: Arc::default(),
            up: watch::Sender::new(true),
            about: roles.iter().map(digest).collect(),
            agents: JoinSet::new(),
            deployed: 0,
        })
    }

    /// How many agents there are.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.agents.len()).unwrap_or(u32::MAX)
    }

    /// What the agents count.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// Joins agents until there are `size`, and waits until all are welcomed.
    pub(crate) async fn grow(&mut self, operator: &Operator, size: u32) -> anyhow::Result<()> {
        let new = (self.size()..size).map(|number| async move {
            let node = address(number)?;
            let identity = enrol::enrol(operator, node)
                .await
                .with_context(|| format!("joining {node}"))?;
            anyhow::Ok((node, identity))
        });
        let mut joining = stream::iter(new).buffer_unordered(AT_ONCE);
        while let Some((node, identity)) = joining.try_next().await? {
            let life = session::Life {
                identity,
                board: Arc::clone(&self.board),
                about: Arc::clone(&self.about),
                up: self.up.subscribe(),
            };
            self.agents.spawn(life.live(Node::new(node)));
        }
        drop(joining);
        self.await_welcomed().await
    }

    /// Deploys a server on every agent that has none.
    pub(crate) async fn deploy(&mut self, operator: &Operator) -> anyhow::Result<()> {
        let size = self.size();
        let new = (self.deployed..size).map(|number| async move {
            let selector = v1::Selector {
                role: ROLE.to_owned(),
                nodes: vec![address(number)?.to_string()],
                name: format!("simulated-{number}"),
            };
            operator.submit(v1::Verb::Run, selector).await
        });
        let mut deploying = stream::iter(new).buffer_unordered(AT_ONCE);
        while deploying.try_next().await?.is_some() {}
        drop(deploying);
        operator.await_nothing_open(PATIENCE).await?;
        let settled = operator.servers().await?.servers;
        let healthy = settled
            .iter()
            .filter_map(|view| view.status.as_ref())
            .filter(|status| status.health() == v1::Health::Healthy);
        let healthy = healthy.count();
        anyhow::ensure!(
            u32::try_from(healthy) == Ok(size),
            "{healthy} of {size} simulated servers are healthy"
        );
        self.deployed = size;
        Ok(())
    }

    /// Ends every session; nobody comes back until [`Load::connect`].
    pub(crate) async fn disconnect(&self) -> anyhow::Result<()> {
        self.up.send_replace(false);
        self.board.await_welcomed(0, PATIENCE).await
    }

    /// Lets everybody come back, and waits until all are welcomed.
    pub(crate) async fn connect(&self) -> anyhow::Result<()> {
        self.up.send_replace(true);
        self.await_welcomed().await
    }

    /// Waits until every agent is welcomed.
    pub(crate) async fn await_welcomed(&self) -> anyhow::Result<()> {
        self.board.await_welcomed(self.size(), PATIENCE).await
    }
}

/// Whether a target has come to a good end.
pub(crate) fn is_done(target: &v1::Target) -> bool {
    target.state() == v1::TargetState::Succeeded
}

fn address(number: u32) -> anyhow::Result<NodeAddr> {
    let bits = u32::from(FIRST)
        .checked_add(number)
        .context("too many agents")?;
    Ok(Ipv4Addr::from(bits).try_into()?)
}

/// `extend-bench simulate`: holds a simulated fleet until a signal comes.
pub(crate) async fn simulate(args: &Simulate) -> anyhow::Result<()> {
    let operator = Operator::connect(&args.socket).await?;
    let mut load = Load::new(args.agents)?;
    load.grow(&operator, args.agents).await?;
    eprintln!("{} agents have joined and are welcomed", load.size());
    if args.deploy {
        load.deploy(&operator).await?;
        eprintln!("{} servers are deployed", load.size());
    }
    eprintln!("Ctrl-C ends them");
    std::future::pending().await
}
