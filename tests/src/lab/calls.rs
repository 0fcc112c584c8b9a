//! Real calls on a node: a relay (Debian's rtpengine) that runs as the media server's user and has
//! its ports for media in the node's own network, and phones that talk through it (`call.py`).
//!
//! To the agent the relay's sockets are the server's: that is how the sessions of a media server
//! look from outside. The phones are another user's, in the same range of ports.

use std::time::Duration;

use serde_json::Value;

use super::SOON;
use super::node::Node;
use crate::real::process::Running;
use crate::real::{Server, until};

/// Whose sockets are sessions, and at which ports, as the role's definition has it.
const USER: u32 = 888;
/// The first and the last port that the relay takes; the phones' lie above.
const PORTS: (u16, u16) = (35000, 59999);
/// Media and its control, on either side.
pub const SOCKETS: usize = 4;
/// So many packets are a second of talk.
const SECOND: u64 = 50;

/// Installing takes some seconds, and longer on a machine that has other things to do.
const INSTALLS: Duration = Duration::from_secs(300);

const PROGRAM: &str = "/usr/local/lib/lab-call.py";
const PLACE: &str = "/run/lab-calls";
/// The package is not to start its own service, which wants a module of the kernel.
const INSTALL: &str = "command -v rtpengine >/dev/null || { \
     ln -sf /dev/null /etc/systemd/system/rtpengine-daemon.service; \
     DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
     -o Dpkg::Options::=--force-unsafe-io install rtpengine-daemon; }";
/// Hangs up and ends the relay, also what a test that was killed has left behind.
pub(super) const CLEAR: &str =
    "systemctl stop 'lab-call-*.service'; systemctl stop 'lab-relay*.service'";

/// A relay on a server's node; it ends when this is dropped, and all calls with it.
#[derive(Debug)]
pub struct Relay {
    node: Node,
}

impl Relay {
    /// Installs it where it is not there yet, and starts it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(server: Server) -> Self {
        let node = Node::at(server.node);
        Running::start(node.command(&["bash", "-c", INSTALL]), "")
            .end_within(INSTALLS)
            .expect(0, "the relay should be installed");
        node.write(PROGRAM, include_str!("call.py"));
        let relay = Self { node };
        let (address, (first, last)) = (node.address(), PORTS);
        node.shell(&format!(
            "set -e; {CLEAR}; rm -rf {PLACE}; mkdir {PLACE}; \
             systemd-run --quiet --collect --unit lab-relay \
             setpriv --reuid {USER} --regid {USER} --clear-groups \
             rtpengine --config-file=none --table=-1 --interface={address} \
             --listen-ng=127.0.0.1:2223 --port-min={first} --port-max={last} --delete-delay=0 \
             --foreground --log-stderr --log-level=5"
        ));
        relay
    }

    /// Begins a call, and waits until both sides hear each other.
    ///
    /// # Panics
    /// When they do not.
    #[must_use]
    pub fn call(&self, name: &'static str) -> Call<'_> {
        let address = self.node.address();
        self.node.shell(&format!(
            "systemd-run --quiet --collect --unit lab-call-{name} \
             python3 {PROGRAM} {name} {address} {PLACE}/{name}.json"
        ));
        let call = Call { relay: self, name };
        call.flows();
        call
    }

    /// The ports in its range that are held by the media server's user, as the kernel says.
    ///
    /// # Panics
    /// When the kernel's table cannot be read.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let table = self.node.shell("cat /proc/net/udp");
        let held = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let (_, port) = words[1].split_once(':').unwrap();
            let port = u16::from_str_radix(port, 16).unwrap();
            let is_held = words[7] == USER.to_string() && (PORTS.0..=PORTS.1).contains(&port);
            is_held.then_some(port)
        };
        let mut ports: Vec<_> = table.lines().skip(1).filter_map(held).collect();
        ports.sort_unstable();
        ports
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = "journalctl --no-pager -n 40 -u lab-relay -u 'lab-call-*'; ss -lunp";
            eprintln!("-- the relay:\n{}", self.node.ask_shell(logs));
        }
        let ended = self.node.ask_shell(CLEAR);
        if !std::thread::panicking() {
            ended.expect(0, "the relay should end");
        }
    }
}

/// A call through a relay.
#[derive(Debug)]
pub struct Call<'a> {
    relay: &'a Relay,
    name: &'static str,
}

impl Call<'_> {
    /// What has come to both phones until now; null before the first packet.
    #[must_use]
    fn told(&self) -> Value {
        let file = format!("{PLACE}/{}.json", self.name);
        let told = self.relay.node.ask(&["cat", &file]);
        serde_json::from_str(&told.stdout).unwrap_or_default()
    }

    /// Another second of talk has to come to both sides, and both have to hear of it.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn flows(&self) {
        let came = |told: &Value, side: &str, kind: &str| told[side][kind].as_u64().unwrap_or(0);
        let before = self.told();
        until(&format!("{} should go on", self.name), SOON, || {
            let told = self.told();
            let goes_on = ["caller", "callee"].iter().all(|side| {
                let more = |kind| came(&told, side, kind).saturating_sub(came(&before, side, kind));
                more("rtp") >= SECOND && more("rtcp") >= 1
            });
            goes_on.then_some(()).ok_or_else(|| format!("{told}"))
        });
    }

    /// The ports that the relay has for it.
    ///
    /// # Panics
    /// When it has not begun.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let told = self.told();
        let ports = told["ports"].as_array().expect("a call that goes on");
        let number = |port: &Value| u16::try_from(port.as_u64().unwrap()).unwrap();
        let mut ports: Vec<_> = ports.iter().map(number).collect();
        ports.sort_unstable();
        ports
    }

    /// Hangs up; its ports are free then.
    ///
    /// # Panics
    /// When they are not.
    pub fn hang_up(self) {
        let ports = self.ports();
        let unit = format!("systemctl stop lab-call-{}", self.name);
        self.relay.node.shell(&unit);
        until("the ports of a call should be free", SOON, || {
            let held = self.relay.ports();
            let is_free = !ports.iter().any(|port| held.contains(port));
            is_free.then_some(()).ok_or_else(|| format!("{held:?}"))
        });
    }
}
