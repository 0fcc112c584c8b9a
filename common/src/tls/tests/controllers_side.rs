//! Which servers a node talks to: the controller, however it dials, and nobody else.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::{CertificateParams, SanType};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::secret_key::SecretKey;
use super::super::*;
use super::lab::*;

/// A server that shows `shown`, takes one connection, and says whether it got a whole handshake.
async fn dial_rogue(
    shown: CertifiedKey,
    config: Arc<ClientConfig>,
) -> (Result<(), DialError>, std::io::Result<()>) {
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown(Some(Arc::new(shown)))));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(server))
            .accept(stream)
            .await?
            .write_u8(b'!')
            .await
    });
    let dialled = dial(Some(NODE), address, config, PATIENCE).await.map(drop);
    (dialled, serving.await.unwrap())
}

/// Makes what a server shows: a leaf with these changes, and the authority beside it.
struct Forge<'a> {
    lab: &'a Lab,
    key: rcgen::KeyPair,
}

impl Forge<'_> {
    fn leaf(
        &self,
        change: impl FnOnce(&mut CertificateParams),
        issuer: &rcgen::Issuer<'_, SecretKey>,
    ) -> CertifiedKey {
        let mut params = controller_params();
        change(&mut params);
        self.with(sign(&params, &self.key, issuer))
    }

    fn with(&self, leaf: rustls_pki_types::CertificateDer<'static>) -> CertifiedKey {
        // The authority is no secret: anybody can show its certificate.
        certified(
            vec![leaf, self.lab.authority.certificate().clone()],
            &self.key,
        )
    }
}

async fn assert_refused(
    lab: &Lab,
    what: &str,
    shown: CertifiedKey,
    expected: fn(&CertificateProblem) -> bool,
) {
    for (how, config) in [("enrolled", lab.agent()), ("joining", lab.joining())] {
        let (dialled, served) = dial_rogue(shown.clone(), config).await;
        match dialled {
            Err(DialError::Certificate { source, .. }) => {
                assert!(expected(&source), "{what}, {how}: {source}");
            }
            other => panic!("{what}, {how}: {other:?}"),
        }
        // The server never had a connection that it could read from.
        assert!(served.is_err(), "{what}, {how}");
    }
}

#[tokio::test]
async fn the_controller_is_trusted_by_enrolled_and_joining_nodes() {
    let lab = Lab::new();
    let forge = Forge {
        lab: &lab,
        key: new_key(),
    };
    for config in [lab.agent(), lab.joining()] {
        let shown = forge.leaf(|_| {}, &lab.authority.issuer);
        let (dialled, served) = dial_rogue(shown, config).await;
        dialled.unwrap();
        served.unwrap();
    }
}

#[tokio::test]
async fn whoever_is_not_the_controller_is_refused() {
    use CertificateProblem as P;
    let lab = Lab::new();
    let ours = &lab.authority.issuer;
    let forge = Forge {
        lab: &lab,
        key: new_key(),
    };
    let foreign = Authority::create(now()).unwrap();

    let expired = forge.leaf(|p| redate(p, now() - DAY - DAY, now() - DAY), ours);
    assert_refused(&lab, "expired", expired, |p| matches!(p, P::Expired { .. })).await;

    let future = forge.leaf(|p| redate(p, now() + DAY, now() + DAY + DAY), ours);
    assert_refused(&lab, "not yet valid", future, |p| {
        matches!(p, P::NotYetValid { .. })
    })
    .await;

    let other = forge.leaf(|_| {}, &foreign.issuer);
    assert_refused(&lab, "foreign", other, |p| matches!(p, P::UnknownAuthority)).await;

    let impostors = forge.leaf(|_| {}, &impostor(&lab.authority));
    assert_refused(&lab, "impostor", impostors, |p| {
        matches!(p, P::UnknownAuthority)
    })
    .await;

    let self_signed = controller_params()
        .self_signed(&forge.key)
        .unwrap()
        .der()
        .clone();
    let self_signed = forge.with(self_signed);
    assert_refused(&lab, "self-signed", self_signed, |p| {
        matches!(p, P::UnknownAuthority)
    })
    .await;

    for name in [
        "controller.extended",
        "evil.controller.extend",
        "*.extend",
        "127.0.0.1",
    ] {
        let named = forge.leaf(|p| p.subject_alt_names = vec![dns(name)], ours);
        assert_refused(&lab, name, named, |p| matches!(p, P::WrongName { .. })).await;
    }
    let nameless = forge.leaf(|p| p.subject_alt_names.clear(), ours);
    assert_refused(&lab, "nameless", nameless, |p| {
        matches!(p, P::WrongName { .. })
    })
    .await;

    let dressed_up = forge.leaf(
        |p| p.extended_key_usages = node_params().extended_key_usages,
        ours,
    );
    assert_refused(&lab, "a client's", dressed_up, |p| {
        matches!(p, P::WrongRole)
    })
    .await;

    let nodes = forge.leaf(|p| *p = node_params(), ours);
    assert_refused(&lab, "a node's", nodes, |p| matches!(p, P::WrongRole)).await;

    let chain = vec![lab.authority.certificate().clone(); 2];
    let authority_itself = certified(chain, lab.authority.issuer.key());
    assert_refused(&lab, "the authority's", authority_itself, |p| {
        matches!(p, P::Unusable(_))
    })
    .await;

    let leaf = sign(&controller_params(), &new_key(), ours);
    let theft = forge.with(leaf);
    assert_refused(&lab, "without its key", theft, |p| {
        matches!(p, P::UnknownAuthority)
    })
    .await;
}

#[tokio::test]
async fn a_node_cannot_issue_itself_a_controller() {
    let lab = Lab::new();
    let node = new_key();
    let nodes_leaf = sign(&node_params(), &node, &lab.authority.issuer);
    let key = new_key();
    let forged = sign(
        &controller_params(),
        &key,
        &rcgen::Issuer::new(node_params(), &node),
    );
    let chain = vec![forged, nodes_leaf, lab.authority.certificate().clone()];
    assert_refused(&lab, "issued by a node", certified(chain, &key), |p| {
        match p {
            // Who joins looks at nothing but the leaf and the pinned authority.
            CertificateProblem::UnknownAuthority => true,
            CertificateProblem::Unusable(why) => why == "EndEntityUsedAsCa",
            _ => false,
        }
    })
    .await;
}

#[tokio::test]
async fn the_problem_is_told_in_words() {
    let lab = Lab::new();
    let forge = Forge {
        lab: &lab,
        key: new_key(),
    };
    let words = async |change: fn(&mut CertificateParams)| {
        let shown = forge.leaf(change, &lab.authority.issuer);
        let error = dial_rogue(shown, lab.agent()).await.0.unwrap_err();
        assert!(error.to_string().ends_with("was refused"), "{error}");
        let problem = std::error::Error::source(&error).unwrap().to_string();
        let of_time = problem.contains("it is 2026");
        assert_eq!(
            error.to_string().starts_with("the clocks of"),
            of_time,
            "{error}"
        );
        assert_eq!(
            error.hint().unwrap().starts_with("timedatectl"),
            of_time,
            "{error}"
        );
        problem
    };
    assert_eq!(
        words(|p| redate(p, now() - DAY - DAY, now() - DAY)).await,
        "certificate expired at 2026-05-31T12:00:00Z, and it is 2026-06-01T12:00:00Z here"
    );
    assert_eq!(
        words(|p| redate(p, now() + DAY, now() + DAY + DAY)).await,
        "certificate is valid from 2026-06-02T12:00:00Z on, and it is 2026-06-01T12:00:00Z here"
    );
    assert_eq!(
        words(|p| p.subject_alt_names = vec![dns("a.example")]).await,
        "certificate is not for controller.extend but for a.example"
    );
    assert_eq!(
        words(|p| p.subject_alt_names = vec![dns("a"), SanType::IpAddress(NODE.into())]).await,
        "certificate is not for controller.extend but for a, 127.0.0.7"
    );
    assert_eq!(
        words(|p| p.subject_alt_names.clear()).await,
        "certificate is not for controller.extend but for nobody"
    );
}
