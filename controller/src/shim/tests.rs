//! The shim against a real directory: every order in which the two scripts can come and go.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;

const OURS: &str = "#!/bin/bash\n# This is Extend's extend.sh, not PortSIP's.\nexec extend\n";
const THEIRS: &str = "#!/bin/bash\necho PortSIP\n";
const NEWER: &str = "#!/bin/bash\necho PortSIP 22.7\n";

struct Guide {
    root: tempfile::TempDir,
}

impl Guide {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("guide")).unwrap();
        fs::write(root.path().join("source.sh"), OURS).unwrap();
        Self { root }
    }

    fn place(&self) -> Place {
        let root = self.root.path();
        Place::new(&root.join("guide"), &root.join("source.sh")).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("guide").join(name)
    }

    /// As `tar` does: away with the old file, and a new one made.
    fn unpack(&self, text: &str) {
        let _ = fs::remove_file(self.file(NAME));
        self.copy(text);
        fs::set_permissions(self.file(NAME), Permissions::from_mode(0o754)).unwrap();
    }

    /// As `cp` does: into the file that is there.
    fn copy(&self, text: &str) {
        fs::write(self.file(NAME), text).unwrap();
    }

    fn install(&self) -> Vec<Step> {
        self.place().bring_about(Wish::Installed).unwrap()
    }

    fn uninstall(&self) -> Vec<Step> {
        self.place().bring_about(Wish::Uninstalled).unwrap()
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.file(name)).ok()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.root.path().join("guide"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[track_caller]
    fn is_installed_over(&self, theirs: Option<&str>) {
        assert_eq!(self.place().look().unwrap().script, Found::Ours);
        assert!(self.text(NAME).unwrap().starts_with(OURS));
        let mode = fs::metadata(self.file(NAME)).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o755);
        assert_eq!(self.text(KEPT).as_deref(), theirs);
        let names: &[&str] = if theirs.is_some() {
            &[NAME, KEPT]
        } else {
            &[NAME]
        };
        assert_eq!(self.names(), names);
        assert_eq!(self.install(), [], "again is harmless");
    }
}

#[test]
fn theirs_is_kept_and_comes_back_as_it_was() {
    let guide = Guide::new();
    guide.unpack(THEIRS);
    let before = fs::metadata(guide.file(NAME)).unwrap();
    assert_eq!(guide.install().len(), 2);
    guide.is_installed_over(Some(THEIRS));
    assert_eq!(guide.uninstall(), [Step::Restore]);
    assert_eq!(guide.uninstall(), [], "again is harmless");
    let after = fs::metadata(guide.file(NAME)).unwrap();
    let same = |m: &fs::Metadata| {
        (
            m.ino(),
            m.mode(),
            m.uid(),
            m.gid(),
            m.mtime(),
            m.mtime_nsec(),
        )
    };
    assert_eq!(same(&after), same(&before));
    assert_eq!(guide.text(NAME).as_deref(), Some(THEIRS));
    assert_eq!(guide.names(), [NAME]);
}

#[test]
fn a_directory_without_one_gets_ours_and_loses_it_again() {
    let guide = Guide::new();
    assert_eq!(guide.install(), [Step::Put]);
    guide.is_installed_over(None);
    assert_eq!(guide.uninstall(), [Step::Remove]);
    assert_eq!(guide.names(), [""; 0]);
}

#[test]
fn a_newer_one_over_ours_is_the_one_that_is_kept() {
    type Over = fn(&Guide, &str);
    let ways: [Over; 2] = [Guide::unpack, Guide::copy];
    for over in ways {
        let guide = Guide::new();
        guide.unpack(THEIRS);
        guide.install();
        over(&guide, NEWER);
        let steps = guide.install();
        assert!(
            matches!(steps[..], [Step::Exchange { .. }, Step::Keep]),
            "{steps:?}"
        );
        guide.is_installed_over(Some(NEWER));
        guide.uninstall();
        assert_eq!(guide.text(NAME).as_deref(), Some(NEWER));
        assert_eq!(
            fs::read_to_string(guide.root.path().join("source.sh")).unwrap(),
            OURS
        );
    }
}

#[test]
fn an_uninstall_before_the_repair_leaves_their_newer_one() {
    let guide = Guide::new();
    guide.unpack(THEIRS);
    guide.install();
    guide.unpack(NEWER);
    assert_eq!(guide.uninstall(), [Step::DropOlder]);
    assert_eq!(guide.text(NAME).as_deref(), Some(NEWER));
    assert_eq!(guide.names(), [NAME]);
}

#[test]
fn the_same_one_again_over_ours_and_one_where_there_was_none() {
    let guide = Guide::new();
    guide.install();
    guide.unpack(THEIRS);
    guide.install();
    guide.is_installed_over(Some(THEIRS));
    guide.unpack(THEIRS);
    guide.install();
    guide.is_installed_over(Some(THEIRS));
}

#[test]
fn a_directory_that_was_replaced_gets_ours_again() {
    let guide = Guide::new();
    guide.unpack(THEIRS);
    guide.install();
    fs::remove_dir_all(guide.root.path().join("guide")).unwrap();
    let gone = guide.place().bring_about(Wish::Installed).unwrap_err();
    assert!(gone.hint().unwrap().contains("--directory"), "{gone}");
    fs::create_dir(guide.root.path().join("guide")).unwrap();
    guide.unpack(NEWER);
    guide.install();
    guide.is_installed_over(Some(NEWER));
}

#[test]
fn who_is_still_writing_goes_on_into_what_is_kept() {
    let guide = Guide::new();
    guide.unpack(THEIRS);
    guide.install();
    fs::remove_file(guide.file(NAME)).unwrap();
    let mut writer = fs::File::create(guide.file(NAME)).unwrap();
    writer.write_all(b"#!/bin/bash\n").unwrap();
    guide.install();
    writer.write_all(b"echo PortSIP 22.7\n").unwrap();
    guide.is_installed_over(Some(NEWER));
}

#[test]
fn one_that_is_only_begun_is_waited_for() {
    let guide = Guide::new();
    guide.unpack(THEIRS);
    guide.install();
    guide.copy("");
    let error = guide.place().bring_about(Wish::Installed).unwrap_err();
    assert!(
        matches!(error, ShimError::Refused(Refused::Empty)),
        "{error}"
    );
    assert_eq!(
        guide.text(KEPT).as_deref(),
        Some(THEIRS),
        "not lost to an empty one"
    );
}

#[test]
fn ours_of_another_release_is_replaced_and_what_was_edited_is_put_aside() {
    let guide = Guide::new();
    guide.unpack(THEIRS);
    guide.install();
    fs::write(
        guide.root.path().join("source.sh"),
        format!("{OURS}# 0.2\n"),
    )
    .unwrap();
    assert_eq!(guide.install(), [Step::Put]);
    assert!(guide.text(NAME).unwrap().contains("# 0.2"));
    assert_eq!(guide.text(KEPT).as_deref(), Some(THEIRS));

    let edited = guide.text(NAME).unwrap().replace("exec", "exec sudo");
    guide.copy(&edited);
    assert_eq!(guide.install(), [Step::SetAside]);
    assert_eq!(guide.text(EDITED), Some(edited));
    assert_eq!(guide.text(KEPT).as_deref(), Some(THEIRS), "never ours");
    guide.uninstall();
    assert_eq!(guide.text(NAME).as_deref(), Some(THEIRS));
}

#[test]
fn a_copy_or_a_link_made_by_hand_becomes_ours() {
    let guide = Guide::new();
    guide.copy(OURS);
    assert_eq!(guide.install(), [Step::Put]);
    guide.is_installed_over(None);
    fs::remove_file(guide.file(NAME)).unwrap();
    symlink(guide.root.path().join("source.sh"), guide.file(NAME)).unwrap();
    assert_eq!(guide.install(), [Step::Put]);
    guide.is_installed_over(None);
    assert!(!guide.file(NAME).is_symlink());
}

#[test]
fn a_link_of_theirs_is_kept_as_a_link() {
    let guide = Guide::new();
    fs::write(guide.file("v22.sh"), THEIRS).unwrap();
    symlink("v22.sh", guide.file(NAME)).unwrap();
    guide.install();
    assert!(guide.file(KEPT).is_symlink());
    guide.uninstall();
    assert_eq!(
        fs::read_link(guide.file(NAME)).unwrap(),
        PathBuf::from("v22.sh")
    );
}

#[test]
fn what_was_cut_short_is_continued() {
    // After the exchange, before the keeping.
    let guide = Guide::new();
    guide.unpack(THEIRS);
    guide
        .place()
        .take(&Step::Exchange { sha256: [0; 32] })
        .unwrap();
    assert_eq!(guide.text(NEXT).as_deref(), Some(THEIRS));
    assert_eq!(guide.install(), [Step::Keep]);
    guide.is_installed_over(Some(THEIRS));
    // Before the exchange.
    let guide = Guide::new();
    guide.unpack(THEIRS);
    fs::write(guide.file(NEXT), look::sealed(OURS.as_bytes())).unwrap();
    guide.install();
    guide.is_installed_over(Some(THEIRS));
    // And then it is not wanted any more.
    let guide = Guide::new();
    guide.unpack(THEIRS);
    guide
        .place()
        .take(&Step::Exchange { sha256: [0; 32] })
        .unwrap();
    assert_eq!(guide.uninstall(), [Step::Keep, Step::Restore]);
    assert_eq!(guide.text(NAME).as_deref(), Some(THEIRS));
}

#[test]
fn what_is_no_file_is_left_alone() {
    for name in [NAME, KEPT] {
        let guide = Guide::new();
        fs::create_dir(guide.file(name)).unwrap();
        let error = guide.place().bring_about(Wish::Installed).unwrap_err();
        assert!(error.hint().unwrap().contains("ls -l"), "{error}");
        assert_eq!(guide.names(), [name]);
    }
}
