//! What is asked of firewalld on a node and what is told of it, both ways.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use extend_proto::v1;

use super::{WireError, parse, shown_text};
use crate::firewall::{
    FirewallChange, FirewallState, FirewallTold, MAX_ADDRESSES, MAX_OPENINGS, MAX_SOURCES, Opening,
    SeenOpening, Undone, ZoneSource,
};

fn few<T>(field: &'static str, list: &[T], most: usize) -> Result<(), WireError> {
    if list.len() > most {
        return Err(WireError::new(field, format!("more than {most} entries")));
    }
    Ok(())
}

fn addresses(field: &'static str, list: &[String]) -> Result<BTreeSet<Ipv4Addr>, WireError> {
    few(field, list, MAX_ADDRESSES)?;
    list.iter().map(|text| parse(field, text)).collect()
}

fn opening(opening: &v1::FirewallOpening) -> Result<Opening, WireError> {
    let port = u16::try_from(opening.port).map_err(|error| WireError::new("port", error))?;
    let source = parse("source", &opening.source)?;
    Ok(Opening { port, source })
}

fn openings(
    field: &'static str,
    list: &[v1::FirewallOpening],
) -> Result<BTreeSet<Opening>, WireError> {
    few(field, list, MAX_ADDRESSES)?;
    list.iter().map(opening).collect()
}

impl Opening {
    fn to_wire(self, whole: bool) -> v1::FirewallOpening {
        v1::FirewallOpening {
            port: self.port.into(),
            source: self.source.to_string(),
            whole,
        }
    }
}

/// A question about firewalld, with its id.
#[must_use]
pub fn firewall_wanted(id: String, change: FirewallChange) -> v1::FirewallWanted {
    let texts = |set: BTreeSet<Ipv4Addr>| set.iter().map(ToString::to_string).collect();
    let ports = |set: BTreeSet<Opening>| set.into_iter().map(|o| o.to_wire(false)).collect();
    v1::FirewallWanted {
        id,
        trust: texts(change.trust),
        untrust: texts(change.untrust),
        open: ports(change.open),
        close: ports(change.close),
    }
}

impl TryFrom<v1::FirewallWanted> for FirewallChange {
    type Error = WireError;

    fn try_from(wanted: v1::FirewallWanted) -> Result<Self, WireError> {
        let change = Self {
            trust: addresses("trust", &wanted.trust)?,
            untrust: addresses("untrust", &wanted.untrust)?,
            open: openings("open", &wanted.open)?,
            close: openings("close", &wanted.close)?,
        };
        match change.problem() {
            None => Ok(change),
            Some(problem) => Err(WireError::new("firewall", problem)),
        }
    }
}

fn state_to_wire(state: FirewallState) -> v1::FirewallState {
    match state {
        FirewallState::Running => v1::FirewallState::Running,
        FirewallState::Stopped => v1::FirewallState::Stopped,
        FirewallState::Absent => v1::FirewallState::Absent,
        FirewallState::NotAllowed => v1::FirewallState::NotAllowed,
        FirewallState::Unknown => v1::FirewallState::Unspecified,
    }
}

/// An answer about firewalld, with the id of its question.
#[must_use]
pub fn firewall_told(id: String, told: FirewallTold) -> v1::FirewallTold {
    let source = |source: ZoneSource| v1::FirewallSource {
        zone: source.zone,
        address: source.address.to_string(),
        prefix: source.prefix.into(),
        accepts: source.accepts,
        first: source.first,
        runtime: source.runtime,
        permanent: source.permanent,
        ours: source.ours,
    };
    let opening = |seen: SeenOpening| seen.opening.to_wire(seen.whole);
    let (problem, hint) = told
        .undone
        .map(|u| (u.sentence, u.hint))
        .unwrap_or_default();
    v1::FirewallTold {
        id,
        state: state_to_wire(told.state).into(),
        sources: told
            .sources
            .into_iter()
            .take(MAX_SOURCES)
            .map(source)
            .collect(),
        openings: told
            .openings
            .into_iter()
            .take(MAX_OPENINGS)
            .map(opening)
            .collect(),
        problem: shown_text(problem),
        hint: shown_text(hint),
    }
}

impl TryFrom<v1::FirewallSource> for ZoneSource {
    type Error = WireError;

    fn try_from(source: v1::FirewallSource) -> Result<Self, WireError> {
        let prefix = u8::try_from(source.prefix)
            .ok()
            .filter(|prefix| *prefix <= 32);
        Ok(Self {
            zone: shown_text(source.zone.chars().take(64).collect()),
            address: parse("address", &source.address)?,
            prefix: prefix.ok_or_else(|| WireError::new("prefix", "it is longer than 32"))?,
            accepts: source.accepts,
            first: source.first,
            runtime: source.runtime,
            permanent: source.permanent,
            ours: source.ours,
        })
    }
}

impl TryFrom<v1::FirewallTold> for FirewallTold {
    type Error = WireError;

    fn try_from(told: v1::FirewallTold) -> Result<Self, WireError> {
        few("sources", &told.sources, MAX_SOURCES)?;
        few("openings", &told.openings, MAX_OPENINGS)?;
        let state = match told.state() {
            v1::FirewallState::Running => FirewallState::Running,
            v1::FirewallState::Stopped => FirewallState::Stopped,
            v1::FirewallState::Absent => FirewallState::Absent,
            v1::FirewallState::NotAllowed => FirewallState::NotAllowed,
            v1::FirewallState::Unspecified => FirewallState::Unknown,
        };
        let seen = told.openings.iter().map(|seen| {
            Ok(SeenOpening {
                opening: opening(seen)?,
                whole: seen.whole,
            })
        });
        let openings = seen.collect::<Result<_, WireError>>()?;
        let sources = told.sources.into_iter().map(TryInto::try_into);
        let undone = (!told.problem.is_empty()).then(|| Undone {
            sentence: shown_text(told.problem),
            hint: shown_text(told.hint),
        });
        Ok(Self {
            state,
            sources: sources.collect::<Result<_, _>>()?,
            openings,
            undone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> FirewallTold {
        FirewallTold {
            state: FirewallState::Running,
            sources: vec![ZoneSource {
                zone: "trusted".to_owned(),
                address: Ipv4Addr::new(172, 31, 16, 139),
                prefix: 32,
                accepts: true,
                first: false,
                runtime: true,
                permanent: false,
                ours: true,
            }],
            openings: vec![SeenOpening {
                opening: Opening {
                    port: 7443,
                    source: Ipv4Addr::new(172, 31, 16, 139),
                },
                whole: true,
            }],
            undone: Some(Undone {
                sentence: "asking firewalld".to_owned(),
                hint: "look".to_owned(),
            }),
        }
    }

    #[test]
    fn what_is_told_comes_back_and_is_bounded() {
        let wire = firewall_told("7".to_owned(), told());
        assert_eq!(wire.id, "7");
        assert_eq!(FirewallTold::try_from(wire.clone()), Ok(told()));
        let mut odd = wire.clone();
        odd.sources[0].prefix = 33;
        assert!(FirewallTold::try_from(odd).is_err());
        let mut odd = wire.clone();
        odd.sources[0].address = "::1".to_owned();
        assert!(FirewallTold::try_from(odd).is_err());
        let mut many = wire;
        many.sources = vec![many.sources[0].clone(); MAX_SOURCES + 1];
        assert!(FirewallTold::try_from(many).is_err());
    }

    #[test]
    fn what_is_wanted_comes_back_and_networks_do_not() {
        let mut change = FirewallChange::default();
        change.trust.insert(Ipv4Addr::new(10, 0, 0, 1));
        change.close.insert(Opening {
            port: 7444,
            source: Ipv4Addr::new(10, 0, 0, 2),
        });
        let wire = firewall_wanted("7".to_owned(), change.clone());
        assert_eq!(FirewallChange::try_from(wire.clone()), Ok(change));
        for odd in [
            "10.0.0.0/8",
            "0.0.0.0",
            "::ffff:10.0.0.1",
            "example.com",
            "--reload",
        ] {
            let mut wire = wire.clone();
            wire.trust.push(odd.to_owned());
            assert!(FirewallChange::try_from(wire).is_err(), "{odd}");
        }
        let mut wire = wire;
        wire.close[0].port = 70_000;
        assert!(FirewallChange::try_from(wire).is_err());
    }
}
