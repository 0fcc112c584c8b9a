//! A group, the way to it, and the enforcer with its loop.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::{Backoff, jitter};
use extend_common::clock::Clock;
use extend_common::ids::NodeAddr;
use extend_controller::aws::{Ec2, Ec2Settings};
use extend_controller::enforce::{Pace, Pokes, SecurityGroup, Task};
use extend_controller::whitelist::{AddressKind, EnforcerKind, Holder, LetIn, Round, Seen};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::moto::Moto;
use super::proxy::Proxy;

/// Everything that is waited for comes within this time.
const SOON: Duration = Duration::from_secs(60);

/// As usual, but for the time between two rounds.
const PACE: Pace = Pace {
    interval: Duration::from_secs(1),
    between: Duration::from_millis(20),
    patience: Duration::from_secs(2),
    backoff: Backoff {
        first: Duration::from_millis(100),
        most: Duration::from_secs(1),
    },
};

pub(crate) struct Rig {
    pub(crate) moto: Moto,
    pub(crate) group: String,
    pub(crate) proxy: Proxy,
    pub(crate) list: watch::Sender<Arc<LetIn>>,
    rounds: mpsc::Receiver<Round>,
    tell: mpsc::Sender<Round>,
    quota: usize,
    task: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Rig {
    /// One whose loop does not run yet.
    pub(crate) async fn still(quota: usize) -> Self {
        let moto = Moto::start();
        let group = moto.group().await;
        let proxy = Proxy::start(moto.address, &group).await;
        let (tell, rounds) = mpsc::channel(64);
        Self {
            moto,
            group,
            proxy,
            list: watch::Sender::new(Arc::default()),
            rounds,
            tell,
            quota,
            task: None,
        }
    }

    pub(crate) fn begin(&mut self) {
        let group = self.group.clone();
        self.begin_with(&group);
    }

    pub(crate) fn begin_with(&mut self, group: &str) {
        let ec2 = Ec2::new(Ec2Settings {
            region: Some("eu-west-1".to_owned()),
            endpoint: Some(format!("http://{}", self.proxy.address)),
        });
        let shutdown = CancellationToken::new();
        let task = Task {
            enforcer: SecurityGroup::new(ec2, group.to_owned(), self.quota),
            list: self.list.subscribe(),
            asked: Pokes::default().register(EnforcerKind::SecurityGroup),
            rounds: self.tell.clone(),
            pace: PACE,
            clock: Clock::system(),
            random: jitter,
        };
        let handle = tokio::spawn(task.run(shutdown.clone()));
        self.task = Some((shutdown, handle));
    }

    /// Ends the loop wherever it is.
    pub(crate) async fn end(&mut self) {
        if let Some((shutdown, handle)) = self.task.take() {
            shutdown.cancel();
            handle.await.unwrap();
        }
        while self.rounds.try_recv().is_ok() {}
    }

    pub(crate) fn publish(&self, wanted: &[u8], withdrawn: &[u8]) {
        let rows = |all: &[u8]| -> BTreeMap<Ipv4Addr, Holder> {
            all.iter().map(|last| (ip(*last), holder(*last))).collect()
        };
        let needed = wanted.iter().map(|last| format!("{}/32", ip(*last)));
        self.proxy.need(needed.collect());
        self.list.send_replace(Arc::new(LetIn {
            wanted: rows(wanted),
            withdrawn: rows(withdrawn),
        }));
    }

    /// The next round that is told.
    pub(crate) async fn round(&mut self) -> Round {
        timeout(SOON, self.rounds.recv()).await.unwrap().unwrap()
    }

    /// The first round that goes well and shows what is wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let found = async {
            loop {
                if let Ok(seen) = self.rounds.recv().await.unwrap().result
                    && seen.trouble.is_none()
                    && wanted(&seen)
                {
                    return seen;
                }
            }
        };
        timeout(SOON, found).await.unwrap()
    }

    pub(crate) async fn rules(&self) -> Vec<String> {
        self.moto.rules(&self.group).await
    }
}

pub(crate) fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

fn holder(last: u8) -> Holder {
    Holder {
        node: NodeAddr::try_from(Ipv4Addr::new(172, 31, 16, last)).unwrap(),
        name: format!("MEDIA_{last}").parse().unwrap(),
        role: "media-server-only".parse().unwrap(),
        kind: AddressKind::Public,
    }
}

/// A rule of ours, as it is listed.
pub(crate) fn own(last: u8) -> String {
    format!("{}/32 Extend: MEDIA_{last} (public address)", ip(last))
}
