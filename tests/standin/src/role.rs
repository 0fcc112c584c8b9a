//! Which server this process is: the name of the program decides, as with the real binaries.
//!
//! The names and ports are PortSIP's and are repeated here on purpose, not taken from the role
//! definitions of the product: a stand-in that read those would agree with every mistake in them.

use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::Path;

/// What a program name of the image stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The image's entrypoint, which becomes the command that follows it.
    Entrypoint,
    /// One of the servers.
    Server(Role),
}

/// One of the four cluster servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Media,
    Queue,
    Meeting,
    Ivr,
}

impl Program {
    /// Reads the program from `argv[0]`; only the last component counts.
    pub(crate) fn from_argv0(argv0: &OsStr) -> Option<Self> {
        let name = Path::new(argv0).file_name()?;
        if name == "entrypoint" {
            return Some(Self::Entrypoint);
        }
        Role::ALL
            .into_iter()
            .find(|role| name == role.binary())
            .map(Self::Server)
    }
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::Media, Self::Queue, Self::Meeting, Self::Ivr];

    /// The name of the official binary, which is also the stem of the log file.
    pub(crate) fn binary(self) -> &'static str {
        match self {
            Self::Media => "mediaserver",
            Self::Queue => "callqueue",
            Self::Meeting => "conf",
            Self::Ivr => "vr",
        }
    }

    /// The signalling ports, each both TCP and UDP.
    pub(crate) fn ports(self) -> RangeInclusive<u16> {
        match self {
            Self::Media => 8840..=8845,
            Self::Queue => 8916..=8921,
            Self::Meeting => 8928..=8933,
            Self::Ivr => 8922..=8927,
        }
    }

    /// Which of them speaks SIP, over TCP and UDP. Call records show it for two; the third is
    /// inferred. A media server is told of its calls in another way.
    pub(crate) fn sip(self) -> Option<u16> {
        match self {
            Self::Media => None,
            Self::Queue => Some(8916),
            Self::Meeting => Some(8928),
            Self::Ivr => Some(8922),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_component_of_the_program_name_decides() {
        let cases = [
            (
                "/usr/local/bin/mediaserver",
                Some(Program::Server(Role::Media)),
            ),
            ("callqueue", Some(Program::Server(Role::Queue))),
            ("./conf", Some(Program::Server(Role::Meeting))),
            ("/vr", Some(Program::Server(Role::Ivr))),
            ("/usr/local/bin/entrypoint", Some(Program::Entrypoint)),
            ("mediaserver2", None),
            ("pbx-standin", None),
            ("", None),
        ];
        for (argv0, expected) in cases {
            assert_eq!(Program::from_argv0(OsStr::new(argv0)), expected, "{argv0}");
        }
    }

    #[test]
    fn no_two_roles_share_a_port() {
        let mut ports: Vec<u16> = Role::ALL.into_iter().flat_map(Role::ports).collect();
        assert_eq!(ports.len(), 24);
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 24);
    }
}
