//! Whatever goes wrong, whoever interferes and wherever the loop is ended: nobody is kept out who
//! is wanted and was let in, and it comes to what is wanted.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::sleep;

use super::rig::{Rig, foreign, own};
use crate::enforce::{FaultKind, Mishap, Pace};
use crate::whitelist::{Entry, Verdict};

/// Addresses by their last byte.
const ADDRESSES: u8 = 6;

#[derive(Debug, Clone)]
enum Event {
    /// Time goes on.
    Pass(u64),
    /// The loop is ended where it is, and another one begins.
    Crash,
    Publish(Vec<u8>, Vec<u8>),
    /// A person takes the entry of an address.
    Take(u8),
    /// There are entries that nobody has to do with.
    Foreign(u8, Verdict),
    Copy(u8),
    Steps(Vec<Option<Mishap>>),
    Looks(Vec<Option<Mishap>>),
}

fn mishaps() -> impl Strategy<Value = Vec<Option<Mishap>>> {
    let one = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Mishap::Refuse(FaultKind::ThisStep))),
        1 => Just(Some(Mishap::Refuse(FaultKind::Everything))),
        1 => Just(Some(Mishap::Blur)),
        1 => Just(Some(Mishap::LoseAnswer)),
        1 => Just(Some(Mishap::Swallow)),
    ];
    prop::collection::vec(one, 1..6)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let some = || prop::collection::vec(0..ADDRESSES, 0..6);
    let verdict = prop_oneof![Just(Verdict::Accept), Just(Verdict::Deny)];
    let one = prop_oneof![
        3 => (0_u64..8_000).prop_map(Event::Pass),
        // Within a walk from step to step.
        4 => (0_u64..500).prop_map(Event::Pass),
        2 => Just(Event::Crash),
        2 => (some(), some()).prop_map(|(wanted, withdrawn)| Event::Publish(wanted, withdrawn)),
        1 => (0..ADDRESSES).prop_map(Event::Take),
        1 => (0..ADDRESSES, verdict).prop_map(|(last, verdict)| Event::Foreign(last, verdict)),
        1 => (0..ADDRESSES).prop_map(Event::Copy),
        2 => mishaps().prop_map(Event::Steps),
        1 => mishaps().prop_map(Event::Looks),
    ];
    prop::collection::vec(one, 0..30)
}

async fn live(events: Vec<Event>) {
    let mut rig = Rig::still(&[0, 1], &[2, 3, 4, 5]);
    let mut list = (vec![0, 1], vec![2, 3, 4, 5]);
    for last in 1..ADDRESSES {
        rig.enforcer.outside().put(own(last));
    }
    rig.begin();
    for event in events {
        match event {
            Event::Pass(millis) => sleep(Duration::from_millis(millis)).await,
            Event::Crash => {
                rig.end().await;
                rig.begin();
            }
            Event::Publish(wanted, withdrawn) => {
                rig.publish(&wanted, &withdrawn);
                list = (wanted, withdrawn);
            }
            Event::Take(last) => rig.take(last),
            Event::Foreign(last, verdict) => {
                let entry = foreign(&format!("203.0.113.{last}/31"), verdict);
                rig.enforcer.outside().put(entry);
            }
            Event::Copy(last) => {
                rig.enforcer.outside().put(own(last));
            }
            Event::Steps(mishaps) => rig.enforcer.outside().mishaps.extend(mishaps),
            Event::Looks(mishaps) => rig.enforcer.outside().blind.extend(mishaps),
        }
        while rig.rounds.try_recv().is_ok() {}
    }
    let theirs = |rig: &Rig| -> Vec<Entry> {
        let outside = rig.enforcer.outside();
        let theirs = outside.entries.iter().filter(|entry| !entry.ours);
        theirs.cloned().collect()
    };
    let before = theirs(&rig);
    rig.enforcer.outside().mishaps.clear();
    rig.enforcer.outside().blind.clear();
    let end = async {
        loop {
            rig.round().await;
        }
    };
    // What hangs is given up, and then it is looked again.
    let _ = tokio::time::timeout(Pace::USUAL.patience * 2 + Duration::from_secs(60), end).await;
    assert_eq!(theirs(&rig), before);
    let outside = rig.enforcer.outside();
    assert_eq!(outside.outages, []);
    let (wanted, withdrawn) = list;
    let own: Vec<u8> = outside
        .entries
        .iter()
        .filter_map(Entry::own_address)
        .map(|address| address.octets()[3])
        .collect();
    for last in wanted.iter().copied() {
        let let_in = outside.entries.iter().any(|entry| {
            entry.verdict == Verdict::Accept
                && crate::whitelist::covers(&entry.net, super::rig::ip(last))
        });
        assert!(let_in, "{last} is missing");
        assert!(
            own.iter().filter(|one| **one == last).count() <= 1,
            "{last} is there twice"
        );
    }
    for last in withdrawn {
        assert!(
            wanted.contains(&last) || !own.contains(&last),
            "{last} is still there"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nobody_who_is_wanted_is_kept_out_and_it_comes_to_what_is_wanted(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(live(events));
    }
}
