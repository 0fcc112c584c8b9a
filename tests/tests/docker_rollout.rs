//! Waiting for real sockets, going back without a registry, and a disk without room: real programs,
//! a real Docker Engine, and the stand-in for the PBX image.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use extend_tests::real::fleet::SOON;
use extend_tests::real::{Fleet, MEDIA, PrivateEngine, Setup, until};
use serde_json::Value;

/// Room for a few images of the stand-in, and less than is kept free beside an image.
const ENGINES_DISK: u64 = 400 * 1024 * 1024;

/// What the one target of the operation that was begun last says.
fn last_target(fleet: &Fleet) -> Value {
    let id = fleet.last_operation()["id"].as_str().unwrap().to_owned();
    fleet.operation(&id)["targets"][0].clone()
}

fn await_detail(fleet: &Fleet, words: &str) {
    until(&format!("it should say: {words}"), SOON, || {
        let target = last_target(fleet);
        match target["detail"].as_str() {
            Some(told) if told == words => Ok(()),
            told => Err(format!("{told:?}: {target:#}")),
        }
    });
}

#[test]
fn calls_with_real_sockets_are_waited_for_and_never_cut() {
    let fleet = Setup::of(&[MEDIA]).up();
    let before = fleet.deploy(MEDIA);
    fleet.control(MEDIA, "sessions=3\n");
    let stop = fleet.begin(&["stop", "-n", MEDIA.name, "--drain", "10m"]);
    await_detail(&fleet, "draining: 3 sessions");
    assert_eq!(fleet.engine().instance(MEDIA.container), before);
    fleet.control(MEDIA, "sessions=1\n");
    await_detail(&fleet, "draining: 1 session");
    assert_eq!(fleet.engine().instance(MEDIA.container), before);
    fleet.control(MEDIA, "");
    stop.end().expect(0, "without calls it stops");
    let stopped = fleet.engine().inspect(MEDIA.container);
    assert_eq!(stopped["State"]["Running"], false);
    fleet
        .extend(&["start", "-n", MEDIA.name])
        .expect(0, "it starts again");

    fleet.control(MEDIA, "sessions=2\n");
    let before = fleet.engine().instance(MEDIA.container);
    let declined = fleet.extend(&["restart", "-n", MEDIA.name, "--drain", "5s"]);
    declined
        .expect(1, "calls are not cut unasked")
        .says("2 sessions were left after 5s", "the reason is told");
    assert_eq!(fleet.engine().instance(MEDIA.container), before);
    fleet.await_health(MEDIA, "healthy");
    fleet.assert_serves_alone(MEDIA);

    let drain = fleet.begin(&["drain", "-n", MEDIA.name]);
    fleet.await_health(MEDIA, "draining");
    fleet.control(MEDIA, "");
    drain.end().expect(0, "no call is left");
    assert_eq!(fleet.engine().instance(MEDIA.container), before);
    fleet
        .extend(&["undrain", "-n", MEDIA.name])
        .expect(0, "it takes calls again");
    fleet.await_health(MEDIA, "healthy");
    assert_eq!(fleet.engine().instance(MEDIA.container), before);
}

#[test]
fn the_build_before_serves_again_whatever_the_tag_means_by_now() {
    let fleet = Setup::of(&[MEDIA]).up();
    fleet.deploy(MEDIA);
    fleet.release("22.4.0");
    fleet
        .extend(&["upgrade", "-n", MEDIA.name])
        .expect(0, "it is upgraded");
    assert_eq!(fleet.server(MEDIA).unwrap()["version"], "22.4.0");
    fleet
        .extend(&["upgrade", "-n", MEDIA.name, "--to-previous"])
        .expect(0, "and goes back");
    assert_eq!(fleet.server(MEDIA).unwrap()["version"], "22.3.0");
    fleet.await_health(MEDIA, "healthy");
    fleet.assert_serves_alone(MEDIA);
    fleet
        .extend(&["upgrade", "-n", MEDIA.name, "--to-previous"])
        .expect(0, "and forth");
    assert_eq!(fleet.server(MEDIA).unwrap()["version"], "22.4.0");
}

#[test]
fn nothing_is_fetched_onto_a_disk_without_room() {
    let private = PrivateEngine::start_on(ENGINES_DISK);
    let engine = private.engine().clone();
    let fleet = Setup::of(&[MEDIA]).on(&engine).up();
    let before = fleet.deploy(MEDIA);
    let absent = "extend.test/pbx:absent";
    let ended = fleet.extend(&["upgrade", "-n", MEDIA.name, "-i", absent]);
    ended
        .expect(1, "there is no room for another image")
        .says("there is no room for extend.test/pbx:absent", "what for")
        .says(" are free in /", "how much there is, and where")
        .says("docker system df", "and what to run next");
    assert_eq!(fleet.engine().instance(MEDIA.container), before);
    fleet.assert_serves_alone(MEDIA);
}
