//! What people are shown of a list and of what enforcers told.

use std::collections::BTreeMap;

use super::{holder, in_days, ip, list, own, start};
use crate::whitelist::{EnforcerKind, LetIn, Overview, Problem, Round, Row, Seen, Standing, State};

fn standing(last: u8, state: State) -> Standing {
    Standing {
        address: ip(last),
        holder: holder(last),
        state,
        by: (state == State::InForce).then(|| own("a", last, in_days(50))),
        note: String::new(),
    }
}

fn round(enforcer: EnforcerKind, standings: Vec<Standing>) -> Option<Round> {
    let seen = Seen {
        standings,
        ..Seen::default()
    };
    Some(Round {
        enforcer,
        at: start(),
        result: Ok(seen),
    })
}

/// Address by its last byte, enforcer, state.
fn rows(overview: &Overview) -> BTreeMap<(u8, Option<EnforcerKind>), Option<State>> {
    let key = |row: &Row| (row.address.octets()[3], row.enforcer);
    let rows = overview.rows.iter().map(|row| (key(row), row.state));
    rows.collect()
}

#[test]
fn every_address_has_a_row_with_everybody_who_lets_its_kind_in() {
    let (pbx, group) = (EnforcerKind::Pbx, EnforcerKind::SecurityGroup);
    let told = round(
        pbx,
        vec![standing(1, State::InForce), standing(9, State::Leaving)],
    );
    // 1 is private, 2 is public; 2 has become wanted since the PBX was looked at.
    let overview = Overview::of(
        &list(&[1, 2], &[9]),
        [(pbx, told, vec![]), (group, None, vec![])],
    );
    assert_eq!(
        rows(&overview),
        BTreeMap::from([
            ((1, Some(pbx)), Some(State::InForce)),
            ((2, Some(pbx)), None),
            ((2, Some(group)), None),
            ((9, Some(pbx)), Some(State::Leaving)),
        ])
    );
    let looked: Vec<_> = overview.enforcers.iter().map(|one| one.looked).collect();
    assert_eq!(looked, [Some(start()), None]);
}

#[test]
fn an_address_that_nobody_lets_in_is_shown_all_the_same() {
    let group = EnforcerKind::SecurityGroup;
    let overview = Overview::of(&list(&[1], &[]), [(group, None, vec![])]);
    assert_eq!(rows(&overview), BTreeMap::from([((1, None), None)]));
}

#[test]
fn what_is_wanted_again_is_not_shown_as_leaving() {
    let pbx = EnforcerKind::Pbx;
    let told = round(pbx, vec![standing(9, State::Leaving)]);
    let overview = Overview::of(&list(&[9], &[]), [(pbx, told, vec![])]);
    assert_eq!(rows(&overview), BTreeMap::from([((9, Some(pbx)), None)]));
}

#[test]
fn who_cannot_look_tells_why_and_of_the_addresses_nothing_is_known() {
    let pbx = EnforcerKind::Pbx;
    let problem = Problem {
        sentence: "looking at it: no answer".to_owned(),
        hint: String::new(),
        since: start(),
    };
    let told = Round {
        enforcer: pbx,
        at: start(),
        result: Err(problem.clone()),
    };
    let overview = Overview::of(&list(&[1], &[]), [(pbx, Some(told), vec![])]);
    assert_eq!(rows(&overview), BTreeMap::from([((1, Some(pbx)), None)]));
    assert_eq!(overview.enforcers[0].problem, Some(problem));
    let nothing = Overview::of(&LetIn::default(), []);
    assert_eq!(nothing, Overview::default());
}
