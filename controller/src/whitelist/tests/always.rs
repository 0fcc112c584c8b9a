//! Whatever is there, whatever fails and wherever it stops: nobody who is wanted and was let in is
//! kept out for a moment, what is not ours stays as it is, and in the end there is nothing to do.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use extend_common::clock::after;

use super::{DAY, POLICY, foreign, ip, list, own, start};
use crate::whitelist::{Entry, LetIn, Limit, Policy, Step, Verdict, diff, parse_net};

/// Addresses by their last byte.
const ADDRESSES: u8 = 8;

/// What becomes of a step.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    /// Refused: nothing has happened.
    Failed,
    /// Done, but the answer never came: it is done again at once.
    DoneTwice,
    /// Done, and whoever did it is gone before the next.
    Crash,
}

/// What a person does between two rounds.
#[derive(Debug, Clone, Copy)]
enum Hand {
    /// Takes away the entry at this place.
    Take(usize),
    /// Makes a copy of it.
    Copy(usize),
    /// Has it lapse in so many days.
    Shorten(usize, u32),
    /// Turns it into a denial, or back.
    Turn(usize),
    /// Makes an entry that covers an address and its neighbours.
    Open(u8, u8, u32),
    Wait(u32),
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let one = prop_oneof![
        5 => Just(Fate::Done),
        1 => Just(Fate::Failed),
        1 => Just(Fate::DoneTwice),
        1 => Just(Fate::Crash),
    ];
    prop::collection::vec(one, 0..24)
}

fn hands() -> impl Strategy<Value = Vec<Hand>> {
    let place = 0..16_usize;
    let one = prop_oneof![
        place.clone().prop_map(Hand::Take),
        place.clone().prop_map(Hand::Copy),
        (place.clone(), 0..120_u32).prop_map(|(place, days)| Hand::Shorten(place, days)),
        place.prop_map(Hand::Turn),
        (0..ADDRESSES, 24..=32_u8, 0..120_u32)
            .prop_map(|(last, length, days)| Hand::Open(last, length, days)),
        (0..60_u32).prop_map(Hand::Wait),
    ];
    prop::collection::vec(one, 0..6)
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let own_entry = (0..ADDRESSES, 0..120_u32)
        .prop_map(|(last, days)| own("", last, Some(after(start(), DAY * days))));
    let verdict = prop_oneof![3 => Just(Verdict::Accept), 1 => Just(Verdict::Deny)];
    let foreign_entry = (0..ADDRESSES, 24..=32_u8, 0..120_u32, verdict).prop_map(
        |(last, length, days, verdict)| {
            let net = format!("{}/{length}", ip(last));
            foreign("", &net, verdict, Some(after(start(), DAY * days)))
        },
    );
    prop::collection::vec(prop_oneof![2 => own_entry, 1 => foreign_entry], 0..14)
}

fn lists() -> impl Strategy<Value = LetIn> {
    let some = || prop::collection::vec(0..ADDRESSES, 0..8);
    (some(), some()).prop_map(|(wanted, withdrawn)| list(&wanted, &withdrawn))
}

fn policies() -> impl Strategy<Value = Policy> {
    let limit = prop::option::weighted(0.3, (4..30_usize, 0..3_usize));
    let expires = any::<bool>();
    (limit, expires).prop_map(|(limit, expires)| Policy {
        expiry: expires.then_some(Duration::from_secs(100 * 24 * 3600)),
        limit: limit.map(|(quota, others)| Limit { quota, others }),
        ..POLICY
    })
}

/// What an enforcer has, as the outside keeps it.
#[derive(Debug, Clone)]
struct World {
    entries: Vec<Entry>,
    next: usize,
    now: Timestamp,
}

impl World {
    fn of(entries: Vec<Entry>) -> Self {
        let mut world = Self {
            entries: Vec::new(),
            next: 0,
            now: start(),
        };
        for entry in entries {
            world.put(entry);
        }
        world
    }

    fn put(&mut self, mut entry: Entry) {
        entry.id = format!("e{:03}", self.next);
        self.next += 1;
        self.entries.push(entry);
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Add {
                address,
                holder,
                expires,
            } => self.put(Entry {
                id: String::new(),
                net: parse_net(&address.to_string()).unwrap(),
                verdict: Verdict::Accept,
                expires: *expires,
                description: holder.description(),
                ours: true,
            }),
            Step::Renew {
                id,
                holder,
                expires,
                ..
            } => {
                if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == *id) {
                    entry.expires = *expires;
                    entry.description = holder.description();
                }
            }
            Step::Remove { id, .. } => self.entries.retain(|entry| entry.id != *id),
        }
    }

    fn touch(&mut self, hand: Hand) {
        let count = self.entries.len().max(1);
        match hand {
            Hand::Take(place) => {
                if !self.entries.is_empty() {
                    self.entries.remove(place % count);
                }
            }
            Hand::Copy(place) => {
                if let Some(entry) = self.entries.get(place % count).cloned() {
                    self.put(entry);
                }
            }
            Hand::Shorten(place, days) => {
                let until = after(self.now, DAY * days);
                if let Some(entry) = self.entries.get_mut(place % count) {
                    entry.expires = Some(until);
                }
            }
            Hand::Turn(place) => {
                if let Some(entry) = self.entries.get_mut(place % count) {
                    entry.verdict = match entry.verdict {
                        Verdict::Accept => Verdict::Deny,
                        Verdict::Deny => Verdict::Accept,
                    };
                }
            }
            Hand::Open(last, length, days) => {
                let until = Some(after(self.now, DAY * days));
                let net = format!("{}/{length}", ip(last));
                self.put(foreign("", &net, Verdict::Accept, until));
            }
            Hand::Wait(days) => self.now = after(self.now, DAY * days),
        }
    }

    fn lets_in(&self, address: Ipv4Addr) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.accepts(address, self.now))
    }

    /// What nobody but its maker may touch.
    fn theirs(&self) -> Vec<Entry> {
        self.entries
            .iter()
            .filter(|entry| !entry.ours || entry.verdict == Verdict::Deny)
            .cloned()
            .collect()
    }

    /// One step happens, once or twice.
    fn happen(&mut self, step: &Step, times: usize, wanted: &LetIn) {
        for _ in 0..times {
            let let_in: Vec<Ipv4Addr> = wanted
                .wanted
                .keys()
                .copied()
                .filter(|address| self.lets_in(*address))
                .collect();
            let theirs = self.theirs();
            self.apply(step);
            for address in let_in {
                assert!(self.lets_in(address), "{step:?} keeps {address} out");
            }
            assert_eq!(self.theirs(), theirs, "{step:?} touches what is not ours");
        }
    }

    /// A look and what follows, as long as it goes. While anything before them has failed,
    /// removals wait.
    fn round(&mut self, wanted: &LetIn, policy: &Policy, fates: &mut impl Iterator<Item = Fate>) {
        let found = diff(wanted, &self.entries, policy, self.now);
        let mut failed = false;
        for step in &found.steps {
            if failed && matches!(step, Step::Remove { .. }) {
                return;
            }
            match fates.next().unwrap_or(Fate::Done) {
                Fate::Done => self.happen(step, 1, wanted),
                Fate::DoneTwice => self.happen(step, 2, wanted),
                Fate::Failed => failed = true,
                Fate::Crash => {
                    self.happen(step, 1, wanted);
                    return;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn nobody_who_is_wanted_is_kept_out_and_it_comes_to_an_end(
        wanted in lists(),
        found in entries(),
        policy in policies(),
        rounds in prop::collection::vec((fates(), hands()), 0..5),
    ) {
        let mut world = World::of(found);
        for (fates, hands) in rounds {
            world.round(&wanted, &policy, &mut fates.into_iter());
            hands.into_iter().for_each(|hand| world.touch(hand));
        }
        // Nobody interferes any more. Room that removals make is used in the round after.
        for _ in 0..2 {
            world.round(&wanted, &policy, &mut std::iter::empty());
        }
        let last = diff(&wanted, &world.entries, &policy, world.now);
        prop_assert_eq!(&last.steps, &[]);
        for address in wanted.wanted.keys() {
            let refused = last.over_limit.is_some();
            prop_assert!(world.lets_in(*address) || refused, "{} is missing", address);
            let own = world.entries.iter().filter(|e| e.own_address() == Some(*address));
            prop_assert!(own.count() <= 1, "more than one entry of ours for {}", address);
        }
        for address in wanted.withdrawn.keys() {
            let gone = !world.entries.iter().any(|e| e.own_address() == Some(*address));
            prop_assert!(wanted.wanted.contains_key(address) || gone);
            prop_assert_eq!(last.gone.contains(address), !wanted.wanted.contains_key(address));
        }
    }

    #[test]
    fn an_empty_list_does_nothing_to_anything(
        found in entries(),
        policy in policies(),
        days in 0..200_u32,
    ) {
        let world = World::of(found);
        let now = after(start(), DAY * days);
        let result = diff(&LetIn::default(), &world.entries, &policy, now);
        prop_assert_eq!(result.steps, vec![]);
        prop_assert_eq!(result.standings, vec![]);
    }

    #[test]
    fn only_what_is_withdrawn_or_there_twice_is_removed(
        wanted in lists(),
        found in entries(),
        policy in policies(),
    ) {
        let world = World::of(found);
        for step in diff(&wanted, &world.entries, &policy, start()).steps {
            let Step::Remove { id, address } = step else { continue };
            let entry = world.entries.iter().find(|entry| entry.id == id).unwrap();
            prop_assert_eq!(entry.own_address(), Some(address));
            let end = |e: &Entry| e.expires.unwrap_or(Timestamp::MAX);
            let twice = world.entries.iter().any(|other| {
                other.own_address() == Some(address) && other.id != id && end(other) >= end(entry)
            });
            let leaves = wanted.withdrawn.contains_key(&address);
            let stays = wanted.wanted.contains_key(&address);
            let right = if stays { twice } else { leaves };
            prop_assert!(right, "{} goes, which lets {} in", id, address);
        }
    }

    #[test]
    fn within_the_limit_everything_is_added_and_over_it_nothing(
        wanted in lists(),
        found in entries(),
        policy in policies(),
    ) {
        let world = World::of(found);
        let result = diff(&wanted, &world.entries, &policy, start());
        let adds = result.steps.iter().filter(|step| matches!(step, Step::Add { .. })).count();
        if let Some(limit) = policy.limit {
            let fits = world.entries.len() + limit.others + adds <= limit.quota;
            prop_assert!(adds == 0 || fits);
        } else {
            prop_assert_eq!(result.over_limit, None);
        }
        prop_assert!(result.over_limit.is_none() || adds == 0);
        let order: Vec<u8> = result
            .steps
            .iter()
            .map(|step| match step {
                Step::Add { .. } => 0,
                Step::Renew { .. } => 1,
                Step::Remove { .. } => 2,
            })
            .collect();
        prop_assert!(order.is_sorted());
    }
}
