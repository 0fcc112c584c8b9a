use std::time::Duration;

use extend_common::event::EventKind;
use extend_common::status::{ContainerState, ContainerStatus, ServerStatus};
use proptest::prelude::*;

use super::*;
use crate::core::Effect;
use crate::core::tests::bench::{Bench, node};
use crate::core::tests::told::journal_part;

const MEDIA: &str = "172.31.16.139";

fn counted(effects: &[Effect]) -> Vec<Counted> {
    let counted = effects.iter().filter_map(|effect| match effect {
        Effect::Counted(counted) => Some(counted.clone()),
        _ => None,
    });
    counted.collect()
}

fn media() -> Option<RoleName> {
    Some("media-server-only".parse().unwrap())
}

#[test]
fn a_restart_is_counted_once_however_often_it_is_told() {
    let mut bench = Bench::guide();
    let at = node(MEDIA);
    let said = |sequence, text: &str| {
        let mut part = journal_part("j", [sequence]);
        part.entries[0].event.kind = EventKind::Restart;
        part.entries[0].event.text = text.to_owned();
        part.entries[0].event.name = Some("media1".parse().unwrap());
        part
    };
    let name = bench.fleet.nodes[&at].server().unwrap().name.clone();
    let of = |cause| vec![Counted::Restarts(media(), cause, 1)];
    let oom = "starting it again: portsip.media-server was killed by the kernel for want of memory";
    let told = [
        (
            "restarting it: tcp/8840 does not answer",
            RestartCause::Hung,
        ),
        (
            "starting it again: it ended with code 1",
            RestartCause::Ended,
        ),
        ("starting it again", RestartCause::Ended),
        (oom, RestartCause::Memory),
    ];
    for (sequence, (text, cause)) in (1..).zip(told) {
        let mut part = said(sequence, text);
        part.entries[0].event.name = Some(name.clone());
        for expected in [of(cause), vec![]] {
            let session = bench.agents[&at].session.unwrap();
            let turn = bench.fleet.journal(session, at, part.clone(), bench.now);
            assert_eq!(counted(&turn.effects), expected, "{text}");
            bench.commit(turn);
        }
        // Neither a lost session nor a new controller makes it told twice.
        bench.restart();
        bench.connect(at);
    }
}

#[test]
fn an_operation_and_the_restart_that_it_was_are_counted() {
    let mut bench = Bench::guide();
    let at = node(MEDIA);
    let id = bench.accept(Verb::Restart, "-a 172.31.16.139").id;
    let entry = &bench.fleet.operations[&id];
    assert!(entry.row.ended.is_none());
    bench.pass(Duration::from_secs(3));
    bench.counted.clear();
    bench.succeed(at);
    let ended = |counted: &Counted| matches!(counted, Counted::Ended { verb: Verb::Restart, outcome: TargetState::Succeeded, took } if *took >= Duration::from_secs(3));
    let restarted = Counted::Restarts(media(), RestartCause::Operator, 1);
    assert!(bench.counted.contains(&restarted), "{:?}", bench.counted);
    assert_eq!(bench.counted.iter().filter(|one| ended(one)).count(), 1);
    assert_eq!(bench.counted.len(), 2, "{:?}", bench.counted);
}

fn seen(container: u8, restarts: u64) -> ServerStatus {
    let mut bench = Bench::guide();
    bench.report(node(MEDIA));
    let mut status = bench.fleet.nodes[&node(MEDIA)].status.clone().unwrap();
    let instance = status.current.as_ref().unwrap().instance.clone();
    status.current = Some(ContainerStatus {
        name: "portsip.media-server".to_owned(),
        instance: extend_common::record::Instance {
            container_id: format!("{container}"),
            ..instance
        },
        state: ContainerState::Running,
        docker_restarts: restarts,
        exit_code: None,
    });
    status
}

#[test]
fn what_docker_did_is_counted_by_how_much_it_rose() {
    assert_eq!(by_docker(None, &seen(1, 7)), 0, "before this controller");
    assert_eq!(by_docker(Some(&seen(1, 7)), &seen(1, 7)), 0);
    assert_eq!(by_docker(Some(&seen(1, 7)), &seen(1, 9)), 2);
    assert_eq!(by_docker(Some(&seen(1, 7)), &seen(1, 1)), 1, "from nought");
    assert_eq!(by_docker(Some(&seen(1, 7)), &seen(2, 3)), 3, "a new one");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a node tells, in whichever order and after whichever loss, the sum never falls and
    /// never rises by more than the node tells.
    #[test]
    fn no_story_takes_anything_off_a_count(story in prop::collection::vec((0u8..3, 0u64..20), 1..12)) {
        let base = seen(0, 0);
        let mut before: Option<ServerStatus> = None;
        for (container, restarts) in story {
            let mut now = base.clone();
            let current = now.current.as_mut().unwrap();
            current.instance.container_id = container.to_string();
            current.docker_restarts = restarts;
            prop_assert!(by_docker(before.as_ref(), &now) <= restarts);
            before = Some(now);
        }
    }
}
