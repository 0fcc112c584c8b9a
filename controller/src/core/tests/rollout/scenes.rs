//! Scenes in a line: servers by letter and state, and what begins.

use jiff::Timestamp;

use extend_common::clock::after;
use extend_common::operation::{Strategy, TargetState, Verb};

use super::{Server, scene};
use crate::core::rollout::{Advance, Moves, Stand, next, waves};
use crate::core::tests::bench::{START, submission};

/// Servers from words like `m:ready` or `q:under-way,ill`.
fn servers(text: &str) -> Vec<Server> {
    let one = |(number, word): (usize, &str)| {
        let (letter, rest) = word.split_once(':').unwrap();
        let mut server = Server::new(number, letter);
        for word in rest.split(',') {
            match word {
                "ready" => server.stand = Some(Stand::Ready),
                "unstaged" => server.stand = Some(Stand::Unstaged),
                "staging" => server.stand = Some(Stand::Staging),
                "blocked" => server.stand = Some(Stand::Blocked),
                "under-way" => server.stand = Some(Stand::UnderWay),
                "done" => server.stand = Some(Stand::Ended(TargetState::Succeeded)),
                "failed" => server.stand = Some(Stand::Ended(TargetState::Failed)),
                "rolled-back" => server.stand = Some(Stand::Ended(TargetState::RolledBack)),
                "skipped" => server.stand = Some(Stand::Ended(TargetState::Skipped)),
                "other" => server.stand = None,
                "down" => server.healthy = false,
                "ill" => (server.healthy, server.ill) = (false, true),
                "canary" => server.canary = true,
                "same" => server.unchanged = true,
                other => panic!("{other}"),
            }
        }
        server
    };
    text.split_whitespace().enumerate().map(one).collect()
}

fn now() -> Timestamp {
    Timestamp::from_second(START).unwrap()
}

fn strategy(options: &str) -> (Strategy, bool) {
    let submission = submission(Verb::Upgrade, options);
    (submission.strategy, submission.force)
}

fn moves(verb: Verb, options: &str, text: &str) -> Moves {
    let servers = servers(text);
    let (strategy, force) = strategy(options);
    next(&mut scene(&servers, verb, strategy, force), now())
}

fn words(moves: &Moves) -> String {
    let last = |node: extend_common::ids::NodeAddr| node.ip().octets()[3];
    let word = |advance: &Advance| match advance {
        Advance::Stage(node) => format!("fetch {}", last(*node)),
        Advance::Begin {
            node,
            canary: false,
        } => format!("begin {}", last(*node)),
        Advance::Begin { node, canary: true } => format!("canary {}", last(*node)),
        Advance::Skip(node, reason) => {
            assert!(reason.starts_with("not begun, because "), "{reason}");
            format!("skip {}", last(*node))
        }
    };
    let words: Vec<_> = moves.advances.iter().map(word).collect();
    words.join(", ")
}

#[test]
fn targets_begin_in_order() {
    let same = "";
    for (verb, options, before, then) in [
        (
            Verb::Stop,
            same,
            "m:ready m:ready q:ready",
            "begin 1, begin 2, begin 3",
        ),
        (Verb::Stop, same, "m:failed m:ready q:under-way", "begin 2"),
        (Verb::Rm, same, "m:done m:done", ""),
        // One of a role, roles side by side, in the order of the definitions.
        (
            Verb::Restart,
            same,
            "q:ready q:ready m:ready m:ready",
            "begin 3, begin 1",
        ),
        (
            Verb::Restart,
            same,
            "m:under-way m:ready q:done q:ready",
            "begin 4",
        ),
        (Verb::Restart, same, "m:under-way m:ready m:ready", ""),
        // What does not serve has the least to lose.
        (
            Verb::Restart,
            same,
            "m:ready m:ready,down m:ready",
            "begin 2",
        ),
        // Who cannot be reached holds up nobody.
        (
            Verb::Restart,
            same,
            "m:blocked,down m:ready m:ready",
            "begin 2",
        ),
        (Verb::Upgrade, same, "m:done m:ready q:under-way", "begin 2"),
        (
            Verb::Upgrade,
            same,
            "m:failed m:ready q:under-way q:ready",
            "skip 2, skip 4",
        ),
        (Verb::Upgrade, same, "m:failed m:skipped q:done", ""),
        (
            Verb::Upgrade,
            same,
            "m:rolled-back m:blocked m:unstaged",
            "skip 2, skip 3",
        ),
        (
            Verb::Upgrade,
            "--max-failures 1",
            "m:failed m:ready m:ready",
            "begin 2",
        ),
        (
            Verb::Upgrade,
            "--max-failures 1",
            "m:failed m:failed m:ready",
            "skip 3",
        ),
    ] {
        assert_eq!(
            words(&moves(verb, options, before)),
            then,
            "{verb} {options} {before}"
        );
    }
}

#[test]
fn every_image_that_can_be_had_is_there_before_anything_is_put_out_of_service() {
    for (before, then) in [
        (
            "m:unstaged m:unstaged q:unstaged",
            "fetch 1, fetch 2, fetch 3",
        ),
        ("m:ready m:staging q:ready", ""),
        ("m:ready m:blocked q:ready", "begin 1, begin 3"),
        // One that comes back later fetches while the others go on.
        ("m:done m:unstaged m:ready", "fetch 2, begin 3"),
        ("m:done m:staging m:ready", "begin 3"),
        // A failure before anything was touched leaves everything untouched.
        ("m:failed m:ready q:staging", "skip 2"),
        // What has nothing to change takes nothing out of service.
        (
            "m:ready,same m:ready,same m:ready",
            "begin 3, begin 1, begin 2",
        ),
    ] {
        let moves = moves(Verb::Upgrade, "", before);
        let mut got: Vec<_> = words(&moves).split(", ").map(str::to_owned).collect();
        let mut wanted: Vec<_> = then.split(", ").map(str::to_owned).collect();
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted, "{before}");
    }
    let note = moves(Verb::Upgrade, "", "m:ready m:staging q:unstaged").note;
    assert_eq!(
        note,
        "fetching the image on 2 servers, while everything serves"
    );
}

#[test]
fn a_role_gives_as_many_as_it_can_spare() {
    for (options, before, then) in [
        (
            "--max-unavailable 2",
            "m:ready m:ready m:ready",
            "begin 1, begin 2",
        ),
        (
            "--max-unavailable 50%",
            "m:ready m:ready m:ready m:ready",
            "begin 1, begin 2",
        ),
        (
            "--max-unavailable 25%",
            "m:ready m:ready m:ready",
            "begin 1",
        ),
        // All but the last one that is healthy.
        (
            "--max-unavailable 9",
            "m:ready m:ready m:ready",
            "begin 1, begin 2",
        ),
        (
            "--max-unavailable 9 --force",
            "m:ready m:ready m:ready",
            "begin 1, begin 2, begin 3",
        ),
        // What is broken already is out of service too, and yet one at a time goes on.
        (
            "--max-unavailable 2",
            "m:other,ill m:ready m:ready m:ready",
            "begin 2",
        ),
        ("", "m:other,ill m:ready m:ready", "begin 2"),
        // The last healthy one waits for another, unless it is forced; the only one of a role not.
        ("", "m:other,ill m:ready", ""),
        ("--force", "m:other,ill m:ready", "begin 2"),
        ("", "m:ready", "begin 1"),
        ("", "m:ready,ill", "begin 1"),
        ("", "m:ready,ill m:ready,ill", "begin 1"),
        ("", "m:under-way,ill m:ready", ""),
    ] {
        assert_eq!(
            words(&moves(Verb::Restart, options, before)),
            then,
            "{options} {before}"
        );
    }
    let waits = moves(Verb::Restart, "", "m:other,ill m:ready");
    let note = "m2 waits: no other server is healthy (--force would not wait)";
    assert_eq!((waits.note.as_str(), waits.paced), (note, true));
}

#[test]
fn role_after_role() {
    for (before, then) in [
        ("q:ready c:ready m:ready i:ready", "begin 3"),
        ("q:ready c:ready m:under-way i:ready", ""),
        ("q:ready c:ready m:done i:ready", "begin 1"),
        // A role with nobody that could begin does not hold up the others.
        ("q:ready c:ready m:blocked i:ready", "begin 1"),
        ("q:failed c:ready m:done i:ready", "skip 2, skip 4"),
    ] {
        let words = words(&moves(Verb::Restart, "--serial", before));
        assert_eq!(words, then, "{before}");
    }
    let stop = "q:ready q:ready m:ready m:ready";
    assert_eq!(
        words(&moves(Verb::Stop, "--serial", stop)),
        "begin 3, begin 4"
    );
}

#[test]
fn canaries_go_first_and_have_to_stay_healthy() {
    let options = "--canary 1 --bake 120";
    for (before, then) in [
        ("m:ready m:ready q:ready q:ready", "canary 1, canary 3"),
        ("m:under-way,canary m:ready m:ready", ""),
        ("m:done,canary m:ready q:under-way,canary q:ready", ""),
        ("m:failed,canary m:ready q:ready", "skip 2, skip 3"),
        // It did not stay healthy.
        (
            "m:done,canary,ill m:ready q:done,canary q:ready",
            "skip 2, skip 4",
        ),
        // What has nothing to change shows nothing.
        ("m:ready,same m:ready m:ready", "begin 1, canary 2"),
        // The others have begun: it is over.
        ("m:done,canary m:under-way m:ready", ""),
        ("m:done,canary m:done m:ready", "begin 3"),
    ] {
        let mut got: Vec<_> = words(&moves(Verb::Upgrade, options, before))
            .split(", ")
            .map(str::to_owned)
            .collect();
        got.sort();
        assert_eq!(got.join(", "), then, "{before}");
    }
    // Role after role, also where a role has nobody but its canary.
    let both = "--canary 1 --bake 120 --serial";
    let waits = moves(Verb::Upgrade, both, "m:done,canary q:ready q:ready");
    assert_eq!((words(&waits).as_str(), waits.baking), ("", Some(now())));
    let ill = moves(Verb::Upgrade, both, "m:done,canary,ill q:ready q:ready");
    assert_eq!(words(&ill), "skip 2, skip 3");
    let next_role = moves(
        Verb::Upgrade,
        both,
        "m:done,canary q:under-way,canary q:ready",
    );
    assert_eq!((words(&next_role).as_str(), next_role.baking), ("", None));
    let before = servers("m:done,canary m:ready q:done,canary q:ready");
    let (strategy, force) = strategy(options);
    let mut at = scene(&before, Verb::Upgrade, strategy, force);
    let first = next(&mut at, now());
    assert_eq!((first.baking, first.paced), (Some(now()), true));
    assert_eq!(
        first.note,
        "the canaries have to stay healthy for 2m: 2m left"
    );
    let mut at = scene(&before, Verb::Upgrade, strategy, force);
    at.baking = first.baking;
    let later = after(now(), std::time::Duration::from_secs(119));
    assert_eq!(words(&next(&mut at, later)), "");
    let mut at = scene(&before, Verb::Upgrade, strategy, force);
    at.baking = first.baking;
    let last = after(now(), std::time::Duration::from_secs(120));
    assert_eq!(words(&next(&mut at, last)), "begin 2, begin 4");
    // One that nobody can see begins its time anew.
    let unseen = servers("m:done,canary,down m:ready");
    let mut at = scene(&unseen, Verb::Upgrade, strategy, force);
    at.baking = Some(now());
    let waits = next(&mut at, last);
    assert_eq!(
        (waits.baking, waits.note.as_str()),
        (None, "waits until the canary m1 is healthy")
    );
}

#[test]
fn the_waves_of_a_plan() {
    let waves_of = |options: &str, text: &str| {
        let servers = servers(text);
        let (strategy, force) = strategy(options);
        let mut scene = scene(&servers, Verb::Restart, strategy, force);
        let waves = waves(&mut scene);
        let numbers = servers.iter().map(|server| {
            let wave = waves[&server.node];
            format!("{}{}", wave.number, if wave.canary { "c" } else { "" })
        });
        numbers.collect::<Vec<_>>().join(" ")
    };
    let all = "q:ready m:ready m:ready m:ready q:ready i:ready";
    assert_eq!(waves_of("", all), "0 0 1 2 1 0");
    assert_eq!(waves_of("--max-unavailable 2", all), "0 0 0 1 0 0");
    assert_eq!(waves_of("--serial", all), "3 0 1 2 4 5");
    assert_eq!(waves_of("--canary 1", all), "0c 0c 1 2 1 0c");
    assert_eq!(
        waves_of("--canary 1 --max-unavailable 2", all),
        "0c 0c 1 1 1 0c"
    );
    assert_eq!(waves_of("", "m:ready m:ready,ill m:ready"), "1 0 2");
}
