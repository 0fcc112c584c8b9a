//! What the enforcer makes of a group.

use std::time::Duration;

use extend_controller::whitelist::{OverLimit, Seen, State};

use super::proxy::Mishap;
use super::rig::{Rig, ip, own};

fn all_in_force(seen: &Seen) -> bool {
    seen.standings.iter().all(|one| one.state == State::InForce)
}

/// The rules that somebody else has made.
async fn with_others(rig: &Rig) -> Vec<String> {
    let group = &rig.group;
    rig.moto
        .allow(group, "198.51.100.0/24", "office", None)
        .await;
    rig.moto
        .allow(group, "203.0.113.2/32", "for tests", Some(5060))
        .await;
    rig.rules().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_has_a_rule_with_its_servers_name_and_what_is_withdrawn_goes() {
    let mut rig = Rig::still(60).await;
    let others = with_others(&rig).await;
    rig.publish(&[1, 2], &[]);
    rig.begin();
    rig.until(all_in_force).await;
    let mut expected = [others.clone(), vec![own(1), own(2)]].concat();
    expected.sort();
    assert_eq!(rig.rules().await, expected);

    rig.publish(&[2, 3], &[1]);
    let seen = rig.until(|seen| seen.gone.contains(&ip(1))).await;
    assert!(all_in_force(&seen));
    let mut expected = [others, vec![own(2), own(3)]].concat();
    expected.sort();
    assert_eq!(rig.rules().await, expected);
    assert_eq!(rig.proxy.outages(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_quota_nothing_is_added_and_it_is_told() {
    let mut rig = Rig::still(4).await;
    let others = with_others(&rig).await;
    rig.publish(&[1, 2, 3], &[]);
    rig.begin();
    let over = OverLimit {
        have: 2,
        adding: 3,
        limit: 4,
    };
    let seen = rig.until(|seen| seen.over_limit == Some(over)).await;
    assert!(seen.standings.iter().all(|one| one.state == State::Missing));
    assert_eq!(rig.rules().await, others);
    assert_eq!(rig.proxy.changes(), Vec::<String>::new());
    // As many as there is room for.
    rig.publish(&[1, 2], &[]);
    rig.until(all_in_force).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_takes_away_comes_back_and_what_others_made_is_left() {
    let mut rig = Rig::still(60).await;
    let others = with_others(&rig).await;
    rig.publish(&[1, 2], &[]);
    rig.begin();
    rig.until(all_in_force).await;
    rig.moto.revoke(&rig.group, ip(1)).await;
    let seen = rig.until(|seen| !seen.drift.is_empty()).await;
    assert_eq!(
        seen.drift,
        [
            "the entry of 203.0.113.1 for MEDIA_1 (public address) had gone or been changed; it is there again"
        ]
    );
    let mut expected = [others, vec![own(1), own(2)]].concat();
    expected.sort();
    assert_eq!(rig.rules().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_somebody_else_will_do_and_stays_when_the_server_goes() {
    let mut rig = Rig::still(60).await;
    rig.moto
        .allow(&rig.group, "203.0.113.0/28", "all of them", None)
        .await;
    rig.publish(&[1], &[]);
    rig.begin();
    let seen = rig.until(all_in_force).await;
    assert_eq!(seen.foreign_accepts.len(), 1);
    rig.publish(&[], &[1]);
    rig.until(|seen| seen.gone.contains(&ip(1))).await;
    assert_eq!(rig.rules().await, ["203.0.113.0/28 all of them"]);
    assert_eq!(rig.proxy.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_tells_of_another_server_is_made_to_tell_of_this_one() {
    let mut rig = Rig::still(60).await;
    let older = "Extend: MEDIA_OLD (public address)";
    rig.moto
        .allow(&rig.group, "203.0.113.1/32", older, None)
        .await;
    rig.publish(&[1], &[]);
    rig.begin();
    let named = |seen: &Seen| {
        let by = seen.standings.first().and_then(|one| one.by.as_ref());
        by.is_some_and(|entry| entry.description == "Extend: MEDIA_1 (public address)")
    };
    rig.until(named).await;
    assert_eq!(rig.rules().await, [own(1)]);
    assert_eq!(
        rig.proxy.changes(),
        ["UpdateSecurityGroupRuleDescriptionsIngress"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_on_the_way_it_comes_to_what_is_wanted() {
    const AUTHORIZE: &str = "AuthorizeSecurityGroupIngress";
    const REVOKE: &str = "RevokeSecurityGroupIngress";
    let mishaps = [
        Mishap::Throttle,
        Mishap::ServerError,
        Mishap::ErrorAfter,
        Mishap::CutAfter,
        // Longer than it is waited for: it happens after it was given up.
        Mishap::Delay(Duration::from_millis(2_300)),
    ];
    let mut rig = Rig::still(60).await;
    let others = with_others(&rig).await;
    rig.publish(&[1, 2, 3], &[]);
    rig.proxy.arrange(AUTHORIZE, &mishaps);
    rig.begin();
    rig.until(all_in_force).await;
    rig.proxy.arrange(REVOKE, &mishaps);
    rig.proxy
        .arrange("DescribeSecurityGroupRules", &mishaps[..4]);
    rig.publish(&[3, 4], &[1, 2]);
    rig.until(|seen| seen.gone.len() == 2 && all_in_force(seen))
        .await;
    let mut expected = [others, vec![own(3), own(4)]].concat();
    expected.sort();
    assert_eq!(rig.rules().await, expected);
    assert_eq!(rig.proxy.outages(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_call_is_told_and_tried_again() {
    let mut rig = Rig::still(60).await;
    rig.publish(&[1], &[]);
    rig.proxy
        .arrange("AuthorizeSecurityGroupIngress", &[Mishap::Throttle]);
    rig.begin();
    let trouble = rig.round().await.result.unwrap().trouble.unwrap();
    assert_eq!(
        trouble.sentence,
        format!(
            "letting 203.0.113.1 in for MEDIA_1 by {}: RequestLimitExceeded (arranged)",
            rig.group
        )
    );
    rig.until(all_in_force).await;
    assert_eq!(rig.rules().await, [own(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_between_two_changes_leaves_nobody_out_and_the_next_one_goes_on() {
    let mut rig = Rig::still(60).await;
    let others = with_others(&rig).await;
    rig.publish(&[1, 2], &[]);
    rig.begin();
    rig.until(all_in_force).await;
    rig.end().await;
    // Killed after every one of the five changes that there are to make.
    rig.publish(&[2, 3, 4, 5], &[1]);
    let before = rig.proxy.changes().len();
    for count in 1..=4 {
        rig.begin();
        rig.proxy.changed(before + count).await;
        rig.end().await;
    }
    rig.begin();
    rig.until(|seen| all_in_force(seen) && seen.gone.len() == 1)
        .await;
    let mut expected = [others, vec![own(2), own(3), own(4), own(5)]].concat();
    expected.sort();
    assert_eq!(rig.rules().await, expected);
    assert_eq!(rig.proxy.outages(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_there_is_told_and_nothing_counts_as_gone() {
    let mut rig = Rig::still(60).await;
    rig.publish(&[1], &[2]);
    rig.begin_with("sg-0123456789abcdef0");
    let problem = rig.round().await.result.unwrap_err();
    assert!(
        problem.sentence.contains("sg-0123456789abcdef0")
            && problem.sentence.contains("InvalidGroup.NotFound"),
        "{}",
        problem.sentence
    );
    assert_eq!(
        problem.hint,
        "see security_group and region in [aws] of controller.toml"
    );
}
