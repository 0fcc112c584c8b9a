//! What a session may do, and what ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use extend_common::tls::{Authority, dial, pinned_client_config};
use extend_proto::v1;
use rustls_pki_types::CertificateDer;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tonic::Code;

use super::support::*;

fn status_of_nothing() -> v1::AgentMessage {
    v1::AgentMessage {
        kind: Some(v1::agent_message::Kind::Status(v1::ServerStatus::default())),
    }
}

#[tokio::test]
async fn a_hello_must_be_the_first_message_of_the_certificates_node_and_the_only_one() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    controller.joined(node(3)).await;

    let mut other = Session::begin(agent.agent().await).await.unwrap();
    let as_another = v1::Hello {
        node: node(3).to_string(),
        ..agent.hello()
    };
    other.say(hello(as_another)).await;
    let status = other.end().await;
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert!(
        status.message().contains("the hello is of node 127.0.1.3"),
        "{status:?}"
    );

    let mut early = Session::begin(agent.agent().await).await.unwrap();
    early.say(heartbeat(1)).await;
    assert_eq!(early.end().await.code(), Code::InvalidArgument);

    let mut twice = agent.session().await;
    twice.say(hello(agent.hello())).await;
    assert_eq!(twice.end().await.code(), Code::InvalidArgument);

    let mut garbled = agent.session().await;
    garbled.say(status_of_nothing()).await;
    assert_eq!(garbled.end().await.code(), Code::InvalidArgument);
    assert_eq!(
        controller.node_view(node(3)).await.state(),
        v1::NodeState::Offline
    );
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    let mut silent = Session::begin(agent.agent().await).await.unwrap();
    let begun = Instant::now();
    let status = silent.end().await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(
        (4.5..6.0).contains(&begun.elapsed().as_secs_f64()),
        "{:?}",
        begun.elapsed()
    );
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn who_speaks_too_fast_is_closed_and_the_others_are_not() {
    let place = Place::new();
    let controller = place.start().await;
    let (loud, quiet) = (
        controller.joined(node(2)).await,
        controller.joined(node(3)).await,
    );
    let mut flood = loud.session().await;
    let calm = quiet.session().await;
    for sequence in 0..400 {
        flood.say(heartbeat(sequence)).await;
    }
    assert_eq!(flood.end().await.code(), Code::ResourceExhausted);
    calm.say(heartbeat(1)).await;
    until("the quiet node is online", async || {
        controller.node_view(node(3)).await.state() == v1::NodeState::Online
    })
    .await;
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_newer_session_replaces_the_older_at_once() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    let mut older = agent.session().await;
    let begun = Instant::now();
    let newer = agent.session().await;
    let status = older.end().await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    assert!(status.message().contains("newer session"), "{status:?}");
    assert!(newer.welcome.session > older.welcome.session);
    // What the older one says counts for nothing; the newer one goes on.
    older.say(heartbeat(1)).await;
    newer.say(heartbeat(1)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        controller.node_view(node(2)).await.state(),
        v1::NodeState::Online
    );
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn revoking_closes_the_live_stream_within_two_seconds_and_the_door() {
    let place = Place::new();
    let controller = place.start().await;
    let (agent, other) = (
        controller.joined(node(2)).await,
        controller.joined(node(3)).await,
    );
    let mut session = agent.session().await;
    let mut bystander = other.session().await;
    // A connection without a stream must not outlive the revocation either.
    let mut idle = agent.agent().await;
    let begun = Instant::now();
    controller.revoke(node(2)).await;
    let status = session.end().await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");

    tokio::time::sleep(Duration::from_secs(2).saturating_sub(begun.elapsed())).await;
    let csr_der = agent.key.csr().unwrap();
    let status = idle
        .renew_leaf(v1::RenewLeafRequest { csr_der })
        .await
        .unwrap_err();
    let cut = matches!(status.code(), Code::Unavailable | Code::Unknown);
    assert!(cut, "cut, not answered: {status:?}");
    let error = agent.channel_from(node(2)).await.unwrap_err();
    assert!(
        error.contains("closed the connection"),
        "the door is shut: {error}"
    );
    assert_eq!(
        controller.node_view(node(2)).await.state(),
        v1::NodeState::Revoked
    );

    bystander.say(heartbeat(1)).await;
    let waited = tokio::time::timeout(Duration::from_millis(300), bystander.hear()).await;
    assert!(waited.is_err(), "another node's session stays: {waited:?}");
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_certificate_is_good_from_its_own_address_only() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    controller.joined(node(3)).await;
    let unknown = agent.channel_from(node(4)).await.unwrap_err();
    assert!(unknown.contains("closed the connection"), "{unknown}");
    // From an enrolled node's address the door opens, and the certificate is another's.
    if let Ok(channel) = agent.channel_from(node(3)).await {
        let client = extend_proto::v1::agent_client::AgentClient::new(channel);
        let mut session = match Session::begin(client).await {
            Ok(session) => session,
            Err(_) => return controller.daemon.shutdown().await,
        };
        session.say(hello(agent.hello())).await;
        assert!(session.hear().await.is_err());
    }
    until("it is counted", async || {
        controller.daemon.tallies().agents.counts().wrong_identity == 1
    })
    .await;
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn without_a_certificate_of_the_authority_nobody_comes_in() {
    let place = Place::new();
    let controller = place.start().await;
    let mut agent = controller.joined(node(2)).await;
    let session = agent.session().await;

    // Its own key, certified by somebody else.
    let foreign = Authority::create(jiff::Timestamp::now()).unwrap();
    let csr = agent.key.csr().unwrap();
    let day = Duration::from_secs(86_400);
    let leaf = foreign
        .issue_node(node(2), &csr, jiff::Timestamp::now(), day)
        .unwrap();
    let good = std::mem::replace(&mut agent.leaf, CertificateDer::from(leaf.der.to_vec()));
    assert!(!agent.can_come_in().await, "a foreign authority");

    // None at all.
    let ca = extend_common::tls::Fingerprint::of(&agent.authority);
    let config = pinned_client_config(ca, Arc::clone(&agent.time)).unwrap();
    if let Ok(stream) = dial(Some(node(2)), agent.controller, config, LIMIT).await
        && let Ok(channel) = channel(stream).await
    {
        let client = extend_proto::v1::agent_client::AgentClient::new(channel);
        assert!(Session::begin(client).await.is_err(), "no certificate");
    }
    agent.leaf = good;
    drop(session);
    assert!(agent.can_come_in().await);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_tells_everybody_and_takes_less_than_two_seconds() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    let mut session = agent.session().await;
    let addresses = controller.daemon.addresses().clone();
    // Somebody who says nothing and does not hang up.
    let _held = tokio::net::TcpStream::connect(addresses.http)
        .await
        .unwrap();
    let _idle = controller.operator().await;
    let mut mute = UnixStream::connect(&addresses.socket).await.unwrap();
    let begun = Instant::now();
    let (status, ()) = tokio::join!(session.end(), controller.daemon.shutdown());
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!addresses.socket.exists());
    assert!(
        tokio::net::TcpStream::connect(addresses.agents)
            .await
            .is_err()
    );
    let mut rest = Vec::new();
    let cut = tokio::time::timeout(Duration::from_millis(200), mute.read_to_end(&mut rest)).await;
    assert!(cut.is_ok(), "who never said a word is cut as well");
    // And everything is free for a successor.
    place.start().await.daemon.shutdown().await;
}

#[tokio::test]
async fn an_agent_comes_back_to_a_controller_that_died() {
    let place = Place::new();
    let controller = place.start().await;
    let mut agent = controller.joined(node(2)).await;
    let mut session = agent.session().await;
    let begun = Instant::now();
    controller.daemon.kill().await;
    assert!(session.end().await.code() != Code::Ok);
    let successor = place.start().await;
    agent.controller = successor.daemon.addresses().agents;
    let again = agent.session().await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(again.welcome.store_id, session.welcome.store_id);
    assert!(again.welcome.epoch > session.welcome.epoch);
    successor.daemon.shutdown().await;
}
