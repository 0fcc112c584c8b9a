//! Checkups and what a cloud says of a node, both ways.
//!
//! What a node's cloud tells decides nothing but by an operator's hand: odd texts are left out
//! rather than refused, so that no node loses its session for them.

use extend_proto::v1;

use super::{WireError, optional, shown_text};
use crate::checkup::{Accepted, Check, CheckName, Verdict};
use crate::cloud::{CloudFacts, MAX_GROUPS, is_id};

/// What was found and what to do, in characters.
const MAX_WORDS: usize = 400;

fn words(text: String) -> String {
    shown_text(text.chars().take(MAX_WORDS).collect())
}

impl From<Check> for v1::Check {
    fn from(check: Check) -> Self {
        Self {
            name: check.name.to_string(),
            verdict: check.verdict.to_wire(),
            found: check.found,
            fix: check.fix,
        }
    }
}

impl TryFrom<v1::Check> for Check {
    type Error = WireError;

    fn try_from(check: v1::Check) -> Result<Self, WireError> {
        Ok(Self {
            name: super::parse("name", &check.name)?,
            verdict: Verdict::from_wire(check.verdict)?,
            found: words(check.found),
            fix: words(check.fix),
        })
    }
}

impl Check {
    /// The checks of a message, each once. One that is not known here comes from a newer agent, and
    /// is left out.
    pub fn list(told: Vec<v1::Check>) -> Vec<Self> {
        let mut checks: Vec<Self> = Vec::new();
        for check in told.into_iter().take(2 * CheckName::ALL.len()) {
            if let Ok(check) = Self::try_from(check)
                && checks.iter().all(|known| known.name != check.name)
            {
                checks.push(check);
            }
        }
        checks
    }
}

impl From<Accepted> for v1::Accepted {
    fn from(accepted: Accepted) -> Self {
        Self {
            name: accepted.name.to_string(),
            reason: accepted.reason,
        }
    }
}

impl TryFrom<v1::Accepted> for Accepted {
    type Error = WireError;

    fn try_from(accepted: v1::Accepted) -> Result<Self, WireError> {
        let v1::Accepted { name, reason } = accepted;
        // One way to read it, whoever has written it.
        let read = format!("{name}={}", shown_text(reason)).parse();
        read.map_err(|error| WireError::new("accepted", error))
    }
}

impl Accepted {
    /// What an operator overrides: each check once.
    ///
    /// # Errors
    /// When a name is none, or a reason is missing or too long.
    pub fn list(wire: Vec<v1::Accepted>) -> Result<Vec<Self>, WireError> {
        let mut list: Vec<Self> = Vec::new();
        for accepted in wire {
            let accepted = Self::try_from(accepted)?;
            if list.iter().any(|known| known.name == accepted.name) {
                let twice = format!("`{}` is there twice", accepted.name);
                return Err(WireError::new("accepted", twice));
            }
            list.push(accepted);
        }
        Ok(list)
    }
}

impl From<CloudFacts> for v1::CloudFacts {
    fn from(facts: CloudFacts) -> Self {
        Self {
            public_address: optional(facts.public.as_ref()),
            private_address: optional(facts.private.as_ref()),
            instance_id: facts.instance,
            vpc_id: facts.vpc,
            subnet_id: facts.subnet,
            security_group_ids: facts.security_groups,
        }
    }
}

impl From<v1::CloudFacts> for CloudFacts {
    fn from(wire: v1::CloudFacts) -> Self {
        let id = |text: String| if is_id(&text) { text } else { String::new() };
        let groups = wire.security_group_ids.into_iter();
        Self {
            public: wire.public_address.parse().ok(),
            private: wire.private_address.parse().ok(),
            instance: id(wire.instance_id),
            vpc: id(wire.vpc_id),
            subnet: id(wire.subnet_id),
            security_groups: groups.filter(|text| is_id(text)).take(MAX_GROUPS).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_survive_the_wire_and_are_bounded() {
        let check = Check::fail(CheckName::DiskSize, "8 GB in /", "a larger disk");
        let wire = v1::Check::from(check.clone());
        assert_eq!(Check::try_from(wire.clone()), Ok(check.clone()));
        let newer = v1::Check {
            name: "moon-phase".to_owned(),
            ..wire.clone()
        };
        let no_verdict = v1::Check {
            verdict: 0,
            ..wire.clone()
        };
        let hostile = v1::Check {
            name: "clock".to_owned(),
            found: "\u{1b}".repeat(9_999),
            ..wire.clone()
        };
        let read = Check::list(vec![wire.clone(), newer, no_verdict, wire.clone(), hostile]);
        assert_eq!(read.len(), 2, "{read:?}");
        assert_eq!(read[0], check);
        assert!(!read[1].found.contains('\u{1b}') && read[1].found.len() < 9_999);
        assert!(Check::list(vec![wire; 9_999]).len() == 1);
    }

    #[test]
    fn an_override_is_read_as_the_command_line_reads_it() {
        let accepted = Accepted {
            name: CheckName::OsRelease,
            reason: "Debian = ours".to_owned(),
        };
        let wire = v1::Accepted::from(accepted.clone());
        assert_eq!(Accepted::try_from(wire), Ok(accepted));
        let wire = |name: &str, reason: &str| v1::Accepted {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        for bad in [
            wire("clock", ""),
            wire("", "x"),
            wire("o", &"x".repeat(999)),
        ] {
            assert!(Accepted::try_from(bad).is_err());
        }
        assert_eq!(
            Accepted::list(vec![wire("clock", "x"), wire("ports", "y")])
                .unwrap()
                .len(),
            2
        );
        assert!(Accepted::list(vec![wire("clock", "x"), wire("clock", "y")]).is_err());
    }

    #[test]
    fn what_a_cloud_says_is_mended() {
        let facts = CloudFacts {
            public: Some("54.215.234.52".parse().unwrap()),
            private: Some("172.31.16.139".parse().unwrap()),
            instance: "i-0123".to_owned(),
            vpc: "vpc-1".to_owned(),
            subnet: "subnet-1".to_owned(),
            security_groups: vec!["sg-1".to_owned()],
        };
        let wire = v1::CloudFacts::from(facts.clone());
        assert_eq!(CloudFacts::from(wire.clone()), facts);
        let hostile = v1::CloudFacts {
            public_address: "::1".to_owned(),
            vpc_id: "\u{1b}[31m".to_owned(),
            subnet_id: "s".repeat(65),
            security_group_ids: vec!["sg-1".to_owned(); 99],
            ..wire
        };
        let read = CloudFacts::from(hostile);
        assert_eq!(
            (read.public, read.vpc.as_str(), read.subnet.as_str()),
            (None, "", "")
        );
        assert_eq!(read.security_groups.len(), MAX_GROUPS);
    }
}
