//! Engines that hang.

use std::time::Duration;

use extend_tests::real::fleet::SOON;
use extend_tests::real::{Fleet, IVR, MEDIA, PrivateEngine, Setup, until};

use crate::common::detached;

/// An agent without anything to do asks Docker every 10 s, and waits 5 s for the answer.
const RESYNC: Duration = Duration::from_secs(30);

#[test]
fn an_engine_that_hangs_or_restarts_is_waited_for() {
    let mut private = PrivateEngine::start();
    let engine = private.engine().clone();
    let mut fleet = Setup::of(&[MEDIA, IVR]).on(&engine).up();
    let before = fleet.deploy(MEDIA);
    fleet.deploy(IVR);
    fleet
        .extend(&["stop", "-n", IVR.name])
        .expect(0, "one server is stopped");

    let frozen = private.freeze();
    let unresponsive = |fleet: &Fleet| {
        let shown = fleet.node(MEDIA.node);
        let told = shown["docker_trouble"].as_str().unwrap_or_default();
        if told.contains("docker unresponsive") {
            Ok(shown)
        } else {
            Err(format!("{shown:#}"))
        }
    };
    let shown = until("a Docker that hangs should be told", RESYNC, || {
        unresponsive(&fleet)
    });
    assert_eq!(
        shown["state"], "online",
        "the agent itself is well: {shown:#}"
    );
    let list = fleet
        .extend(&["node", "list"])
        .expect(0, "the list of nodes");
    list.says("docker unresponsive", "shows it too");
    let seen_at = shown["last_seen_at"].as_str().unwrap().to_owned();
    let id = detached(&fleet, &["restart", "-n", MEDIA.name]);
    until("the agent should go on giving signs of life", SOON, || {
        let shown = unresponsive(&fleet)?;
        let moved = shown["last_seen_at"].as_str().unwrap() > seen_at.as_str();
        if moved && shown["state"] == "online" {
            Ok(())
        } else {
            Err(format!("{shown:#}"))
        }
    });
    drop(frozen);
    let ended = fleet.await_end(&id);
    assert_eq!(
        ended["state"], "succeeded",
        "what came meanwhile is done then: {ended:#}"
    );
    until("all should be well again", SOON, || {
        let shown = fleet.node(MEDIA.node);
        if shown["docker_trouble"].is_null() {
            Ok(())
        } else {
            Err(format!("{shown:#}"))
        }
    });
    let now = fleet.engine().instance(MEDIA.container);
    assert_eq!(now.id, before.id);
    assert_ne!(now.started_at, before.started_at);
    fleet.assert_serves_alone(MEDIA);
    fleet.check_bystanders();

    private.down();
    until("a Docker that is gone should be told", RESYNC, || {
        unresponsive(&fleet)
    });
    private.up();
    fleet.bystanders_saw_a_restart();
    fleet.await_health(MEDIA, "healthy");
    fleet.await_health(IVR, "stopped");
    assert_eq!(
        fleet.engine().instance(MEDIA.container).id,
        before.id,
        "the same container"
    );
    fleet.assert_serves_alone(MEDIA);
    let stopped = fleet.engine().inspect(IVR.container);
    assert_eq!(
        stopped["State"]["Running"], false,
        "what was stopped stays stopped"
    );
    fleet
        .extend(&["restart", "-n", MEDIA.name])
        .expect(0, "and a restart works");
}
