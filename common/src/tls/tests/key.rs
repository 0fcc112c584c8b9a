//! The node's key: kept to its owner, and good for one purpose at a time.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::super::key::{KeyError, RENEWAL_CONTEXT, RENEWAL_NONCE_LEN};
use super::super::public_key::PublicKeyError;
use super::super::*;

#[test]
fn it_is_kept_for_its_owner_and_reads_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.key");
    let key = NodeKey::generate().unwrap();
    key.save(&path).unwrap();

    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----")
    );
    let loaded = NodeKey::load(&path).unwrap();
    assert_eq!(loaded.spki(), key.spki());
    let signature = loaded.sign("test", &[b"message"]).unwrap();
    verify_signature(&key.spki(), b"test\0message", &signature).unwrap();
}

#[test]
fn a_file_that_is_exposed_or_holds_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.key");
    NodeKey::generate().unwrap().save(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let Err(KeyError::File(error)) = NodeKey::load(&path) else {
        panic!()
    };
    assert!(error.hint().is_some());

    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    for other in ["", "no key\n", &p384.serialize_pem()] {
        fs::write(&path, other).unwrap();
        assert!(
            matches!(NodeKey::load(&path), Err(KeyError::NotAKey { .. })),
            "{other}"
        );
    }
}

#[test]
fn it_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.key");
    let key = NodeKey::generate().unwrap();
    key.save(&path).unwrap();
    assert_eq!(
        format!("{key:?}"),
        format!("NodeKey({})", Fingerprint::of(&key.spki()))
    );
}

#[test]
fn a_renewal_is_for_this_key_this_nonce_and_this_request() {
    let (key, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let nonce = [7; RENEWAL_NONCE_LEN];
    let csr = key.csr().unwrap();
    let signature = key.sign(RENEWAL_CONTEXT, &[&nonce, &csr]).unwrap();
    let verify =
        |spki: &[u8], message: &[u8], signature: &[u8]| verify_signature(spki, message, signature);

    assert_eq!(
        verify(&key.spki(), &renewal_message(&nonce, &csr), &signature),
        Ok(())
    );

    let bad = Err(PublicKeyError::BadSignature);
    let message = renewal_message(&nonce, &csr);
    assert_eq!(verify(&other.spki(), &message, &signature), bad);
    let stale = renewal_message(&[8; RENEWAL_NONCE_LEN], &csr);
    assert_eq!(verify(&key.spki(), &stale, &signature), bad);
    let exchanged = renewal_message(&nonce, &other.csr().unwrap());
    assert_eq!(verify(&key.spki(), &exchanged, &signature), bad);
    assert_eq!(
        verify(&key.spki(), &[&nonce[..], &csr].concat(), &signature),
        bad
    );
    let elsewhere = key.sign("extend renew v2", &[&nonce, &csr]).unwrap();
    assert_eq!(verify(&key.spki(), &message, &elsewhere), bad);
    assert_eq!(verify(&key.spki(), &message, b""), bad);
    for at in 0..signature.len() {
        let mut damaged = signature.clone();
        damaged[at] ^= 1;
        assert_eq!(verify(&key.spki(), &message, &damaged), bad, "byte {at}");
    }
}

#[test]
fn the_form_of_what_is_signed_is_fixed() {
    let message = renewal_message(&[1; 32], b"csr");
    assert_eq!(
        message,
        [&b"extend renew v1\0"[..], &[1; 32], b"csr"].concat()
    );
}

#[test]
fn a_public_key_that_is_none_of_ours_verifies_nothing() {
    let key = NodeKey::generate().unwrap();
    let signature = key.sign("test", &[]).unwrap();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let foreign = rcgen::PublicKeyData::subject_public_key_info(&p384);
    assert_eq!(
        verify_signature(&foreign, b"test\0", &signature),
        Err(PublicKeyError::NotP256)
    );

    let trailing = [key.spki(), vec![0]].concat();
    for malformed in [&[][..], b"nonsense", &trailing] {
        assert_eq!(
            verify_signature(malformed, b"test\0", &signature),
            Err(PublicKeyError::Malformed)
        );
    }
    // A point that is not on the curve.
    let mut off_curve = key.spki();
    *off_curve.last_mut().unwrap() ^= 1;
    assert_eq!(
        verify_signature(&off_curve, b"test\0", &signature),
        Err(PublicKeyError::BadSignature)
    );
}
