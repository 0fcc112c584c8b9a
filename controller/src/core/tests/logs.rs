//! Which node is asked for logs.

use extend_common::logs::{LogQuery, LogSource};
use extend_common::operation::Verb;
use extend_common::status::NodeState;
use ulid::Ulid;

use super::bench::{Bench, node};
use crate::core::Effect;
use crate::core::request::{LogsWanted, SelectorWords, ToAgent};

fn named(name: &str) -> SelectorWords {
    SelectorWords {
        name: Some(name.parse().unwrap()),
        ..SelectorWords::default()
    }
}

fn wanted() -> LogsWanted {
    LogsWanted {
        id: Ulid(7),
        role: "media-server-only".parse().unwrap(),
        query: LogQuery {
            source: LogSource::Output,
            tail: 100,
            follow: true,
            after: None,
        },
    }
}

#[test]
fn the_agent_of_the_servers_node_is_asked_and_nothing_is_written() {
    let mut bench = Bench::guide();
    let media = node("172.31.16.139");
    let found = bench.fleet.logs_of(&named("media-server-1")).unwrap();
    assert_eq!(
        (found.node, found.role.as_str()),
        (media, "media-server-only")
    );
    let session = bench.agents[&media].session.unwrap();
    let turn = bench.fleet.want_logs(media, wanted());
    assert!(turn.writes.is_empty());
    let expected = Effect::Send {
        node: media,
        session,
        message: ToAgent::LogsWanted(Box::new(wanted())),
    };
    assert_eq!(turn.effects, [expected]);

    bench.disconnect(media);
    let turn = bench.fleet.want_logs(media, wanted());
    assert!(turn.effects.is_empty(), "there is nobody to be asked");
}

#[test]
fn a_server_can_be_read_whatever_is_done_to_it() {
    let mut bench = Bench::guide();
    let media = node("172.31.16.139");
    bench.accept(Verb::Rm, "-s media-server-only");
    assert!(bench.fleet.logs_of(&named("media-server-1")).is_ok());

    // One that is ahead is read too: its record is not touched.
    let meeting = node("172.31.16.137");
    bench.agents.get_mut(&meeting).unwrap().epoch = 9;
    bench.connect(meeting);
    let view = bench
        .fleet
        .nodes(Some(meeting), bench.now)
        .unwrap()
        .remove(0);
    assert_eq!(view.state, NodeState::Ahead);
    assert!(bench.fleet.logs_of(&named("meeting-server-1")).is_ok());
    assert_ne!(meeting, media);
}
