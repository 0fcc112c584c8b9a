//! The fleet of the guide: four servers, their nodes, and what may become of them.

use extend_proto::v1;
use jiff::Timestamp;

/// The id of every operation here; people type `5nzq8c`.
pub(crate) const ID: &str = "01JD8M3Q4T00000000005NZQ8C";
/// Servers by name, role and address.
pub(crate) const SERVERS: [(&str, &str, &str); 4] = [
    ("meeting-server-1", "meeting-server-only", "172.31.16.137"),
    ("queue-server-1", "queue-server-only", "172.31.16.138"),
    ("media-server-1", "media-server-only", "172.31.16.139"),
    ("ivr-server-1", "vr-server-only", "172.31.16.140"),
];
/// 2026-01-15 10:13:00 UTC: never today, so that moments are told with their date.
pub(crate) const BEGUN_MS: i64 = 1_768_471_980_000;

/// A moment that lies `ms` in the future; in the past if it is negative.
pub(crate) fn in_ms(ms: i64) -> i64 {
    Timestamp::now().as_millisecond() + ms
}

/// Two and a half hours ago, and a bit: no test is so slow that it would show.
pub(crate) fn a_while_ago() -> i64 {
    in_ms(-(2 * 3600 + 30 * 60 + 20) * 1000)
}

fn record(index: usize) -> v1::ServerRecord {
    let (name, role, node) = SERVERS[index];
    v1::ServerRecord {
        id: Some(v1::RecordId {
            stamp: Some(v1::Stamp {
                epoch: 3,
                generation: 7,
            }),
            hash: vec![7; 32],
        }),
        node: node.to_owned(),
        name: name.to_owned(),
        role: role.to_owned(),
        definition_digest: "07".repeat(32),
        run_state: v1::RunState::Running.into(),
        deployment: 5,
        image: Some(v1::ImageRequest {
            reference: "portsip/pbx:22".to_owned(),
            pull: v1::PullPolicy::Always.into(),
            allow_older: false,
            pin: String::new(),
            newest: String::new(),
        }),
        parameters: Some(v1::Parameters {
            pbx_address: "54.151.30.9".to_owned(),
            public_address: String::new(),
        }),
        replace: None,
        secrets: Vec::new(),
        operation: String::new(),
        adopted: String::new(),
        staged: None,
        drain: None,
    }
}

fn status(index: usize, health: v1::Health) -> v1::ServerStatus {
    let record = record(index);
    v1::ServerStatus {
        record: record.id,
        name: record.name,
        role: record.role.clone(),
        health: health.into(),
        since_ms: a_while_ago(),
        phase: v1::Phase::Settled.into(),
        current: Some(v1::ContainerStatus {
            name: "portsip.mediaserver".to_owned(),
            instance: Some(v1::Instance {
                container_id: "3f2a9c41d0aa".repeat(5),
                started_at: "2026-11-22T07:42:39.1Z".to_owned(),
            }),
            state: "running".to_owned(),
            docker_restarts: 0,
            exit_code: None,
        }),
        serving: 5,
        serving_image: Some(v1::ResolvedImage {
            reference: "portsip/pbx:22".to_owned(),
            identity: format!("portsip/pbx@sha256:{}", "c0ffee".repeat(10)),
            version: "22.6.3".to_owned(),
        }),
        data_directory: format!("/var/lib/portsip/{}", record.role),
        ..v1::ServerStatus::default()
    }
}

/// A machine whose time service nobody knows.
pub(crate) fn host() -> v1::HostFigures {
    v1::HostFigures {
        age_ms: 3_200,
        processor_permille: Some(123),
        processors: 2,
        load: Some(v1::LoadAverages {
            one_minute: 12,
            five_minutes: 8,
            fifteen_minutes: 100,
        }),
        memory_total_bytes: 8_200_000_000,
        memory_used_bytes: 1_900_000_000,
        disks: vec![
            v1::DiskFigures {
                path: "/var/lib/portsip".to_owned(),
                total_bytes: 20_000_000_000,
                free_bytes: 12_300_000_000,
            },
            v1::DiskFigures {
                path: "/var/lib/docker".to_owned(),
                total_bytes: 40_000_000_000,
                free_bytes: 4_000_000_000,
            },
        ],
        // Three days, and a bit: no test is so slow that it would show.
        uptime_seconds: 3 * 86_400 + 4 * 3_600 + 60,
        clock: v1::ClockState::Unspecified.into(),
    }
}

/// What a container of the official script was started with.
fn found() -> v1::FoundServer {
    v1::FoundServer {
        name: "media-server-2".to_owned(),
        parameters: record(2).parameters,
        instance: Some(v1::Instance {
            container_id: "deadbeef0123".repeat(5),
            started_at: "2026-11-22T07:42:39.1Z".to_owned(),
        }),
        state: "running".to_owned(),
        image: Some(v1::ResolvedImage {
            reference: "portsip/pbx:22".to_owned(),
            identity: "sha256:c0ffee".to_owned(),
            version: "22.3.0".to_owned(),
        }),
        differences: vec![v1::Difference {
            text: "stop timeout 10 s, wanted 300 s".to_owned(),
            usual: true,
        }],
    }
}

/// Every kind of row that `extend status` has.
pub(crate) fn fleet() -> v1::ListServersResponse {
    let view = |index, state: v1::NodeState, status| v1::ServerView {
        record: Some(record(index)),
        node_state: state.into(),
        status,
        operation: String::new(),
        host: Some(host()),
        ..v1::ServerView::default()
    };
    let healthy = view(
        0,
        v1::NodeState::Online,
        Some(status(0, v1::Health::Healthy)),
    );
    let mut quarantined = status(1, v1::Health::Quarantined);
    quarantined.reason = "5 restarts in 10m did not help".to_owned();
    quarantined.agent_restarts = 5;
    quarantined.current.as_mut().unwrap().docker_restarts = 2;
    let quarantined = view(1, v1::NodeState::Online, Some(quarantined));
    let mut upgrading = status(2, v1::Health::Starting);
    upgrading.serving = 4;
    upgrading.phase = v1::Phase::Pulling.into();
    upgrading.detail = "pulling portsip/pbx:22".to_owned();
    let mut upgrading = view(2, v1::NodeState::Online, Some(upgrading));
    upgrading.operation = ID.to_owned();
    let away = view(
        3,
        v1::NodeState::Offline,
        Some(status(3, v1::Health::Healthy)),
    );
    v1::ListServersResponse {
        servers: vec![healthy, quarantined, upgrading, away],
        unclaimed: vec![v1::UnclaimedView {
            node: "172.31.16.141".to_owned(),
            container_name: "portsip.mediaserver".to_owned(),
            container_id: "deadbeef0123".repeat(5),
            role: "media-server-only".to_owned(),
            found: Some(found()),
            obstacle: String::new(),
        }],
    }
}

pub(crate) fn nodes() -> Vec<v1::NodeView> {
    let online = v1::NodeView {
        node: "172.31.16.139".to_owned(),
        state: v1::NodeState::Online.into(),
        agent_version: "0.1.0".to_owned(),
        enrolled_ms: BEGUN_MS,
        last_seen_ms: in_ms(-100),
        leaf_expires_ms: in_ms((20 * 3600 + 30 * 60 + 30) * 1000),
        server_name: "media-server-1".to_owned(),
        role: "media-server-only".to_owned(),
        stamp: Some(v1::Stamp {
            epoch: 3,
            generation: 7,
        }),
        docker_trouble: "docker unresponsive for 20s".to_owned(),
        host: Some(host()),
        clock_ahead_ms: Some(-64_300),
        ..v1::NodeView::default()
    };
    let pending = v1::NodeView {
        node: "172.31.16.141".to_owned(),
        state: v1::NodeState::Pending.into(),
        reason: "a token was made; the node has not joined yet".to_owned(),
        token_expires_ms: in_ms((5 * 3600 + 30 * 60 + 30) * 1000),
        ..v1::NodeView::default()
    };
    vec![online, pending]
}

/// A node that is online and has nothing to tell.
pub(crate) fn online(node: &str) -> v1::NodeView {
    v1::NodeView {
        node: node.to_owned(),
        state: v1::NodeState::Online.into(),
        ..v1::NodeView::default()
    }
}

/// A plan for the whole fleet: three changes, one server as it should be.
pub(crate) fn plan() -> Vec<v1::PlannedTarget> {
    let planned = |index: usize| {
        let (name, role, node) = SERVERS[index];
        v1::PlannedTarget {
            node: node.to_owned(),
            name: name.to_owned(),
            role: role.to_owned(),
            already_so: false,
            summary: "restart the container".to_owned(),
            image_before: "portsip/pbx:22".to_owned(),
            image_after: "portsip/pbx:22".to_owned(),
            wave: 0,
            host_changes: Vec::new(),
            differences: Vec::new(),
            identity_before: String::new(),
            identity_after: String::new(),
            warning: String::new(),
            canary: false,
            checks: Vec::new(),
        }
    };
    let mut plan: Vec<_> = (0..4).map(planned).collect();
    plan[1].image_after = "portsip/pbx:22.6".to_owned();
    plan[2].wave = 1;
    plan[3].already_so = true;
    plan[3].summary = "already stopped".to_owned();
    plan
}

pub(crate) fn target(index: usize, state: v1::TargetState) -> v1::Target {
    let (name, role, node) = SERVERS[index];
    let ended = state as i32 > v1::TargetState::Running as i32;
    v1::Target {
        node: node.to_owned(),
        name: name.to_owned(),
        role: role.to_owned(),
        state: state.into(),
        begun_ms: BEGUN_MS,
        ended_ms: if ended { BEGUN_MS + 12_000 } else { 0 },
        stamp: Some(v1::Stamp {
            epoch: 3,
            generation: 8,
        }),
        ..v1::Target::default()
    }
}

pub(crate) fn phase(target: &mut v1::Target, phase: v1::Phase, after_ms: i64) {
    target.phases.push(v1::PhaseEntry {
        phase: phase.into(),
        at_ms: BEGUN_MS + after_ms,
    });
}

pub(crate) fn operation(verb: v1::Verb, targets: Vec<v1::Target>) -> v1::Operation {
    let ended = targets.iter().all(|target| target.ended_ms > 0);
    v1::Operation {
        id: ID.to_owned(),
        verb: verb.into(),
        selector: Some(v1::Selector::default()),
        by: "alice".to_owned(),
        message: "CAB-123".to_owned(),
        begun_ms: BEGUN_MS,
        ended_ms: if ended { BEGUN_MS + 72_000 } else { 0 },
        deadline_ms: BEGUN_MS + 1_800_000,
        targets,
        strategy: None,
        drain_seconds: 0,
        retry_of: String::new(),
        next_steps: Vec::new(),
        from: String::new(),
        note: String::new(),
        accepted: Vec::new(),
    }
}

pub(crate) fn succeeded() -> v1::Operation {
    operation(
        v1::Verb::Restart,
        vec![target(2, v1::TargetState::Succeeded)],
    )
}

/// One server failed with evidence, one was rolled back, one skipped, one succeeded with a warning.
pub(crate) fn mixed() -> v1::Operation {
    let mut warned = target(0, v1::TargetState::Succeeded);
    warned.reason = "it has never answered a probe: not proven".to_owned();
    let mut failed = target(1, v1::TargetState::Failed);
    failed.reason = "the new container ended".to_owned();
    failed.evidence = Some(v1::Evidence {
        container_id: "3f2a9c41d0aa".repeat(5),
        exit_code: Some(137),
        oom_killed: true,
        log_tail: vec!["starting".to_owned(), "no license\u{1b}[2J".to_owned()],
        health_output: Vec::new(),
        dumps: Vec::new(),
    });
    phase(&mut failed, v1::Phase::Pending, 0);
    phase(&mut failed, v1::Phase::Stopping, 1_000);
    phase(&mut failed, v1::Phase::Starting, 4_000);
    let mut back = target(2, v1::TargetState::RolledBack);
    back.reason = "the new container never became healthy".to_owned();
    back.late = "the node told afterwards: succeeded".to_owned();
    let mut skipped = target(3, v1::TargetState::Skipped);
    skipped.reason = "queue-server-1 failed before its turn".to_owned();
    skipped.begun_ms = 0;
    operation(v1::Verb::Upgrade, vec![warned, failed, back, skipped])
}

pub(crate) fn operations() -> Vec<v1::Operation> {
    let mut open = operation(v1::Verb::Restart, vec![target(2, v1::TargetState::Running)]);
    open.begun_ms = a_while_ago();
    open.selector = Some(v1::Selector {
        role: "media-server-only".to_owned(),
        nodes: vec!["172.31.16.139".to_owned()],
        name: String::new(),
    });
    let mut old = mixed();
    old.begun_ms = in_ms(-(49 * 3600 + 60) * 1000);
    old.ended_ms = old.begun_ms + 72_000;
    old.by = "root (says bob)".to_owned();
    vec![open, old]
}

/// The moment of the first event: 2026-01-15 10:13:00 UTC.
pub(crate) fn event(sequence: u64, kind: v1::EventKind, text: &str) -> v1::StoredEvent {
    let (name, role, node) = SERVERS[2];
    let at_ms = BEGUN_MS + i64::try_from(sequence).unwrap() * 1_000;
    v1::StoredEvent {
        sequence,
        told_ms: at_ms + 40,
        event: Some(v1::Event {
            at_ms,
            kind: kind.into(),
            node: node.to_owned(),
            name: name.to_owned(),
            role: role.to_owned(),
            text: text.to_owned(),
            ..v1::Event::default()
        }),
        passed_over: 0,
    }
}

/// A controller that starts, a service that crashes with evidence, and one that was told late.
pub(crate) fn events() -> Vec<v1::StoredEvent> {
    let mut started = event(
        1,
        v1::EventKind::Controller,
        "the controller started at epoch 3",
    );
    let fleet = started.event.as_mut().unwrap();
    (fleet.node, fleet.name, fleet.role) = Default::default();
    let mut crash = event(
        2,
        v1::EventKind::Crash,
        "portsip.mediaserver ended with exit code 137",
    );
    let crashed = crash.event.as_mut().unwrap();
    crashed.evidence = Some(v1::Evidence {
        container_id: "3f2a9c41d0aa".repeat(5),
        exit_code: Some(137),
        oom_killed: true,
        log_tail: vec!["allocating".to_owned(), "\u{1b}[31mno memory".to_owned()],
        health_output: Vec::new(),
        dumps: vec![v1::DumpFile {
            name: "core.42".to_owned(),
            bytes: 12_300_000,
            at_ms: BEGUN_MS,
        }],
    });
    let mut late = event(3, v1::EventKind::Restart, "restart 1 of 5 begun");
    late.told_ms += 60_000;
    late.event.as_mut().unwrap().operation = ID.to_owned();
    vec![started, crash, late]
}

/// An entry of the whitelist that lapses at this time; never where it is 0.
pub(crate) fn entry(id: &str, net: &str, description: &str, expires_ms: i64) -> v1::WhitelistEntry {
    v1::WhitelistEntry {
        id: id.to_owned(),
        net: net.to_owned(),
        deny: false,
        expires_ms,
        description: description.to_owned(),
        ours: description.starts_with("Extend: "),
    }
}

/// An address of the media server with an enforcer, let in by an entry of Extend's.
pub(crate) fn let_in(address: &str, public: bool, enforcer: &str) -> v1::WhitelistRow {
    let (name, role, node) = SERVERS[2];
    let kind = if public { "public" } else { "private" };
    let description = format!("Extend: {name} ({kind} address)");
    // 2036-01-13 10:13:00 UTC.
    let expires = if enforcer == "pbx" {
        2_083_831_980_000
    } else {
        0
    };
    v1::WhitelistRow {
        address: address.to_owned(),
        name: name.to_owned(),
        role: role.to_owned(),
        node: node.to_owned(),
        public,
        enforcer: enforcer.to_owned(),
        state: v1::WhitelistState::InForce.into(),
        by: Some(entry(
            "417",
            &format!("{address}/32"),
            &description,
            expires,
        )),
        note: String::new(),
    }
}

/// One server, let in everywhere.
pub(crate) fn whitelist() -> v1::WhitelistView {
    let enforcer = |name: &str| v1::WhitelistEnforcer {
        name: name.to_owned(),
        looked_ms: a_while_ago(),
        ..v1::WhitelistEnforcer::default()
    };
    v1::WhitelistView {
        rows: vec![
            let_in("172.31.16.139", false, "pbx"),
            let_in("54.183.0.139", true, "pbx"),
            let_in("54.183.0.139", true, "security-group"),
        ],
        enforcers: vec![enforcer("pbx"), enforcer("security-group")],
        door_nodes: 4,
        door_recovering: false,
    }
}

/// A media server whose node went a while ago, with two hours of minutes before that.
pub(crate) fn health() -> v1::HealthResponse {
    let now = Timestamp::now().as_second();
    let mut server = fleet().servers.remove(0);
    server.node_state = v1::NodeState::Offline.into();
    server.node_reason = "node 172.31.16.137 is offline: nothing was heard of it for 5s".to_owned();
    server.node_away_since_ms = (now - 600) * 1_000;
    // Two minutes are one mark, also at an odd minute.
    let mark = now.div_euclid(120) * 120;
    let minute = |ago: i64| {
        let is_bad = (61..=64).contains(&ago);
        let health = if is_bad {
            v1::Health::Unhealthy
        } else {
            v1::Health::Healthy
        };
        v1::HealthStep {
            at_ms: (mark - ago * 60) * 1_000,
            known_seconds: 60,
            healthy_seconds: if is_bad { 0 } else { 60 },
            worst: health.into(),
            processor_permille: Some(250),
            memory_permille: Some(500),
            sessions: Some(if is_bad { 0 } else { 40 }),
            ..v1::HealthStep::default()
        }
    };
    let steps = (11..=118).rev().map(minute).collect();
    let scale = |step_seconds, length, steps| v1::HealthScale {
        step_seconds,
        length,
        steps,
    };
    let change = |ago: i64, health: v1::Health, reason: &str| v1::HealthChange {
        at_ms: (now - ago) * 1_000,
        health: health.into(),
        reason: reason.to_owned(),
    };
    v1::HealthResponse {
        servers: vec![v1::HealthView {
            server: Some(server),
            service: Some(v1::ServiceFigures {
                probes: vec![
                    probe("tcp/8840", true, true),
                    probe("tcp/8841", false, true),
                    probe("sip udp/8916", false, false),
                    probe("udp/8840", true, true),
                    probe("udp/8841", false, true),
                    probe("disk", false, true),
                    probe("memory", false, false),
                ],
                memory_bytes: Some(512 * 1024 * 1024),
                ..v1::ServiceFigures::default()
            }),
            scales: vec![
                scale(60, 120, steps),
                scale(600, 144, Vec::new()),
                scale(7_200, 168, Vec::new()),
            ],
            changes: vec![
                change(7_200, v1::Health::Healthy, ""),
                change(
                    3_900,
                    v1::Health::Unhealthy,
                    "no answer to \u{1b}[2J tcp/8840 for 3 × 5 s",
                ),
                change(3_600, v1::Health::Healthy, ""),
                change(600, v1::Health::Unknown, "node 172.31.16.137 is offline"),
            ],
        }],
    }
}

fn probe(point: &str, passed: bool, armed: bool) -> v1::ProbeFigure {
    v1::ProbeFigure {
        point: point.to_owned(),
        passed,
        armed,
        took_us: passed.then_some(830),
    }
}
