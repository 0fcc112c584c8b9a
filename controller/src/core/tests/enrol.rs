//! Tokens, renewals, revocations, removals, and the door that follows from them.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::after;
use extend_common::operation::{TargetState, Verb};
use extend_common::status::NodeState;

use super::bench::{Bench, facts, node};
use crate::core::refusal::Refusal;
use crate::core::request::{KeyHash, PeerFacts, sha256};
use crate::core::view::DoorSets;
use crate::core::{CloseReason, Effect};

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

const SECRET: [u8; 16] = [3; 16];

fn mint(bench: &mut Bench, ttl: Option<u64>) -> Result<Timestamp, Refusal> {
    let ttl = ttl.map(Duration::from_secs);
    let turn = bench
        .fleet
        .mint_token(media(), ttl, sha256(&SECRET), "anna", bench.now);
    bench.commit(turn)
}

fn spend(bench: &mut Bench, secret: [u8; 16]) -> Result<(), String> {
    let turn = bench
        .fleet
        .spend_token(media(), &secret, facts(media()), bench.now);
    bench.commit(turn).map_err(|refusal| refusal.sentence())
}

fn door(bench: &Bench) -> DoorSets {
    bench.fleet.door(bench.now)
}

#[test]
fn a_token_is_good_once_for_one_node_and_ten_minutes() {
    let mut bench = Bench::new();
    let refused = "cannot enrol 172.31.16.139: the token is not valid".to_owned();
    assert_eq!(
        spend(&mut bench, SECRET),
        Err(refused.clone()),
        "there is none"
    );
    let expires = mint(&mut bench, None).unwrap();
    assert_eq!(expires, after(bench.now, Duration::from_secs(600)));
    assert!(
        door(&bench).admits_enrolment(media().ip()) && !door(&bench).admits_agent(media().ip())
    );
    assert_eq!(
        spend(&mut bench, [4; 16]),
        Err(refused.clone()),
        "another secret"
    );
    let turn = bench
        .fleet
        .spend_token(node("172.31.16.138"), &SECRET, facts(media()), bench.now);
    bench.commit(turn).unwrap_err();
    assert_eq!(spend(&mut bench, SECRET), Ok(()));
    assert_eq!(spend(&mut bench, SECRET), Err(refused), "it is spent");
    assert!(
        door(&bench).admits_agent(media().ip()) && !door(&bench).admits_enrolment(media().ip())
    );
    // The secret itself is nowhere.
    let rows: Vec<u8> = bench.rows.values().flatten().copied().collect();
    assert!(!rows.windows(16).any(|window| window == SECRET));
}

#[test]
fn a_token_expires_and_then_the_door_is_shut() {
    let mut bench = Bench::new();
    mint(&mut bench, Some(60)).unwrap();
    bench.now = after(bench.now, Duration::from_secs(60));
    assert_eq!(
        spend(&mut bench, SECRET),
        Err("cannot enrol 172.31.16.139: the token has expired".to_owned())
    );
    assert!(!door(&bench).admits_enrolment(media().ip()));
    let turn = bench.fleet.tick(bench.now);
    assert!(turn.effects.contains(&Effect::Door));
    bench.commit(turn);
    let left: Vec<_> = bench
        .rows
        .keys()
        .filter(|key| !key.starts_with("event/"))
        .collect();
    assert!(
        left.is_empty(),
        "nothing is left of it but the event: {left:?}"
    );
    for wrong in [0, 24 * 3600 + 1] {
        assert_eq!(mint(&mut bench, Some(wrong)).unwrap_err().code(), "bad-ttl");
    }
    assert!(mint(&mut bench, Some(24 * 3600)).is_ok());
}

#[test]
fn a_node_with_a_token_is_pending() {
    let mut bench = Bench::new();
    mint(&mut bench, None).unwrap();
    let views = bench.fleet.nodes(None, bench.now).unwrap();
    assert_eq!((views.len(), views[0].state), (1, NodeState::Pending));
    assert!(
        views[0]
            .reason
            .starts_with("it may join with its token until"),
        "{}",
        views[0].reason
    );
    // And tells so to who wants to run a server there.
    let refusal = bench.refuse(
        Verb::Run,
        "-s media-server-only -n media-server-1 -a 172.31.16.139",
    );
    assert_eq!(refusal.code(), "not-enrolled");
    assert!(
        refusal.causes()[0].contains("has not been used"),
        "{:?}",
        refusal.causes()
    );
}

#[test]
fn joining_again_replaces_the_key_and_keeps_the_record() {
    let mut bench = Bench::guide();
    let record = bench.record(media());
    let session = bench.agents[&media()].session.unwrap();
    mint(&mut bench, None).unwrap();
    let other = PeerFacts {
        key: KeyHash([5; 32]),
        ..facts(media())
    };
    let turn = bench.fleet.spend_token(media(), &SECRET, other, bench.now);
    bench.commit(turn).unwrap();
    assert_eq!(
        bench.closed.last(),
        Some(&(media(), session, CloseReason::EnrolledAgain))
    );
    assert_eq!(bench.record(media()), record);
    bench.try_connect(media()).unwrap_err();
}

#[test]
fn an_expired_node_may_renew_for_thirty_days_with_its_own_key() {
    let mut bench = Bench::guide();
    let key = facts(media()).key;
    let day = Duration::from_secs(24 * 3600);
    let allowed = |bench: &Bench, key| {
        bench
            .fleet
            .renewal_allowed(media(), key, bench.now)
            .map_err(|refusal| refusal.sentence())
    };
    assert_eq!(allowed(&bench, key), Ok(()));
    assert!(
        !door(&bench).admits_enrolment(media().ip()),
        "it has a session to renew on"
    );
    bench.now = after(bench.now, day - Duration::from_secs(1800));
    assert!(
        door(&bench).admits_enrolment(media().ip()),
        "its clock may be ahead of ours"
    );
    bench.now = after(bench.now, 29 * day);
    assert_eq!(allowed(&bench, key), Ok(()));
    assert!(
        allowed(&bench, KeyHash([0; 32]))
            .unwrap_err()
            .contains("another key")
    );
    let renewed = PeerFacts {
        key,
        leaf_not_after: after(bench.now, day),
    };
    let turn = bench.fleet.renewed(media(), renewed, bench.now);
    bench.commit(turn).unwrap();
    assert!(!door(&bench).admits_enrolment(media().ip()));
    bench.now = after(bench.now, 31 * day + Duration::from_secs(1));
    assert!(allowed(&bench, key).unwrap_err().contains("too old"));
    assert!(!door(&bench).admits_enrolment(media().ip()));
    let turn = bench.fleet.renewed(media(), renewed, bench.now);
    bench.commit(turn).unwrap_err();
}

#[test]
fn time_alone_changes_the_door_and_the_tick_says_so() {
    let mut bench = Bench::guide();
    bench.tick();
    let opens = Duration::from_secs(23 * 3600);
    bench.now = after(bench.now, opens - Duration::from_secs(1));
    let turn = bench.fleet.tick(bench.now);
    assert!(!turn.effects.contains(&Effect::Door));
    bench.commit(turn);
    bench.now = after(bench.now, Duration::from_secs(1));
    let turn = bench.fleet.tick(bench.now);
    assert!(turn.effects.contains(&Effect::Door));
    bench.commit(turn);
}

#[test]
fn revoking_shuts_a_node_out_and_leaves_its_target_waiting() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let session = bench.agents[&media()].session.unwrap();
    let turn = bench.fleet.revoke(media(), "anna", bench.now);
    let (view, notes) = bench.commit(turn).unwrap();
    assert_eq!(view.unwrap().state, NodeState::Revoked);
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert_eq!(
        bench.closed.last(),
        Some(&(media(), session, CloseReason::Revoked))
    );
    assert!(!door(&bench).admits_agent(media().ip()));
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Waiting);
    assert!(
        target.reason.starts_with("node 172.31.16.139 is revoked"),
        "{}",
        target.reason
    );
    bench.try_connect(media()).unwrap_err();
    assert!(
        bench
            .fleet
            .renewal_allowed(media(), facts(media()).key, bench.now)
            .is_err()
    );
    // Twice is as once, and a token lets it in again.
    let turn = bench.fleet.revoke(media(), "bert", bench.now);
    let (_, notes) = bench.commit(turn).unwrap();
    assert!(notes[0].ends_with("by anna"), "{notes:?}");
    bench.enrol(media());
    bench.connect(media());
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
}

#[test]
fn removing_a_node_needs_force_while_it_has_a_server_or_an_operation() {
    let mut bench = Bench::guide();
    let remove = |bench: &mut Bench, force| {
        let turn = bench.fleet.remove(media(), force, "anna", bench.now);
        bench.commit(turn)
    };
    assert_eq!(
        remove(&mut bench, false).unwrap_err().code(),
        "node-has-server"
    );
    let operation = bench.accept(Verb::Rm, "-s media-server-only");
    assert_eq!(remove(&mut bench, false).unwrap_err().code(), "busy");
    let session = bench.agents[&media()].session.unwrap();
    let (view, notes) = remove(&mut bench, true).unwrap();
    assert_eq!(view.unwrap().node, media());
    assert_eq!(notes.len(), 2, "{notes:?}");
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Failed);
    assert_eq!(target.reason, "the node was removed by anna");
    assert!(bench.operation(operation.id).ended.is_some());
    assert_eq!(
        bench.closed.last(),
        Some(&(media(), session, CloseReason::Removed))
    );
    assert!(!bench.rows.contains_key("node/172.31.16.139"));
    assert!(!door(&bench).admits_agent(media().ip()));
    assert_eq!(remove(&mut bench, true).unwrap_err().code(), "no-such-node");
}

#[test]
fn a_node_whose_server_was_removed_goes_without_force() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Rm, "-s media-server-only");
    bench.succeed(media());
    let turn = bench.fleet.remove(media(), false, "anna", bench.now);
    bench.commit(turn).unwrap();
    assert_eq!(bench.fleet.nodes(None, bench.now).unwrap().len(), 3);
}

#[test]
fn revoking_a_node_that_has_not_joined_drops_its_token_and_is_no_error() {
    let mut bench = Bench::new();
    mint(&mut bench, None).unwrap();
    let turn = bench.fleet.revoke(media(), "anna", bench.now);
    let (view, notes) = bench.commit(turn).unwrap();
    assert_eq!(view, None, "it is no node any more");
    assert_eq!(
        notes,
        ["its unspent token was dropped", "it had not joined"]
    );
    assert!(!door(&bench).admits_enrolment(media().ip()));
    assert!(spend(&mut bench, SECRET).is_err());
    // There is nothing left to revoke.
    let turn = bench.fleet.revoke(media(), "anna", bench.now);
    assert_eq!(bench.commit(turn).unwrap_err().code(), "no-such-node");
}
