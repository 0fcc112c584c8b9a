//! How it is told whether a server answers: probes, as role definitions declare them.
//!
//! In the file a probe is one flat table; here each kind has what it needs and nothing else.

mod file;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PortRange;
use file::Flat;

/// Each port is a question every interval; more than this is a scan, not a probe.
const MAX_PROBED_PORTS: usize = 16;

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// Connects to TCP ports of the node's address, and sees to it that the connection is taken.
    Tcp {
        /// Which.
        ports: PortRange,
    },
    /// Gets a page; every answer below 500 is one.
    Http {
        /// At which ports.
        ports: PortRange,
        /// Which page.
        path: String,
        /// Over TLS. Whoever answers on the node's own address is asked, whatever certificate it
        /// shows: nothing secret is said.
        tls: bool,
    },
    /// Sends SIP OPTIONS (RFC 3261, 11): a final answer of any kind is one, and 503 says that no
    /// new sessions are taken.
    Sip {
        /// Over what.
        transport: Transport,
        /// At which ports.
        ports: PortRange,
    },
    /// Looks whether somebody is bound to UDP ports.
    Udp {
        /// Which.
        ports: PortRange,
    },
    /// Looks whether the data directory's file system has room.
    Disk {
        /// So many percent have to be free.
        minimum_free: u8,
    },
    /// Compares the memory of the service with its own baseline.
    Memory {
        /// So many percent it may grow beyond that.
        maximum_growth: u32,
    },
    /// Whether the PBX's portal shows it online. The controller's to see; no node can.
    Portal,
}

/// What follows when a probe fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consequence {
    /// The server is unhealthy, and restarted within its budget.
    Restart,
    /// People are told. For what a restart does not mend, or mends at too high a price.
    Warn,
}

/// How it is told whether a server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Flat", into = "Flat")]
pub struct ProbeDefinition {
    /// What it does.
    pub kind: ProbeKind,
    /// From the start of one to the start of the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many failures in a row make the server unhealthy; so many among two more, too.
    pub failures: u32,
    /// So many successes in a row make it healthy again.
    pub successes: u32,
    /// What follows.
    pub consequence: Consequence,
}

/// What one question of a probe is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// A connection to a port.
    Tcp(u16),
    /// A page at a port.
    Http(u16),
    /// A page at a port, over TLS.
    Https(u16),
    /// SIP at a port.
    Sip(Transport, u16),
    /// Whether a port is bound.
    Udp(u16),
    /// The data directory's file system.
    Disk,
    /// The service's memory.
    Memory,
    /// The portal's word.
    Portal,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "tcp/{port}"),
            Self::Http(port) => write!(f, "http/{port}"),
            Self::Https(port) => write!(f, "https/{port}"),
            Self::Sip(transport, port) => write!(f, "sip {transport}/{port}"),
            Self::Udp(port) => write!(f, "udp/{port}"),
            Self::Disk => f.write_str("disk"),
            Self::Memory => f.write_str("memory"),
            Self::Portal => f.write_str("portal"),
        }
    }
}

impl Point {
    /// The kind of probe in one word, from a closed set.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
            Self::Https(_) => "https",
            Self::Sip(Transport::Udp, _) => "sip-udp",
            Self::Sip(Transport::Tcp, _) => "sip-tcp",
            Self::Udp(_) => "udp",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Portal => "portal",
        }
    }

    /// What is the matter when it fails, before how often and why.
    pub fn complaint(self) -> String {
        match self {
            Self::Tcp(port) => format!("no answer on tcp/{port}"),
            Self::Http(port) => format!("no answer to HTTP on tcp/{port}"),
            Self::Https(port) => format!("no answer to HTTPS on tcp/{port}"),
            Self::Sip(transport, port) => {
                format!("no answer to SIP OPTIONS on {transport}/{port}")
            }
            Self::Udp(port) => format!("nobody is bound to udp/{port}"),
            Self::Disk => "the data directory's disk is filling up".to_owned(),
            Self::Memory => "its memory grows".to_owned(),
            Self::Portal => "the portal does not show it online".to_owned(),
        }
    }
}

impl ProbeKind {
    /// Whether it is the service that is asked, or its sockets are looked for: worth to be asked
    /// often while the service starts.
    pub fn asks_service(&self) -> bool {
        !matches!(self, Self::Disk { .. } | Self::Memory { .. } | Self::Portal)
    }

    /// Whether a node can see it.
    pub fn is_of_node(&self) -> bool {
        !matches!(self, Self::Portal)
    }
}

impl ProbeDefinition {
    /// What it asks, a question each.
    pub fn points(&self) -> Vec<Point> {
        let each = |ports: &PortRange, point: fn(u16) -> Point| ports.ports().map(point).collect();
        match &self.kind {
            ProbeKind::Tcp { ports } => each(ports, Point::Tcp),
            ProbeKind::Http {
                ports, tls: false, ..
            } => each(ports, Point::Http),
            ProbeKind::Http {
                ports, tls: true, ..
            } => each(ports, Point::Https),
            ProbeKind::Sip { transport, ports } => ports
                .ports()
                .map(|port| Point::Sip(*transport, port))
                .collect(),
            ProbeKind::Udp { ports } => each(ports, Point::Udp),
            ProbeKind::Disk { .. } => vec![Point::Disk],
            ProbeKind::Memory { .. } => vec![Point::Memory],
            ProbeKind::Portal => vec![Point::Portal],
        }
    }

    /// The TCP ports that it connects to.
    pub fn tcp_ports(&self) -> Option<PortRange> {
        match &self.kind {
            ProbeKind::Tcp { ports }
            | ProbeKind::Http { ports, .. }
            | ProbeKind::Sip {
                transport: Transport::Tcp,
                ports,
            } => Some(*ports),
            _ => None,
        }
    }

    /// Which rule it breaks, with the words in the file to look for.
    pub(super) fn broken_rule(&self) -> Option<(String, String)> {
        let broken = |near: &str, rule: String| Some((near.to_owned(), rule));
        if self.interval.is_zero() || self.timeout.is_zero() {
            let rule = "a probe's interval and timeout must not be zero";
            return broken("\"0", rule.to_owned());
        }
        if self.failures == 0 || self.successes == 0 {
            return broken("= 0", "a probe's thresholds must not be zero".to_owned());
        }
        let ports = match &self.kind {
            ProbeKind::Tcp { ports }
            | ProbeKind::Http { ports, .. }
            | ProbeKind::Sip { ports, .. }
            | ProbeKind::Udp { ports } => Some(ports),
            ProbeKind::Disk { .. } | ProbeKind::Memory { .. } | ProbeKind::Portal => None,
        };
        let many = ports.filter(|ports| ports.ports().count() > MAX_PROBED_PORTS);
        if let Some(ports) = many {
            let rule = format!("a probe has at most {MAX_PROBED_PORTS} ports");
            return broken(&ports.to_string(), rule);
        }
        if let ProbeKind::Http { path, .. } = &self.kind
            && !is_path(path)
        {
            return broken(path, format!("`{path}` is no path of a page: write /path"));
        }
        if let ProbeKind::Disk { minimum_free } = self.kind
            && !(1..=99).contains(&minimum_free)
        {
            let rule = "from 1 to 99 percent of a disk can be asked for";
            return broken("minimum_free", rule.to_owned());
        }
        if matches!(self.kind, ProbeKind::Memory { maximum_growth: 0 }) {
            let rule = "every service's memory grows a little";
            return broken("maximum_growth", rule.to_owned());
        }
        let mends = !matches!(self.kind, ProbeKind::Disk { .. } | ProbeKind::Portal);
        if self.consequence == Consequence::Restart && !mends {
            let rule = "a restart mends neither a full disk nor a registration";
            return broken("consequence", rule.to_owned());
        }
        None
    }
}

fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    path.starts_with('/') && path.len() <= 512 && path.bytes().all(plain)
}
