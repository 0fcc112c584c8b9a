//! The authority on disk: kept to its owner, never replaced, mended only where nothing is lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::super::authority::{AuthorityError, CERTIFICATE_FILE, KEY_FILE};
use super::super::*;
use super::lab::*;

/// A place for an authority that is not there yet.
fn place() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("ca");
    (parent, directory)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_is_kept_for_its_owner_and_reads_back() {
    let (_parent, directory) = place();
    let made = Authority::open(&directory, now()).unwrap();
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(KEY_FILE)), 0o600);
    assert_eq!(mode(&directory.join(CERTIFICATE_FILE)), 0o644);

    for again in [
        Authority::open(&directory, now() + DAY),
        Authority::load(&directory),
    ] {
        let again = again.unwrap();
        assert_eq!(again.certificate(), made.certificate());
        assert_eq!(again.not_after(), made.not_after());
        // What it issues is trusted by those who trust the first.
        let pair = again.issue_controller(now(), LEAF_LIFETIME).unwrap();
        LiveCertificate::new(made.certificate(), pair, now()).unwrap();
    }
    assert_ne!(
        made.fingerprint(),
        Authority::create(now()).unwrap().fingerprint()
    );
}

#[test]
fn an_authority_is_never_replaced() {
    let (_parent, directory) = place();
    let first = Authority::open(&directory, now()).unwrap();
    let second = Authority::create(now()).unwrap();
    assert!(matches!(
        second.save(&directory),
        Err(AuthorityError::File(_))
    ));
    assert_eq!(
        Authority::load(&directory).unwrap().fingerprint(),
        first.fingerprint()
    );
}

#[test]
fn a_lost_key_is_said_and_not_replaced() {
    let (_parent, directory) = place();
    Authority::open(&directory, now()).unwrap();
    fs::remove_file(directory.join(KEY_FILE)).unwrap();
    let error = Authority::open(&directory, now()).unwrap_err();
    assert_eq!(error.to_string(), "ca.key is missing beside ca.crt");
    assert!(error.hint().unwrap().contains("backup"));
    assert!(!directory.join(KEY_FILE).exists());
}

#[test]
fn a_lost_certificate_is_made_anew_and_what_the_key_signed_stays_good() {
    let (_parent, directory) = place();
    let before = Authority::open(&directory, now()).unwrap();
    let pair = before.issue_controller(now(), LEAF_LIFETIME).unwrap();
    fs::remove_file(directory.join(CERTIFICATE_FILE)).unwrap();
    assert!(Authority::load(&directory).is_err());

    let after = Authority::open(&directory, now() + DAY / 2).unwrap();

    assert_ne!(after.fingerprint(), before.fingerprint());
    LiveCertificate::new(after.certificate(), pair, now()).unwrap();
    let pair = after.issue_controller(now(), LEAF_LIFETIME).unwrap();
    LiveCertificate::new(before.certificate(), pair, now()).unwrap();
    assert_eq!(
        Authority::load(&directory).unwrap().certificate(),
        after.certificate()
    );
}

#[test]
fn an_authority_that_has_ended_goes_on_with_a_new_certificate_of_its_key() {
    let (_parent, directory) = place();
    let before = Authority::open(&directory, now()).unwrap();
    let later = before.not_after() + DAY;
    assert!(before.issue_controller(later, LEAF_LIFETIME).is_err());
    fs::remove_file(directory.join(CERTIFICATE_FILE)).unwrap();

    let after = Authority::open(&directory, later).unwrap();

    assert!(after.not_after() > later + DAY * 3_650);
    // Also by whoever knows the old certificate alone.
    for known in [before.certificate(), after.certificate()] {
        let pair = after.issue_controller(later, LEAF_LIFETIME).unwrap();
        LiveCertificate::new(known, pair, later).unwrap();
    }
}

#[test]
fn halves_of_two_authorities_are_told_apart() {
    let (_parent, directory) = place();
    let (_other_parent, other) = place();
    Authority::open(&directory, now()).unwrap();
    Authority::open(&other, now()).unwrap();
    fs::copy(
        other.join(CERTIFICATE_FILE),
        directory.join(CERTIFICATE_FILE),
    )
    .unwrap();
    assert!(matches!(
        Authority::load(&directory),
        Err(AuthorityError::Mismatch)
    ));
}

#[test]
fn what_is_exposed_or_unreadable_is_refused() {
    let (_parent, directory) = place();
    Authority::open(&directory, now()).unwrap();
    let key = directory.join(KEY_FILE);

    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let error = Authority::load(&directory).unwrap_err();
    assert_eq!(error.hint(), Some(format!("chmod 600 {}", key.display())));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();

    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let error = Authority::load(&directory).unwrap_err();
    assert_eq!(
        error.hint(),
        Some(format!("chmod 700 {}", directory.display()))
    );
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();

    let good = fs::read(&key).unwrap();
    fs::write(&key, b"nonsense").unwrap();
    let error = Authority::load(&directory).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("ca.key of the certificate authority is not"),
        "{error}"
    );
    fs::write(&key, good).unwrap();

    let lab = Lab::new();
    for other in ["nonsense".to_owned(), pem::encode(&lab.leaf.der)] {
        fs::write(directory.join(CERTIFICATE_FILE), other).unwrap();
        let error = Authority::load(&directory).unwrap_err();
        assert!(
            matches!(
                error,
                AuthorityError::Unreadable {
                    file: CERTIFICATE_FILE,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn it_is_not_shown() {
    let authority = Authority::create(now()).unwrap();
    assert_eq!(
        format!("{authority:?}"),
        format!("Authority({})", authority.fingerprint())
    );
}
