//! A server that crashes in a loop on a real node: Docker brings it back and is counted apart, it
//! is told less and less often, and neither the agent's budget nor a quarantine have to do with it.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use extend_tests::real::fleet::CONTROLLER;
use extend_tests::real::{Fleet, IVR, Setup, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// More often than the agent may.
const LOOPS: u64 = 7;
/// Docker waits twice as long each time, beginning with a tenth of a second.
const LOOPED: Duration = Duration::from_secs(90);
/// Docker may be in the longest of its waits.
const BACK: Duration = Duration::from_secs(120);
/// A verdict, and the longest wait between two restarts (eight seconds and half as much again).
const HEALED: Duration = Duration::from_secs(60);
/// So often the agent restarts within ten minutes.
const BUDGET: u64 = 5;

/// What `/metrics` says of a series.
fn counted(series: &str) -> u64 {
    let mut stream = TcpStream::connect((CONTROLLER, 7480)).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix(series));
    let value = line.unwrap_or_else(|| panic!("{series} in\n{answer}"));
    value.trim().parse().unwrap()
}

fn restarts(reason: &str) -> u64 {
    let role = IVR.role;
    let labels = format!("{{role=\"{role}\",reason=\"{reason}\"}}");
    counted(&format!("extend_server_restarts_total{labels}"))
}

fn shown(fleet: &Fleet) -> Value {
    fleet.server(IVR).unwrap()
}

/// The sentences of the events of a kind.
fn told(fleet: &Fleet, kind: &str) -> Vec<String> {
    let events = fleet
        .extend(&["events", "-n", IVR.name, "-o", "json"])
        .expect(0, "events are shown")
        .json();
    let events = events["events"].as_array().unwrap().clone();
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind
        .map(|event| event["text"].as_str().unwrap().to_owned())
        .collect()
}

/// The number of a crash that was told, from "… (the 5th in a row)".
fn ordinal(text: &str) -> u32 {
    let Some((_, rest)) = text.rsplit_once("(the ") else {
        return 1;
    };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn a_crash_loop_is_dockers_and_only_the_agents_own_restarts_end_in_quarantine() {
    let fleet = Setup::of(&[IVR]).up();
    let before = fleet.deploy(IVR);
    fleet.control(IVR, "crash-at-start=41\n");
    let pid = fleet.engine().inspect(IVR.container)["State"]["Pid"].clone();
    let pid = i32::try_from(pid.as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until(
        "Docker should bring it back again and again",
        LOOPED,
        || {
            let now = shown(&fleet);
            assert_ne!(now["health"], "quarantined", "{now:#}");
            match now["docker_restarts"].as_u64() {
                Some(count) if count >= LOOPS => Ok(()),
                _ => Err(format!("{now:#}")),
            }
        },
    );
    let looped = shown(&fleet);
    assert_eq!(looped["agent_restarts"], 0, "counted apart: {looped:#}");
    let crashes = told(&fleet, "crash");
    let numbers: BTreeSet<_> = crashes.iter().map(|text| ordinal(text)).collect();
    let rarely = [1, 2, 3, 5, 10, 20, 50];
    assert!(numbers.contains(&2), "the loop is told: {crashes:#?}");
    assert!(
        numbers.iter().all(|number| rarely.contains(number)),
        "less and less often: {crashes:#?}"
    );
    assert_eq!(numbers.len(), crashes.len(), "each once: {crashes:#?}");
    assert_eq!(told(&fleet, "quarantine"), Vec::<String>::new());
    assert!(restarts("docker") >= LOOPS, "{}", restarts("docker"));
    assert_eq!(restarts("ended") + restarts("hung"), 0);

    fleet.control(IVR, "");
    until("it should be back", BACK, || {
        let now = shown(&fleet);
        match now["health"] == "healthy" {
            true => Ok(()),
            false => Err(format!("{now:#}")),
        }
    });
    assert_eq!(fleet.engine().instance(IVR.container).id, before.id);
    let docker = restarts("docker");

    // The budget is whole: five restarts of the agent's own, and then no more.
    for round in 1..=BUDGET {
        fleet.control(IVR, "hang=true\n");
        until("it should be restarted", HEALED, || {
            let now = shown(&fleet);
            match now["agent_restarts"] == round {
                true => Ok(()),
                false => Err(format!("{now:#}")),
            }
        });
        fleet.control(IVR, "");
        fleet.await_health(IVR, "healthy");
    }
    fleet.control(IVR, "hang=true\n");
    fleet.await_health(IVR, "quarantined");
    let given_up = shown(&fleet);
    assert_eq!(given_up["agent_restarts"], BUDGET, "{given_up:#}");
    until("the restarts should be counted", BACK, || {
        let hung = restarts("hung");
        match hung {
            BUDGET => Ok(()),
            _ => Err(format!("{hung} of {BUDGET}")),
        }
    });
    let series = format!("extend_server_quarantines_total{{role=\"{}\"}}", IVR.role);
    assert_eq!(counted(&series), 1);
    assert_eq!(restarts("docker"), docker, "none of them was Docker's");
    let running = fleet.engine().inspect(IVR.container)["State"]["Running"].clone();
    assert_eq!(running, true, "it is left as it is");
    fleet.check_bystanders();
}
