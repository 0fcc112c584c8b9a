//! A joining node trusts one fingerprint: with another authority it ends before it says a word.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::*;
use super::lab::*;

#[tokio::test]
async fn another_authority_is_told_apart_before_anything_is_sent() {
    let (ours, theirs) = (Lab::new(), Lab::new());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::clone(&theirs.enrolment().config);
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // A man in the middle has a connection once the client's last message of the handshake is
        // in. It must not come: after it the token's secret would follow.
        TlsAcceptor::from(config).accept(stream).await
    });

    let error = dial(None, address, ours.joining(), PATIENCE)
        .await
        .unwrap_err();

    let DialError::Certificate {
        source: CertificateProblem::Pin(mismatch),
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(mismatch.expected, ours.authority.fingerprint());
    assert_eq!(mismatch.presented, [theirs.authority.fingerprint()]);
    let words = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        words.contains(&ours.authority.fingerprint().to_string()),
        "{words}"
    );
    assert!(
        words.contains(&theirs.authority.fingerprint().to_string()),
        "{words}"
    );
    let served = serving.await.unwrap();
    assert!(served.is_err(), "the server got a whole handshake");
}

#[tokio::test]
async fn a_chain_without_the_authority_is_a_mismatch() {
    let lab = Lab::new();
    // The agents' face shows its leaf alone. It is the right controller, but nothing says so.
    let server = Server::start(lab.agents()).await;
    let error = dial(Some(NODE), server.address, lab.joining(), PATIENCE)
        .await
        .unwrap_err();
    let DialError::Certificate {
        source: CertificateProblem::Pin(mismatch),
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(mismatch.presented, []);
    assert!(
        mismatch.to_string().ends_with("the server presented none"),
        "{mismatch}"
    );
}

/// The pinned certificate among the chain is not enough: the leaf must be that authority's work,
/// and what is pinned must be an authority.
#[tokio::test]
async fn the_pin_is_of_an_authority_and_the_leaf_is_its_work() {
    let lab = Lab::new();
    let key = new_key();
    let leaf = sign(&controller_params(), &key, &lab.authority.issuer);
    let no_authority = controller_params().self_signed(&key).unwrap().der().clone();
    let shown = certified(vec![leaf, no_authority.clone()], &key);
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown(Some(Arc::new(shown)))));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    });

    let pinned = pinned_client_config(Fingerprint::of(&no_authority), clock(now())).unwrap();
    let error = dial(None, address, pinned, PATIENCE).await.unwrap_err();

    assert!(
        matches!(
            error,
            DialError::Certificate {
                source: CertificateProblem::Pin(_),
                ..
            }
        ),
        "{error:?}"
    );
}
