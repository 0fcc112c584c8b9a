//! Which states of the disk a controller starts from, and that it is alone there.

use std::os::unix::fs::PermissionsExt;

use super::*;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("extend")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn lock(&self) -> StateLock {
        StateLock::take(&self.path()).unwrap()
    }

    /// Starts, stops, and says what was found.
    async fn start(&self) -> Result<(String, bool), StateError> {
        let lock = self.lock();
        let state = open(&lock, Timestamp::now())?;
        state.store.shutdown().await;
        Ok((state.authority.fingerprint().to_string(), state.recovering))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn the_first_start_makes_everything_private() {
    let dir = Dir::new();
    let (first, recovering) = dir.start().await.unwrap();
    assert!(!recovering);
    assert_eq!(mode(&dir.path()), 0o700);
    for name in [LOCK_FILE, KEY_FILE, STORE_FILE] {
        assert_eq!(mode(&dir.file(name)), 0o600, "{name}");
    }
    assert_eq!(
        dir.start().await.unwrap(),
        (first, false),
        "the second start keeps it"
    );
}

#[tokio::test]
async fn a_new_store_beside_an_old_authority_is_announced() {
    let dir = Dir::new();
    let (first, _) = dir.start().await.unwrap();
    fs::remove_file(dir.file(STORE_FILE)).unwrap();
    assert_eq!(dir.start().await.unwrap(), (first, true));
}

#[tokio::test]
async fn an_authority_is_never_made_anew_beside_a_store() {
    let dir = Dir::new();
    dir.start().await.unwrap();
    fs::remove_file(dir.file(KEY_FILE)).unwrap();
    let error = dir.start().await.unwrap_err();
    assert!(matches!(error, StateError::Authority { .. }), "{error}");
    fs::remove_file(dir.file(CERTIFICATE_FILE)).unwrap();
    let error = dir.start().await.unwrap_err();
    assert!(matches!(error, StateError::AuthorityGone { .. }), "{error}");
    assert!(error.hint().unwrap().contains("extend controller restore"));
    assert!(!dir.file(KEY_FILE).exists() && dir.file(STORE_FILE).exists());
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_left_as_it_is() {
    let dir = Dir::new();
    dir.start().await.unwrap();
    let damaged = b"not a database, but somebody's only copy".repeat(100);
    fs::write(dir.file(STORE_FILE), &damaged).unwrap();
    let error = dir.start().await.unwrap_err();
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("extend controller restore") && hint.contains("store.db"),
        "{hint}"
    );
    assert_eq!(fs::read(dir.file(STORE_FILE)).unwrap(), damaged);
}

#[test]
fn a_second_controller_is_refused_and_told_who_holds_it() {
    let dir = Dir::new();
    let first = dir.lock();
    let error = StateLock::take(&dir.path()).unwrap_err();
    let process = std::process::id().to_string();
    assert!(error.to_string().contains(&process), "{error}");
    assert!(error.hint().is_some());
    drop(first);
    assert!(StateLock::take(&dir.path()).is_ok());
}

#[test]
fn a_directory_or_a_key_open_to_others_is_refused() {
    let dir = Dir::new();
    drop(open(&dir.lock(), Timestamp::now()));
    fs::set_permissions(dir.file(KEY_FILE), fs::Permissions::from_mode(0o640)).unwrap();
    let error = open(&dir.lock(), Timestamp::now()).unwrap_err();
    assert!(error.hint().unwrap().starts_with("chmod 600"), "{error}");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let error = StateLock::take(&dir.path()).unwrap_err();
    assert!(error.hint().unwrap().starts_with("chmod 700"), "{error}");
}

#[tokio::test]
async fn leftovers_of_interrupted_work_are_removed() {
    let dir = Dir::new();
    dir.start().await.unwrap();
    for name in [".backup-1", ".restore-1", "before-restore-1"] {
        fs::create_dir(dir.file(name)).unwrap();
        fs::write(dir.file(name).join("ca.key"), "x").unwrap();
    }
    fs::write(dir.file("store.db.1.draft"), "x").unwrap();
    dir.start().await.unwrap();
    for gone in [".backup-1", ".restore-1", "store.db.1.draft"] {
        assert!(!dir.file(gone).exists(), "{gone}");
    }
    assert!(
        dir.file("before-restore-1").join("ca.key").exists(),
        "that one is the operator's"
    );
}
