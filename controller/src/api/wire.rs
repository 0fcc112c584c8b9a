//! What comes in over the wire, as domain types. Called by the handlers.
//!
//! Whatever is read here is hostile until it has passed: every list has a bound, every text is
//! parsed or made fit to be shown.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use extend_common::checkup::Accepted;
use extend_common::event::EventKind;
use extend_common::firewall::FirewallTold;
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::logs::LogQuery;
use extend_common::operation::Verb;
use extend_common::roles::Digest;
use extend_common::status::Unclaimed;
use extend_common::wire::{WireError, optional_time, shown_text};
use extend_proto::v1;
use jiff::Timestamp;
use ulid::Ulid;

use crate::core::request::{
    DrainWish, EventsWanted, Heartbeat, Hello, Lead, Retry, SelectorWords, ShimMended, Submission,
};
use crate::core::view::OperationFilter;
use crate::portal::Limits;

/// How many operations are listed when nobody says how many.
const LISTED: usize = 20;
/// With all their targets they are one message.
const MOST_LISTED: usize = 1_000;
/// A selector cannot name more nodes than a fleet has.
const MAX_NODES: usize = 10_000;
/// An agent knows the built-in roles and a handful of its administrator's.
const MAX_DEFINITIONS: usize = 64;
/// More abilities than agents will have for a while.
const MAX_ABILITIES: usize = 64;
/// More kinds of events than there are.
const MAX_KINDS: usize = 32;
/// No word that is a role is longer; what else was typed is shown back, cut.
const MAX_WORD: usize = 80;
/// Longer paths are nobody's.
const MAX_PATH: usize = 1_024;
/// What an agent says of a registry, in characters.
const MAX_PROBLEM: usize = 500;
/// The digits of a SHA-256.
const HASH_DIGITS: usize = 64;
/// An image reference, bounded as in records.
const MAX_REFERENCE: usize = 512;

pub(super) fn parse<T: FromStr<Err: Display>>(
    field: &'static str,
    text: &str,
) -> Result<T, WireError> {
    text.parse().map_err(|error| WireError::new(field, error))
}

/// Empty is none.
pub(super) fn parse_optional<T: FromStr<Err: Display>>(
    field: &'static str,
    text: &str,
) -> Result<Option<T>, WireError> {
    if text.is_empty() {
        Ok(None)
    } else {
        parse(field, text).map(Some)
    }
}

/// 0 is none.
pub(super) fn seconds(number: u32) -> Option<Duration> {
    (number > 0).then(|| Duration::from_secs(number.into()))
}

/// Nodes by their addresses.
pub(super) fn nodes(list: &[String]) -> Result<Vec<NodeAddr>, WireError> {
    if list.len() > MAX_NODES {
        return Err(WireError::new(
            "nodes",
            format!("there are more than {MAX_NODES}"),
        ));
    }
    list.iter().map(|text| parse("nodes", text)).collect()
}

pub(super) fn selector(selector: Option<v1::Selector>) -> Result<SelectorWords, WireError> {
    let selector = selector.unwrap_or_default();
    Ok(SelectorWords {
        role: shown_text(selector.role.chars().take(MAX_WORD).collect()),
        nodes: nodes(&selector.nodes)?,
        name: parse_optional("name", &selector.name)?,
    })
}

/// A request to read the logs of one server.
pub(super) fn read_logs(
    request: v1::ReadLogsRequest,
) -> Result<(SelectorWords, LogQuery), WireError> {
    let selector = selector(request.selector)?;
    if selector.nodes.len() > 1 || (selector.nodes.is_empty() && selector.name.is_none()) {
        return Err(WireError::new("selector", "it must name one server"));
    }
    let query = request.query;
    let query = query.ok_or_else(|| WireError::new("query", "it is missing"))?;
    Ok((selector, query.try_into()?))
}

/// That the shim was put back.
pub(super) fn shim_mended(request: v1::NoteShimRequest) -> Result<ShimMended, WireError> {
    let v1::NoteShimRequest {
        directory,
        seen_ms,
        sha256,
    } = request;
    if directory.len() > MAX_PATH || !directory.starts_with('/') {
        return Err(WireError::new("directory", "it is no absolute path"));
    }
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if sha256.len() != HASH_DIGITS || !sha256.chars().all(is_digit) {
        return Err(WireError::new("sha256", "it is no SHA-256"));
    }
    let seen = optional_time("seen_ms", seen_ms)?
        .ok_or_else(|| WireError::new("seen_ms", "it is missing"))?;
    Ok(ShimMended {
        directory: shown_text(directory),
        seen,
        sha256,
    })
}

/// `by` is who asks, and from where.
pub(super) fn submission(
    request: v1::SubmitRequest,
    (by, from): (String, Option<IpAddr>),
) -> Result<Submission, WireError> {
    if request.image.len() > MAX_REFERENCE {
        return Err(WireError::new(
            "image",
            format!("it is longer than {MAX_REFERENCE} bytes"),
        ));
    }
    Ok(Submission {
        limits: Limits {
            max_sessions: said(request.max_sessions),
            max_rooms: said(request.max_rooms),
            max_participants: said(request.max_participants),
        },
        confirmed: request.confirmed,
        request: parse("request_id", &request.request_id)?,
        verb: Verb::from_wire(request.verb)?,
        selector: selector(request.selector)?,
        image: Some(shown_text(request.image)).filter(|image| !image.is_empty()),
        public_address: parse_optional("public_address", &request.public_address)?,
        plan_only: request.plan_only,
        timeout: seconds(request.timeout_seconds),
        message: shown_text(request.message),
        force: request.force,
        strategy: request.strategy.unwrap_or_default().try_into()?,
        drain: match (request.now, request.drain_seconds, request.drain) {
            (true, 0, false) => DrainWish::Not,
            (true, ..) => return Err(WireError::new("now", "it contradicts `drain`")),
            (false, 0, true) => DrainWish::ByRole,
            (false, 0, false) => DrainWish::Unsaid,
            (false, limit, _) => DrainWish::For(Duration::from_secs(limit.into())),
        },
        queue: request.queue,
        to_previous: request.to_previous,
        retry_of: None,
        pins: BTreeMap::new(),
        by,
        from,
        leads: BTreeMap::new(),
        accepted: Accepted::list(request.accepted)?,
        checkup: None,
    })
}

/// A number that 0 leaves unsaid.
fn said(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number > 0)
}

/// A request to submit an operation again.
pub(super) fn retry(
    request: v1::RetryRequest,
    (by, from): (String, Option<IpAddr>),
) -> Result<Retry, WireError> {
    Ok(Retry {
        request: parse("request_id", &request.request_id)?,
        operation: request.id,
        failed_only: request.failed_only,
        plan_only: request.plan_only,
        timeout: seconds(request.timeout_seconds),
        message: shown_text(request.message),
        queue: request.queue,
        by,
        from,
        checkup: None,
    })
}

pub(super) fn events(request: &v1::WatchEventsRequest) -> Result<EventsWanted, WireError> {
    if request.kinds.len() > MAX_KINDS {
        return Err(WireError::new(
            "kinds",
            format!("there are more than {MAX_KINDS}"),
        ));
    }
    let kinds = request.kinds.iter().map(|kind| EventKind::from_wire(*kind));
    Ok(EventsWanted {
        words: selector(request.selector.clone())?,
        kinds: kinds.collect::<Result<_, _>>()?,
        tail: usize::try_from(request.tail).unwrap_or(usize::MAX),
        after: request.after,
        since: optional_time("since_ms", request.since_ms)?,
        until: optional_time("until_ms", request.until_ms)?,
    })
}

/// Which operations are to be listed.
pub(super) fn operations(request: v1::ListOperationsRequest) -> Result<OperationFilter, WireError> {
    let v1::ListOperationsRequest {
        limit,
        open_only,
        since_ms,
        until_ms,
        by,
    } = request;
    Ok(OperationFilter {
        limit: match usize::try_from(limit).unwrap_or(MOST_LISTED) {
            0 => LISTED,
            limit => limit.min(MOST_LISTED),
        },
        open_only,
        since: optional_time("since_ms", since_ms)?,
        until: optional_time("until_ms", until_ms)?,
        by: by.chars().take(MAX_WORD).collect(),
    })
}

pub(super) fn hello(hello: v1::Hello) -> Result<Hello, WireError> {
    if hello.definitions.len() > MAX_DEFINITIONS {
        return Err(WireError::new(
            "definitions",
            format!("there are over {MAX_DEFINITIONS}"),
        ));
    }
    let definition = |definition: v1::DefinitionDigest| {
        let role: RoleName = parse("role", &definition.role)?;
        let digest =
            Digest::try_from(definition.digest).map_err(|error| WireError::new("digest", error))?;
        Ok::<_, WireError>((role, digest))
    };
    if hello.abilities.len() > MAX_ABILITIES {
        return Err(WireError::new(
            "abilities",
            format!("there are over {MAX_ABILITIES}"),
        ));
    }
    Ok(Hello {
        node: parse("node", &hello.node)?,
        agent_version: shown_text(hello.agent_version.chars().take(MAX_WORD).collect()),
        store: parse_optional("store_id", &hello.store_id)?,
        epoch: hello.epoch,
        record: hello.record.map(TryInto::try_into).transpose()?,
        definitions: hello
            .definitions
            .into_iter()
            .map(definition)
            .collect::<Result<_, _>>()?,
        status: hello.status.map(TryInto::try_into).transpose()?,
        unclaimed: Unclaimed::list(hello.unclaimed)?,
        looked: hello.looked,
        abilities: hello.abilities.into_iter().map(shown_text).collect(),
        cloud: hello.cloud.map(Into::into),
    })
}

/// `wall` is our wall clock at its arrival: the engine's own time takes no part in its jumps, and
/// so says nothing about certificates.
pub(super) fn heartbeat(heartbeat: v1::Heartbeat, wall: Timestamp) -> Result<Heartbeat, WireError> {
    let told = optional_time("clock_ms", heartbeat.clock_ms)?;
    Ok(Heartbeat {
        host: heartbeat.host.map(|host| Box::new(host.into())),
        service: heartbeat.service.map(|service| Box::new(service.into())),
        cloud: heartbeat.cloud.map(Into::into),
        clock_ahead: told.map(|told| told.duration_since(wall)),
        sequence: heartbeat.sequence,
        docker_trouble: shown_text(heartbeat.docker_trouble),
        ledger_trouble: shown_text(heartbeat.ledger_trouble),
        unclaimed: Unclaimed::list(heartbeat.unclaimed)?,
        looked: heartbeat.looked,
    })
}

/// What firewalld on a node lets in.
pub(super) fn firewall_told(told: v1::FirewallTold) -> Result<(Ulid, FirewallTold), WireError> {
    let id = parse("id", &told.id)?;
    Ok((id, told.try_into()?))
}

/// Where a reference leads.
pub(super) fn image_told(told: v1::ImageTold) -> Result<(Ulid, Lead), WireError> {
    let id = parse("id", &told.id)?;
    let is_plain = told.identity.chars().all(|c| c.is_ascii_graphic());
    if told.identity.len() > MAX_REFERENCE || !is_plain {
        return Err(WireError::new("identity", "it is no image"));
    }
    let lead = match told.identity.is_empty() {
        false => Lead::To(told.identity),
        true => Lead::Unknown(shown_text(told.problem.chars().take(MAX_PROBLEM).collect())),
    };
    Ok((id, lead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_bounded_and_texts_made_fit_to_be_shown() {
        let many = vec!["10.0.0.1".to_owned(); MAX_NODES + 1];
        assert!(nodes(&many).is_err());
        let words = v1::Selector {
            role: "\u{1b}[31m".repeat(99),
            ..v1::Selector::default()
        };
        let role = selector(Some(words)).unwrap().role;
        assert!(!role.contains('\u{1b}') && role.len() < 800, "{role}");
        let definitions = vec![v1::DefinitionDigest::default(); MAX_DEFINITIONS + 1];
        let node = "10.0.0.1".to_owned();
        let long = v1::Hello {
            node,
            definitions,
            ..v1::Hello::default()
        };
        assert_eq!(hello(long).unwrap_err().field, "definitions");
    }

    #[test]
    fn a_clock_is_told_by_how_far_it_is_ahead() {
        let wall = Timestamp::from_second(1_000_000).unwrap();
        let ahead = |clock_ms| {
            let told = v1::Heartbeat {
                clock_ms,
                ..v1::Heartbeat::default()
            };
            Ok::<_, WireError>(heartbeat(told, wall)?.clock_ahead)
        };
        assert_eq!(ahead(0), Ok(None));
        let second = jiff::SignedDuration::from_secs(1);
        assert_eq!(ahead(1_000_001_000), Ok(Some(second)));
        assert_eq!(ahead(999_999_000), Ok(Some(-second)));
        assert!(ahead(i64::MAX).is_err() && ahead(i64::MIN).is_err());
    }

    #[test]
    fn a_hello_of_an_agent_that_was_never_welcomed_is_read() {
        let read = hello(v1::Hello {
            node: "10.0.0.1".to_owned(),
            ..v1::Hello::default()
        });
        let read = read.unwrap();
        assert_eq!((read.store, read.epoch, read.record), (None, 0, None));
    }
}
