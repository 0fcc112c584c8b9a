//! Forged signing requests: each ends in a refusal, or in the very certificate an honest one gets.

use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
};
use rcgen::{IsCa, KeyPair, KeyUsagePurpose, SanType};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::issue::IssueError;
use super::super::public_key::PublicKeyError;
use super::super::request::{MAX_REQUEST_LEN, RequestError};
use super::super::*;
use super::lab::*;

type Wish<'a> = &'a dyn Fn(&mut CertificateParams);

fn refusal(lab: &Lab, csr: &[u8]) -> Option<RequestError> {
    match lab.authority.issue_node(NODE, csr, now(), LEAF_LIFETIME) {
        Ok(_) => None,
        Err(IssueError::Request(reason)) => Some(reason),
        Err(other) => panic!("{other:?}"),
    }
}

/// Everything in a certificate that a request could have tried to change.
fn claims(der: &[u8]) -> Vec<String> {
    let (_, leaf) = X509Certificate::from_der(der).unwrap();
    let mut claims = vec![leaf.subject().to_string(), format!("{:?}", leaf.validity())];
    for extension in leaf.extensions() {
        let oid = &extension.oid;
        // The identifier of the key differs as the key does.
        let is_key_id = *oid == x509_parser::oid_registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER;
        let value = if is_key_id { &[] } else { extension.value };
        claims.push(format!("{oid} {} {value:x?}", extension.critical));
    }
    claims
}

#[test]
fn wishes_are_not_heard() {
    let lab = Lab::new();
    let honest = claims(&lab.leaf.der);
    let wish = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::default();
        change(&mut params);
        let key = new_key();
        let csr = params.serialize_request(&key).unwrap().der().to_vec();
        let leaf = lab
            .authority
            .issue_node(NODE, &csr, now(), LEAF_LIFETIME)
            .unwrap();
        (
            claims(&leaf.der),
            rcgen::PublicKeyData::subject_public_key_info(&key),
            leaf,
        )
    };
    let ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let wishes: [(&str, Wish<'_>); 7] = [
        ("nothing", &|_| {}),
        ("to be an authority", &|p| {
            p.is_ca = ca;
            p.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }),
        ("another address", &|p| {
            p.subject_alt_names = vec![SanType::IpAddress(OTHER.into())]
        }),
        ("the controller's name", &|p| {
            p.subject_alt_names = vec![dns(CONTROLLER_NAME)];
            p.distinguished_name
                .push(DnType::CommonName, CONTROLLER_NAME);
        }),
        ("the controller's role", &|p| {
            p.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::Any,
            ];
        }),
        ("many names", &|p| {
            p.subject_alt_names = vec![SanType::IpAddress(OTHER.into()); 100]
        }),
        ("something unheard of", &|p| {
            p.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0])];
        }),
    ];
    for (what, change) in wishes {
        let (claims, spki, leaf) = wish(change);
        assert_eq!(claims, honest, "{what}");
        let peer = PeerNode::from_certificate(&leaf.der).unwrap();
        assert_eq!((peer.node, peer.spki), (NODE, spki), "{what}");
    }
}

#[test]
fn other_kinds_of_keys_are_refused() {
    let lab = Lab::new();
    let made_with = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::default()
            .serialize_request(&key)
            .unwrap()
            .der()
            .to_vec()
    };
    let given = |text: &str| {
        BASE64
            .decode(text.replace(char::is_whitespace, "").as_bytes())
            .unwrap()
    };
    let not_p256 = Some(RequestError::Key(PublicKeyError::NotP256));
    for (what, csr, expected) in [
        (
            "P-384",
            made_with(&rcgen::PKCS_ECDSA_P384_SHA384),
            &not_p256,
        ),
        ("Ed25519", made_with(&rcgen::PKCS_ED25519), &not_p256),
        ("RSA", given(RSA), &not_p256),
        ("secp256k1", given(SECP256K1), &not_p256),
        (
            "P-256 written out as parameters",
            given(EXPLICIT_CURVE),
            &not_p256,
        ),
        (
            "P-256 with SHA-384",
            given(P256_SHA384),
            &Some(RequestError::SignatureAlgorithm),
        ),
    ] {
        assert_eq!(&refusal(&lab, &csr), expected, "{what}");
    }
}

#[test]
fn a_request_with_one_byte_changed_or_missing_is_refused() {
    let lab = Lab::new();
    let csr = lab.key.csr().unwrap();
    assert_eq!(refusal(&lab, &csr), None);
    let (_, parsed) = X509CertificationRequest::from_der(&csr).unwrap();
    let signed_len = parsed.certification_request_info.raw.len();
    let signed = (0..=csr.len() - signed_len)
        .map(|start| start..start + signed_len)
        .find(|range| csr[range.clone()] == *parsed.certification_request_info.raw)
        .unwrap();
    for at in 0..csr.len() {
        for bit in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut changed = csr.clone();
            changed[at] ^= bit;
            match lab
                .authority
                .issue_node(NODE, &changed, now(), LEAF_LIFETIME)
            {
                Err(_) => {}
                Ok(leaf) => {
                    // The parser does not mind every bit of the wrapping around what is signed.
                    assert!(!signed.contains(&at), "byte {at} of {csr:x?}");
                    assert_eq!(claims(&leaf.der), claims(&lab.leaf.der));
                    assert_eq!(
                        PeerNode::from_certificate(&leaf.der).unwrap().spki,
                        lab.key.spki()
                    );
                }
            }
        }
        assert_eq!(
            refusal(&lab, &csr[..at]),
            Some(RequestError::Malformed),
            "cut at {at}"
        );
    }
}

#[test]
fn the_sender_must_hold_the_key_it_names() {
    let lab = Lab::new();
    let (mine, theirs) = (new_key(), new_key());
    let csr = CertificateParams::default()
        .serialize_request(&mine)
        .unwrap()
        .der()
        .to_vec();
    let (mine, theirs) = (mine.public_key_raw(), theirs.public_key_raw());
    let at = csr
        .windows(mine.len())
        .position(|window| window == mine)
        .unwrap();
    let mut stolen = csr;
    stolen[at..at + theirs.len()].copy_from_slice(theirs);
    assert_eq!(
        refusal(&lab, &stolen),
        Some(RequestError::Key(PublicKeyError::BadSignature))
    );
}

#[test]
fn what_is_too_long_or_followed_by_something_is_refused() {
    let lab = Lab::new();
    let mut csr = lab.key.csr().unwrap();
    csr.push(0);
    assert_eq!(refusal(&lab, &csr), Some(RequestError::Malformed));

    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![dns(&"a".repeat(60)); 100];
    let long = params.serialize_request(&new_key()).unwrap().der().to_vec();
    assert!(long.len() > MAX_REQUEST_LEN);
    assert_eq!(refusal(&lab, &long), Some(RequestError::TooLong));
    assert_eq!(
        refusal(&lab, &[0x30; MAX_REQUEST_LEN]),
        Some(RequestError::Malformed)
    );
}

proptest::proptest! {
    #[test]
    fn garbage_is_refused(bytes in proptest::collection::vec(0_u8.., 0..600)) {
        LAB.with(|lab| assert!(refusal(lab, &bytes).is_some()));
    }
}

thread_local! {
    static LAB: Lab = Lab::new();
}

// Made with openssl, each correctly signed with the key it names. There is nothing secret in them.

const RSA: &str = "
    MIIBSzCBtQIBADAMMQowCAYDVQQDDAF4MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC64H0KIQyNadQy
    cpnQ1KDO5ouEy4Vt150rZe5KcbBJ77tRkzdIMoCgS7zH9eLrVZimzO4rwIctL239c2SNMn3u6zyTz4Zj7BGH
    XgG+w37NPux1qMcRpR9Th2kTfjTfFItyR5alar2UByLqzXTub7srthrgfWHp/kXcq/7ZYXylPQIDAQABoAAw
    DQYJKoZIhvcNAQELBQADgYEACnq+68YjwM4GT09KW2b/6+Lznps+fLd4ht1t1goltW7ThT2+rUEaVz1vgoKD
    fnqskdqcT6gKGB6qd1le4LDq78hfTn8gPzSuLi2vy6dAYG8JwgCE9NWMjwzAU6KGp04GLDXYsXyxvc9QtaFc
    DhFgpBd6t/jJdpTk42mqHA5Z5IQ=";

const P256_SHA384: &str = "
    MIHHMG4CAQAwDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKTX/iwo0UuAcnPm5Rto
    aAkLU7esQmVrfU5Jsmld0qU55GZMU0panZ2KeYJgtnHQ1Fd1lhZf1zKT7dqGmiEGXzGgADAKBggqhkjOPQQD
    AwNJADBGAiEA961tRCz2lYyKo/CnX8w3Aub733+ghTr6+xsdFJoRKGoCIQDoGGiPT3l/JIBT3+KM4QtxOfhB
    BotzPQLvevOvi8Nfww==";

const SECP256K1: &str = "
    MIHDMGsCAQAwDDEKMAgGA1UEAwwBeDBWMBAGByqGSM49AgEGBSuBBAAKA0IABHs39SCj11zn/XWA7EJqm0ev
    fk7rBMcTdBsPY7wBQRLUKyFRYxE+ccmsKNwWeSxMFWCx4dK0YFTby/0AMWXrMy+gADAKBggqhkjOPQQDAgNI
    ADBFAiEA+ChrOKSpq0kclK602G+ip3hpX49Pqij8ie3SrnA8vxwCIDVlVNWuxKmhFYNFuLVSe8KXM+70xDp9
    g2rP94Am76+F";

const EXPLICIT_CURVE: &str = "
    MIIBvDCCAWICAQAwDDEKMAgGA1UEAwwBeDCCAUswggEDBgcqhkjOPQIBMIH3AgEBMCwGByqGSM49AQECIQD/
    ////AAAAAQAAAAAAAAAAAAAAAP///////////////zBbBCD/////AAAAAQAAAAAAAAAAAAAAAP//////////
    /////AQgWsY12Ko6k+ez671VdpiGvGUdBrDMU7D2O848PifSYEsDFQDEnTYIhucEk2pmeOETnSa3gZ9+kARB
    BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/
    UfUCIQD/////AAAAAP//////////vOb6racXnoTzucrC/GMlUQIBAQNCAASzNWr0SE/9W57mRDyWA77ESkfI
    uGyNSWXoUr1lTMeOso8BE8mAUuKkKrv9V5zXW0lMnBJrn1fHrK0RMHvx+v6FoAAwCgYIKoZIzj0EAwIDSAAw
    RQIgVPEHQTy9Aov0U4hz41Czs4ievU3juG+vmNL9ibj0V+ICIQD0CkgzlttLP6FY52MkEOhUa4OTwzMviZH8
    GeRSTrfW1A==";
