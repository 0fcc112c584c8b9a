//! What the loop does, and when.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::rig::{KIND, Rig, foreign, holder, ip, own};
use crate::enforce::{FaultKind, Mishap, Pace};
use crate::whitelist::{State, Step, Verdict};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn what_is_wanted_is_made_so_and_told_and_then_there_is_nothing_to_do() {
    let mut rig = Rig::still(&[1, 2], &[9]);
    rig.enforcer.outside().put(own(9));
    rig.begin();
    let seen = rig.seen().await;
    assert_eq!(rig.own(), [1, 2]);
    let states: Vec<State> = seen.standings.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::InForce, State::InForce]);
    assert!(seen.gone.contains(&ip(9)));
    assert_eq!(seen.drift, Vec::<String>::new());
    let done = rig.enforcer.outside().happened.len();
    let before = Instant::now();
    rig.seen().await;
    assert_eq!(before.elapsed(), Pace::USUAL.interval);
    assert_eq!(rig.enforcer.outside().happened.len(), done);
}

#[tokio::test(start_paused = true)]
async fn a_changed_list_is_in_force_at_once() {
    let mut rig = Rig::running(&[1], &[]);
    rig.seen().await;
    rig.publish(&[2], &[1]);
    let before = Instant::now();
    rig.seen().await;
    assert!(before.elapsed() < 2 * SECOND);
    assert_eq!(rig.own(), [2]);
}

#[tokio::test(start_paused = true)]
async fn steps_keep_their_distance_and_adding_comes_first() {
    let mut rig = Rig::still(&[1, 2, 3, 4], &[8, 9]);
    rig.enforcer.outside().put(own(8));
    rig.enforcer.outside().put(own(9));
    rig.begin();
    rig.seen().await;
    let happened = rig.enforcer.outside().happened.clone();
    let removed: Vec<bool> = happened
        .iter()
        .map(|(_, step)| matches!(step, Step::Remove { .. }))
        .collect();
    assert_eq!(removed, [false, false, false, false, true, true]);
    for both in happened[..4].windows(2).chain([&happened[4..6]]) {
        assert!(both[1].0 - both[0].0 >= Pace::USUAL.between, "{both:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_takes_away_is_put_back_within_a_minute_and_told() {
    let mut rig = Rig::still(&[1, 2], &[]);
    let office = rig
        .enforcer
        .outside()
        .put(foreign("203.0.113.2", Verdict::Accept));
    rig.begin();
    rig.seen().await;
    assert_eq!(rig.own(), [1]);
    rig.take(1);
    rig.enforcer
        .outside()
        .entries
        .retain(|entry| entry.id != office);
    // Not even a look that is never answered makes it later.
    rig.enforcer
        .outside()
        .blind
        .push_back(Some(Mishap::Swallow));
    let before = Instant::now();
    assert!(rig.round().await.result.is_err());
    let seen = rig.seen().await;
    assert!(before.elapsed() < 60 * SECOND);
    assert_eq!(rig.own(), [1, 2]);
    assert_eq!(
        seen.drift,
        [
            "the entry of 203.0.113.1 for MEDIA_1 (public address) had gone or been changed; it is there again",
            "`203.0.113.2/32`, which let 203.0.113.2 in for MEDIA_2 (public address), no longer does; Extend has an entry of its own now",
        ]
    );
    assert_eq!(rig.seen().await.drift, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_made_to_lapse_sooner_lasts_again() {
    let mut rig = Rig::running(&[1], &[]);
    let until = rig.seen().await.standings[0].by.clone().unwrap().expires;
    rig.enforcer.outside().entries[0].expires = Some("2026-12-01T00:00:00Z".parse().unwrap());
    let seen = rig.seen().await;
    assert_eq!(
        seen.drift,
        [
            "the entry of 203.0.113.1 for MEDIA_1 (public address) had been changed; it is as it was made again"
        ]
    );
    assert!(seen.standings[0].by.clone().unwrap().expires >= until);
}

#[tokio::test(start_paused = true)]
async fn faults_are_repeated_later_and_later_and_told_since_when() {
    let mut rig = Rig::still(&[1], &[]);
    rig.enforcer
        .outside()
        .blind
        .extend(vec![Some(Mishap::Refuse(FaultKind::Everything)); 7]);
    rig.begin();
    let mut since = None;
    for _ in 0..7 {
        let problem = rig.round().await.result.unwrap_err();
        assert_eq!(*since.get_or_insert(problem.since), problem.since);
    }
    rig.seen().await;
    let looks = rig.enforcer.outside().looks.clone();
    let waits: Vec<u64> = looks
        .windows(2)
        .take(7)
        .map(|both| (both[1] - both[0]).as_secs())
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
    // After it went well, the next trouble is a new one.
    rig.enforcer
        .outside()
        .blind
        .push_back(Some(Mishap::Refuse(FaultKind::Everything)));
    let problem = rig.round().await.result.unwrap_err();
    assert!(Some(problem.since) > since);
}

#[tokio::test(start_paused = true)]
async fn after_an_answer_that_never_came_it_is_looked_again_and_nothing_is_there_twice() {
    for mishap in [Mishap::LoseAnswer, Mishap::Blur, Mishap::Swallow] {
        let mut rig = Rig::still(&[1, 2], &[]);
        rig.enforcer
            .outside()
            .mishaps
            .push_back(Some(mishap.clone()));
        rig.begin();
        let seen = rig.round().await.result.unwrap();
        assert!(seen.trouble.is_some(), "{mishap:?}");
        rig.seen().await;
        assert_eq!(rig.own(), [1, 2], "{mishap:?}");
        let outside = rig.enforcer.outside();
        assert_eq!(outside.happened.len(), 2, "{mishap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_addition_holds_up_no_other_but_all_removals() {
    let mut rig = Rig::still(&[1, 2, 3], &[9]);
    rig.enforcer.outside().put(own(9));
    rig.enforcer
        .outside()
        .mishaps
        .push_back(Some(Mishap::Refuse(FaultKind::ThisStep)));
    rig.begin();
    let seen = rig.round().await.result.unwrap();
    assert!(seen.trouble.is_some());
    assert_eq!(rig.own(), [2, 3, 9]);
    let state = |last: u8| seen.standings.iter().find(|one| one.address == ip(last));
    assert_eq!(state(1).unwrap().state, State::Missing);
    assert_eq!(state(3).unwrap().state, State::InForce);
    assert_eq!(state(9).unwrap().state, State::Leaving);
    rig.seen().await;
    assert_eq!(rig.own(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn when_nothing_goes_nothing_more_is_tried_in_that_round() {
    let mut rig = Rig::still(&[1, 2, 3], &[]);
    rig.enforcer
        .outside()
        .mishaps
        .extend([None, Some(Mishap::Refuse(FaultKind::Everything))]);
    rig.begin();
    assert!(rig.round().await.result.unwrap().trouble.is_some());
    assert_eq!(rig.own(), [1]);
    rig.seen().await;
    assert_eq!(rig.own(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_again_meanwhile_is_not_removed() {
    let mut rig = Rig::still(&[], &[1, 2]);
    rig.enforcer.outside().put(own(1));
    rig.enforcer.outside().put(own(2));
    rig.begin();
    // After the first removal, before the second.
    sleep(Pace::USUAL.between / 2).await;
    assert_eq!(rig.own(), [2]);
    rig.publish(&[2], &[1]);
    rig.seen().await;
    assert_eq!(rig.own(), [2]);
    assert_eq!(rig.enforcer.outside().outages, []);
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_asks_has_a_round_at_once_also_while_it_waits_after_a_fault() {
    let mut rig = Rig::running(&[1], &[]);
    rig.seen().await;
    rig.take(1);
    let before = Instant::now();
    assert!(rig.sync(&[]).await.is_empty());
    assert!(before.elapsed() < SECOND);
    assert_eq!(rig.own(), [1]);

    rig.enforcer
        .outside()
        .blind
        .extend(vec![Some(Mishap::Refuse(FaultKind::Everything)); 5]);
    sleep(30 * SECOND).await;
    let before = Instant::now();
    assert!(rig.sync(&[]).await.is_empty());
    assert!(before.elapsed() < SECOND);
    // One that does not come to an end is told as late.
    rig.enforcer.outside().blind.clear();
    rig.enforcer
        .outside()
        .blind
        .extend(vec![Some(Mishap::Swallow); 9]);
    sleep(60 * SECOND).await;
    rig.enforcer.outside().blind.clear();
    rig.end().await;
    assert_eq!(rig.sync(&[]).await.into_iter().collect::<Vec<_>>(), [KIND]);
}

#[tokio::test(start_paused = true)]
async fn orphans_go_only_when_they_are_named() {
    let mut rig = Rig::still(&[1], &[]);
    let (first, second, office) = {
        let mut outside = rig.enforcer.outside();
        let office = outside.put(foreign("198.51.100.7", Verdict::Accept));
        (outside.put(own(7)), outside.put(own(8)), office)
    };
    rig.begin();
    let seen = rig.seen().await;
    assert_eq!(seen.orphans.len(), 2);
    assert_eq!(rig.own(), [1, 7, 8]);
    // What is no orphan stays, whoever names it.
    let wanted = rig.enforcer.outside().entries.last().unwrap().id.clone();
    assert!(rig.sync(&[&first, &office, &wanted]).await.is_empty());
    assert_eq!(rig.own(), [1, 8]);
    assert_eq!(rig.enforcer.outside().entries.len(), 3);
    rig.seen().await;
    rig.seen().await;
    assert_eq!(rig.own(), [1, 8], "{second} was not named");
}

#[tokio::test(start_paused = true)]
async fn a_long_list_is_made_so_without_a_pause_and_looked_at_on_the_way() {
    let all: Vec<u8> = (0..=254).collect();
    let mut rig = Rig::running(&all, &[]);
    let first = timeout(120 * SECOND, async {
        while rig.own().len() < all.len() {
            rig.seen().await;
        }
    });
    first.await.unwrap();
    let outside = rig.enforcer.outside();
    assert!(outside.looks.len() >= 6);
    assert_eq!(outside.happened.len(), all.len());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_shown_at_once_is_waited_for_and_not_repeated() {
    let mut rig = Rig::still(&[1], &[9]);
    rig.enforcer.outside().put(own(9));
    // The first look, and two after the entry is made.
    let past = rig.enforcer.outside().entries.clone();
    rig.enforcer.outside().past = Some((3, past));
    rig.begin();
    sleep(SECOND / 2).await;
    // Made once, and what is withdrawn waits until it can be seen.
    assert_eq!(rig.own(), [1, 9]);
    rig.seen().await;
    assert_eq!(rig.own(), [1]);
    assert_eq!(rig.enforcer.outside().happened.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_told_and_stays() {
    let mut rig = Rig::still(&[1], &[]);
    rig.enforcer
        .outside()
        .put(foreign("203.0.113.0/24", Verdict::Deny));
    rig.begin();
    let seen = rig.seen().await;
    assert_eq!(seen.standings[0].state, State::Denied);
    assert_eq!(seen.standings[0].holder, holder(1));
    assert_eq!(rig.own(), [1]);
    assert_eq!(rig.enforcer.outside().entries.len(), 2);
}
