//! The certificate is exchanged under way, and a bad one is not published.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::super::live::PublishError;
use super::super::*;
use super::lab::*;

fn seen_by(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

#[tokio::test]
async fn a_new_connection_sees_the_new_certificate_and_an_old_one_goes_on() {
    let lab = Lab::new();
    let server = Server::start(lab.agents()).await;
    let enrolment = Server::start(lab.enrolment()).await;
    let mut old = server.try_from(NODE, &lab.agent()).await.unwrap();
    let before = lab.live.serial();

    let next = lab
        .authority
        .issue_controller(now(), LEAF_LIFETIME * 2)
        .unwrap();
    let leaf = next.leaf.clone();
    lab.live.swap(next, now()).unwrap();

    assert_eq!(
        (lab.live.serial(), lab.live.not_after()),
        (leaf.serial, leaf.not_after)
    );
    assert_ne!(before, leaf.serial);
    let new = server.try_from(NODE, &lab.agent()).await.unwrap();
    assert_eq!(seen_by(&new), leaf.der);
    let joining = enrolment.try_from(OTHER, &lab.joining()).await.unwrap();
    assert_eq!(seen_by(&joining), leaf.der);

    assert_ne!(seen_by(&old), leaf.der);
    old.write_u8(b'?').await.unwrap();
    assert_eq!(old.read_u8().await.unwrap(), b'?');
}

#[tokio::test]
async fn a_certificate_that_agents_would_refuse_is_not_published() {
    let lab = Lab::new();
    let before = lab.live.serial();
    let fresh = || {
        lab.authority
            .issue_controller(now(), LEAF_LIFETIME)
            .unwrap()
    };
    let swap = |next| lab.live.swap(next, now());

    let mut mismatched = fresh();
    mismatched.key = fresh().key;
    assert!(matches!(swap(mismatched), Err(PublishError::Key(_))));

    let foreign = Authority::create(now())
        .unwrap()
        .issue_controller(now(), LEAF_LIFETIME)
        .unwrap();
    assert!(matches!(swap(foreign), Err(PublishError::Refused(_))));

    let expired = lab
        .authority
        .issue_controller(now() - DAY - DAY, LEAF_LIFETIME)
        .unwrap();
    assert!(matches!(swap(expired), Err(PublishError::Refused(_))));

    let early = lab
        .authority
        .issue_controller(now() + DAY, LEAF_LIFETIME)
        .unwrap();
    assert!(matches!(swap(early), Err(PublishError::Refused(_))));

    let key = new_key();
    let mut nodes = fresh();
    nodes.leaf.der = sign(&node_params(), &key, &lab.authority.issuer);
    nodes.key = pkcs8(&key);
    assert!(matches!(swap(nodes), Err(PublishError::Refused(_))));

    assert_eq!(lab.live.serial(), before);
    let server = Server::start(lab.agents()).await;
    server.try_from(NODE, &lab.agent()).await.unwrap();
}

#[tokio::test]
async fn exchanging_it_fails_no_handshake() {
    let lab = Lab::new();
    let server = Server::start(lab.agents()).await;
    let live = std::sync::Arc::clone(&lab.live);
    let pairs: Vec<_> = std::iter::repeat_with(|| {
        lab.authority
            .issue_controller(now(), Duration::from_secs(60))
            .unwrap()
    })
    .take(50)
    .collect();
    let swapping = tokio::spawn(async move {
        for pair in pairs {
            live.swap(pair, now()).unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let mut connected = 0;
    while !swapping.is_finished() {
        server.try_from(NODE, &lab.agent()).await.unwrap();
        connected += 1;
    }
    swapping.await.unwrap();
    assert!(connected > 1, "{connected}");
}
