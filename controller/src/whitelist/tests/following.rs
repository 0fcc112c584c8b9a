//! What follows from one list and what is there.

use super::{POLICY, foreign, holder, in_days, ip, list, own, start};
use crate::whitelist::{
    Diff, Entry, Kinds, LetIn, Limit, OverLimit, Policy, State, Step, Verdict, diff, is_ours,
};

fn add(last: u8) -> Step {
    Step::Add {
        address: ip(last),
        holder: holder(last),
        expires: in_days(100),
    }
}

fn renew(id: &str, last: u8) -> Step {
    Step::Renew {
        id: id.to_owned(),
        address: ip(last),
        holder: holder(last),
        expires: in_days(100),
    }
}

fn remove(id: &str, last: u8) -> Step {
    Step::Remove {
        id: id.to_owned(),
        address: ip(last),
    }
}

fn at_start(wanted: &LetIn, actual: &[Entry]) -> Diff {
    diff(wanted, actual, &POLICY, start())
}

/// State and id of what makes it so, by the last byte of the address.
fn standing(found: &Diff, last: u8) -> (State, Option<&str>) {
    let one = found.standings.iter().find(|one| one.address == ip(last));
    let one = one.unwrap();
    (one.state, one.by.as_ref().map(|entry| entry.id.as_str()))
}

#[test]
fn what_is_missing_is_added_before_what_is_withdrawn_goes() {
    let actual = [
        own("a", 1, in_days(50)),
        own("b", 2, in_days(5)),
        own("c", 9, in_days(50)),
    ];
    let found = at_start(&list(&[1, 2, 3], &[9]), &actual);
    assert_eq!(found.steps, [add(3), renew("b", 2), remove("c", 9)]);
    assert_eq!(standing(&found, 1), (State::InForce, Some("a")));
    assert_eq!(standing(&found, 2), (State::InForce, Some("b")));
    assert_eq!(standing(&found, 3), (State::Missing, None));
    assert_eq!(standing(&found, 9), (State::Leaving, Some("c")));
    assert!(found.gone.is_empty());
}

#[test]
fn an_empty_list_takes_nothing_away() {
    let actual = [
        own("a", 1, in_days(50)),
        own("b", 1, None),
        own("c", 2, in_days(1)),
    ];
    let found = at_start(&LetIn::default(), &actual);
    assert_eq!(found.steps, []);
    assert_eq!(found.orphans, actual);
}

#[test]
fn of_several_of_ours_the_one_that_lasts_longest_stays() {
    let actual = [
        own("a", 1, in_days(20)),
        own("b", 1, in_days(90)),
        own("c", 1, in_days(3)),
    ];
    let found = at_start(&list(&[1], &[]), &actual);
    assert_eq!(found.steps, [remove("a", 1), remove("c", 1)]);
    // One that never lapses lasts longest of all.
    let found = at_start(
        &list(&[1], &[]),
        &[own("a", 1, None), own("b", 1, in_days(90))],
    );
    assert_eq!(found.steps, [remove("b", 1)]);
}

#[test]
fn what_a_tenth_of_the_time_is_left_of_is_renewed() {
    let found = at_start(&list(&[1], &[]), &[own("a", 1, in_days(11))]);
    assert_eq!(found.steps, []);
    let found = at_start(&list(&[1], &[]), &[own("a", 1, in_days(10))]);
    assert_eq!(found.steps, [renew("a", 1)]);
    // What has lapsed lets nobody in.
    let found = diff(
        &list(&[1], &[]),
        &[own("a", 1, in_days(0))],
        &POLICY,
        start(),
    );
    assert_eq!(found.steps, [renew("a", 1)]);
    assert_eq!(standing(&found, 1), (State::Missing, None));
}

#[test]
fn an_entry_that_tells_of_another_server_is_made_to_tell_of_this_one() {
    let mut entry = own("a", 1, in_days(50));
    entry.description = holder(2).description();
    let found = at_start(&list(&[1], &[]), std::slice::from_ref(&entry));
    assert_eq!(found.steps, [renew("a", 1)]);
    // firewalld keeps no descriptions.
    entry.description = String::new();
    assert_eq!(at_start(&list(&[1], &[]), &[entry]).steps, []);
}

#[test]
fn an_entry_of_others_will_do_until_it_lapses_soon() {
    let lasting = foreign("f", "203.0.113.0/24", Verdict::Accept, in_days(50));
    let found = at_start(&list(&[1], &[]), std::slice::from_ref(&lasting));
    assert_eq!(found.steps, []);
    assert_eq!(standing(&found, 1), (State::InForce, Some("f")));
    assert_eq!(found.foreign_accepts, [lasting]);

    let soon = foreign("f", "203.0.113.0/24", Verdict::Accept, in_days(9));
    let found = at_start(&list(&[1], &[]), std::slice::from_ref(&soon));
    assert_eq!(found.steps, [add(1)]);
    assert_eq!(standing(&found, 1), (State::InForce, Some("f")));

    let lapsed = foreign("f", "203.0.113.0/24", Verdict::Accept, in_days(0));
    let found = at_start(&list(&[1], &[]), &[lapsed]);
    assert_eq!((found.steps, found.foreign_accepts), (vec![add(1)], vec![]));
}

#[test]
fn a_denial_is_told_and_left_and_what_is_missing_is_added_all_the_same() {
    let deny = foreign("d", "203.0.113.1", Verdict::Deny, in_days(1));
    let found = at_start(&list(&[1, 2], &[]), &[own("a", 2, None), deny.clone()]);
    assert_eq!(found.steps, [add(1)]);
    assert_eq!(standing(&found, 1), (State::Denied, Some("d")));
    assert_eq!(standing(&found, 2), (State::InForce, Some("a")));
    assert_eq!(found.denies, [deny]);
}

#[test]
fn an_entry_of_ours_that_a_person_has_turned_into_a_denial_is_theirs() {
    let mut turned = own("a", 1, None);
    turned.verdict = Verdict::Deny;
    let found = at_start(&list(&[1], &[]), std::slice::from_ref(&turned));
    assert_eq!(found.steps, [add(1)]);
    assert_eq!(standing(&found, 1), (State::Denied, Some("a")));
    let found = at_start(&list(&[], &[1]), &[turned]);
    assert_eq!((found.steps, found.orphans), (vec![], vec![]));
    assert!(found.gone.contains(&ip(1)));
}

#[test]
fn what_is_wanted_and_withdrawn_is_wanted() {
    let found = at_start(&list(&[1], &[1]), &[own("a", 1, None)]);
    assert_eq!((found.steps.len(), found.gone.len()), (0, 0));
    assert_eq!(standing(&found, 1), (State::InForce, Some("a")));
}

#[test]
fn what_is_withdrawn_is_gone_when_nothing_of_ours_is_left() {
    // An entry of others for the same address is none of ours.
    let actual = [foreign("f", "203.0.113.1", Verdict::Accept, None)];
    let found = at_start(&list(&[], &[1]), &actual);
    assert_eq!(found.steps, []);
    assert!(found.gone.contains(&ip(1)));
}

#[test]
fn an_orphan_is_shown_and_left_also_one_that_was_made_wider() {
    let mut wide = own("w", 1, None);
    wide.net = "203.0.113.0/24".parse().unwrap();
    let found = at_start(&list(&[1], &[]), &[wide.clone(), own("o", 7, None)]);
    assert_eq!(found.orphans, [wide, own("o", 7, None)]);
    // It is not what lets the server in: what a person has changed may change again.
    assert_eq!(found.steps, [add(1)]);
    assert_eq!(found.foreign_accepts, []);
}

#[test]
fn an_enforcer_has_nothing_to_do_with_the_other_kind_but_to_let_it_go() {
    let policy = Policy {
        kinds: Kinds {
            private: false,
            public: true,
        },
        ..POLICY
    };
    // 1 is private, 2 is public.
    let found = diff(&list(&[1, 2], &[]), &[own("a", 1, None)], &policy, start());
    assert_eq!(found.steps, [add(2)]);
    assert_eq!(found.standings.len(), 1);
    assert_eq!(found.orphans, []);
    let found = diff(&list(&[2], &[1]), &[own("a", 1, None)], &policy, start());
    assert_eq!(found.steps, [add(2), remove("a", 1)]);
}

#[test]
fn over_the_limit_nothing_is_added_and_what_is_withdrawn_makes_room() {
    let policy = Policy {
        expiry: None,
        limit: Some(Limit {
            quota: 5,
            others: 2,
        }),
        ..POLICY
    };
    let soon = foreign("f", "203.0.113.4", Verdict::Accept, in_days(0));
    let actual = [own("a", 1, None), own("b", 9, None), soon];
    let over = OverLimit {
        have: 5,
        adding: 2,
        limit: 5,
    };
    let found = diff(&list(&[1, 2, 3], &[9]), &actual, &policy, start());
    assert_eq!(found.steps, [remove("b", 9)]);
    assert_eq!(found.over_limit, Some(over));
    assert_eq!(standing(&found, 2), (State::Missing, None));
    assert_eq!(
        found.standings[1].note,
        "not added: 5 entries and 2 more would be over the limit of 5"
    );
    // As many as there may be is not too many.
    let found = diff(&list(&[1, 2], &[]), &actual[..2], &policy, start());
    assert_eq!(found.over_limit, None);
    assert_eq!(found.steps.len(), 1);
    // Nor are more than there may be, as long as nothing has to be added.
    let many = [
        own("a", 1, None),
        own("b", 2, None),
        own("c", 3, None),
        own("d", 4, None),
    ];
    let found = diff(&list(&[1, 2, 3, 4], &[]), &many, &policy, start());
    assert_eq!((found.over_limit, found.steps.len()), (None, 0));
}

#[test]
fn what_lapses_and_cannot_be_replaced_is_expiring() {
    let policy = Policy {
        limit: Some(Limit {
            quota: 1,
            others: 0,
        }),
        ..POLICY
    };
    let soon = foreign("f", "203.0.113.0/24", Verdict::Accept, in_days(3));
    let found = diff(&list(&[1], &[]), &[soon], &policy, start());
    assert_eq!(found.steps, []);
    assert_eq!(standing(&found, 1), (State::Expiring, Some("f")));
}

#[test]
fn our_entries_are_known_by_what_stands_beside_them() {
    assert_eq!(holder(2).description(), "Extend: MEDIA_2 (public address)");
    assert_eq!(holder(1).description(), "Extend: MEDIA_1 (private address)");
    assert!(is_ours(&holder(2).description()));
    for text in ["", "Extend", "extend: MEDIA_2", "for Extend: MEDIA_2"] {
        assert!(!is_ours(text), "{text}");
    }
}
