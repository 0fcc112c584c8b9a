//! A fleet with a portal and a whitelist outside it: what a `run` does there and an `rm` takes away,
//! what is waited for, what is kept from sessions, and what is disabled because it failed.

mod random;
mod world;

use std::time::Duration;

use extend_common::checkup::{Check, CheckName};
use extend_common::clock::after;
use extend_common::operation::{TargetState, Verb};
use extend_common::status::{Health, OutcomeKind, Phase, Spared};

use self::world::{ELASTIC, World, elastic, problem};
use super::bench::{GUIDE, node};
use crate::core::request::Submission;
use crate::whitelist::EnforcerKind;

const MEDIA: &str = "172.31.16.139";
const MEETING: &str = "172.31.16.137";
const QUEUE: &str = "172.31.16.138";
const RUN_MEDIA: &str = "-s media-server-only -n media-server-1 -a 172.31.16.139 -A 54.215.234.52";

#[test]
fn a_run_registers_lets_in_deploys_and_waits_until_it_is_online() {
    let mut world = World::new();
    world.bench.join(node(MEDIA));
    let id = world.bench.accept(Verb::Run, RUN_MEDIA).id;
    let target = world.bench.target(id, node(MEDIA));
    assert_eq!(
        (target.state, target.phase()),
        (TargetState::Running, Phase::Registering)
    );
    assert!(
        target
            .detail
            .starts_with("waits for the version of the PBX: "),
        "{}",
        target.detail
    );
    assert_eq!(
        world.bench.record(node(MEDIA)),
        None,
        "nothing is sent before"
    );

    world.look();
    let target = world.bench.target(id, node(MEDIA));
    assert_eq!(target.detail, "is being registered among Media Servers");
    world.apply();
    let target = world.bench.target(id, node(MEDIA));
    assert_eq!(target.detail, "waits for the first look at pbx");
    world.enforce();
    assert!(
        world.bench.record(node(MEDIA)).is_some(),
        "its turn has come"
    );

    world.bench.succeed(node(MEDIA));
    let target = world.bench.target(id, node(MEDIA));
    assert_eq!(
        (target.state, target.phase()),
        (TargetState::Running, Phase::Connecting)
    );
    world.online(MEDIA, true);
    world.turn();
    let target = world.bench.target(id, node(MEDIA));
    assert_eq!(
        (target.state, target.reason.as_str()),
        (TargetState::Succeeded, "")
    );
    let entry = world.entry("media-server-1");
    assert_eq!(entry.addresses, [node(MEDIA).ip(), elastic(MEDIA)]);
    assert_eq!(world.wanted(), [node(MEDIA).ip(), elastic(MEDIA)]);

    let next = world.bench.operation(id).next_steps;
    assert_eq!(next.len(), 1, "no built-in one is enabled: {next:?}");
    assert!(next[0].contains("resource load balancer"));

    let again = world
        .bench
        .submit(super::bench::submission(Verb::Run, RUN_MEDIA));
    assert!(again.unwrap().operation.is_none(), "already so");
}

#[test]
fn what_a_server_may_carry_is_remembered_for_an_entry_that_has_to_come_again() {
    let mut world = World::new();
    world.bench.join(node(MEDIA));
    world.turn();
    let mut run = super::bench::submission(Verb::Run, RUN_MEDIA);
    run.limits.max_sessions = Some(1_500);
    world.bench.submit(run).unwrap();
    world.turn();
    world.bench.succeed(node(MEDIA));
    world.online(MEDIA, true);
    world.turn();
    world.bench.restart();
    let wanted = world.bench.fleet.portal_wanted();
    let limits = wanted.registered[&node(MEDIA)].limits;
    assert_eq!(limits.max_sessions, Some(1_500));
}

#[test]
fn an_rm_takes_it_all_away_and_forgets_it_only_when_that_was_seen() {
    let mut world = World::guide();
    let id = world.bench.accept(Verb::Rm, &format!("-a {MEDIA}")).id;
    world.settle_drain();
    world.bench.succeed(node(MEDIA));
    let target = world.bench.target(id, node(MEDIA));
    assert_eq!(
        (target.state, target.phase()),
        (TargetState::Running, Phase::Unregistering)
    );
    assert_eq!(world.withdrawn(), [node(MEDIA).ip(), elastic(MEDIA)]);
    // A controller that starts anew knows it still, and nothing of others goes; but a node that may
    // know better is heard first.
    world.bench.restart();
    assert!(world.withdrawn().is_empty());
    world.bench.connect(node(MEDIA));
    assert_eq!(world.withdrawn(), [node(MEDIA).ip(), elastic(MEDIA)]);
    world.bench.connect(node(MEETING));
    world.turn();
    assert!(world.find("media-server-1").is_none(), "unregistered");
    world.turn();
    let target = world.bench.target(id, node(MEDIA));
    assert!(
        target.detail.starts_with("data kept in "),
        "{}",
        target.detail
    );
    assert_eq!(
        (target.state, target.reason.as_str()),
        (TargetState::Succeeded, "")
    );
    assert!(world.withdrawn().is_empty());
    assert!(world.find("meeting-server-1").is_some());
}

#[test]
fn an_rm_does_not_wait_for_ever_for_a_portal_that_is_away() {
    let mut world = World::guide();
    let id = world
        .bench
        .accept(Verb::Rm, &format!("-a {MEDIA} --now"))
        .id;
    world.bench.succeed(node(MEDIA));
    world.fail("cannot look at the portal: connection refused");
    world.bench.pass(Duration::from_secs(61));
    let target = world.bench.target(id, node(MEDIA));
    assert_eq!(target.state, TargetState::Succeeded);
    assert!(
        target.reason.contains("not all taken back yet: the portal"),
        "{}",
        target.reason
    );
    assert_eq!(
        world.withdrawn(),
        [node(MEDIA).ip(), elastic(MEDIA)],
        "it is not forgotten"
    );
    world.turn();
    world.turn();
    assert!(world.withdrawn().is_empty());
    assert!(world.find("media-server-1").is_none());
}

#[test]
fn a_fleet_that_was_lost_takes_nothing_away() {
    let mut world = World::guide();
    world.bench.rows.clear();
    world.bench.restart();
    world.turn();
    world.turn();
    assert!(world.withdrawn().is_empty());
    assert_eq!(world.portal.entries.len(), GUIDE.len());
}

#[test]
fn what_the_pbx_refuses_for_good_ends_the_run_and_is_taken_back() {
    let mut world = World::new();
    world.bench.join(node(MEDIA));
    world.turn();
    let id = world.bench.accept(Verb::Run, RUN_MEDIA).id;
    assert_eq!(world.wanted(), [node(MEDIA).ip(), elastic(MEDIA)]);
    let said = problem("cannot register media-server-1: the account may not", true);
    world.refuse(MEDIA, said);
    let target = world.bench.target(id, node(MEDIA));
    assert_eq!(target.state, TargetState::Failed);
    assert!(
        target.reason.contains("the account may not (hint: "),
        "{}",
        target.reason
    );
    assert_eq!(world.bench.record(node(MEDIA)), None);
    assert!(world.wanted().is_empty());
    assert_eq!(world.withdrawn(), [node(MEDIA).ip(), elastic(MEDIA)]);
}

/// What goes wrong meanwhile.
type Fault = fn(&mut World);

#[test]
fn a_run_that_is_not_online_says_why() {
    let cases: [(&str, Fault, &str); 5] = [
        (
            "renamed",
            |world| world.rename("media-server-1", "media1"),
            "the portal has it as media1",
        ),
        (
            "removed",
            |world| world.drop_entry("media-server-1"),
            "there is no media-server-1",
        ),
        (
            "kept out",
            |world| world.keep_out(MEDIA),
            "it is not let in everywhere: pbx",
        ),
        (
            "ill",
            |world| world.ail(MEDIA, Health::Unhealthy),
            "its container is unhealthy",
        ),
        ("nothing", |_| {}, "the PBX does not say why"),
    ];
    for (case, fault, why) in cases {
        let mut world = World::new();
        world.bench.join(node(MEDIA));
        world.turn();
        let id = world.bench.accept(Verb::Run, RUN_MEDIA).id;
        world.turn();
        world.bench.succeed(node(MEDIA));
        fault(&mut world);
        world.frozen = true;
        for _ in 0..13 {
            world.bench.pass(Duration::from_secs(10));
            world.turn();
        }
        let target = world.bench.target(id, node(MEDIA));
        assert_eq!(target.state, TargetState::Failed, "{case}");
        assert!(target.reason.contains(why), "{case}: {}", target.reason);
        assert!(
            world.bench.record(node(MEDIA)).is_some(),
            "{case}: it goes on running"
        );
    }
}

#[test]
fn a_node_that_did_not_reach_the_pbx_is_why_its_server_is_not_online() {
    let mut world = World::new();
    world.bench.join(node(MEDIA));
    world.turn();
    let found = "54.151.30.9:8887 is not reached";
    let reach = Check::warn(CheckName::PbxReachable, found, "the security group");
    let submission = Submission {
        checkup: Some(vec![reach]),
        ..super::bench::submission(Verb::Run, RUN_MEDIA)
    };
    let id = world
        .bench
        .submit(submission)
        .unwrap()
        .operation
        .unwrap()
        .id;
    world.turn();
    world.bench.succeed(node(MEDIA));
    world.frozen = true;
    for _ in 0..13 {
        world.bench.pass(Duration::from_secs(10));
        world.turn();
    }
    let reason = world.bench.target(id, node(MEDIA)).reason;
    assert!(reason.contains("did not reach the PBX"), "{reason}");
    assert!(reason.contains(found), "{reason}");
}

#[test]
fn a_restart_disables_waits_for_the_last_session_and_enables_again() {
    let mut world = World::guide();
    world.sessions("meeting-server-1", Some(3));
    let id = world
        .bench
        .accept(Verb::Restart, &format!("-a {MEETING}"))
        .id;
    let before = world.bench.record(node(MEETING));
    world.turn();
    let target = world.bench.target(id, node(MEETING));
    assert_eq!(
        (target.phase(), target.detail.as_str()),
        (Phase::Draining, "3 sessions")
    );
    assert!(!world.entry("meeting-server-1").enabled);
    world.sessions("meeting-server-1", None);
    world.turn();
    let target = world.bench.target(id, node(MEETING));
    assert_eq!(
        target.detail, "an unknown number of sessions",
        "unknown is never zero"
    );
    assert_eq!(world.bench.record(node(MEETING)), before);
    world.sessions("meeting-server-1", Some(0));
    world.turn();
    assert_ne!(world.bench.record(node(MEETING)), before);
    world.bench.succeed(node(MEETING));
    assert_eq!(
        world.bench.target(id, node(MEETING)).state,
        TargetState::Succeeded
    );
    world.turn();
    assert!(world.entry("meeting-server-1").enabled);
    world.turn();
    assert!(
        !world
            .bench
            .rows
            .keys()
            .any(|key| key.starts_with("outside/")),
        "forgotten"
    );
}

/// What the portal was asked for is not what it shows.
#[test]
fn nothing_is_ended_before_the_portal_shows_it_disabled() {
    let mut world = World::guide();
    world.frozen = true;
    let id = world
        .bench
        .accept(Verb::Restart, &format!("-a {MEETING}"))
        .id;
    let before = world.bench.record(node(MEETING));
    world.turn();
    world.turn();
    let target = world.bench.target(id, node(MEETING));
    assert_eq!(target.detail, "is being disabled in the portal");
    assert_eq!(world.bench.record(node(MEETING)), before);
}

#[test]
fn at_the_limit_nothing_is_cut_and_the_server_takes_sessions_again() {
    let mut world = World::guide();
    world.sessions("meeting-server-1", Some(3));
    let line = format!("-a {MEETING} --drain 60");
    let id = world.bench.accept(Verb::Restart, &line).id;
    let before = world.bench.record(node(MEETING));
    for _ in 0..4 {
        world.turn();
        world.bench.pass(Duration::from_secs(20));
    }
    let target = world.bench.target(id, node(MEETING));
    assert_eq!(target.state, TargetState::Failed);
    assert!(
        target.reason.starts_with("3 sessions left after 1m"),
        "{}",
        target.reason
    );
    assert_eq!(world.bench.record(node(MEETING)), before);
    world.turn();
    assert!(world.entry("meeting-server-1").enabled);
}

#[test]
fn what_a_person_has_disabled_stays_disabled() {
    let mut world = World::guide();
    world.enable("meeting-server-1", false);
    world.look();
    let id = world
        .bench
        .accept(Verb::Restart, &format!("-a {MEETING}"))
        .id;
    world.turn();
    world.bench.succeed(node(MEETING));
    assert_eq!(
        world.bench.target(id, node(MEETING)).state,
        TargetState::Succeeded
    );
    world.turn();
    world.turn();
    assert!(!world.entry("meeting-server-1").enabled);
}

#[test]
fn queue_servers_are_disabled_and_stopped_with_their_grace_and_enabled_at_their_start() {
    let mut world = World::guide();
    let id = world.bench.accept(Verb::Stop, &format!("-a {QUEUE}")).id;
    let before = world.bench.record(node(QUEUE));
    assert_eq!(world.bench.target(id, node(QUEUE)).phase(), Phase::Draining);
    world.turn();
    assert_ne!(
        world.bench.record(node(QUEUE)),
        before,
        "nobody counts its sessions"
    );
    world.bench.succeed(node(QUEUE));
    world.turn();
    assert!(!world.entry("queue-server-1").enabled, "stopped on purpose");
    let id = world.bench.accept(Verb::Start, &format!("-a {QUEUE}")).id;
    world.bench.succeed(node(QUEUE));
    assert_eq!(
        world.bench.target(id, node(QUEUE)).state,
        TargetState::Succeeded
    );
    world.turn();
    assert!(world.entry("queue-server-1").enabled);
}

#[test]
fn now_and_a_server_that_does_not_run_disable_nothing() {
    let mut world = World::guide();
    let id = world
        .bench
        .accept(Verb::Restart, &format!("-a {QUEUE} --now"))
        .id;
    world.bench.succeed(node(QUEUE));
    assert_eq!(
        world.bench.target(id, node(QUEUE)).state,
        TargetState::Succeeded
    );
    world.turn();
    assert!(world.entry("queue-server-1").enabled);
}

#[test]
fn a_drain_of_a_server_nobody_counts_is_the_portals_alone_until_it_is_taken_back() {
    let mut world = World::guide();
    let id = world.bench.accept(Verb::Drain, &format!("-a {QUEUE}")).id;
    world.turn();
    let target = world.bench.target(id, node(QUEUE));
    assert_eq!(
        (target.state, target.reason.as_str()),
        (TargetState::Succeeded, "disabled in the portal")
    );
    world.turn();
    assert!(!world.entry("queue-server-1").enabled);
    let id = world.bench.accept(Verb::Undrain, &format!("-a {QUEUE}")).id;
    world.bench.succeed(node(QUEUE));
    assert_eq!(
        world.bench.target(id, node(QUEUE)).state,
        TargetState::Succeeded
    );
    world.turn();
    assert!(world.entry("queue-server-1").enabled);
}

#[test]
fn a_cancelled_drain_enables_again() {
    let mut world = World::guide();
    world.sessions("meeting-server-1", Some(3));
    let id = world
        .bench
        .accept(Verb::Restart, &format!("-a {MEETING}"))
        .id;
    world.turn();
    world.bench.cancel(id);
    assert_eq!(
        world.bench.target(id, node(MEETING)).state,
        TargetState::Cancelled
    );
    world.turn();
    assert!(world.entry("meeting-server-1").enabled);
}

#[test]
fn a_controller_that_dies_while_it_drains_goes_on_with_it() {
    let mut world = World::guide();
    world.sessions("meeting-server-1", Some(3));
    let id = world
        .bench
        .accept(Verb::Restart, &format!("-a {MEETING}"))
        .id;
    world.turn();
    world.bench.restart();
    for (_, _, at) in GUIDE {
        world.bench.connect(node(at));
        world.bench.report(node(at));
    }
    world.turn();
    assert_eq!(world.bench.target(id, node(MEETING)).detail, "3 sessions");
    world.sessions("meeting-server-1", Some(0));
    world.turn();
    world.bench.succeed(node(MEETING));
    assert_eq!(
        world.bench.target(id, node(MEETING)).state,
        TargetState::Succeeded
    );
}

/// Ill here and offline there for a minute, and another one takes over.
#[test]
fn a_failed_queue_server_is_disabled_where_another_takes_over_and_enabled_when_it_is_well() {
    let mut world = World::guide();
    world.ail(QUEUE, Health::Unhealthy);
    world.online(QUEUE, false);
    world.tend(Duration::from_secs(120));
    assert!(world.entry("queue-server-1").enabled, "nobody takes over");
    world.built_in("call_queue_servers", true);
    world.tend(Duration::from_secs(10));
    assert!(!world.entry("queue-server-1").enabled);
    world.ail(QUEUE, Health::Healthy);
    world.online(QUEUE, true);
    world.tend(Duration::from_secs(280));
    assert!(
        !world.entry("queue-server-1").enabled,
        "not well for five minutes yet"
    );
    world.tend(Duration::from_secs(30));
    assert!(world.entry("queue-server-1").enabled);
}

#[test]
fn only_one_of_ill_here_and_offline_there_is_not_enough() {
    for (health, online) in [(Health::Unhealthy, true), (Health::Healthy, false)] {
        let mut world = World::guide();
        world.built_in("call_queue_servers", true);
        world.ail(QUEUE, health);
        world.online(QUEUE, online);
        world.tend(Duration::from_secs(180));
        assert!(world.entry("queue-server-1").enabled, "{health} {online}");
    }
}

#[test]
fn media_servers_and_built_in_ones_are_never_disabled_for_failing() {
    let mut world = World::guide();
    world.built_in("media_servers", true);
    world.ail(MEDIA, Health::Unhealthy);
    world.online(MEDIA, false);
    world.tend(Duration::from_secs(180));
    assert!(world.entry("media-server-1").enabled);
    assert!(
        world
            .portal
            .entries
            .iter()
            .all(|entry| !entry.internal || entry.enabled)
    );
}

/// It carries calls, does not answer, and gets no new ones where another server can take them.
#[test]
fn a_server_that_is_spared_gets_no_new_calls_until_it_is_well() {
    let mut world = World::guide();
    let spare = |world: &mut World, spares: bool| {
        let now = world.bench.now;
        let agent = world.bench.agents.get_mut(&node(MEDIA)).unwrap();
        agent.spared = spares.then(|| Spared {
            since: now,
            until: after(now, Duration::from_secs(1800)),
        });
    };
    spare(&mut world, true);
    world.ail(MEDIA, Health::Unhealthy);
    world.tend(Duration::from_secs(30));
    assert!(world.entry("media-server-1").enabled, "nobody takes over");
    world.built_in("media_servers", true);
    world.tend(Duration::from_secs(10));
    assert!(!world.entry("media-server-1").enabled);
    spare(&mut world, false);
    world.ail(MEDIA, Health::Healthy);
    world.tend(Duration::from_secs(280));
    assert!(!world.entry("media-server-1").enabled, "not well for long");
    world.tend(Duration::from_secs(30));
    assert!(world.entry("media-server-1").enabled);
}

#[test]
fn it_is_enabled_by_itself_three_times_an_hour_at_most() {
    let mut world = World::guide();
    world.built_in("call_queue_servers", true);
    for _ in 0..3 {
        world.ail(QUEUE, Health::Unhealthy);
        world.online(QUEUE, false);
        world.tend(Duration::from_secs(80));
        assert!(!world.entry("queue-server-1").enabled);
        world.ail(QUEUE, Health::Healthy);
        world.online(QUEUE, true);
        world.tend(Duration::from_secs(330));
        assert!(world.entry("queue-server-1").enabled);
    }
    world.ail(QUEUE, Health::Unhealthy);
    world.online(QUEUE, false);
    world.tend(Duration::from_secs(80));
    world.ail(QUEUE, Health::Healthy);
    world.online(QUEUE, true);
    world.tend(Duration::from_secs(600));
    assert!(
        !world.entry("queue-server-1").enabled,
        "that is for a person now"
    );
}

#[test]
fn what_a_person_enables_although_it_failed_stays_enabled() {
    let mut world = World::guide();
    world.built_in("call_queue_servers", true);
    world.ail(QUEUE, Health::Unhealthy);
    world.online(QUEUE, false);
    world.tend(Duration::from_secs(80));
    assert!(!world.entry("queue-server-1").enabled);
    world.enable("queue-server-1", true);
    world.look();
    world.tend(Duration::from_secs(180));
    assert!(world.entry("queue-server-1").enabled);
}

#[test]
fn another_elastic_ip_is_let_in_before_the_old_one_goes() {
    let mut world = World::guide();
    let line = "-s media-server-only -n media-server-1 -a 172.31.16.139 -A 54.215.234.99 --now";
    let id = world.bench.accept(Verb::Run, line).id;
    let new: std::net::Ipv4Addr = "54.215.234.99".parse().unwrap();
    assert!(world.wanted().contains(&new) && world.wanted().contains(&elastic(MEDIA)));
    assert!(world.withdrawn().is_empty());
    world.turn();
    world.turn();
    world.bench.succeed(node(MEDIA));
    world.online(MEDIA, true);
    world.turn();
    assert_eq!(
        world.bench.target(id, node(MEDIA)).state,
        TargetState::Succeeded
    );
    assert!(!world.wanted().contains(&elastic(MEDIA)));
    assert_eq!(
        world.entry("media-server-1").addresses,
        [node(MEDIA).ip(), new]
    );
    world.turn();
    assert!(world.withdrawn().is_empty());
}

#[test]
fn a_deployment_that_fails_is_taken_back_outside_too() {
    let mut world = World::new();
    world.bench.join(node(MEDIA));
    world.turn();
    let id = world.bench.accept(Verb::Run, RUN_MEDIA).id;
    world.turn();
    world.bench.work(
        node(MEDIA),
        OutcomeKind::Failed,
        "the image cannot be fetched",
    );
    assert_eq!(
        world.bench.target(id, node(MEDIA)).state,
        TargetState::Failed
    );
    world.bench.succeed(node(MEDIA));
    assert_eq!(world.withdrawn(), [node(MEDIA).ip(), elastic(MEDIA)]);
    world.turn();
    world.turn();
    assert!(world.find("media-server-1").is_none());
    assert!(world.withdrawn().is_empty());
}

#[test]
fn an_upgrade_asks_for_no_image_that_is_newer_than_the_pbx() {
    let mut world = World::guide();
    let newest = |world: &World, at: &str| {
        let record = world.bench.agents[&node(at)].record.clone().unwrap();
        record.desired.staged.unwrap().newest
    };
    world.bench.accept(Verb::Upgrade, &format!("-a {QUEUE}"));
    assert_eq!(newest(&world, QUEUE).as_deref(), Some("22.6.3"));
    world
        .bench
        .accept(Verb::Upgrade, &format!("-a {MEETING} --force"));
    assert_eq!(newest(&world, MEETING), None, "for those who know");
}

#[test]
fn an_upgrade_waits_for_the_version_of_the_pbx() {
    let mut world = World::guide();
    world.fail("cannot look at the portal: connection refused");
    let id = world.bench.accept(Verb::Upgrade, &format!("-a {QUEUE}")).id;
    let target = world.bench.target(id, node(QUEUE));
    assert_eq!(target.state, TargetState::Waiting);
    assert!(
        target.reason.contains("connection refused"),
        "{}",
        target.reason
    );
    world.turn();
    world.bench.tick();
    assert_eq!(world.bench.target(id, node(QUEUE)).phase(), Phase::Pulling);
}

#[test]
fn a_removed_node_leaves_nothing_behind() {
    let mut world = World::guide();
    let turn = world
        .bench
        .fleet
        .remove(node(MEDIA), true, "anna", world.bench.now);
    world.bench.commit(turn).unwrap();
    assert_eq!(world.withdrawn(), [node(MEDIA).ip(), elastic(MEDIA)]);
    world.turn();
    world.turn();
    assert!(world.find("media-server-1").is_none());
}

#[test]
fn every_enforcer_has_to_let_it_in_and_to_let_it_go() {
    let mut world = World::with_group();
    world.bench.join(node(MEDIA));
    world.turn_of(&[EnforcerKind::Pbx]);
    let id = world.bench.accept(Verb::Run, RUN_MEDIA).id;
    world.apply();
    world.turn_of(&[EnforcerKind::Pbx]);
    let detail = world.bench.target(id, node(MEDIA)).detail;
    assert_eq!(detail, "waits for the first look at security group");
    world.turn();
    assert!(world.bench.record(node(MEDIA)).is_some());
    world.bench.succeed(node(MEDIA));
    world.online(MEDIA, true);
    world.turn();
    let id = world
        .bench
        .accept(Verb::Rm, &format!("-a {MEDIA} --now"))
        .id;
    world.bench.succeed(node(MEDIA));
    world.apply();
    world.turn_of(&[EnforcerKind::Pbx]);
    let detail = world.bench.target(id, node(MEDIA)).detail;
    assert_eq!(detail, "waits for security group");
    world.turn();
    assert_eq!(
        world.bench.target(id, node(MEDIA)).state,
        TargetState::Succeeded
    );
}

#[test]
fn the_guides_elastic_ips_are_those_of_the_world() {
    assert_eq!(ELASTIC.len(), GUIDE.len());
}
