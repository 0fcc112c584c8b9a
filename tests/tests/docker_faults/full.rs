//! Full disks: the agent's own, and the Engine's.

use std::fs;

use extend_agent::core::entry::Ledger;
use extend_agent::ledger::LedgerFile;
use extend_common::clock::Clock;
use extend_tests::real::fleet::SOON;
use extend_tests::real::{Fleet, MEDIA, PrivateEngine, QUEUE, Setup, SmallDisk, until};

use crate::common::{Watch, assert_restarted_once, detached};

/// Room for the ledger and its reserve, and little more.
const LEDGERS_DISK: u64 = 3 * 1024 * 1024;
/// Room for a few images of the stand-in.
const ENGINES_DISK: u64 = 400 * 1024 * 1024;

#[test]
fn a_ledger_is_written_once_more_and_then_kept() {
    let root = tempfile::tempdir().unwrap();
    let disk = SmallDisk::over(&root.path().join("state"), LEDGERS_DISK);
    let state = root.path().join("state");
    let now = Clock::system().now();
    let file = LedgerFile::open(&state, now).unwrap().file;
    let ledger = |epoch| Ledger {
        epoch,
        ..Ledger::default()
    };
    let held = || LedgerFile::open(&state, now).unwrap().ledger.epoch;
    file.write(&ledger(1), file.turn()).unwrap();
    disk.fill();
    file.write(&ledger(2), file.turn()).unwrap();
    assert!(
        !state.join("reserve").exists(),
        "the reserve made room for it"
    );
    disk.fill();
    let error = file.write(&ledger(3), file.turn()).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert!(error.to_string().contains("ledger.json"), "{error}");
    assert_eq!(held(), 2, "what was written stays whole");
    disk.free();
    file.write(&ledger(4), file.turn()).unwrap();
    file.fill_reserve();
    assert!(state.join("reserve").exists());
    assert_eq!(held(), 4);
}

/// What the agent says about its own disk.
fn ledger_trouble(fleet: &Fleet) -> String {
    let shown = fleet.node(MEDIA.node);
    shown["ledger_trouble"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn an_agent_whose_disk_is_full_says_so_and_does_it_later() {
    let mut fleet = Setup::of(&[MEDIA]).up();
    let before = fleet.deploy(MEDIA);
    fleet.stop_agent(MEDIA.node);
    let state = fleet.agent_state(MEDIA.node);
    let disk = SmallDisk::over(&state, LEDGERS_DISK);
    fleet.start_agent(MEDIA.node);
    fleet.await_node(MEDIA.node, "online");
    fleet.await_health(MEDIA, "healthy");

    drop(fs::remove_file(state.join("reserve")));
    disk.fill();
    let watch = Watch::from_now();
    let id = detached(&fleet, &["restart"]);
    until(
        "the agent should say that its disk is full",
        SOON,
        || match ledger_trouble(&fleet) {
            told if told.starts_with("disk full: ") => Ok(()),
            told => Err(told),
        },
    );
    let shown = fleet.extend(&["node", "show", MEDIA.node]);
    shown.expect(0, "").says("disk full: ", "people see it too");
    assert_eq!(
        fleet.engine().instance(MEDIA.container),
        before,
        "an operator's step waits for the disk"
    );
    assert_eq!(fleet.server(MEDIA).unwrap()["health"], "healthy");
    let ended = fleet.operation(&id)["ended_at"].clone();
    assert!(ended.is_null(), "it is not given up: {ended}");

    disk.free();
    let ended = fleet.await_end(&id);
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert_restarted_once(&fleet, MEDIA, &before, &watch, "after the disk was full");
    until(
        "the trouble should be over",
        SOON,
        || match ledger_trouble(&fleet) {
            told if told.is_empty() => Ok(()),
            told => Err(told),
        },
    );
    fleet.stop_agent(MEDIA.node);
}

#[test]
fn an_engine_out_of_disk_is_told_and_nothing_is_lost() {
    let private = PrivateEngine::start_on(ENGINES_DISK);
    let engine = private.engine().clone();
    let fleet = Setup::of(&[MEDIA, QUEUE]).on(&engine).up();
    let before = fleet.deploy(MEDIA);
    fleet.release("22.4.0");
    private.disk().fill();

    let first = fleet.run(QUEUE, &[]);
    first
        .expect(1, "there is no room for another container")
        .says("no space left on device", "the cause is told")
        .says("hint: on 127.0.2.", "and what to run next")
        .says("docker system df", "namely this");
    let upgraded = fleet.extend(&["upgrade", "-n", MEDIA.name]);
    upgraded
        .expect(1, "nor for the new one of an upgrade")
        .says("no space left on device", "the cause is told");

    private.disk().free();
    fleet.await_health(MEDIA, "healthy");
    assert_eq!(
        fleet.engine().instance(MEDIA.container).id,
        before.id,
        "the old container serves"
    );
    assert_eq!(fleet.server(MEDIA).unwrap()["version"], "22.3.0");
    fleet.assert_serves_alone(MEDIA);
    fleet
        .extend(&["upgrade", "-n", MEDIA.name])
        .expect(0, "with room it succeeds");
    assert_eq!(fleet.server(MEDIA).unwrap()["version"], "22.4.0");
    fleet.run(QUEUE, &[]).expect(0, "and so does the other");
    fleet.assert_serves_alone(QUEUE);
}
