//! The whitelist of the PBX, kept by the loop, on the strict stand-in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::Backoff;
use extend_common::clock::Clock;
use extend_pbx_standin::{After, Fault, What};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::enforce::{Pace, PbxFilters, Pokes, Task};
use crate::pbx::tests::Rig;
use crate::whitelist::{AddressKind, EnforcerKind, Holder, LetIn, Round};

const TEN_YEARS: Duration = Duration::from_secs(3650 * 24 * 3600);
const PACE: Pace = Pace {
    interval: Duration::from_millis(50),
    between: Duration::from_millis(1),
    patience: Duration::from_secs(10),
    backoff: Backoff {
        first: Duration::from_millis(2),
        most: Duration::from_millis(20),
    },
};

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 16, last)
}

fn list(wanted: &[u8], withdrawn: &[u8]) -> LetIn {
    let rows = |lasts: &[u8]| -> BTreeMap<Ipv4Addr, Holder> {
        let row = |last: &u8| {
            let holder = Holder {
                node: address(*last).try_into().unwrap(),
                name: format!("server{last}").parse().unwrap(),
                role: "media-server-only".parse().unwrap(),
                kind: AddressKind::Private,
            };
            (address(*last), holder)
        };
        lasts.iter().map(row).collect()
    };
    LetIn {
        wanted: rows(wanted),
        withdrawn: rows(withdrawn),
    }
}

/// The loop, running.
struct Going {
    list: watch::Sender<Arc<LetIn>>,
    rounds: mpsc::Receiver<Round>,
    task: JoinHandle<()>,
}

impl Going {
    fn start(rig: &Rig, list: LetIn) -> Self {
        let (list, receiver) = watch::channel(Arc::new(list));
        let (sender, rounds) = mpsc::channel(64);
        let task = Task {
            enforcer: PbxFilters::new(rig.pbx.clone(), TEN_YEARS),
            list: receiver,
            asked: Pokes::default().register(EnforcerKind::Pbx),
            rounds: sender,
            pace: PACE,
            clock: Clock::system(),
            random: || 1.0,
        };
        let task = tokio::spawn(task.run(CancellationToken::new()));
        Self { list, rounds, task }
    }

    /// Waits for a round in which all is as it is wanted.
    async fn settled(&mut self) -> Round {
        loop {
            let round = tokio::time::timeout(Duration::from_secs(20), self.rounds.recv());
            let round = round.await.expect("it settles").expect("it goes on");
            if let Ok(seen) = &round.result
                && seen.trouble.is_none()
                && seen
                    .standings
                    .iter()
                    .all(|standing| standing.state == crate::whitelist::State::InForce)
            {
                return round;
            }
        }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn cidrs(lasts: &[u8]) -> BTreeSet<String> {
    lasts
        .iter()
        .map(|last| format!("{}/32", address(*last)))
        .collect()
}

/// So many entries there are for an address.
fn count(rig: &Rig, last: u8) -> usize {
    let cidr = format!("{}/32", address(last));
    let state = rig.standin.state();
    state
        .filters
        .values()
        .filter(|filter| filter.cidr() == cidr)
        .count()
}

#[tokio::test]
async fn addresses_are_let_in_for_ten_years_and_go_when_they_are_withdrawn() {
    let rig = Rig::new().await;
    let mut going = Going::start(&rig, list(&[137, 139], &[]));
    going.settled().await;
    {
        let state = rig.standin.state();
        assert_eq!(state.let_in_now(), cidrs(&[137, 139]));
        let entry = state
            .filters
            .values()
            .find(|f| f.cidr() == "172.31.16.139/32")
            .unwrap();
        assert_eq!(entry.description(), "Extend: server139 (private address)");
        let expires: jiff::Timestamp = entry.expires().parse().unwrap();
        let left = extend_common::clock::since(jiff::Timestamp::now(), expires);
        assert!(left > TEN_YEARS - Duration::from_secs(600) && left <= TEN_YEARS);
    }
    going.list.send_replace(Arc::new(list(&[137], &[139])));
    while rig.standin.state().let_in_now() != cidrs(&[137]) {
        going.rounds.recv().await.unwrap();
    }
    // An empty list takes nothing away.
    going.list.send_replace(Arc::new(LetIn::default()));
    for _ in 0..3 {
        going.rounds.recv().await.unwrap();
    }
    assert_eq!(rig.standin.state().let_in_now(), cidrs(&[137]));
    rig.assert_by_the_book();
}

#[tokio::test]
async fn answers_that_are_lost_throttled_or_broken_make_nothing_twice() {
    for what in [
        What::Apply(After::Break),
        What::Apply(After::Status(502)),
        What::Apply(After::Garbage),
        What::Refuse {
            status: 429,
            wait: Some(0),
        },
        What::Refuse {
            status: 429,
            wait: None,
        },
        What::Refuse {
            status: 500,
            wait: None,
        },
        What::Break,
    ] {
        for nth in [0, 1, 2] {
            let rig = Rig::new().await;
            // The client itself asks twice more where nothing was done.
            let mut fault = Fault::of("POST", "/ip_filters", 4, what.clone());
            fault.times = Some(4);
            let wanted: Vec<u8> = (137..140).collect();
            let mut going = Going::start(&rig, list(&wanted[..nth], &[]));
            going.settled().await;
            rig.standin.state().faults.push(fault);
            going.list.send_replace(Arc::new(list(&wanted, &[])));
            while rig.standin.state().let_in_now() != cidrs(&wanted) {
                going.rounds.recv().await.unwrap();
            }
            going.settled().await;
            for last in &wanted {
                assert_eq!(count(&rig, *last), 1, "{what:?} {last}");
            }
            rig.assert_by_the_book();
        }
    }
}

#[tokio::test]
async fn what_a_person_changes_is_put_right_and_what_is_foreign_stays() {
    let rig = Rig::new().await;
    let put = |value: serde_json::Value| {
        let fields = value.as_object().unwrap().clone();
        rig.standin.state().let_in(fields)
    };
    let foreign = [
        put(json!({"cidr": "10.0.0.0/8", "target": "DENY", "description": "office"})),
        put(json!({"cidr": "172.31.16.138/32", "target": "ACCEPT", "description": "by hand"})),
        put(json!({"cidr": "fd00::/8", "target": "DENY"})),
        put(json!({"cidr": "what is this", "target": "ACCEPT", "description": "Extend: x"})),
    ];
    let before: Vec<_> = foreign
        .iter()
        .map(|id| rig.standin.state().filters[id].clone())
        .collect();
    // Ours for nobody: left as well.
    put(
        json!({"cidr": "172.31.16.200/32", "target": "ACCEPT", "description": "Extend: old (private address)"}),
    );
    let mut going = Going::start(&rig, list(&[138, 139], &[]));
    going.settled().await;
    assert_eq!(count(&rig, 138), 1, "somebody else lets it in");
    rig.standin
        .state()
        .filters
        .retain(|_, filter| filter.cidr() != "172.31.16.139/32");
    let mut drift = Vec::new();
    while count(&rig, 139) == 0 || drift.is_empty() {
        if let Ok(seen) = going.settled().await.result {
            drift.extend(seen.drift);
        }
    }
    assert!(drift[0].contains("172.31.16.139"), "{drift:?}");
    let after: Vec<_> = foreign
        .iter()
        .map(|id| rig.standin.state().filters[id].clone())
        .collect();
    assert_eq!(before, after);
    assert_eq!(count(&rig, 200), 1);
    rig.assert_by_the_book();
}

#[tokio::test]
async fn duplicates_that_the_pbx_refuses_are_successes() {
    let rig = Rig::new().await;
    rig.standin.state().refuse_duplicates = true;
    let mut fault = Fault::of("GET", "/ip_filters", 0, What::Delay { ms: 0 });
    fault.times = Some(0);
    rig.standin.state().faults.push(fault);
    let mut going = Going::start(&rig, list(&[137, 138, 139], &[]));
    going.settled().await;
    // A DENY of the same network is in the way: refused, and told.
    let fields = json!({"cidr": "172.31.16.140/32", "target": "DENY"});
    rig.standin
        .state()
        .let_in(fields.as_object().unwrap().clone());
    going
        .list
        .send_replace(Arc::new(list(&[137, 138, 139, 140], &[])));
    let told = loop {
        let round = going.rounds.recv().await.unwrap();
        if let Ok(seen) = round.result
            && !seen.denies.is_empty()
        {
            break seen;
        }
    };
    assert_eq!(told.denies.len(), 1);
    assert_eq!(count(&rig, 140), 1, "it is not ours to take away");
    rig.assert_by_the_book();
}

/// The loop is dropped wherever it is, and begun anew, until it has come to rest.
#[tokio::test]
async fn it_may_die_anywhere_and_nobody_who_is_needed_is_locked_out() {
    let rig = Rig::new().await;
    let fields = json!({"cidr": "172.31.16.139/32", "target": "ACCEPT",
        "expire_at": "2027-06-01T00:00:00Z", "description": "Extend: server139 (private address)"});
    rig.standin
        .state()
        .let_in(fields.as_object().unwrap().clone());
    let want = list(&[136, 137, 138, 139], &[140]);
    let mut calls = 0;
    loop {
        calls += 1;
        let before = rig.standin.state().record.len();
        let mut going = Going::start(&rig, want.clone());
        // So many calls further than the last time.
        let far = async {
            while rig.standin.state().record.len() < before + calls % 7 {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::select! {
            biased;
            _ = going.settled() => true,
            () = far => false,
        };
        if settled {
            break;
        }
        assert!(calls < 200, "it never comes to rest");
    }
    let state = rig.standin.state();
    assert_eq!(state.let_in_now(), cidrs(&[136, 137, 138, 139]));
    for moment in &state.moments {
        assert!(moment.contains("172.31.16.139/32"), "{moment:?}");
    }
    drop(state);
    for last in 136..140 {
        assert_eq!(count(&rig, last), 1, "{last}");
    }
    rig.assert_by_the_book();
}
