//! Certificates that are renewed in time, and those that were not.

use std::time::Duration;

use extend_common::clock::Clock;
use extend_common::tls::{NodeKey, PeerNode, Time, TimeProvider};
use extend_controller::daemon::DaemonOptions;
use extend_proto::v1;
use rustls_pki_types::UnixTime;
use std::sync::Arc;
use tonic::Code;

use super::support::*;

/// A moment at which everything is judged.
#[derive(Debug)]
struct At(jiff::Timestamp);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// A controller of some days ago, or of now.
fn days_ago(days: i64) -> DaemonOptions {
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
    let time: Time = Arc::new(At(then));
    DaemonOptions {
        clock: Clock::starting_at(then),
        time,
        ..DaemonOptions::default()
    }
}

/// A node that joined a controller some days ago, and the controller as it is now.
async fn joined_days_ago(place: &Place, days: i64) -> (Controller, Node) {
    let past = place.try_start(days_ago(days)).await.unwrap();
    let mut agent = past.joined(node(2)).await;
    past.daemon.shutdown().await;
    let present = place.start().await;
    agent.controller = present.daemon.addresses().agents;
    agent.enrolment = present.daemon.addresses().enrolment;
    agent.time = now();
    (present, agent)
}

#[tokio::test]
async fn a_leaf_is_renewed_over_its_own_connection_for_its_own_key_only() {
    let place = Place::new();
    let controller = place.start().await;
    let mut agent = controller.joined(node(2)).await;
    let before = agent.leaf.clone();
    agent.renew().await.unwrap();
    let (old, new) = (peer(&before), peer(&agent.leaf));
    assert_ne!(old.serial, new.serial);
    assert_eq!((old.node, old.spki), (new.node, new.spki));
    assert!(agent.can_come_in().await);

    let other = NodeKey::generate().unwrap();
    let request = v1::RenewLeafRequest {
        csr_der: other.csr().unwrap(),
    };
    assert_code(
        agent.agent().await.renew_leaf(request).await,
        Code::PermissionDenied,
    );
    controller.daemon.shutdown().await;
}

fn peer(leaf: &[u8]) -> PeerNode {
    PeerNode::from_certificate(leaf).unwrap()
}

#[tokio::test]
async fn an_expired_leaf_is_no_lock_out() {
    let place = Place::new();
    let (controller, mut agent) = joined_days_ago(&place, 20).await;
    assert!(!agent.can_come_in().await, "the leaf has expired");

    let thief = NodeKey::generate().unwrap();
    let status = assert_code(agent.renew_expired(&thief).await, Code::PermissionDenied);
    let key = std::mem::replace(&mut agent.key, NodeKey::generate().unwrap());
    agent.renew_expired(&key).await.unwrap();
    agent.key = key;
    assert!(agent.can_come_in().await);
    assert!(
        !status.message().contains("key is"),
        "a stranger learns nothing: {status:?}"
    );
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn the_proof_is_over_this_nonce_and_this_request_once() {
    let place = Place::new();
    let (controller, agent) = joined_days_ago(&place, 20).await;
    let mut client = agent.stranger(node(2)).await.unwrap();
    let name = node(2).to_string();
    let (csr_der, other_csr) = (agent.key.csr().unwrap(), agent.key.csr().unwrap());
    let challenge = async || {
        tokio::time::sleep(Duration::from_millis(1050)).await;
        let request = v1::ChallengeRequest { node: name.clone() };
        let mut client = agent.stranger(node(2)).await.unwrap();
        client.challenge(request).await.unwrap().into_inner().nonce
    };
    let request = |nonce: &[u8], signature: Vec<u8>| v1::RenewExpiredRequest {
        node: name.clone(),
        csr_der: csr_der.clone(),
        nonce: nonce.to_vec(),
        signature,
    };

    let own = [7; 32];
    let made_up = request(&own, sign(&agent.key, &own, &csr_der));
    assert_code(client.renew_expired(made_up).await, Code::PermissionDenied);

    let nonce = challenge().await;
    let over_another = request(&nonce, sign(&agent.key, &nonce, &other_csr));
    assert_code(
        client.renew_expired(over_another).await,
        Code::PermissionDenied,
    );
    let now_right = request(&nonce, sign(&agent.key, &nonce, &csr_der));
    assert_code(
        client.renew_expired(now_right).await,
        Code::PermissionDenied,
    );

    let nonce = challenge().await;
    let good = request(&nonce, sign(&agent.key, &nonce, &csr_der));
    client.renew_expired(good.clone()).await.unwrap();
    assert_code(client.renew_expired(good).await, Code::PermissionDenied);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn from_another_address_and_after_thirty_days_and_when_revoked_there_is_nothing() {
    let place = Place::new();
    let (controller, mut agent) = joined_days_ago(&place, 20).await;
    let key = std::mem::replace(&mut agent.key, NodeKey::generate().unwrap());
    assert!(
        agent.stranger(node(3)).await.is_err(),
        "nobody is expected from there"
    );
    controller.token(node(3)).await;
    let mut from_elsewhere = agent.stranger(node(3)).await.unwrap();
    let request = v1::ChallengeRequest {
        node: node(2).to_string(),
    };
    assert_code(
        from_elsewhere.challenge(request).await,
        Code::PermissionDenied,
    );
    controller.revoke(node(2)).await;
    assert_code(agent.renew_expired(&key).await, Code::Unavailable);
    controller.daemon.shutdown().await;

    let place = Place::new();
    let (controller, mut agent) = joined_days_ago(&place, 32).await;
    let key = std::mem::replace(&mut agent.key, NodeKey::generate().unwrap());
    assert_code(agent.renew_expired(&key).await, Code::Unavailable);
    controller.daemon.shutdown().await;
}

/// With the shortest life there is: the controller's own certificate is exchanged at half of it, and
/// a session ends with the leaf that it began with.
#[tokio::test]
async fn certificates_change_while_sessions_go_on() {
    let mut place = Place::new();
    place.leaf_lifetime = "10s";
    let controller = place.start().await;
    let mut agent = controller.joined(node(2)).await;
    let mut session = agent.session().await;
    let joined = tokio::time::Instant::now();
    let first = agent.server_serial().await;

    for beat in 0..7 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        session.say(heartbeat(beat)).await;
    }
    agent.renew().await.unwrap();
    assert_ne!(
        agent.server_serial().await,
        first,
        "exchanged at half its life"
    );
    let silence = tokio::time::timeout(Duration::from_millis(500), session.hear()).await;
    assert!(
        silence.is_err(),
        "the session has seen nothing of it: {silence:?}"
    );

    let status = session.end().await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let lasted = joined.elapsed().as_secs_f64();
    assert!((8.0..11.0).contains(&lasted), "{lasted}");
    agent.session().await;
    controller.daemon.shutdown().await;
}

impl Node {
    /// The serial number of the controller's certificate, as a new connection meets it.
    async fn server_serial(&self) -> Vec<u8> {
        let stream = extend_common::tls::dial(
            Some(self.address),
            self.controller,
            self.client_config(),
            LIMIT,
        )
        .await
        .unwrap();
        let (_, tls) = stream.get_ref();
        let leaf = tls.peer_certificates().and_then(<[_]>::first).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf).unwrap();
        leaf.raw_serial().to_vec()
    }
}
