//! An enforcer in memory with its loop, and who holds its other ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use extend_common::clock::Clock;
use extend_common::ids::NodeAddr;

use crate::enforce::{InMemory, Pace, Pokes, Task};
use crate::whitelist::{
    AddressKind, EnforcerKind, Entry, Holder, Kinds, LetIn, Policy, Round, Seen, Verdict, parse_net,
};

pub(super) const KIND: EnforcerKind = EnforcerKind::SecurityGroup;

pub(super) const POLICY: Policy = Policy {
    kinds: Kinds::BOTH,
    expiry: Some(Duration::from_secs(3650 * 24 * 3600)),
    limit: None,
};

pub(super) struct Rig {
    pub(super) enforcer: InMemory,
    pub(super) list: watch::Sender<Arc<LetIn>>,
    pub(super) rounds: mpsc::Receiver<Round>,
    pub(super) pokes: Pokes,
    tell: mpsc::Sender<Round>,
    task: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Rig {
    /// One whose loop does not run yet.
    pub(super) fn still(wanted: &[u8], withdrawn: &[u8]) -> Self {
        let clock = Clock::starting_at("2026-11-30T12:00:00Z".parse().unwrap());
        let (tell, rounds) = mpsc::channel(64);
        let rig = Self {
            enforcer: InMemory::new(KIND, POLICY, clock),
            list: watch::Sender::new(Arc::default()),
            rounds,
            pokes: Pokes::default(),
            tell,
            task: None,
        };
        rig.publish(wanted, withdrawn);
        rig
    }

    pub(super) fn running(wanted: &[u8], withdrawn: &[u8]) -> Self {
        let mut rig = Self::still(wanted, withdrawn);
        rig.begin();
        rig
    }

    pub(super) fn begin(&mut self) {
        let shutdown = CancellationToken::new();
        let task = Task {
            enforcer: self.enforcer.clone(),
            list: self.list.subscribe(),
            asked: self.pokes.register(KIND),
            rounds: self.tell.clone(),
            pace: Pace::USUAL,
            clock: Clock::starting_at("2026-11-30T12:00:00Z".parse().unwrap()),
            random: || 1.0,
        };
        let handle = tokio::spawn(task.run(shutdown.clone()));
        self.task = Some((shutdown, handle));
    }

    /// Ends the loop wherever it is.
    pub(super) async fn end(&mut self) {
        if let Some((shutdown, handle)) = self.task.take() {
            shutdown.cancel();
            handle.await.unwrap();
        }
    }

    pub(super) fn publish(&self, wanted: &[u8], withdrawn: &[u8]) {
        let rows = |all: &[u8]| -> BTreeMap<Ipv4Addr, Holder> {
            all.iter().map(|last| (ip(*last), holder(*last))).collect()
        };
        self.enforcer.outside().needed = wanted.iter().map(|last| ip(*last)).collect();
        self.list.send_replace(Arc::new(LetIn {
            wanted: rows(wanted),
            withdrawn: rows(withdrawn),
        }));
    }

    /// The next round that is told.
    pub(super) async fn round(&mut self) -> Round {
        self.rounds.recv().await.unwrap()
    }

    /// What the next round saw, which has to have gone well.
    pub(super) async fn seen(&mut self) -> Seen {
        let seen = self.round().await.result.unwrap();
        assert_eq!(seen.trouble, None);
        seen
    }

    /// For whom there are entries of ours.
    pub(super) fn own(&self) -> Vec<u8> {
        let outside = self.enforcer.outside();
        let own = outside.entries.iter().filter_map(Entry::own_address);
        let mut own: Vec<u8> = own.map(|address| address.octets()[3]).collect();
        own.sort_unstable();
        own
    }

    /// A person takes the entries of an address away.
    pub(super) fn take(&self, last: u8) {
        self.enforcer
            .outside()
            .entries
            .retain(|entry| entry.own_address() != Some(ip(last)));
    }

    pub(super) async fn sync(&self, prune: &[&str]) -> BTreeSet<EnforcerKind> {
        let ids = prune.iter().map(|id| (*id).to_owned()).collect();
        let prune = BTreeMap::from([(KIND, ids)]);
        self.pokes
            .sync(&prune, "ann", Duration::from_secs(30))
            .await
    }
}

pub(super) fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

pub(super) fn holder(last: u8) -> Holder {
    Holder {
        node: NodeAddr::try_from(Ipv4Addr::new(172, 31, 16, last)).unwrap(),
        name: format!("MEDIA_{last}").parse().unwrap(),
        role: "media-server-only".parse().unwrap(),
        kind: AddressKind::Public,
    }
}

/// An entry as Extend makes it.
pub(super) fn own(last: u8) -> Entry {
    Entry {
        id: String::new(),
        net: parse_net(&ip(last).to_string()).unwrap(),
        verdict: Verdict::Accept,
        expires: None,
        description: holder(last).description(),
        ours: true,
    }
}

/// An entry of somebody else.
pub(super) fn foreign(net: &str, verdict: Verdict) -> Entry {
    Entry {
        net: parse_net(net).unwrap(),
        verdict,
        description: "office".to_owned(),
        ours: false,
        ..own(0)
    }
}
