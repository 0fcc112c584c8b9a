//! A command for every refusal there is.

use std::time::Duration;

use ulid::Ulid;

use extend_common::checkup::{Check, CheckName};
use extend_common::clock::after;
use extend_common::ids::OperationId;
use extend_common::operation::Verb;
use extend_common::status::{Health, OutcomeKind, Unclaimed};

use super::bench::{Bench, facts, node, settings, submission};
use crate::core::Settings;
use crate::core::archive;
use crate::core::refusal::{Mismatch, Refusal};
use crate::core::request::{EventsWanted, KeyHash, PeerFacts, Retry, SelectorWords, Submission};

const RUN_MEDIA: &str = "-s media-server-only -n media-server-1 -a 172.31.16.139";

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

/// Every refusal by the command that provoked it.
pub(super) fn provoked() -> Vec<(String, Refusal)> {
    let mut all = Vec::new();
    misuse(&mut all);
    mismatches(&mut all);
    obstacles_of_run(&mut all);
    obstacles(&mut all);
    hosts(&mut all);
    rollouts(&mut all);
    withdrawals(&mut all);
    adoptions(&mut all);
    nodes(&mut all);
    operations(&mut all);
    strangers(&mut all);
    logs(&mut all);
    alerts(&mut all);
    all
}

fn alerts(all: &mut Provoked) {
    let mut bench = Bench::guide();
    let turn = bench.fleet.acknowledge(Some(12), "", "anna", bench.now);
    all.push((
        "extend alert ack 12".to_owned(),
        bench.commit(turn).unwrap_err(),
    ));
    let turn = bench.fleet.unsilence(12, "anna", bench.now);
    all.push((
        "extend alert unsilence 12".to_owned(),
        bench.commit(turn).unwrap_err(),
    ));
    let words = SelectorWords::default();
    let hour = Duration::from_secs(3_600);
    let refusal = (0..200).find_map(|_| {
        let turn = bench.fleet.silence(&words, hour, ("", "anna"), bench.now);
        bench.commit(turn).err()
    });
    all.push(("extend alert silence --for 1h".to_owned(), refusal.unwrap()));
}

type Provoked = Vec<(String, Refusal)>;

fn refuse(all: &mut Provoked, bench: &mut Bench, verb: Verb, line: &str) {
    let refusal = bench.refuse(verb, line);
    all.push((
        format!("extend {verb} {line}").trim_end().to_owned(),
        refusal,
    ));
}

fn misuse(all: &mut Provoked) {
    let mut bench = Bench::guide();
    refuse(
        all,
        &mut bench,
        Verb::Restart,
        "-s media-server -a 172.31.16.139",
    );
    refuse(all, &mut bench, Verb::Restart, "-s disk-only");
    refuse(
        all,
        &mut bench,
        Verb::Run,
        "-s media-server-only -a 172.31.16.139",
    );
    refuse(all, &mut bench, Verb::Run, "-i portsip/pbx:22");
    let both = "-s media-server-only -n media-server-1 -a 172.31.16.139,172.31.16.138";
    refuse(all, &mut bench, Verb::Run, both);
    refuse(
        all,
        &mut bench,
        Verb::Stop,
        "-s media-server-only -i portsip/pbx:22",
    );
    refuse(
        all,
        &mut bench,
        Verb::Upgrade,
        "-s media-server-only -A 54.215.234.52",
    );
    refuse(all, &mut bench, Verb::Upgrade, "-i -portsip/pbx:22");
    refuse(
        all,
        &mut bench,
        Verb::Restart,
        "-s media-server-only --timeout 0",
    );
    for line in ["--drain 0", "--drain 172800"] {
        refuse(all, &mut bench, Verb::Stop, line);
    }
    refuse(all, &mut bench, Verb::Upgrade, "--canary 1 --bake 0");
    refuse(all, &mut bench, Verb::Stop, "--max-unavailable 2");
    refuse(all, &mut bench, Verb::Start, "--now");
    let both = "--to-previous -i portsip/pbx:22.3";
    refuse(all, &mut bench, Verb::Upgrade, both);
    let ttl = Some(Duration::from_secs(48 * 3600));
    let turn = bench
        .fleet
        .mint_token(media(), ttl, [0; 32], "anna", bench.now);
    let refusal = bench.commit(turn).unwrap_err();
    all.push((
        "extend node token 172.31.16.139 --ttl 48h".to_owned(),
        refusal,
    ));
}

fn mismatches(all: &mut Provoked) {
    refuse(all, &mut Bench::new(), Verb::Restart, "");
    let mut bench = Bench::guide();
    bench.accept(Verb::Rm, "-s queue-server-only");
    bench.succeed(node("172.31.16.138"));
    refuse(all, &mut bench, Verb::Restart, "-s queue-server-only");
    refuse(all, &mut bench, Verb::Restart, "-n media-server-9");
    refuse(all, &mut bench, Verb::Restart, "-a 172.31.16.138");
    refuse(
        all,
        &mut bench,
        Verb::Restart,
        "-a 172.31.16.137,172.31.16.99",
    );
    refuse(
        all,
        &mut bench,
        Verb::Restart,
        "-s media-server-only -a 172.31.16.137",
    );
    refuse(
        all,
        &mut bench,
        Verb::Rm,
        "-s media-server-only -a 172.31.16.137",
    );
    refuse(
        all,
        &mut bench,
        Verb::Stop,
        "-s media-server-only -n meeting-server-1",
    );
    refuse(
        all,
        &mut bench,
        Verb::Stop,
        "-a 172.31.16.139 -n meeting-server-1",
    );
    for line in [
        "-a 10.0.0.1",
        "-s media-server-only -a 172.31.16.137",
        "-s media-server-only -n meeting-server-1",
        "-a 172.31.16.139 -n meeting-server-1",
        "-s queue-server-only",
    ] {
        let words = submission(Verb::Stop, line).selector;
        let refusal = bench.fleet.servers(&words, bench.now).unwrap_err();
        all.push((format!("extend status {line}"), refusal));
    }
    let asked = crate::core::refusal::Asked::submission(&submission(Verb::Stop, ""));
    // Provoked for real in `scale`; here for its words.
    let refusal = Mismatch::TooManyServers {
        asked,
        count: 10_001,
        most: 10_000,
    };
    all.push(("extend stop".to_owned(), refusal.into()));
    let bench = super::scale::fleet(201);
    let words = SelectorWords::default();
    let refusal = bench.fleet.health(&words, bench.now).unwrap_err();
    all.push(("extend health".to_owned(), refusal));
}

fn obstacles_of_run(all: &mut Provoked) {
    let mut bench = Bench::new();
    refuse(all, &mut bench, Verb::Run, RUN_MEDIA);
    let turn = bench
        .fleet
        .mint_token(media(), None, [0; 32], "anna", bench.now);
    bench.commit(turn).unwrap();
    refuse(all, &mut bench, Verb::Run, RUN_MEDIA);
    let mut unset = Bench::with(Settings {
        pbx_address: None,
        ..settings()
    });
    unset.join(media());
    refuse(all, &mut unset, Verb::Run, RUN_MEDIA);
    let mut with_pbx = settings();
    with_pbx.outside.pbx_nodes = [media()].into();
    let mut of_the_pbx = Bench::with(with_pbx);
    of_the_pbx.join(media());
    refuse(all, &mut of_the_pbx, Verb::Run, RUN_MEDIA);
    refuse(all, &mut of_the_pbx, Verb::Adopt, "-a 172.31.16.139");
    let mut bench = Bench::guide();
    bench.join(node("172.31.16.141"));
    refuse(
        all,
        &mut bench,
        Verb::Run,
        "-s media-server-only -n media-server-1 -a 172.31.16.137",
    );
    refuse(
        all,
        &mut bench,
        Verb::Run,
        "-s media-server-only -n media-server-2 -a 172.31.16.139",
    );
    refuse(
        all,
        &mut bench,
        Verb::Run,
        "-s media-server-only -n media-server-1 -a 172.31.16.141",
    );
    let mut hello = bench.agents[&node("172.31.16.141")].hello();
    hello.unclaimed.push(Unclaimed {
        container_name: "portsip.mediaserver".to_owned(),
        container_id: "4f66ad9a1b2c3d4e5f60".to_owned(),
        role: "media-server-only".parse().unwrap(),
        found: Err("its command cannot be read: it has no -n".to_owned()),
    });
    let turn = bench
        .fleet
        .hello(hello.node, facts(hello.node), hello, bench.now);
    bench.commit(turn).unwrap();
    refuse(
        all,
        &mut bench,
        Verb::Run,
        "-s media-server-only -n media-server-2 -a 172.31.16.141",
    );
}

fn obstacles(all: &mut Provoked) {
    let mut bench = Bench::guide();
    bench.accept(Verb::Restart, "-s media-server-only");
    refuse(
        all,
        &mut bench,
        Verb::Stop,
        "-s media-server-only -a 172.31.16.139",
    );
    bench.accept(Verb::Stop, "-s ivr-server-only");
    refuse(all, &mut bench, Verb::Upgrade, "");
    let mut bench = Bench::guide();
    let mut hello = bench.agents[&media()].hello();
    hello.definitions.clear();
    let turn = bench
        .fleet
        .hello(media(), facts(media()), hello.clone(), bench.now);
    bench.commit(turn).unwrap();
    refuse(all, &mut bench, Verb::Upgrade, "-s media-server-only");
    refuse(all, &mut bench, Verb::Restart, "-s media-server-only");
    let roles = extend_common::roles::RoleSet::built_in().unwrap();
    let queue = roles.find("queue-server-only").unwrap().unwrap().digest();
    hello
        .definitions
        .push(("media-server-only".parse().unwrap(), queue));
    let turn = bench.fleet.hello(media(), facts(media()), hello, bench.now);
    bench.commit(turn).unwrap();
    refuse(
        all,
        &mut bench,
        Verb::Run,
        &format!("{RUN_MEDIA} -i portsip/pbx:23"),
    );
    let mut without = Bench::guide();
    without.settings.roles = extend_common::roles::RoleSet::default();
    without.restart();
    refuse(all, &mut without, Verb::Upgrade, "-a 172.31.16.139");
    bench.accept(Verb::Rm, "-s media-server-only");
    bench.work(media(), OutcomeKind::Failed, "docker does not answer");
    refuse(all, &mut bench, Verb::Start, "-a 172.31.16.139");
    let meeting = node("172.31.16.137");
    bench.agents.get_mut(&meeting).unwrap().epoch = 9;
    bench.connect(meeting);
    refuse(all, &mut bench, Verb::Restart, "-a 172.31.16.137");
    let queue = node("172.31.16.138");
    let turn = bench.fleet.revoke(queue, "anna", bench.now);
    bench.commit(turn).unwrap();
    refuse(all, &mut bench, Verb::Restart, "-s queue-server-only");
}

fn hosts(all: &mut Provoked) {
    let mut bench = Bench::with(Settings {
        outside: crate::core::OutsideSettings {
            portal: true,
            ..crate::core::OutsideSettings::default()
        },
        ..settings()
    });
    bench.join(media());
    refuse(all, &mut bench, Verb::Run, RUN_MEDIA);
    let line = format!("{RUN_MEDIA} -A 54.215.234.52");
    let name = CheckName::DiskSize;
    let failed = Check::fail(
        name,
        "8.0 GB at /var/lib/portsip; a media server needs 128 GB",
        "a disk of 256 GB",
    );
    let checked = Submission {
        checkup: Some(vec![failed]),
        ..submission(Verb::Run, &line)
    };
    let refusal = bench.submit(checked).unwrap_err();
    all.push((format!("extend run {line}"), refusal));
}

fn rollouts(all: &mut Provoked) {
    let mut bench = Bench::guide();
    refuse(all, &mut bench, Verb::Upgrade, "--to-previous");
    refuse(all, &mut bench, Verb::Restart, "--drain role");
    refuse(all, &mut bench, Verb::Upgrade, "--unasked");
    refuse(all, &mut bench, Verb::Drain, "-s queue-server-only");
    let mut old = bench.agents[&media()].hello();
    old.abilities.clear();
    let turn = bench.fleet.hello(media(), facts(media()), old, bench.now);
    bench.commit(turn).unwrap();
    refuse(
        all,
        &mut bench,
        Verb::Restart,
        "-a 172.31.16.139 --drain 600",
    );
    bench.connect(media());
    // The other media server is not well, and the one after that is away.
    for (name, at) in [
        ("media-server-2", "172.31.16.141"),
        ("media-server-3", "172.31.16.142"),
    ] {
        bench.join(node(at));
        bench.deploy(&format!("-s media-server-only -n {name} -a {at}"));
    }
    let other = node("172.31.16.141");
    bench.agents.get_mut(&other).unwrap().health = Some(Health::Unhealthy);
    bench.report(other);
    bench.disconnect(node("172.31.16.142"));
    refuse(all, &mut bench, Verb::Restart, "-a 172.31.16.139");
    let run = format!("{RUN_MEDIA} -i portsip/pbx:22.4");
    refuse(all, &mut bench, Verb::Run, &run);
    // One that is held, with a reason, and as many as may that wait for it.
    bench.accept(Verb::Stop, "-a 172.31.16.138 -m CAB-123");
    refuse(all, &mut bench, Verb::Start, "-a 172.31.16.138");
    for _ in 0..8 {
        bench.accept(Verb::Start, "-a 172.31.16.138 --queue");
    }
    refuse(all, &mut bench, Verb::Start, "-a 172.31.16.138 --queue");
}

fn withdrawals(all: &mut Provoked) {
    let mut bench = Bench::new();
    bench.join(media());
    bench.accept(Verb::Run, RUN_MEDIA);
    bench.work(media(), OutcomeKind::Failed, "the image is not to be had");
    let other = "-s queue-server-only -n queue-server-1 -a 172.31.16.139";
    refuse(all, &mut bench, Verb::Run, other);
    refuse(all, &mut bench, Verb::Stop, "-a 172.31.16.139");
}

fn adoptions(all: &mut Provoked) {
    let mut bench = Bench::new();
    refuse(all, &mut bench, Verb::Adopt, "-a 172.31.16.139");
    bench.join(media());
    refuse(all, &mut bench, Verb::Adopt, "-a 172.31.16.139");
    refuse(all, &mut bench, Verb::Adopt, "");
    bench.script("media-server-only", "media-server-1", "172.31.16.139");
    refuse(all, &mut bench, Verb::Adopt, "-s media-server-only");
    refuse(all, &mut bench, Verb::Run, RUN_MEDIA);
    // Two nodes cannot have one name.
    let other = "172.31.16.141";
    bench.join(node(other));
    bench.script("media-server-only", "media-server-1", other);
    refuse(all, &mut bench, Verb::Adopt, "");
    bench.accept(Verb::Adopt, "-a 172.31.16.139");
    refuse(all, &mut bench, Verb::Adopt, "-a 172.31.16.139");
    bench.succeed(media());
    refuse(all, &mut bench, Verb::Adopt, "-a 172.31.16.141");
    // Another role's container beside a server of ours.
    bench.script("queue-server-only", "queue-server-1", "172.31.16.139");
    refuse(all, &mut bench, Verb::Adopt, "-a 172.31.16.139");
    let agent = bench.agents.get_mut(&node(other)).unwrap();
    agent.official.as_mut().unwrap().found = Err(extend_common::hint::with_hint(
        "it was started for the address 172.31.16.9, and this node is 172.31.16.141",
        "on 172.31.16.141: ip address",
    ));
    bench.heartbeats();
    refuse(all, &mut bench, Verb::Adopt, "-a 172.31.16.141");
    bench.disconnect(node(other));
    refuse(all, &mut bench, Verb::Adopt, "-a 172.31.16.141");
}

fn nodes(all: &mut Provoked) {
    let mut bench = Bench::guide();
    let mut remove = |bench: &mut Bench, at: &str| {
        let turn = bench.fleet.remove(node(at), false, "anna", bench.now);
        let refusal = bench.commit(turn).unwrap_err();
        all.push((format!("extend node remove {at}"), refusal));
    };
    remove(&mut bench, "172.31.16.139");
    remove(&mut bench, "10.0.0.1");
    bench.accept(Verb::Rm, "-s media-server-only");
    remove(&mut bench, "172.31.16.139");
    bench.work(media(), OutcomeKind::Failed, "docker does not answer");
    remove(&mut bench, "172.31.16.139");
    let refusal = bench
        .fleet
        .nodes(Some(node("10.0.0.1")), bench.now)
        .unwrap_err();
    all.push(("extend node show 10.0.0.1".to_owned(), refusal));
    let turn = bench.fleet.revoke(node("10.0.0.1"), "anna", bench.now);
    all.push((
        "extend node revoke 10.0.0.1".to_owned(),
        bench.commit(turn).unwrap_err(),
    ));
}

fn operations(all: &mut Provoked) {
    let mut bench = Bench::guide();
    for (command, at, role) in [
        ("extend events -a 10.0.0.1", "10.0.0.1", ""),
        ("extend events -s media", "172.31.16.139", "media"),
    ] {
        let wanted = EventsWanted {
            words: SelectorWords {
                role: role.to_owned(),
                nodes: vec![node(at)],
                name: None,
            },
            ..EventsWanted::default()
        };
        let refusal = bench.fleet.begin_events(&wanted).unwrap_err();
        all.push((command.to_owned(), refusal));
    }
    for text in ["zzzzzz", "", "'; rm -rf /"] {
        let refusal = bench.fleet.find_operation(text).unwrap_err();
        all.push((format!("extend op show {text}"), refusal));
    }
    let id: OperationId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let turn = bench
        .fleet
        .submit(&submission(Verb::Stop, "-a 172.31.16.139"), id, bench.now);
    bench.commit(turn).unwrap();
    bench.succeed(media());
    let other = OperationId(Ulid(id.0.0 + (1 << 60)));
    let mut start = submission(Verb::Start, "-a 172.31.16.139");
    start.request = "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap();
    let turn = bench.fleet.submit(&start, other, bench.now);
    bench.commit(turn).unwrap();
    let refusal = bench.fleet.find_operation("g5fav").unwrap_err();
    all.push(("extend op show g5fav".to_owned(), refusal));
    let turn = bench.fleet.cancel(&id.to_string(), "anna", bench.now);
    all.push((
        format!("extend op cancel {id}"),
        bench.commit(turn).unwrap_err(),
    ));
    for (operation, failed_only) in [(other, false), (id, true)] {
        let option = if failed_only { " --failed-only" } else { "" };
        let retry = Retry {
            request: "01ARZ3NDEKTSV4RRFFQ69G5FAX".parse().unwrap(),
            operation: operation.to_string(),
            failed_only,
            plan_only: false,
            timeout: None,
            message: String::new(),
            queue: false,
            by: "anna".to_owned(),
            from: None,
            checkup: None,
        };
        let new = OperationId(Ulid(id.0.0 + (1 << 50)));
        let turn = bench.fleet.retry(&retry, new, bench.now);
        all.push((
            format!("extend op retry {operation}{option}"),
            bench.commit(turn).unwrap_err(),
        ));
    }
    let archived = archive::retry_refused(&bench.operation(id));
    all.push((format!("extend op retry {id}"), archived));
}

fn strangers(all: &mut Provoked) {
    let mut bench = Bench::guide();
    let join = "extend-agent join TOKEN".to_owned();
    let turn = bench
        .fleet
        .spend_token(media(), &[1; 16], facts(media()), bench.now);
    all.push((join.clone(), bench.commit(turn).unwrap_err()));
    let hash = crate::core::request::sha256(&[1; 16]);
    let turn = bench
        .fleet
        .mint_token(media(), None, hash, "anna", bench.now);
    bench.commit(turn).unwrap();
    let late = after(bench.now, Duration::from_secs(700));
    let turn = bench
        .fleet
        .spend_token(media(), &[1; 16], facts(media()), late);
    all.push((join, bench.commit(turn).unwrap_err()));
    let late = after(bench.now, Duration::from_secs(40 * 24 * 3600));
    let refusal = bench
        .fleet
        .renewal_allowed(media(), facts(media()).key, late)
        .unwrap_err();
    all.push(("(renewal)".to_owned(), refusal));
    let other = PeerFacts {
        key: KeyHash([0; 32]),
        ..facts(media())
    };
    let hello = bench.agents[&media()].hello();
    let turn = bench.fleet.hello(media(), other, hello, bench.now);
    all.push(("(hello)".to_owned(), bench.commit(turn).unwrap_err()));
}

fn logs(all: &mut Provoked) {
    let mut refuse = |bench: &Bench, name: Option<&str>, at: Option<&str>| {
        let words = SelectorWords {
            role: String::new(),
            nodes: at.map(node).into_iter().collect(),
            name: name.map(|name| name.parse().unwrap()),
        };
        let refusal = bench.fleet.logs_of(&words).unwrap_err();
        let parts = [name.map(str::to_owned), at.map(|at| format!("-a {at}"))];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        all.push((format!("extend logs {}", parts.join(" ")), refusal));
    };
    refuse(&Bench::new(), Some("media-server-1"), None);
    let mut bench = Bench::guide();
    refuse(&bench, Some("media-server-9"), None);
    refuse(&bench, None, Some("172.31.16.99"));
    refuse(&bench, Some("media-server-1"), Some("172.31.16.137"));
    bench.join(node("172.31.16.141"));
    refuse(&bench, None, Some("172.31.16.141"));
    bench.disconnect(media());
    refuse(&bench, Some("media-server-1"), None);
    let queue = node("172.31.16.138");
    let turn = bench.fleet.revoke(queue, "anna", bench.now);
    bench.commit(turn).unwrap();
    refuse(&bench, Some("queue-server-1"), None);
    let pending = node("172.31.16.150");
    let turn = bench
        .fleet
        .mint_token(pending, None, [0; 32], "anna", bench.now);
    bench.commit(turn).unwrap();
    refuse(&bench, None, Some("172.31.16.150"));
    bench.restart();
    refuse(&bench, Some("media-server-1"), None);
}
