//! Asks a service whether it answers: one task that probes the run it was last told of, and sends
//! what it finds. It judges nothing; that is `core::health`'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use extend_common::ids::NodeAddr;
use extend_common::record::Instance;
use extend_common::roles::{ProbeDefinition, ProbeKind};
use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// How often a run is probed until it has answered for the first time.
const EAGER_INTERVAL: Duration = Duration::from_millis(200);
/// So many rounds are eager; a service that has not answered by then is probed at its interval.
const EAGER_ROUNDS: u32 = 600;

/// Connects to ports.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Whether the port takes a connection within `limit`; why not, in words.
    async fn tcp(&self, address: SocketAddr, limit: Duration) -> Result<(), String>;
}

/// Connects for real.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpProber;

#[async_trait]
impl Prober for TcpProber {
    async fn tcp(&self, address: SocketAddr, limit: Duration) -> Result<(), String> {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "no connection within {}",
                extend_common::duration::show(limit)
            )),
        }
    }
}

/// What is to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    /// Which run; results name it, so that none is taken for another's.
    pub instance: Instance,
    /// At which address.
    pub node: NodeAddr,
    /// How.
    pub probe: ProbeDefinition,
    /// It has answered before: the ordinary interval will do.
    pub armed: bool,
}

/// What one round found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Which run was probed.
    pub instance: Instance,
    /// How.
    pub probe: ProbeDefinition,
    /// For each port, success or why not.
    pub results: Vec<(u16, Result<(), String>)>,
}

/// Probes whatever `aims` holds until its sender is gone.
pub async fn run(
    prober: Arc<dyn Prober>,
    mut aims: watch::Receiver<Option<Aim>>,
    rounds: mpsc::Sender<Round>,
) {
    let mut eager = 0;
    let mut instance = None;
    loop {
        let aim = aims.borrow_and_update().clone();
        let Some(aim) = aim else {
            if aims.changed().await.is_err() {
                return;
            }
            continue;
        };
        if instance.as_ref() != Some(&aim.instance) {
            instance = Some(aim.instance.clone());
            eager = 0;
        }
        let started = Instant::now();
        let results = round(prober.as_ref(), &aim).await;
        let done = Round {
            instance: aim.instance,
            probe: aim.probe.clone(),
            results,
        };
        if rounds.send(done).await.is_err() {
            return;
        }
        eager += 1;
        let is_eager = !aim.armed && eager < EAGER_ROUNDS;
        let interval = if is_eager {
            EAGER_INTERVAL
        } else {
            aim.probe.interval
        };
        tokio::select! {
            () = sleep_until(started + interval) => {}
            changed = aims.changed() => if changed.is_err() { return },
        }
    }
}

async fn round(prober: &dyn Prober, aim: &Aim) -> Vec<(u16, Result<(), String>)> {
    let ports = aim.probe.ports.ports();
    let ask = |port| async move {
        let address = SocketAddr::from((aim.node.ip(), port));
        match aim.probe.kind {
            ProbeKind::Tcp => (port, prober.tcp(address, aim.probe.timeout).await),
        }
    };
    join_all(ports.map(ask)).await
}
