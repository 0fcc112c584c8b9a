//! A backup comes back as it was, and nothing but a whole one does.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use extend_common::tls::Fingerprint;
use tar::{Builder, EntryType, Header};

use super::*;
use crate::daemon::state::{self, LOCK_FILE, StateLock};

/// A state directory that a controller has used.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn empty() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("extend")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    fn archive(&self) -> PathBuf {
        self.root.path().join("backup.tar")
    }

    /// Starts and stops a controller's state; says whose authority and which store it is.
    async fn visit(&self) -> (Fingerprint, String) {
        let lock = StateLock::take(&self.state()).unwrap();
        let state = state::open(&lock, Timestamp::now()).unwrap();
        assert!(!state.recovering);
        let found = (
            state.authority.fingerprint(),
            state.store.identity().to_string(),
        );
        state.store.shutdown().await;
        found
    }

    /// A backup of it, taken while it is in use.
    async fn back_up(&self) -> Vec<u8> {
        let lock = StateLock::take(&self.state()).unwrap();
        let state = state::open(&lock, Timestamp::now()).unwrap();
        state.store.raise_epoch(7).await.unwrap();
        let work = WorkDir::for_backup(&self.state()).unwrap();
        state.store.snapshot_to(&work.store()).await.unwrap();
        let facts = Facts {
            store: state.store.identity().to_string(),
            time: now(),
        };
        let mut archive = Vec::new();
        write(&self.state(), &work, facts, &mut archive).unwrap();
        state.store.shutdown().await;
        archive
    }

    fn restore(&self, archive: &[u8], force: bool) -> Result<Restored, BackupError> {
        fs::write(self.archive(), archive).unwrap();
        restore(
            &self.archive(),
            &self.state(),
            RestoreOptions { force, now: now() },
        )
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn now() -> Timestamp {
    "2026-11-22T10:15:00Z".parse().unwrap()
}

/// The files of an archive.
fn open(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    archive.entries().unwrap().map(read).collect()
}

/// An archive of these files, as an attacker may write one.
fn forge(files: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (name, kind, content) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(0o777);
        header.set_size(content.len().try_into().unwrap());
        if *kind == EntryType::Symlink || *kind == EntryType::Link {
            header.set_link_name("/etc/passwd").unwrap();
        }
        // As raw bytes: the library itself would not write `..`.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn regular(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), EntryType::Regular, text.as_slice()))
        .collect();
    forge(&entries)
}

#[tokio::test]
async fn a_backup_is_put_back_into_another_place() {
    let (old, new) = (Place::empty(), Place::empty());
    let before = old.visit().await;
    let archive = old.back_up().await;
    let restored = new.restore(&archive, false).unwrap();
    assert_eq!(
        restored,
        Restored {
            store: before.1.clone(),
            epoch: 7,
            taken: now(),
            moved_aside: None
        }
    );
    assert_eq!(new.names(), ["ca.crt", "ca.key", LOCK_FILE, "store.db"]);
    for name in ["ca.crt", "ca.key", "store.db"] {
        let mode = fs::metadata(new.file(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{name}");
    }
    assert_eq!(new.visit().await, before);
    assert_eq!(
        old.names(),
        ["ca.crt", "ca.key", LOCK_FILE, "store.db"],
        "no work is left"
    );
}

#[tokio::test]
async fn what_is_there_stays_unless_forced_and_is_moved_aside_then() {
    let (old, new) = (Place::empty(), Place::empty());
    let wanted = old.visit().await;
    let archive = old.back_up().await;
    let present = new.visit().await;
    fs::write(new.file("store.db-wal"), "a log of the old store").unwrap();
    let names = new.names();

    let error = new.restore(&archive, false).unwrap_err();
    assert!(
        matches!(&error, BackupError::NotEmpty { found, .. } if found == "ca.crt"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--force"));
    assert_eq!(new.names(), names, "nothing was touched");

    let aside = new.restore(&archive, true).unwrap().moved_aside.unwrap();
    assert_eq!(aside, new.file("before-restore-20261122T101500Z"));
    assert_eq!(new.visit().await, wanted);
    for name in ["ca.crt", "ca.key", "store.db", "store.db-wal"] {
        assert!(aside.join(name).exists(), "{name}");
    }
    let kept = extend_common::tls::Authority::load(&aside)
        .unwrap()
        .fingerprint();
    assert_eq!(
        kept, present.0,
        "the old certificate lies beside the old key"
    );
    let again = new.restore(&archive, true).unwrap().moved_aside.unwrap();
    assert_ne!(again, aside, "a second restore has a place of its own");
}

#[tokio::test]
async fn a_running_controller_is_not_restored_over() {
    let place = Place::empty();
    place.visit().await;
    let archive = place.back_up().await;
    let lock = StateLock::take(&place.state()).unwrap();
    let error = place.restore(&archive, true).unwrap_err();
    assert!(error.hint().unwrap().contains("systemctl stop"), "{error}");
    drop(lock);
    assert!(place.restore(&archive, true).is_ok());
}

#[tokio::test]
async fn every_flipped_byte_of_a_file_is_noticed_and_nothing_is_changed() {
    let (old, new) = (Place::empty(), Place::empty());
    old.visit().await;
    let files = open(&old.back_up().await);
    assert_eq!(files.len(), 4);
    for index in 0..files.len() {
        for part in [0, 2, 3] {
            let mut damaged = files.clone();
            let content = &mut damaged[index].1;
            let at = (content.len() - 1) * part / 3;
            content[at] ^= 0x40;
            let error = new.restore(&regular(&damaged), false).unwrap_err();
            assert!(
                matches!(error, BackupError::NotABackup { .. }),
                "{} at {at}: {error}",
                files[index].0
            );
        }
    }
    assert_eq!(new.names(), [LOCK_FILE]);
}

#[tokio::test]
async fn an_archive_that_is_cut_off_anywhere_is_refused() {
    let (old, new) = (Place::empty(), Place::empty());
    old.visit().await;
    let archive = old.back_up().await;
    // The last kilobyte of a tar file is padding.
    for length in (0..archive.len() - 1024).step_by(5_000) {
        let error = new.restore(&archive[..length], false).unwrap_err();
        assert!(
            matches!(error, BackupError::NotABackup { .. }),
            "{length}: {error}"
        );
    }
    assert_eq!(new.names(), [LOCK_FILE]);
}

#[tokio::test]
async fn names_and_types_in_an_archive_are_not_obeyed() {
    let (old, new) = (Place::empty(), Place::empty());
    old.visit().await;
    let good = open(&old.back_up().await);
    let renamed = |index: usize, name: &str| {
        let mut files = good.clone();
        files[index].0 = name.to_owned();
        regular(&files)
    };
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    let mut doubled = good.clone();
    doubled.push(good[2].clone());
    let link = |kind| {
        let mut files: Vec<_> = good
            .iter()
            .map(|(name, text)| (name.as_str(), EntryType::Regular, text.as_slice()))
            .collect();
        files[2].1 = kind;
        forge(&files)
    };
    let cases = [
        ("a path upwards", renamed(1, "../ca.crt")),
        ("an absolute path", renamed(1, "/etc/cron.d/x")),
        ("a path within", renamed(1, "./ca.crt")),
        ("another name", renamed(3, "store.db-wal")),
        ("a link", link(EntryType::Symlink)),
        ("a hard link", link(EntryType::Link)),
        ("a device", link(EntryType::Char)),
        ("a long name", link(EntryType::GNULongName)),
        ("another order", regular(&swapped)),
        ("more than there should be", regular(&doubled)),
        ("no manifest", regular(&good[1..])),
    ];
    for (what, archive) in cases {
        let error = new.restore(&archive, false).unwrap_err();
        assert!(
            matches!(error, BackupError::NotABackup { .. }),
            "{what}: {error}"
        );
        assert_eq!(new.names(), [LOCK_FILE], "{what}");
    }
    let outside = fs::read_dir(new.root.path()).unwrap().count();
    assert_eq!(
        outside, 2,
        "the state and the archive, and nothing beside them"
    );
}

#[tokio::test]
async fn a_manifest_that_lies_is_refused() {
    let (old, new) = (Place::empty(), Place::empty());
    old.visit().await;
    let good = open(&old.back_up().await);
    let lying = |from: &str, to: &str| {
        let mut files = good.clone();
        let text = String::from_utf8(files[0].1.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        files[0].1 = text.replacen(from, to, 1).into_bytes();
        regular(&files)
    };
    let store = serde_json::from_slice::<Manifest>(&good[0].1)
        .unwrap()
        .store;
    for (from, to) in [
        ("\"version\": 1", "\"version\": 2"),
        ("\"name\": \"ca.key\"", "\"name\": \"/etc/x\""),
        ("\"epoch\"", "\"epochs\""),
        (store.as_str(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ] {
        let error = new.restore(&lying(from, to), false).unwrap_err();
        assert!(
            matches!(error, BackupError::NotABackup { .. }),
            "{to}: {error}"
        );
    }
    // A key of another authority, with hashes that fit.
    let other = Place::empty();
    other.visit().await;
    let foreign = open(&other.back_up().await);
    let mut mixed = vec![
        foreign[0].clone(),
        good[1].clone(),
        foreign[2].clone(),
        foreign[3].clone(),
    ];
    let digest = |entries: &[(String, Vec<u8>)]| -> Vec<FileEntry> {
        serde_json::from_slice::<Manifest>(&entries[0].1)
            .unwrap()
            .files
    };
    let mut manifest: Manifest = serde_json::from_slice(&mixed[0].1).unwrap();
    manifest.files[0] = digest(&good)[0].clone();
    mixed[0].1 = serde_json::to_vec(&manifest).unwrap();
    let error = new.restore(&regular(&mixed), false).unwrap_err();
    assert!(
        error.to_string().contains("do not belong together"),
        "{error}"
    );
}

/// What a restore that was cut short leaves must not be started from.
#[tokio::test]
async fn half_a_restore_is_refused_by_a_controller() {
    let (old, new) = (Place::empty(), Place::empty());
    old.visit().await;
    let archive = old.back_up().await;
    new.restore(&archive, false).unwrap();
    // As it is with the certificate and the store in place, and with the certificate alone.
    for lost in ["ca.key", "store.db"] {
        fs::remove_file(new.file(lost)).unwrap();
        let lock = StateLock::take(&new.state()).unwrap();
        assert!(state::open(&lock, now()).is_err(), "without {lost}");
    }
    drop(new.restore(&archive, true).unwrap());
    new.visit().await;
}

#[test]
fn a_reader_that_goes_away_ends_the_writing() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let place = Place::empty();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(place.visit());
    let work = WorkDir::for_backup(&place.state()).unwrap();
    fs::copy(place.file(STORE_FILE), work.store()).unwrap();
    let facts = Facts {
        store: String::new(),
        time: now(),
    };
    let error = write(&place.state(), &work, facts, Gone).unwrap_err();
    assert!(matches!(error, BackupError::Write(_)), "{error}");
}
