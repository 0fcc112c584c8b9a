//! What the authority writes into a certificate, to the last field.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::issue::IssueError;
use super::super::peer::PeerError;
use super::super::*;
use super::lab::*;

fn dates(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    let read = |at: i64| Timestamp::from_second(at).unwrap();
    (
        read(validity.not_before.timestamp()),
        read(validity.not_after.timestamp()),
    )
}

#[test]
fn a_nodes_certificate_says_this_and_no_more() {
    let lab = Lab::new();
    let (rest, leaf) = X509Certificate::from_der(&lab.leaf.der).unwrap();
    assert!(rest.is_empty());
    assert_eq!(leaf.subject().to_string(), "CN=node 127.0.0.7");
    assert_eq!(leaf.public_key().raw, lab.key.spki());
    assert_eq!(
        Serial::from_der_integer(leaf.raw_serial()),
        Some(lab.leaf.serial)
    );
    let expected = (now() - SignedDuration::from_hours(1), now() + DAY);
    assert_eq!(dates(&leaf), expected);
    assert_eq!((lab.leaf.not_before, lab.leaf.not_after), expected);

    let (_, authority) = X509Certificate::from_der(lab.authority.certificate()).unwrap();
    assert_eq!(leaf.issuer(), authority.subject());
    leaf.verify_signature(Some(authority.public_key())).unwrap();

    let mut seen = Vec::new();
    for extension in leaf.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                assert_eq!(
                    names.general_names,
                    [GeneralName::IPAddress(&[127, 0, 0, 7])]
                );
                seen.push("names");
            }
            ParsedExtension::BasicConstraints(constraints) => {
                assert!(!constraints.ca);
                seen.push("constraints");
            }
            ParsedExtension::KeyUsage(usage) => {
                assert_eq!(usage.flags, 1, "digitalSignature alone");
                assert!(extension.critical);
                seen.push("usage");
            }
            ParsedExtension::ExtendedKeyUsage(purposes) => {
                assert!(purposes.client_auth && !purposes.server_auth && !purposes.any);
                seen.push("purposes");
            }
            ParsedExtension::AuthorityKeyIdentifier(_) => seen.push("issuer"),
            ParsedExtension::SubjectKeyIdentifier(_) => seen.push("key"),
            other => panic!("unexpected extension {other:?}"),
        }
    }
    seen.sort_unstable();
    assert_eq!(
        seen,
        ["constraints", "issuer", "key", "names", "purposes", "usage"]
    );

    let peer = PeerNode::from_certificate(&lab.leaf.der).unwrap();
    assert_eq!(
        peer,
        PeerNode {
            node: NODE,
            spki: lab.key.spki(),
            not_after: lab.leaf.not_after,
            serial: lab.leaf.serial,
        }
    );
}

#[test]
fn the_controllers_certificate_is_for_its_name_and_its_role() {
    let lab = Lab::new();
    let pair = lab
        .authority
        .issue_controller(now(), LEAF_LIFETIME)
        .unwrap();
    let (_, leaf) = X509Certificate::from_der(&pair.leaf.der).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(
        names.value.general_names,
        [GeneralName::DNSName("controller.extend")]
    );
    let purposes = leaf.extended_key_usage().unwrap().unwrap();
    assert!(purposes.value.server_auth && !purposes.value.client_auth && !purposes.value.any);
    assert!(!leaf.is_ca());
    assert!(PeerNode::from_certificate(&pair.leaf.der).is_err());
    assert_ne!(
        pair.leaf.serial,
        lab.authority
            .issue_controller(now(), LEAF_LIFETIME)
            .unwrap()
            .leaf
            .serial
    );
    assert!(!format!("{pair:?}").contains("key"), "{pair:?}");
}

#[test]
fn the_authority_may_sign_leaves_and_nothing_else() {
    let lab = Lab::new();
    let (_, authority) = X509Certificate::from_der(lab.authority.certificate()).unwrap();
    let constraints = authority.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    assert!(
        authority
            .key_usage()
            .unwrap()
            .unwrap()
            .value
            .key_cert_sign()
    );
    assert!(
        !authority
            .key_usage()
            .unwrap()
            .unwrap()
            .value
            .digital_signature()
    );
    let (from, to) = dates(&authority);
    assert!(from < now() && to.duration_since(from) > SignedDuration::from_hours(10 * 365 * 24));
    assert_eq!(lab.authority.not_after(), to);
}

#[test]
fn nothing_outlives_the_authority() {
    let lab = Lab::new();
    let csr = lab.key.csr().unwrap();
    let end = lab.authority.not_after();
    let last = end - SignedDuration::from_secs(1);
    let leaf = lab
        .authority
        .issue_node(NODE, &csr, last, LEAF_LIFETIME)
        .unwrap();
    assert_eq!(leaf.not_after, end);
    for after in [end, end + DAY] {
        let refused = lab.authority.issue_node(NODE, &csr, after, LEAF_LIFETIME);
        assert!(matches!(refused, Err(IssueError::AuthorityEnded { .. })));
    }
}

#[test]
fn absurd_dates_are_an_error_and_not_a_panic() {
    let lab = Lab::new();
    let csr = lab.key.csr().unwrap();
    for (now, lifetime) in [
        (Timestamp::MIN, LEAF_LIFETIME),
        (Timestamp::UNIX_EPOCH, LEAF_LIFETIME),
        (now(), Duration::MAX),
    ] {
        let refused = lab.authority.issue_node(NODE, &csr, now, lifetime);
        assert!(
            matches!(refused, Err(IssueError::Validity { .. })),
            "{now} {lifetime:?}"
        );
    }
}

#[test]
fn a_serial_number_is_read_as_it_was_given() {
    let lab = Lab::new();
    let with_first = |first: &[u8]| {
        let mut serial = [7; 16];
        serial[..first.len()].copy_from_slice(first);
        serial
    };
    // DER writes a number: without leading zeros, and with one where the sign would be.
    for first in [&[1][..], &[0x80], &[0xff], &[0], &[0, 0x80], &[0, 0, 1]] {
        let mut params = node_params();
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&with_first(first)));
        let leaf = sign(&params, &new_key(), &lab.authority.issuer);
        let peer = PeerNode::from_certificate(&leaf).unwrap();
        assert_eq!(peer.serial, Serial(with_first(first)));
    }
}

#[test]
fn a_certificate_with_something_after_it_names_nobody() {
    let lab = Lab::new();
    let mut der = lab.leaf.der.to_vec();
    der.push(0);
    assert_eq!(PeerNode::from_certificate(&der), Err(PeerError::Malformed));
}

proptest::proptest! {
    #[test]
    fn garbage_names_nobody(bytes in proptest::collection::vec(0_u8.., 0..600)) {
        assert!(PeerNode::from_certificate(&bytes).is_err());
    }

    #[test]
    fn a_damaged_certificate_never_panics(at in 0_usize..400, to in 0_u8..) {
        let lab = LAB.with(|lab| lab.leaf.der.to_vec());
        let mut der = lab;
        let at = at % der.len();
        der[at] = to;
        let _ = PeerNode::from_certificate(&der);
        assert!(PeerNode::from_certificate(&der[..at]).is_err());
    }
}

thread_local! {
    static LAB: Lab = Lab::new();
}
