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

/// What is counted of a story: a container and how often Docker has restarted it, or none.
fn told(story: &[Option<(u8, u64)>]) -> u64 {
    let mut known = None;
    let base = seen(0, 0);
    let count = |seen: &Option<(u8, u64)>| {
        let mut status = base.clone();
        match (seen, status.current.as_mut()) {
            (Some((container, restarts)), Some(current)) => {
                current.instance.container_id = container.to_string();
                current.docker_restarts = *restarts;
            }
            _ => status.current = None,
        }
        ByDocker::count(&mut known, &status)
    };
    story.iter().map(count).sum()
}

#[test]
fn what_docker_did_is_counted_by_how_much_it_rose() {
    let some = |container, restarts| Some((container, restarts));
    for (story, expected) in [
        (vec![some(1, 7)], 0),
        (vec![some(1, 7), some(1, 7)], 0),
        (vec![some(1, 7), some(1, 9)], 2),
        // From nought after a start on purpose; and a new one.
        (vec![some(1, 7), some(1, 1)], 1),
        (vec![some(1, 7), some(2, 3)], 3),
        // Docker was silent, or the container is being put back: it is the same one.
        (vec![some(1, 7), None, some(1, 7)], 0),
        (vec![some(1, 7), None, None, some(1, 8)], 1),
        (vec![some(1, 7), None, some(2, 2), None, some(2, 3)], 3),
        (vec![None, some(1, 2)], 2),
    ] {
        assert_eq!(told(&story), expected, "{story:?}");
    }
    let mut known = None;
    let mut other = seen(2, 5);
    ByDocker::count(&mut known, &seen(1, 7));
    other.name = "media-server-2".parse().unwrap();
    assert_eq!(
        ByDocker::count(&mut known, &other),
        0,
        "seen for the first time"
    );
}

#[test]
fn a_look_without_a_container_between_two_counts_nothing_twice() {
    let mut bench = Bench::guide();
    let at = node(MEDIA);
    let of_docker = |bench: &mut Bench, restarts: Option<u64>| {
        let mut status = seen(1, restarts.unwrap_or_default());
        status.current = status.current.filter(|_| restarts.is_some());
        bench.counted.clear();
        let session = bench.agents[&at].session.unwrap();
        let turn = bench.fleet.report(session, at, status, bench.now);
        bench.commit(turn);
        bench.counted.clone()
    };
    // The container that the bench has had so far is another one.
    let by_docker = |times| vec![Counted::Restarts(media(), RestartCause::Docker, times)];
    assert_eq!(of_docker(&mut bench, Some(4)), by_docker(4));
    assert_eq!(of_docker(&mut bench, None), []);
    assert_eq!(of_docker(&mut bench, Some(4)), []);
    // Nor does a session that is lost, or what the next one begins with.
    bench.disconnect(at);
    bench.agents.get_mut(&at).unwrap().container = seen(1, 4).current;
    bench.counted.clear();
    bench.connect(at);
    assert_eq!(bench.counted, []);
    of_docker(&mut bench, None);
    assert_eq!(of_docker(&mut bench, Some(6)), by_docker(2));
}

/// Something that happens on a node.
#[derive(Debug, Clone)]
enum Deed {
    Restarts(u64),
    Replaced,
    Told,
    ToldWithout,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However often and when it is looked, and with whatever looks that come to nothing: the sum is
    /// what Docker had done of each container when it was last seen, less what it had done before
    /// this controller saw the first one.
    #[test]
    fn the_sum_is_what_docker_did(deeds in prop::collection::vec(prop_oneof![
        3 => (1u64..4).prop_map(Deed::Restarts),
        1 => Just(Deed::Replaced),
        3 => Just(Deed::Told),
        2 => Just(Deed::ToldWithout),
    ], 1..40)) {
        let (mut container, mut restarts) = (0_u8, 3);
        let (mut story, mut last) = (vec![Some((container, restarts))], vec![0_u64]);
        for deed in deeds {
            match deed {
                Deed::Restarts(times) => restarts += times,
                Deed::Replaced => {
                    (container, restarts) = (container + 1, 0);
                    last.push(0);
                }
                Deed::Told => {
                    story.push(Some((container, restarts)));
                    let before = if container == 0 { 3 } else { 0 };
                    last[usize::from(container)] = restarts - before;
                }
                Deed::ToldWithout => story.push(None),
            }
        }
        prop_assert_eq!(told(&story), last.iter().sum::<u64>(), "{:?}", story);
    }
}
