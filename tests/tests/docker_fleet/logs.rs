//! What a server writes, read through a real Engine and a real disk.

use std::time::Duration;

use extend_tests::real::{MEDIA, Setup, Times, until};

/// A follower looks for the next run every second.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn output_and_files_are_read_and_output_is_followed_across_a_restart() {
    let fleet = Setup::of(&[MEDIA]).with(Times::BRISK).up();
    fleet.deploy(MEDIA);
    let first = "(stand-in), server name media-server-1";
    fleet
        .extend(&["logs", MEDIA.name])
        .expect(0, "the output is shown")
        .says(first, "what it said first");
    let list = fleet
        .extend(&["logs", MEDIA.name, "--list", "-o", "json"])
        .expect(0, "the files are listed")
        .json();
    assert_eq!(list["files"][0]["name"], "mediaserver.log", "{list:#}");
    fleet
        .extend(&["logs", "-a", MEDIA.node, "--file", "mediaserver.log"])
        .expect(0, "a file is shown")
        .says(first, "what it said first");

    let along = fleet.begin(&["logs", MEDIA.name, "-f", "--tail", "1"]);
    let shows = |what: &str, all: &[&str]| {
        until(what, SOON, || {
            let shown = along.so_far();
            let is_there = all.iter().all(|words| shown.contains(words));
            if is_there { Ok(()) } else { Err(shown) }
        });
    };
    shows("the last line is shown", &["\n"]);
    assert!(!along.so_far().contains(first), "{}", along.so_far());
    fleet
        .extend(&["restart", "-n", MEDIA.name])
        .expect(0, "it is restarted");
    shows("the next run is followed", &["runs again", first]);
    assert_eq!(
        along.so_far().matches(first).count(),
        1,
        "nothing comes twice"
    );
    along.interrupt();
    let output = along.end();
    let _ = output.expect(0, "whoever stops reading is done");
}
