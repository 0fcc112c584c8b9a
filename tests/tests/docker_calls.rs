//! Restarts and calls on a real node: what carries calls is left alone, and a frozen process carries
//! none, however many ports it has bound.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::net::UdpSocket;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use extend_tests::real::{Fleet, Instance, MEDIA, Setup, Times, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Detection, looking for calls, ten seconds to end, and a machine that has other things to do.
const HEALED: Duration = Duration::from_secs(60);
/// Of one call.
const SOCKETS: usize = 4;

/// The ports for media that the server has bound.
fn media_ports() -> Vec<u16> {
    let [a, b, c, d] = MEDIA.node.parse::<std::net::Ipv4Addr>().unwrap().octets();
    let address = format!("{d:02X}{c:02X}{b:02X}{a:02X}:");
    let table = std::fs::read_to_string("/proc/net/udp").unwrap();
    let locals = table.lines().filter_map(|l| l.split_whitespace().nth(1));
    let ports = locals.filter_map(|local| local.strip_prefix(address.as_str()));
    let ports = ports.filter_map(|port| u16::from_str_radix(port, 16).ok());
    ports.filter(|port| *port >= 35_000).collect()
}

fn have_calls(fleet: &Fleet, calls: usize, more: &str) -> Vec<u16> {
    fleet.control(MEDIA, &format!("sessions={calls}\n{more}"));
    until("the ports of the calls", HEALED, || {
        let ports = media_ports();
        match ports.len() == calls * SOCKETS {
            true => Ok(()),
            false => Err(format!("{ports:?}")),
        }
    });
    media_ports()
}

/// Phones that talk: fifty datagrams a second to each port, until it is dropped.
struct Talk {
    hang_up: Option<Sender<()>>,
    phones: Option<JoinHandle<()>>,
}

impl Talk {
    fn to(ports: Vec<u16>) -> Self {
        let (hang_up, hung_up) = channel();
        let phones = std::thread::spawn(move || {
            let phone = UdpSocket::bind((MEDIA.node, 0)).unwrap();
            let packet = Duration::from_millis(20);
            while hung_up.recv_timeout(packet) == Err(RecvTimeoutError::Timeout) {
                for port in &ports {
                    // A port that is closed by now refuses.
                    drop(phone.send_to(&[0; 172], (MEDIA.node, *port)));
                }
            }
        });
        Self {
            hang_up: Some(hang_up),
            phones: Some(phones),
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.hang_up.take());
        if let Some(phones) = self.phones.take() {
            drop(phones.join());
        }
    }
}

fn await_new_run(fleet: &Fleet, before: &Instance) {
    until("another run of the same container", HEALED, || {
        let now = fleet.engine().instance(MEDIA.container);
        match now.id == before.id && now.started_at != before.started_at {
            true => Ok(()),
            false => Err(format!("{:#}", fleet.server(MEDIA).unwrap_or_default())),
        }
    });
}

#[test]
fn a_frozen_server_with_forty_ports_bound_is_restarted_at_once() {
    let fleet = Setup::of(&[MEDIA]).with(Times::BRISK).up();
    fleet.deploy(MEDIA);
    for is_talked_to in [false, true] {
        let before = fleet.engine().instance(MEDIA.container);
        let ports = have_calls(&fleet, 10, "");
        assert_eq!(ports.len(), 40);
        let talk = is_talked_to.then(|| Talk::to(ports));
        let frozen = Pid::from_raw(i32::try_from(before.pid).unwrap());
        kill(frozen, Signal::SIGSTOP).unwrap();
        await_new_run(&fleet, &before);
        drop(talk);
        fleet.await_health(MEDIA, "healthy");
        let told = fleet.extend(&["events", "-n", MEDIA.name]).stdout;
        assert!(!told.contains("carries calls"), "{told}");
    }
}

#[test]
fn a_server_that_is_deaf_and_carries_a_call_is_left_alone_until_it_ends() {
    let fleet = Setup::of(&[MEDIA]).with(Times::BRISK).up();
    let before = fleet.deploy(MEDIA);
    let talk = Talk::to(have_calls(&fleet, 1, ""));
    fleet.control(MEDIA, "sessions=1\ndeaf=true\n");
    until("it is spared", HEALED, || {
        let shown = fleet.server(MEDIA).unwrap_or_default();
        match shown["spared_until"].is_string() {
            true => Ok(()),
            false => Err(format!("{shown:#}")),
        }
    });
    let shown = fleet.server(MEDIA).unwrap();
    assert_eq!(shown["health"], "unhealthy", "{shown:#}");
    let why = shown["reason"].as_str().unwrap();
    assert!(why.contains("it carries calls"), "{why}");
    assert_eq!(fleet.engine().instance(MEDIA.container), before);
    // The call ends; it stays deaf.
    fleet.control(MEDIA, "deaf=true\n");
    drop(talk);
    await_new_run(&fleet, &before);
    fleet.control(MEDIA, "");
    fleet.await_health(MEDIA, "healthy");
    let shown = fleet.server(MEDIA).unwrap();
    assert!(shown["spared_until"].is_null(), "{shown:#}");
    assert_eq!(shown["agent_restarts"], 1, "{shown:#}");
}
