//! firewalld on a node of the PBX, kept by the controller through the agent there: what is wanted
//! is there, what a person takes away comes back within a minute, and whatever dies in between, no
//! needed entry is missing for longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use extend_common::clock::Clock;
use extend_common::ids::NodeAddr;
use extend_controller::enforce::firewalld::{Firewalld, PACE};
use extend_controller::enforce::{Pokes, Task};
use extend_controller::whitelist::{AddressKind, EnforcerKind, Holder, LetIn, Round, Seen, State};
use extend_tests::sim::Fleet;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

const PBX: &str = "172.31.16.134";
const MEDIA: Ipv4Addr = Ipv4Addr::new(172, 31, 16, 139);
const ELASTIC: Ipv4Addr = Ipv4Addr::new(54, 215, 234, 52);
const MINUTE: Duration = Duration::from_secs(60);

fn pbx() -> NodeAddr {
    PBX.parse().unwrap()
}

fn holder(kind: AddressKind) -> Holder {
    Holder {
        node: MEDIA.to_string().parse().unwrap(),
        name: "media-server-1".parse().unwrap(),
        role: "media-server-only".parse().unwrap(),
        kind,
    }
}

fn wanted() -> LetIn {
    let private = (MEDIA, holder(AddressKind::Private));
    LetIn {
        wanted: [private, (ELASTIC, holder(AddressKind::Public))].into(),
        ..LetIn::default()
    }
}

/// The enforcer of one node, and what it tells.
struct Keeper {
    list: watch::Sender<Arc<LetIn>>,
    rounds: mpsc::Receiver<Round>,
    _pokes: Pokes,
    _life: DropGuard,
}

impl Keeper {
    fn start(fleet: &Fleet, wanted: LetIn) -> Self {
        let (list, receiver) = watch::channel(Arc::new(wanted));
        let (told, rounds) = mpsc::channel(64);
        let mut pokes = Pokes::default();
        let asked = pokes.register(EnforcerKind::Firewalld(pbx()));
        let task = Task {
            enforcer: Firewalld::new(pbx(), fleet.engine(), receiver.clone()),
            list: receiver,
            asked,
            rounds: told,
            pace: PACE,
            clock: Clock::system(),
            random: || 0.5,
        };
        let life = CancellationToken::new();
        tokio::spawn(task.run(life.clone()));
        Self {
            list,
            rounds,
            _pokes: pokes,
            _life: life.drop_guard(),
        }
    }

    /// The next round of which this is so, within a minute.
    async fn round(&mut self, what: &str, so: impl Fn(&Round) -> bool) -> Round {
        let found = async {
            loop {
                let round = self.rounds.recv().await.expect("it goes on");
                if so(&round) {
                    return round;
                }
            }
        };
        let found = timeout(MINUTE, found).await;
        found.unwrap_or_else(|_| panic!("in vain: {what}"))
    }

    async fn seen(&mut self, what: &str, so: impl Fn(&Seen) -> bool) -> Seen {
        let round = self.round(what, |round| round.result.as_ref().is_ok_and(&so));
        round.await.result.unwrap()
    }
}

fn in_force(seen: &Seen) -> bool {
    seen.standings.len() == 2 && seen.standings.iter().all(|s| s.state == State::InForce)
}

/// Waits until the node's trusted zone has exactly these.
async fn until_trusted(fleet: &Fleet, addresses: &[Ipv4Addr]) {
    let begun = Instant::now();
    let expected = addresses.iter().copied().collect();
    while fleet.nodes[&pbx()].host.trusted() != expected {
        assert!(
            begun.elapsed() < MINUTE,
            "{:?}",
            fleet.nodes[&pbx()].host.trusted()
        );
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_is_let_in_mended_and_taken_away_with_its_server() {
    let fleet = Fleet::new(&[PBX]).await;
    fleet.nodes[&pbx()].host.install_firewall();
    let mut keeper = Keeper::start(&fleet, wanted());
    keeper.seen("both are let in", in_force).await;
    until_trusted(&fleet, &[MEDIA, ELASTIC]).await;

    fleet.nodes[&pbx()].host.distrust(MEDIA);
    let seen = keeper
        .seen("it is mended", |seen| !seen.drift.is_empty())
        .await;
    assert!(in_force(&seen) && seen.drift.len() == 1, "{seen:?}");
    assert!(seen.drift[0].contains("172.31.16.139"), "{seen:?}");
    until_trusted(&fleet, &[MEDIA, ELASTIC]).await;

    // A list that has lost its rows takes nothing away.
    keeper.list.send_replace(Arc::new(LetIn::default()));
    let seen = keeper
        .seen("nothing is wanted", |seen| seen.standings.is_empty())
        .await;
    assert_eq!(seen.orphans.len(), 2);
    until_trusted(&fleet, &[MEDIA, ELASTIC]).await;
    keeper.list.send_replace(Arc::new(LetIn {
        withdrawn: wanted().wanted,
        ..LetIn::default()
    }));
    keeper
        .seen("both are gone", |seen| seen.gone.len() == 2)
        .await;
    until_trusted(&fleet, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_without_firewalld_has_nothing_and_that_is_no_fault() {
    let fleet = Fleet::new(&[PBX]).await;
    let mut keeper = Keeper::start(&fleet, wanted());
    let nothing = |seen: &Seen| seen.standings.is_empty() && seen.trouble.is_none();
    keeper.seen("there is none", nothing).await;
    keeper.list.send_replace(Arc::new(LetIn {
        withdrawn: wanted().wanted,
        ..LetIn::default()
    }));
    keeper
        .seen("nothing of ours is left", |seen| seen.gone.len() == 2)
        .await;
    // It comes later.
    keeper.list.send_replace(Arc::new(wanted()));
    fleet.nodes[&pbx()].host.install_firewall();
    keeper.seen("it is kept", in_force).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_or_is_cut_off_is_said_and_goes_on_where_it_was() {
    let mut fleet = Fleet::new(&[PBX]).await;
    fleet.nodes[&pbx()].host.install_firewall();
    fleet.net.set_away(pbx(), true);
    let mut keeper = Keeper::start(&fleet, wanted());
    let away = |round: &Round| {
        let problem = round.result.as_ref().err();
        problem.is_some_and(|problem| problem.sentence.contains("its agent is not connected"))
    };
    keeper.round("it is away", away).await;
    fleet.net.set_away(pbx(), false);
    keeper.seen("both are let in", in_force).await;

    for _ in 0..10 {
        fleet.nodes[&pbx()].host.distrust(ELASTIC);
        sleep(Duration::from_millis(700)).await;
        fleet.restart_agent(pbx()).await;
        until_trusted(&fleet, &[MEDIA, ELASTIC]).await;
    }
    // What is in force stays so while nobody is there to look.
    fleet.net.set_away(pbx(), true);
    keeper.round("it is away again", away).await;
    until_trusted(&fleet, &[MEDIA, ELASTIC]).await;
}
