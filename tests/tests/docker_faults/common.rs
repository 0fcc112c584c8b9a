//! What the tests of faults share: a count of starts by the Engine's own book, and the ways to
//! leave an operation to itself.

use extend_common::clock::Clock;
use extend_tests::real::{Fleet, Instance, Server};
use serde_json::Value;

/// Counts what a container goes through from now on, by the Engine's own book.
pub(crate) struct Watch {
    since: jiff::Timestamp,
}

impl Watch {
    pub(crate) fn from_now() -> Self {
        Self {
            since: Clock::system().now(),
        }
    }

    /// How often containers under one of the server's names were started.
    pub(crate) fn starts(&self, fleet: &Fleet, server: Server) -> usize {
        let now = Clock::system().now();
        let (since, now) = (self.since.to_string(), now.to_string());
        let events = fleet.engine().docker(&[
            "events",
            "--since",
            &since,
            "--until",
            &now,
            "--filter",
            "type=container",
            "--filter",
            "event=start",
            "--format",
            "{{.Actor.Attributes.name}}",
        ]);
        events
            .lines()
            .filter(|name| name.starts_with(server.container))
            .count()
    }
}

/// Begins an operation and leaves it to itself; its id.
#[track_caller]
pub(crate) fn detached(fleet: &Fleet, words: &[&str]) -> String {
    let begun = fleet
        .extend(&[words, &["--detach"]].concat())
        .expect(0, "it is stored");
    begun.stdout.trim().to_owned()
}

/// The agent kills itself at `point` of the operation, and another takes its place.
pub(crate) fn killed_at(fleet: &mut Fleet, server: Server, point: &str, words: &[&str]) -> Value {
    fleet.stop_agent(server.node);
    fleet.start_agent_that(server.node, Some(point));
    fleet.await_node(server.node, "online");
    let id = detached(fleet, words);
    fleet.await_crash(server.node, point);
    fleet.start_agent(server.node);
    fleet.await_end(&id)
}

#[track_caller]
pub(crate) fn assert_restarted_once(
    fleet: &Fleet,
    server: Server,
    before: &Instance,
    watch: &Watch,
    when: &str,
) {
    let now = fleet.engine().instance(server.container);
    assert_eq!(now.id, before.id, "{when}: a restart keeps the container");
    assert_ne!(
        now.started_at, before.started_at,
        "{when}: I3: it was restarted"
    );
    assert_eq!(watch.starts(fleet, server), 1, "{when}: I1: and once");
    fleet.await_health(server, "healthy");
    fleet.assert_serves_alone(server);
}
