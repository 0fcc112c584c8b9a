//! Golden plans: what the guide's commands would do to the guide's fleet, as an operator reads it.

use std::fmt::Write as _;

use extend_common::operation::Verb;
use extend_common::status::{ContainerState, Health};
use extend_common::wire::RefusalText;

use super::bench::{Bench, GUIDE, node, submission};
use crate::core::admit::{Admission, admit};

/// A plan as text.
fn plan(bench: &Bench, verb: Verb, line: &str) -> String {
    let mut text = format!("$ extend {verb} {line}\n").replace(" \n", "\n");
    match admit(&bench.fleet, &submission(verb, line)) {
        Admission::Refuse(refusal) => {
            let refused = RefusalText::from(&refusal);
            writeln!(text, "refused ({}): {}", refused.code, refused.sentence).unwrap();
            for cause in refused.causes {
                writeln!(text, "  cause: {cause}").unwrap();
            }
            writeln!(text, "  hint: {}", refused.hint).unwrap();
        }
        Admission::AlreadySo(plan) | Admission::Accept(plan) => {
            for target in plan.targets {
                let already = if target.already_so { "=" } else { "~" };
                let canary = if target.canary { " (canary)" } else { "" };
                writeln!(
                    text,
                    "{already} wave {}{canary} {} {:<17} {}",
                    target.wave, target.node, target.name, target.summary
                )
                .unwrap();
                if target.image_before != target.image_after {
                    let (before, after) = (target.image_before, target.image_after);
                    writeln!(text, "    image {before:?} -> {after:?}").unwrap();
                }
                if target.identity_before != target.identity_after {
                    let (before, after) = (target.identity_before, target.identity_after);
                    writeln!(text, "    build {before:?} -> {after:?}").unwrap();
                }
                if !target.warning.is_empty() {
                    writeln!(text, "    warning: {}", target.warning).unwrap();
                }
                for difference in target.differences {
                    let mark = if difference.usual { ' ' } else { '!' };
                    writeln!(text, "    {mark} {}", difference.text).unwrap();
                }
            }
        }
    }
    text
}

/// Compares the plans of several commands with the golden file of that name.
fn golden(name: &str, bench: &Bench, lines: &[(Verb, &str)]) {
    let plans: Vec<_> = lines
        .iter()
        .map(|(verb, line)| plan(bench, *verb, line))
        .collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("golden");
    settings.bind(|| insta::assert_snapshot!(name, plans.join("\n")));
}

#[test]
fn the_guides_first_deployment() {
    let mut bench = Bench::new();
    for (_, _, at) in GUIDE {
        bench.join(node(at));
    }
    golden(
        "first-deployment",
        &bench,
        &[
            (
                Verb::Run,
                "-s media-server-only -n media-server-1 -a 172.31.16.139 -A 54.215.234.52",
            ),
            (
                Verb::Run,
                "-s queue-server-only -n queue-server-1 -a 172.31.16.138",
            ),
            (
                Verb::Run,
                "-s meeting-server-only -n meeting-server-1 -a 172.31.16.137",
            ),
            (
                Verb::Run,
                "-s ivr-server-only -n ivr-server-1 -a 172.31.16.140",
            ),
            (
                Verb::Run,
                "-s vr-server-only -n ivr-server-1 -a 172.31.16.140 -i portsip/pbx:22.3",
            ),
        ],
    );
}

#[test]
fn the_guides_commands_on_the_running_fleet() {
    golden(
        "running-fleet",
        &Bench::guide(),
        &[
            (Verb::Start, ""),
            (Verb::Stop, ""),
            (Verb::Restart, ""),
            (Verb::Upgrade, ""),
            (Verb::Rm, ""),
            (Verb::Restart, "-s media-server-only"),
            (
                Verb::Upgrade,
                "-s queue-server-only -a 172.31.16.138 -i portsip/pbx:22.4",
            ),
            (Verb::Stop, "-s ivr-server-only"),
            (Verb::Rm, "-s meeting-server-only -a 172.31.16.137"),
            (
                Verb::Run,
                "-s media-server-only -n media-server-1 -a 172.31.16.139",
            ),
            (
                Verb::Run,
                "-s media-server-only -n media-server-1 -a 172.31.16.139 -i portsip/pbx:22.4",
            ),
        ],
    );
}

/// Two servers of each role: the guide's, and their likes.
fn eight() -> Bench {
    let mut bench = Bench::guide();
    for (number, (role, name, _)) in GUIDE.iter().enumerate() {
        let at = format!("172.31.16.{}", 147 + number);
        bench.join(node(&at));
        let name = name.replace("-1", "-2");
        bench.deploy(&format!("-s {role} -n {name} -a {at}"));
    }
    bench
}

#[test]
fn the_guides_commands_on_eight_servers() {
    let mut bench = eight();
    // One of them has been upgraded before, so that there is something to go back to.
    let media = "172.31.16.139";
    let agent = bench.agents.get_mut(&node(media)).unwrap();
    agent
        .builds
        .insert("portsip/pbx:22".to_owned(), "22".to_owned());
    bench.upgrade(&format!("-a {media}"));
    bench.succeed(node(media));
    golden(
        "eight-servers",
        &bench,
        &[
            (Verb::Start, ""),
            (Verb::Stop, ""),
            (Verb::Stop, "--serial"),
            (Verb::Restart, ""),
            (Verb::Restart, "--serial"),
            (Verb::Restart, "-s media-server-only --max-unavailable 100%"),
            (Verb::Restart, "-s media-server-only --drain 600"),
            (Verb::Upgrade, ""),
            (Verb::Upgrade, "-i portsip/pbx:22.4 --canary 1"),
            (Verb::Upgrade, &format!("-a {media} --to-previous")),
            (Verb::Upgrade, "--to-previous"),
            (Verb::Rm, "-s queue-server-only"),
            (Verb::Drain, "-s media-server-only"),
            (Verb::Drain, "-s vr-server-only"),
            (Verb::Undrain, ""),
        ],
    );
}

#[test]
fn plans_on_eight_servers_that_are_not_all_well() {
    let mut bench = eight();
    // One media server hangs, a queue server's node is away, and an IVR server is being stopped.
    let media = node("172.31.16.149");
    bench.agents.get_mut(&media).unwrap().health = Some(Health::Unhealthy);
    bench.report(media);
    bench.disconnect(node("172.31.16.138"));
    bench.accept(Verb::Stop, "-a 172.31.16.140 -m CAB-123");
    golden(
        "eight-not-well",
        &bench,
        &[
            (Verb::Restart, "-s media-server-only"),
            (Verb::Restart, "-a 172.31.16.139"),
            (Verb::Restart, "-a 172.31.16.139 --force"),
            (Verb::Restart, "-a 172.31.16.149"),
            (Verb::Upgrade, "-s queue-server-only"),
            (Verb::Upgrade, "-a 172.31.16.148"),
            (Verb::Restart, ""),
            (Verb::Restart, "-s vr-server-only --queue"),
            (Verb::Restart, "-a 172.31.16.150"),
        ],
    );
}

#[test]
fn the_guides_mistake_is_refused_with_what_is_there() {
    golden(
        "mistake",
        &Bench::guide(),
        &[
            (Verb::Restart, "-s media-server-only -a 172.31.16.137"),
            (Verb::Stop, "-s media-server-only -a 172.31.16.137"),
            (Verb::Rm, "-s media-server-only -a 172.31.16.137"),
            (
                Verb::Run,
                "-s media-server-only -n media-server-1 -a 172.31.16.137",
            ),
        ],
    );
}

#[test]
fn a_fleet_that_the_official_script_made() {
    let mut bench = Bench::new();
    for (role, name, at) in GUIDE {
        bench.join(node(at));
        bench.script(role, name, at);
    }
    bench.accept(Verb::Adopt, "-a 172.31.16.140");
    bench.succeed(node("172.31.16.140"));
    let queue = bench.agents.get_mut(&node("172.31.16.138")).unwrap();
    queue.script(
        "queue-server-only",
        "queue-server-1",
        ContainerState::Exited,
    );
    let media = bench.agents.get_mut(&node("172.31.16.139")).unwrap();
    let found = media.official.as_mut().unwrap().found.as_mut().unwrap();
    found.parameters.pbx_address = "172.31.16.130".to_owned();
    bench.heartbeats();
    golden(
        "official-fleet",
        &bench,
        &[
            (Verb::Adopt, ""),
            (Verb::Adopt, "-a 172.31.16.137"),
            (Verb::Adopt, "-a 172.31.16.140"),
            (Verb::Adopt, "-a 172.31.16.137,172.31.16.140"),
            (
                Verb::Run,
                "-s media-server-only -n media-server-1 -a 172.31.16.139",
            ),
        ],
    );
}

#[test]
fn a_fleet_in_several_states() {
    let mut bench = Bench::guide();
    // Meeting is stopped, queue is away, media has crashed, IVR is as it should be.
    bench.accept(Verb::Stop, "-s meeting-server-only");
    bench.succeed(node("172.31.16.137"));
    bench.disconnect(node("172.31.16.138"));
    bench
        .agents
        .get_mut(&node("172.31.16.139"))
        .unwrap()
        .lose_container();
    bench.report(node("172.31.16.139"));
    golden(
        "several-states",
        &bench,
        &[
            (Verb::Start, ""),
            (Verb::Stop, ""),
            (Verb::Restart, ""),
            (Verb::Upgrade, ""),
            (
                Verb::Run,
                "-s meeting-server-only -n meeting-server-1 -a 172.31.16.137",
            ),
        ],
    );
}
