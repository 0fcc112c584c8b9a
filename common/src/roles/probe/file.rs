//! A probe as it stands in a role's file: one flat table, whatever its kind. Read strictly: a key that
//! belongs to another kind is refused, and so is one that is missing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Consequence, ProbeDefinition, ProbeKind, Transport};
use crate::duration;
use crate::roles::PortRange;

/// How far a service's memory may grow beyond its own baseline unless the definition says
/// otherwise, in percent.
const MAXIMUM_GROWTH: u32 = 100;
/// The share of a disk that has to be free unless the definition says otherwise, in percent.
const MINIMUM_FREE: u8 = 10;

/// A probe as it stands in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flat {
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ports: Option<PortRange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transport: Option<Transport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum_free: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_growth: Option<u32>,
    #[serde(with = "duration::text")]
    interval: Duration,
    #[serde(with = "duration::text")]
    timeout: Duration,
    failures: u32,
    successes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consequence: Option<Consequence>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Tcp,
    Http,
    Https,
    Sip,
    Udp,
    Disk,
    Memory,
    Portal,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Https => "https",
            Self::Sip => "sip",
            Self::Udp => "udp",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Portal => "portal",
        }
    }

    /// Which keys it has beside those that every probe has.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Tcp | Self::Udp => &["ports"],
            Self::Http | Self::Https => &["ports", "path"],
            Self::Sip => &["ports", "transport"],
            Self::Disk => &["minimum_free"],
            Self::Memory => &["maximum_growth"],
            Self::Portal => &[],
        }
    }
}

impl TryFrom<Flat> for ProbeDefinition {
    type Error = String;

    fn try_from(flat: Flat) -> Result<Self, String> {
        let Flat { kind, .. } = flat;
        let given = [
            ("ports", flat.ports.is_some()),
            ("transport", flat.transport.is_some()),
            ("path", flat.path.is_some()),
            ("minimum_free", flat.minimum_free.is_some()),
            ("maximum_growth", flat.maximum_growth.is_some()),
        ];
        let odd = given
            .iter()
            .find(|(key, is_given)| *is_given && !kind.keys().contains(key));
        if let Some((key, _)) = odd {
            return Err(format!("a probe of kind `{}` has no `{key}`", kind.word()));
        }
        let missing = |key: &str| format!("a probe of kind `{}` needs `{key}`", kind.word());
        let ports = || flat.ports.ok_or_else(|| missing("ports"));
        let mut consequence = Consequence::Restart;
        let probe = match kind {
            Kind::Tcp => ProbeKind::Tcp { ports: ports()? },
            Kind::Udp => ProbeKind::Udp { ports: ports()? },
            Kind::Http | Kind::Https => ProbeKind::Http {
                ports: ports()?,
                path: flat.path.unwrap_or_else(|| "/".to_owned()),
                tls: kind == Kind::Https,
            },
            Kind::Sip => ProbeKind::Sip {
                transport: flat.transport.ok_or_else(|| missing("transport"))?,
                ports: ports()?,
            },
            Kind::Disk | Kind::Memory | Kind::Portal => {
                consequence = Consequence::Warn;
                match kind {
                    Kind::Disk => ProbeKind::Disk {
                        minimum_free: flat.minimum_free.unwrap_or(MINIMUM_FREE),
                    },
                    Kind::Memory => ProbeKind::Memory {
                        maximum_growth: flat.maximum_growth.unwrap_or(MAXIMUM_GROWTH),
                    },
                    _ => ProbeKind::Portal,
                }
            }
        };
        Ok(Self {
            kind: probe,
            interval: flat.interval,
            timeout: flat.timeout,
            failures: flat.failures,
            successes: flat.successes,
            consequence: flat.consequence.unwrap_or(consequence),
        })
    }
}

impl From<ProbeDefinition> for Flat {
    fn from(probe: ProbeDefinition) -> Self {
        let mut flat = Self {
            kind: Kind::Portal,
            ports: None,
            transport: None,
            path: None,
            minimum_free: None,
            maximum_growth: None,
            interval: probe.interval,
            timeout: probe.timeout,
            failures: probe.failures,
            successes: probe.successes,
            consequence: Some(probe.consequence),
        };
        match probe.kind {
            ProbeKind::Tcp { ports } => (flat.kind, flat.ports) = (Kind::Tcp, Some(ports)),
            ProbeKind::Udp { ports } => (flat.kind, flat.ports) = (Kind::Udp, Some(ports)),
            ProbeKind::Http { ports, path, tls } => {
                flat.kind = if tls { Kind::Https } else { Kind::Http };
                flat.ports = Some(ports);
                flat.path = Some(path);
            }
            ProbeKind::Sip { transport, ports } => {
                flat.kind = Kind::Sip;
                flat.transport = Some(transport);
                flat.ports = Some(ports);
            }
            ProbeKind::Disk { minimum_free } => {
                (flat.kind, flat.minimum_free) = (Kind::Disk, Some(minimum_free));
            }
            ProbeKind::Memory { maximum_growth } => {
                (flat.kind, flat.maximum_growth) = (Kind::Memory, Some(maximum_growth));
            }
            ProbeKind::Portal => {}
        }
        flat
    }
}
