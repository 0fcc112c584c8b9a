//! `extend shim`: the script in the directory of the guide, and what the controller is told of it.

use std::fs;
use std::path::PathBuf;

use tonic::Code;

use crate::harness::{Place, Ran, shim_file};
use crate::stub::refusal;

const THEIRS: &str = "#!/bin/bash\necho PortSIP \"$@\"\n";
const NEWER: &str = "#!/bin/bash\necho PortSIP 22.7 \"$@\"\n";

/// A directory of the guide with PortSIP's script in it.
fn guide(place: &Place) -> PathBuf {
    let directory = place.path("guide");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("extend.sh"), THEIRS).unwrap();
    directory
}

fn shim(place: &Place, words: &str) -> Ran {
    let (source, record) = (shim_file(), place.path("record"));
    let mut all: Vec<&str> = vec!["shim"];
    all.extend(words.split_whitespace());
    let (source, record) = (source.to_str().unwrap(), record.to_str().unwrap());
    all.extend(["--source", source, "--record", record]);
    place.run_words(&all)
}

fn at(place: &Place, words: &str) -> Ran {
    let directory = place.path("guide");
    shim(
        place,
        &format!("{words} --directory {}", directory.display()),
    )
}

#[test]
fn it_is_put_there_shown_and_taken_away() {
    let place = Place::empty();
    let guide = guide(&place);
    assert_eq!(at(&place, "install --no-watch").code, 0);
    let ran = at(&place, "status");
    assert!(ran.out.contains("extend.sh is ours\n"), "{ran:?}");
    assert!(ran.out.contains("PortSIP's is kept"), "{ran:?}");
    let ran = at(&place, "status -o json");
    assert!(ran.out.contains("\"script\": \"ours\""), "{ran:?}");
    assert!(ran.out.contains("\"installed\": true"), "{ran:?}");
    // What is not ours goes to PortSIP's.
    let script = guide.join("extend.sh");
    let mut command = place.command("/bin/bash".as_ref());
    let disk = crate::harness::ran(command.arg(&script).args(["run", "-s", "disk-only"]));
    assert_eq!(disk.out, "PortSIP run -s disk-only\n");

    let again = at(&place, "install --no-watch");
    assert!(
        again.code == 0 && again.err.contains("already"),
        "{again:?}"
    );
    let ran = shim(&place, "uninstall --all");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(script).unwrap(), THEIRS);
    assert_eq!(fs::read_dir(guide).unwrap().count(), 1);
    let ran = at(&place, "status -o json");
    assert!(ran.out.contains("\"installed\": false"), "{ran:?}");
}

#[test]
fn a_repair_is_told_until_it_was_answered_and_once() {
    let mut place = Place::empty();
    let guide = guide(&place);
    assert_eq!(at(&place, "install --no-watch").code, 0);
    fs::write(guide.join("extend.sh"), NEWER).unwrap();
    let ran = at(&place, "repair");
    assert_eq!(ran.code, 5, "nobody listens: {ran:?}");
    assert!(at(&place, "status").out.contains("extend.sh is ours\n"));
    let kept = fs::read_to_string(guide.join("extend.sh.portsip")).unwrap();
    assert_eq!(kept, NEWER, "mended all the same");

    place.start();
    let refused = refusal(Code::FailedPrecondition, "not now", &[], "");
    *place.script.refuse.lock().unwrap() = Some(refused);
    assert_eq!(at(&place, "repair").code, 4);
    *place.script.refuse.lock().unwrap() = None;
    assert_eq!(at(&place, "repair").code, 0);
    assert_eq!(at(&place, "repair").code, 0);
    let asked = place.script.asked.lock().unwrap().clone();
    let sha256 = extend_common::hash::encode(&extend_common::hash::sha256(NEWER.as_bytes()));
    let told = format!("note_shim {} {sha256}", guide.display());
    assert_eq!(asked, [told.clone(), told], "refused, and then answered");
}

#[test]
fn what_was_not_installed_is_not_repaired() {
    let place = Place::empty();
    let guide = guide(&place);
    assert_eq!(at(&place, "repair").code, 0);
    let script = fs::read_to_string(guide.join("extend.sh")).unwrap();
    assert_eq!(script, THEIRS);
}

#[test]
fn a_wrong_place_is_told_with_the_option_that_mends_it() {
    let place = Place::empty();
    let ran = at(&place, "install --no-watch");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cannot put our extend.sh"), "{ran:?}");
    assert!(
        ran.err.contains("hint: is ") && ran.err.contains("--directory"),
        "{ran:?}"
    );
    let relative = shim(&place, "install --directory guide");
    assert_eq!(relative.code, 2);
    assert!(relative.err.contains("the whole path"), "{relative:?}");
}
