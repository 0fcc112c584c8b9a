//! `extend controller backup`: a whole archive, or no file at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tonic::{Code, Status};

use crate::harness::{Place, Ran};

fn backup(place: &Place) -> Ran {
    let file = place.path("backup.tar");
    place.run_words(&["controller", "backup", file.to_str().unwrap()])
}

fn files(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.directory.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "controller.sock").collect()
}

#[test]
fn a_backup_is_a_file_of_its_owner_alone() {
    let place = Place::new();
    *place.script.backup.lock().unwrap() = (vec![b"one".to_vec(), b"two".to_vec()], None);
    let ran = backup(&place);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(ran.err.contains("(6 bytes)"), "{}", ran.err);
    assert_eq!(files(&place), ["backup.tar"]);
    let file = place.path("backup.tar");
    assert_eq!(fs::read(&file).unwrap(), b"onetwo");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o7777,
        0o600
    );
}

#[test]
fn nothing_is_overwritten() {
    let place = Place::new();
    fs::write(place.path("backup.tar"), "precious").unwrap();
    let ran = backup(&place);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("the file exists"), "{}", ran.err);
    assert_eq!(fs::read(place.path("backup.tar")).unwrap(), b"precious");
    assert!(place.script.asked.lock().unwrap().is_empty());
}

#[test]
fn half_a_backup_leaves_no_file() {
    for (chunks, end, code) in [
        (
            vec![b"one".to_vec()],
            Some(Status::new(Code::Internal, "the disk is full")),
            1,
        ),
        (Vec::new(), None, 1),
        (
            vec![b"one".to_vec()],
            Some(Status::new(Code::Unavailable, "stopping")),
            5,
        ),
    ] {
        let place = Place::new();
        *place.script.backup.lock().unwrap() = (chunks, end);
        let ran = backup(&place);
        assert_eq!(ran.code, code, "{}", ran.err);
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        assert!(files(&place).is_empty(), "{:?}", files(&place));
    }
}

#[test]
fn a_refused_backup_leaves_no_file() {
    let place = Place::new();
    *place.script.refuse.lock().unwrap() = Some(Status::new(Code::PermissionDenied, "root only"));
    assert_eq!(backup(&place).code, 4);
    assert!(files(&place).is_empty());
}
