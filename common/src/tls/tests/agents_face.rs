//! Which clients the agents' face takes: the node from its own address, and nobody else.

use rcgen::{ExtendedKeyUsagePurpose as Purpose, KeyPair, SanType};
use rustls::sign::CertifiedKey;

use super::super::accept::AcceptCounts;
use super::super::*;
use super::lab::*;

/// What the server counts for a client it does not take, and what the client learns of the reason.
type Verdict = (AcceptCounts, Option<PeerRefusal>);

fn failed(refusal: PeerRefusal) -> Verdict {
    (
        AcceptCounts {
            failed: 1,
            ..Default::default()
        },
        Some(refusal),
    )
}

/// TLS had no objection; the identity in the certificate had to be refused after it.
fn wrong_identity() -> Verdict {
    (
        AcceptCounts {
            wrong_identity: 1,
            ..Default::default()
        },
        None,
    )
}

async fn assert_refused(lab: &Lab, what: &str, shown: Option<CertifiedKey>, expected: Verdict) {
    let server = Server::start(lab.agents()).await;
    let outcome = server.try_from(NODE, &lab.rogue_agent(shown)).await;
    let refusal = match outcome {
        Err(DialError::Rejected { source, .. }) => Some(source),
        Err(DialError::Closed { .. }) => None,
        other => panic!("{what}: {other:?}"),
    };
    let (counts, expected) = expected;
    server.settles(what, |now| now == counts).await;
    assert_eq!(refusal, expected, "{what}");
}

#[tokio::test]
async fn the_node_is_taken_from_its_own_address() {
    let lab = Lab::new();
    let server = Server::start(lab.agents()).await;
    server.try_from(NODE, &lab.agent()).await.unwrap();
    server
        .settles("taken", |counts| {
            counts
                == AcceptCounts {
                    established: 1,
                    ..Default::default()
                }
        })
        .await;
}

#[tokio::test]
async fn both_faces_agree_on_http_2() {
    let lab = Lab::new();
    for (face, config) in [
        (lab.agents(), lab.agent()),
        (lab.enrolment(), lab.joining()),
    ] {
        let server = Server::start(face).await;
        let stream = server.try_from(NODE, &config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
}

#[tokio::test]
async fn what_is_forged_here_is_taken_if_nothing_is_changed() {
    let lab = Lab::new();
    let key = new_key();
    let leaf = sign(&node_params(), &key, &lab.authority.issuer);
    let server = Server::start(lab.agents()).await;
    let config = lab.rogue_agent(Some(certified(vec![leaf], &key)));
    server.try_from(NODE, &config).await.unwrap();
}

#[tokio::test]
async fn the_node_is_not_taken_from_another_address() {
    let lab = Lab::new();
    let server = Server::start(lab.agents()).await;
    assert!(server.try_from(OTHER, &lab.agent()).await.is_err());
    server
        .settles("other address", |counts| {
            counts
                == AcceptCounts {
                    wrong_identity: 1,
                    ..Default::default()
                }
        })
        .await;
}

#[tokio::test]
async fn who_cannot_show_a_certificate_of_ours_is_refused() {
    let lab = Lab::new();
    let ours = &lab.authority.issuer;
    let key = new_key();
    let leaf = |change: &dyn Fn(&mut rcgen::CertificateParams), issuer| {
        let mut params = node_params();
        change(&mut params);
        Some(certified(vec![sign(&params, &key, issuer)], &key))
    };
    let same = |_: &mut rcgen::CertificateParams| {};
    let (foreign, impostor) = (Authority::create(now()).unwrap(), impostor(&lab.authority));

    let expired = leaf(&|p| redate(p, now() - DAY - DAY, now() - DAY), ours);
    let future = leaf(&|p| redate(p, now() + DAY, now() + DAY + DAY), ours);
    let foreign = leaf(&same, &foreign.issuer);
    let impostors = leaf(&same, &impostor);
    let self_signed = node_params().self_signed(&key).unwrap().der().clone();
    let controllers = leaf(&|p| *p = controller_params(), ours);
    let theft = certified(vec![lab.leaf.der.clone()], &new_key());
    let authority_itself = vec![lab.authority.certificate().clone()];

    for (what, shown, refusal) in [
        ("no certificate", None, PeerRefusal::Missing),
        ("expired", expired, PeerRefusal::NotValidNow),
        ("not yet valid", future, PeerRefusal::NotValidNow),
        ("foreign authority", foreign, PeerRefusal::UnknownAuthority),
        (
            "impostor of the authority",
            impostors,
            PeerRefusal::UnknownAuthority,
        ),
        (
            "self-signed",
            Some(certified(vec![self_signed], &key)),
            PeerRefusal::UnknownAuthority,
        ),
        ("the controller's", controllers, PeerRefusal::WrongRole),
        (
            "a node's, without its key",
            Some(theft),
            PeerRefusal::UnknownAuthority,
        ),
        (
            "the authority's own",
            Some(certified(authority_itself, lab.authority.issuer.key())),
            PeerRefusal::Other,
        ),
    ] {
        assert_refused(&lab, what, shown, failed(refusal)).await;
    }
}

#[tokio::test]
async fn a_node_cannot_issue() {
    let lab = Lab::new();
    let node = new_key();
    let nodes_leaf = sign(&node_params(), &node, &lab.authority.issuer);
    let as_issuer = rcgen::Issuer::new(node_params(), &node);
    let key = new_key();
    let chain = vec![sign(&node_params(), &key, &as_issuer), nodes_leaf];
    let shown = Some(certified(chain, &key));
    assert_refused(&lab, "issued by a node", shown, failed(PeerRefusal::Other)).await;
}

/// The authority never issues these. Should it ever have, they must still name nobody.
#[tokio::test]
async fn a_certificate_that_does_not_name_exactly_one_node_names_nobody() {
    let lab = Lab::new();
    let address = |text: &str| SanType::IpAddress(text.parse().unwrap());
    let names: [(&str, Vec<SanType>); 6] = [
        ("no name", vec![]),
        ("a DNS name", vec![dns("127.0.0.7")]),
        (
            "two addresses",
            vec![address("127.0.0.7"), address("127.0.0.8")],
        ),
        (
            "an address and a name",
            vec![address("127.0.0.7"), dns("node")],
        ),
        ("an IPv6 address", vec![address("::ffff:127.0.0.7")]),
        ("another node's address", vec![address("127.0.0.8")]),
    ];
    for (what, names) in names {
        let mut params = node_params();
        params.subject_alt_names = names;
        let key = new_key();
        let shown = certified(vec![sign(&params, &key, &lab.authority.issuer)], &key);
        assert_refused(&lab, what, Some(shown), wrong_identity()).await;
    }
    let purposes: [(&str, Vec<Purpose>); 4] = [
        ("no purpose", vec![]),
        ("both roles", vec![Purpose::ClientAuth, Purpose::ServerAuth]),
        ("any purpose", vec![Purpose::ClientAuth, Purpose::Any]),
        (
            "a purpose unknown to us",
            vec![Purpose::ClientAuth, Purpose::Other(vec![1, 2, 3])],
        ),
    ];
    for (what, purposes) in purposes {
        let mut params = node_params();
        params.extended_key_usages = purposes;
        let key = new_key();
        let shown = certified(vec![sign(&params, &key, &lab.authority.issuer)], &key);
        assert_refused(&lab, what, Some(shown), wrong_identity()).await;
    }
    let mut params = node_params();
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[7; 20]));
    let key = new_key();
    let shown = certified(vec![sign(&params, &key, &lab.authority.issuer)], &key);
    assert_refused(&lab, "a foreign serial", Some(shown), wrong_identity()).await;

    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let shown = certified(
        vec![sign(&node_params(), &key, &lab.authority.issuer)],
        &key,
    );
    assert_refused(&lab, "a key of another kind", Some(shown), wrong_identity()).await;
}

#[tokio::test]
async fn the_enrolment_face_takes_strangers_and_names_nobody() {
    let lab = Lab::new();
    let server = Server::start(lab.enrolment()).await;
    server.try_from(OTHER, &lab.joining()).await.unwrap();
    // A certificate is not asked for, so that a joining node cannot be taken for another.
    server.try_from(NODE, &lab.agent()).await.unwrap();
}
