//! From a token to a session, and every way in which a token is not taken.

use std::time::{Duration, Instant};

use extend_common::clock::Clock;
use extend_common::tls::{Fingerprint, NodeKey};
use extend_controller::daemon::DaemonOptions;
use extend_proto::v1;
use tonic::Code;

use super::support::*;

#[tokio::test]
async fn a_token_leads_to_a_session_and_is_spent() {
    let place = Place::new();
    let controller = place.start().await;
    let token = controller.token(node(2)).await;
    assert_eq!(
        token.controller.port(),
        controller.daemon.addresses().enrolment.port()
    );
    let pending = controller.node_view(node(2)).await;
    assert_eq!(pending.state(), v1::NodeState::Pending);

    let key = NodeKey::generate().unwrap();
    let answer = join(&token, node(2), &key, &controller.time).await.unwrap();
    assert_eq!(
        answer.agents_port,
        u32::from(controller.daemon.addresses().agents.port())
    );
    assert_eq!(Fingerprint::of(&answer.ca_der), token.ca);

    // The door is shut behind it: with no token alive, nobody is expected from there.
    let again = join(&token, node(2), &key, &controller.time).await;
    assert_code(again, Code::Unavailable);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_node_that_joined_is_welcomed_and_online() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    let session = agent.session().await;
    assert!(!session.welcome.store_id.is_empty() && session.welcome.epoch >= 1);
    assert_eq!(session.welcome.heartbeat_interval_ms, 1000);
    assert!(!session.welcome.ahead);
    session.say(heartbeat(1)).await;
    until("online", async || {
        controller.node_view(node(2)).await.state() == v1::NodeState::Online
    })
    .await;
    drop(session);
    until("offline", async || {
        controller.node_view(node(2)).await.state() == v1::NodeState::Offline
    })
    .await;
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_spent_token_is_refused_while_the_door_is_open_for_another() {
    let place = Place::new();
    let controller = place.start().await;
    let spent = controller.token(node(2)).await;
    let key = NodeKey::generate().unwrap();
    join(&spent, node(2), &key, &controller.time).await.unwrap();
    let fresh = controller.token(node(2)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let status = assert_code(
        join(&spent, node(2), &key, &controller.time).await,
        Code::PermissionDenied,
    );
    assert!(
        refusal(&status)
            .hint
            .contains("extend node token -a 127.0.1.2"),
        "{status:?}"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;
    join(&fresh, node(2), &key, &controller.time).await.unwrap();
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn of_fifty_who_show_a_token_at_once_one_gets_a_certificate() {
    let place = Place::new();
    let controller = place.start().await;
    let token = controller.token(node(2)).await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (token, time) = (token.clone(), controller.time.clone());
        tries.spawn(async move {
            let key = NodeKey::generate().unwrap();
            join(&token, node(2), &key, &time).await
        });
    }
    let outcomes = tries.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_token_is_good_at_its_own_address_only() {
    let place = Place::new();
    let controller = place.start().await;
    let token = controller.token(node(2)).await;
    let key = NodeKey::generate().unwrap();
    let nobody = join(&token, node(3), &key, &controller.time).await;
    assert_code(nobody, Code::Unavailable);

    // With a door of its own it gets as far as asking, in either name.
    let mut stolen = controller.token(node(3)).await;
    let own_secret = stolen.secret;
    stolen.secret = token.secret;
    let in_own_name = join(&stolen, node(3), &key, &controller.time).await;
    let status = assert_code(in_own_name, Code::PermissionDenied);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let in_other_name = join(&token, node(3), &key, &controller.time).await;
    let other = assert_code(in_other_name, Code::PermissionDenied);
    assert_eq!(
        refusal(&status),
        refusal(&other),
        "which of the two it was is not told"
    );

    tokio::time::sleep(Duration::from_millis(1100)).await;
    stolen.secret = own_secret;
    join(&stolen, node(3), &key, &controller.time)
        .await
        .unwrap();
    join(&token, node(2), &key, &controller.time).await.unwrap();
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn an_expired_token_opens_nothing() {
    let place = Place::new();
    let now = jiff::Timestamp::now();
    let yesterday = now - jiff::SignedDuration::from_hours(1);
    let options = DaemonOptions {
        clock: Clock::starting_at(yesterday),
        ..DaemonOptions::default()
    };
    let controller = place.try_start(options).await.unwrap();
    let token = controller.token(node(2)).await;
    controller.daemon.shutdown().await;

    let controller = place.start().await;
    let mut token = token;
    token
        .controller
        .set_port(controller.daemon.addresses().enrolment.port());
    let key = NodeKey::generate().unwrap();
    let answer = join(&token, node(2), &key, &controller.time).await;
    assert_code(answer, Code::Unavailable);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn guessing_is_slow_and_does_not_spoil_the_token() {
    let place = Place::new();
    let controller = place.start().await;
    let token = controller.token(node(2)).await;
    let key = NodeKey::generate().unwrap();
    let mut client = stranger(node(2), token.controller.into(), token.ca, &controller.time)
        .await
        .unwrap();
    let (mut judged, mut sent_away) = (0, 0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        let mut secret = token.secret.to_vec();
        secret[judged % 16] ^= 1;
        let request = v1::JoinRequest {
            node: token.node.to_string(),
            secret,
            csr_der: key.csr().unwrap(),
        };
        match client.join(request).await.unwrap_err().code() {
            Code::PermissionDenied => judged += 1,
            Code::ResourceExhausted => sent_away += 1,
            code => panic!("{code:?}"),
        }
    }
    assert!((2..=3).contains(&judged), "one a second: {judged}");
    assert!(sent_away > 20, "{sent_away}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    join(&token, node(2), &key, &controller.time).await.unwrap();
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_controller_with_another_authority_never_sees_the_secret() {
    let (place, other_place) = (Place::new(), Place::new());
    let (controller, other) = (place.start().await, other_place.start().await);
    let mut token = controller.token(node(2)).await;
    // The impostor even expects the node.
    other.token(node(2)).await;
    token
        .controller
        .set_port(other.daemon.addresses().enrolment.port());
    let key = NodeKey::generate().unwrap();
    let status = assert_code(join(&token, node(2), &key, &now()).await, Code::Unavailable);
    assert!(status.message().contains("certificate"), "{status:?}");
    controller.daemon.shutdown().await;
    other.daemon.shutdown().await;
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_and_the_token_stays() {
    let place = Place::new();
    let controller = place.start().await;
    let token = controller.token(node(2)).await;
    let mut client = stranger(node(2), token.controller.into(), token.ca, &controller.time)
        .await
        .unwrap();
    let request = v1::JoinRequest {
        node: token.node.to_string(),
        secret: token.secret.to_vec(),
        csr_der: vec![0x30; 300],
    };
    assert_code(client.join(request).await, Code::InvalidArgument);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let key = NodeKey::generate().unwrap();
    join(&token, node(2), &key, &controller.time).await.unwrap();
    controller.daemon.shutdown().await;
}
