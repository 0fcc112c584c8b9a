//! What a node said that it is. Pure: lines become facts, and nothing is decided here.

use std::net::Ipv4Addr;

use extend_common::hash;
use extend_common::tls::Fingerprint;
use jiff::{SignedDuration, Timestamp};

/// Facts of one kind beyond this many are dropped: no node has them.
const MOST: usize = 64;

/// A node, as `check.sh` saw it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// Its distribution.
    pub(super) os: Option<Os>,
    /// Debian's name of its architecture; none where there is no dpkg and apt-get.
    pub(super) architecture: Option<String>,
    /// The kernel's name of it.
    pub(super) machine: String,
    /// Whether systemd runs it.
    pub(super) systemd: bool,
    /// Its IPv4 addresses.
    pub(super) addresses: Vec<Ipv4Addr>,
    /// The file system of /var.
    pub(super) disk: Option<Disk>,
    /// How far its clock is ahead of ours, as far as that is certain.
    pub(super) clock_ahead: Option<SignedDuration>,
    /// Whether something keeps its clock right.
    pub(super) synchronized: Option<bool>,
    /// Packages of a PostgreSQL server.
    pub(super) postgres: Vec<String>,
    /// Its Docker Engine.
    pub(super) docker: Docker,
    /// Containers of the official scripts.
    pub(super) official: Vec<String>,
    /// The agent's package.
    pub(super) agent: Option<Installed>,
    /// The state of the agent's unit, in systemd's word.
    pub(super) unit: String,
    /// Whom it has joined.
    pub(super) joined: Option<Joined>,
    /// The registry's credentials on it.
    pub(super) registry: Option<Registry>,
}

/// A distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Os {
    /// `ubuntu`
    pub(super) id: String,
    /// `24.04`
    pub(super) version: String,
    /// As people call it.
    pub(super) name: String,
}

/// A file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    /// All of it.
    pub(super) total: u64,
    /// What is left.
    pub(super) free: u64,
}

/// The Docker Engine of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Docker {
    /// There is none.
    #[default]
    Absent,
    /// It answers, and is of this version.
    Answers(String),
    /// It is there and does not answer.
    Silent(String),
}

/// A package as dpkg has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installed {
    /// Whether it is installed to its end.
    pub(super) whole: bool,
    /// Its version.
    pub(super) version: String,
}

/// A membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    /// The authority that the node trusts.
    pub(super) authority: Fingerprint,
    /// The address under which it joined.
    pub(super) node: Option<Ipv4Addr>,
}

/// A file with credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registry {
    /// Its SHA-256.
    pub(super) sha256: [u8; 32],
    /// Whose it is, and who may read it.
    pub(super) owner: String,
    /// `600`
    pub(super) mode: String,
}

/// What was said is not all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node's account of itself is cut short")]
pub(super) struct CutShort;

/// When a question was asked and answered, by our clock.
pub(super) type Asked = (Timestamp, Timestamp);

impl Facts {
    /// Reads the lines of `check.sh`.
    pub(super) fn read(lines: &[(String, String)], asked: Asked) -> Result<Self, CutShort> {
        let mut facts = Self::default();
        let mut ended = false;
        for (key, value) in lines {
            facts.take(key, value, asked);
            ended |= key == "end";
        }
        if ended { Ok(facts) } else { Err(CutShort) }
    }

    fn take(&mut self, key: &str, value: &str, asked: Asked) {
        let words: Vec<&str> = value.split(' ').collect();
        let text = || value.to_owned();
        match (key, words.as_slice()) {
            ("os", [id, version, name @ ..]) => {
                let name = match name.join(" ").trim() {
                    "" => format!("{id} {version}"),
                    name => name.to_owned(),
                };
                let (id, version) = ((*id).to_owned(), (*version).to_owned());
                self.os = Some(Os { id, version, name });
            }
            ("architecture", _) => self.architecture = Some(text()),
            ("machine", _) => self.machine = text(),
            ("systemd", _) => self.systemd = true,
            ("address", [address]) if self.addresses.len() < MOST => {
                self.addresses.extend(address.parse::<Ipv4Addr>().ok());
            }
            ("disk", [total, free]) => {
                let bytes = |kibibytes: &str| kibibytes.parse::<u64>().ok()?.checked_mul(1024);
                self.disk = bytes(total)
                    .zip(bytes(free))
                    .map(|(total, free)| Disk { total, free });
            }
            ("clock", [seconds]) => self.clock_ahead = ahead(seconds, asked),
            ("synchronized", ["yes"]) => self.synchronized = Some(true),
            ("synchronized", ["no"]) => self.synchronized = Some(false),
            ("postgres", _) if self.postgres.len() < MOST => self.postgres.push(text()),
            ("docker", ["answers", version]) => {
                self.docker = Docker::Answers((*version).to_owned());
            }
            ("docker", [_, why @ ..]) => self.docker = Docker::Silent(why.join(" ")),
            ("official", _) if self.official.len() < MOST => self.official.push(text()),
            ("agent", [status, version]) if *status != "not-installed" => {
                let whole = *status == "installed";
                let version = (*version).to_owned();
                self.agent = (*status != "config-files").then_some(Installed { whole, version });
            }
            ("unit", _) => self.unit = text(),
            ("joined", [authority, rest @ ..]) => {
                let authority = hash::decode("a fingerprint", authority).ok();
                let node = rest.first().and_then(|node| node.parse().ok());
                self.joined = authority.map(|authority| Joined {
                    authority: Fingerprint(authority),
                    node,
                });
            }
            ("registry", [sha256, owner, mode]) => {
                let sha256 = hash::decode("a hash", sha256).ok();
                self.registry = sha256.map(|sha256| Registry {
                    sha256,
                    owner: (*owner).to_owned(),
                    mode: (*mode).to_owned(),
                });
            }
            _ => {}
        }
    }
}

/// The node's clock was read somewhere between question and answer, in whole seconds: what lies
/// within says nothing.
fn ahead(seconds: &str, (sent, heard): Asked) -> Option<SignedDuration> {
    let begins = Timestamp::from_second(seconds.parse().ok()?).ok()?;
    let ends = Timestamp::from_second(begins.as_second().checked_add(1)?).ok()?;
    Some(if ends < sent {
        ends.duration_since(sent)
    } else if begins > heard {
        begins.duration_since(heard)
    } else {
        SignedDuration::ZERO
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn asked() -> Asked {
        let at = |text: &str| text.parse().unwrap();
        (at("2026-11-30T12:00:00Z"), at("2026-11-30T12:00:02Z"))
    }

    /// The lines of a script as they travel.
    pub(in super::super) fn lines(text: &str) -> Vec<(String, String)> {
        let split = |line: &str| {
            let (key, value) = line.trim().split_once(' ').unwrap();
            (key.to_owned(), value.to_owned())
        };
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(split)
            .collect()
    }

    fn read(text: &str) -> Facts {
        Facts::read(&lines(&format!("{text}\nend 1")), asked()).unwrap()
    }

    #[test]
    fn a_node_is_read_as_it_says() {
        let fingerprint = "ab".repeat(32);
        let facts = read(&format!(
            "begun 1
            os ubuntu 24.04 Ubuntu 24.04.1 LTS
            architecture amd64
            machine x86_64
            systemd 1
            address 127.0.0.1
            address 172.31.16.139
            disk 125829120 104857600
            synchronized yes
            clock 1796040001
            postgres postgresql-16
            docker answers 28.1.1
            official portsip.mediaserver
            agent installed 0.1.0
            unit active
            joined {fingerprint} 172.31.16.139
            registry {fingerprint} extend-agent 600"
        ));
        assert_eq!(facts.os.unwrap().name, "Ubuntu 24.04.1 LTS");
        assert_eq!(facts.addresses.len(), 2);
        assert_eq!(facts.disk.unwrap().total, 120 << 30);
        assert_eq!(facts.docker, Docker::Answers("28.1.1".to_owned()));
        assert_eq!(facts.official, ["portsip.mediaserver"]);
        let version = "0.1.0".to_owned();
        assert_eq!(
            facts.agent,
            Some(Installed {
                whole: true,
                version
            })
        );
        assert_eq!(facts.joined.unwrap().authority, Fingerprint([0xab; 32]));
        assert_eq!(facts.registry.unwrap().owner, "extend-agent");
        assert!(facts.systemd && facts.synchronized == Some(true));
    }

    #[test]
    fn what_is_missing_or_odd_is_nothing() {
        let facts = read(
            "disk many few\naddress ::1\njoined xyz\nclock now\nnews 1\nagent config-files 0.1.0\nunit inactive",
        );
        let unit = "inactive".to_owned();
        assert_eq!(
            facts,
            Facts {
                unit,
                ..Facts::default()
            }
        );
        let silent = read("docker silent Cannot connect to the Docker daemon");
        let words = "Cannot connect to the Docker daemon".to_owned();
        assert_eq!(silent.docker, Docker::Silent(words));
        let half = read("agent half-configured 0.1.0").agent.unwrap();
        assert!(!half.whole);
        assert_eq!(
            Facts::read(&lines("begun 1\nsystemd 1"), asked()),
            Err(CutShort)
        );
    }

    #[test]
    fn a_clock_is_apart_by_what_is_certain() {
        let ahead = |at: &str| {
            let at: Timestamp = at.parse().unwrap();
            ahead(&at.as_second().to_string(), asked())
                .unwrap()
                .as_secs()
        };
        for so in [
            "2026-11-30T11:59:59Z",
            "2026-11-30T12:00:00Z",
            "2026-11-30T12:00:02Z",
        ] {
            assert_eq!(ahead(so), 0, "{so}");
        }
        assert_eq!(ahead("2026-11-30T11:59:00Z"), -59);
        assert_eq!(ahead("2026-11-30T12:01:02Z"), 60);
    }
}
