//! Stores and ledgers that are empty, old or damaged, and nodes that were away.

use std::fs;

use extend_tests::real::fleet::SOON;
use extend_tests::real::{Fleet, Instance, MEDIA, MEETING, QUEUE, Setup, until};
use serde_json::Value;

#[test]
fn an_empty_store_touches_nothing_and_is_filled_again() {
    let mut fleet = Setup::of(&[MEDIA, QUEUE]).up();
    let media = fleet.deploy(MEDIA);
    fleet.deploy(QUEUE);
    fleet
        .extend(&["stop", "-n", QUEUE.name])
        .expect(0, "the queue server is stopped");
    let facts = |fleet: &Fleet| {
        let seen = fleet.engine().inspect(QUEUE.container);
        [&seen["Id"], &seen["State"], &seen["HostConfig"]].map(Value::clone)
    };
    let queue = facts(&fleet);
    let untouched = |fleet: &Fleet| {
        assert_eq!(
            fleet.engine().instance(MEDIA.container),
            media,
            "I8: nothing is restarted"
        );
        assert_eq!(facts(fleet), queue, "I8: or started, or removed");
    };

    fleet.stop_controller();
    let state = fs::read_dir(fleet.path("controller")).unwrap();
    for file in state.map(|file| file.unwrap().path()) {
        if file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("store.db")
        {
            fs::remove_file(file).unwrap();
        }
    }
    fleet.start_controller();
    for server in [MEDIA, QUEUE] {
        fleet.await_node(server.node, "ahead");
    }
    untouched(&fleet);
    let refused = fleet
        .run(MEDIA, &[])
        .expect(4, "verbs on a node that is ahead are refused");
    refused.says("extend controller recover", "with the way out");
    untouched(&fleet);

    let recovered = fleet
        .extend(&["controller", "recover"])
        .expect(0, "the records are taken back");
    recovered.says(MEDIA.name, "").says(QUEUE.name, "");
    for server in [MEDIA, QUEUE] {
        fleet.await_node(server.node, "online");
    }
    fleet.await_health(MEDIA, "healthy");
    fleet.await_health(QUEUE, "stopped");
    untouched(&fleet);

    fleet
        .extend(&["restart", "-n", MEDIA.name])
        .expect(0, "then a restart works");
    assert_ne!(
        fleet.engine().instance(MEDIA.container).started_at,
        media.started_at
    );
    fleet
        .extend(&["start", "-n", QUEUE.name])
        .expect(0, "and a start");
    fleet.await_health(QUEUE, "healthy");
    fleet.release("22.4.0");
    fleet.extend(&["upgrade"]).expect(0, "and an upgrade");
    for server in [MEDIA, QUEUE] {
        fleet.assert_serves_alone(server);
    }
}

#[test]
fn a_backup_brings_a_lost_controller_back() {
    let mut fleet = Setup::of(&[MEDIA]).up();
    fleet.deploy(MEDIA);
    let archive = fleet.path("backup.tar").display().to_string();
    let backup = ["controller", "backup", archive.as_str()];
    fleet
        .extend(&backup)
        .expect(0, "a backup is made while the controller runs");
    fleet
        .extend(&backup)
        .expect(2, "a backup never overwrites another");
    let (before, shown) = (
        fleet.engine().instance(MEDIA.container),
        fleet.server(MEDIA).unwrap(),
    );

    fleet.kill_controller();
    fs::remove_dir_all(fleet.path("controller")).unwrap();
    fleet
        .controller_command(&["restore", &archive])
        .expect(0, "it is restored");
    fleet.start_controller();
    fleet.await_node(MEDIA.node, "online");
    fleet.await_health(MEDIA, "healthy");
    let mut now = fleet.server(MEDIA).unwrap();
    now["since"] = shown["since"].clone();
    // How the machine does is told now and then, and by another moment.
    now["host"] = shown["host"].clone();
    assert_eq!(now, shown, "the controller knows what it knew");
    assert_eq!(
        fleet.engine().instance(MEDIA.container),
        before,
        "I8: nothing was touched"
    );
    fleet.extend(&["restart"]).expect(0, "and works on");

    // The same backup again is old by now: the node has had a record since.
    let before = fleet.engine().instance(MEDIA.container);
    fleet.stop_controller();
    fleet
        .controller_command(&["restore", &archive])
        .expect(1, "not over a state that is there");
    let forced = fleet.controller_command(&["restore", "--force", &archive]);
    forced.expect(0, "unless it is insisted on; the state is moved aside");
    fleet.start_controller();
    fleet.await_node(MEDIA.node, "ahead");
    assert_eq!(
        fleet.engine().instance(MEDIA.container),
        before,
        "I8: an old store touches nothing"
    );
    fleet
        .extend(&["controller", "recover"])
        .expect(0, "the record is taken back");
    fleet.await_node(MEDIA.node, "online");
    assert_eq!(
        fleet.engine().instance(MEDIA.container),
        before,
        "and nothing is touched"
    );
    fleet.extend(&["restart"]).expect(0, "then a restart works");
    fleet.assert_serves_alone(MEDIA);
}

#[test]
fn a_damaged_ledger_is_kept_aside_and_the_node_works_on() {
    let mut fleet = Setup::of(&[MEETING]).up();
    let before = fleet.deploy(MEETING);
    for damage in ["extend-ledger 1 0000\n{\"half\":", ""] {
        fleet.stop_agent(MEETING.node);
        let ledger = fleet.agent_state(MEETING.node).join("ledger.json");
        assert!(ledger.is_file(), "the ledger is there");
        fs::write(&ledger, damage).unwrap();
        fleet.start_agent(MEETING.node);
        fleet.await_node(MEETING.node, "online");
        fleet.await_health(MEETING, "healthy");
        let now = fleet.engine().instance(MEETING.container);
        assert_eq!(
            now, before,
            "a ledger that is lost costs no service its run"
        );
    }
    let kept = fs::read_dir(fleet.agent_state(MEETING.node)).unwrap();
    let kept = kept.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("ledger.json.damaged-")
    });
    assert_eq!(kept.count(), 2, "damaged ledgers are kept aside");

    fleet.extend(&["restart"]).expect(0, "the node works on");
    let now = fleet.engine().instance(MEETING.container);
    assert_eq!(now.id, before.id);
    fleet.release("22.4.0");
    fleet.extend(&["upgrade"]).expect(0, "also with an upgrade");
    assert_eq!(fleet.server(MEETING).unwrap()["version"], "22.4.0");
    fleet.assert_serves_alone(MEETING);
}

#[test]
fn a_node_that_was_away_does_nothing_late() {
    let mut fleet = Setup::of(&[QUEUE]).up();
    let before = fleet.deploy(QUEUE);
    for verb in ["restart", "stop", "rm"] {
        // Away before it began: nothing is sent.
        fleet.kill_agent(QUEUE.node);
        fleet.await_node(QUEUE.node, "offline");
        timed_out(&fleet, verb);
        come_back(&mut fleet, verb, &before);

        // The record was on its way when the node went away.
        fleet.stop_agent(QUEUE.node);
        fleet.start_agent_that(QUEUE.node, Some("Accepting"));
        fleet.await_node(QUEUE.node, "online");
        let ended = timed_out(&fleet, verb);
        assert_ne!(ended["targets"][0]["record"], Value::Null, "{ended:#}");
        fleet.await_crash(QUEUE.node, "Accepting");
        come_back(&mut fleet, verb, &before);
        let id = ended["id"].as_str().unwrap();
        until("what became of it should be told", SOON, || {
            let shown = fleet.operation(id);
            let late = shown["targets"][0]["late"].as_str().unwrap_or_default();
            let told = late.contains("nothing was done");
            if told {
                Ok(())
            } else {
                Err(format!("{shown:#}"))
            }
        });
    }
    fleet.extend(&["restart"]).expect(0, "the node works on");
    fleet.assert_serves_alone(QUEUE);
}

fn timed_out(fleet: &Fleet, verb: &str) -> Value {
    let ended = fleet.extend(&[verb, "-n", QUEUE.name, "--timeout", "3s"]);
    ended.expect(
        1,
        &format!("{verb} of a node that is away ends at its time-out"),
    );
    let last = fleet.last_operation();
    assert_eq!(last["state"], "timed-out", "{last:#}");
    last
}

fn come_back(fleet: &mut Fleet, verb: &str, before: &Instance) {
    fleet.start_agent(QUEUE.node);
    fleet.await_node(QUEUE.node, "online");
    fleet.await_health(QUEUE, "healthy");
    assert_eq!(
        fleet.server(QUEUE).unwrap()["run_state"],
        "running",
        "{verb}"
    );
    let now = fleet.engine().instance(QUEUE.container);
    assert_eq!(
        now, *before,
        "I4: {verb}: nothing happens after an operation's end"
    );
}
