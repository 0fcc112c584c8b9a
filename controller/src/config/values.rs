//! The values of the configuration: what each may be, and its default.
//!
//! Used by serde for the fields of the parent's structs. Each refusal carries a hint.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use extend_common::config_file::refused;
use extend_common::duration;
use extend_common::ids::NodeAddr;
use extend_common::wire::MAX_CONTROLLERS;
use serde::{Deserialize, Deserializer};

use crate::pbx::BaseUrl;

/// Slower than this, a node that died would be seen after minutes; faster, the network is the load.
const HEARTBEAT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);
/// Shorter than this, a certificate ends before it is used; longer, it is not a short-lived one.
const LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(30 * 24 * 60 * 60);
/// Shorter than this, yesterday's deeds would be gone in the morning; longer, nobody knows who the
/// people were.
const AUDIT: RangeInclusive<Duration> =
    Duration::from_secs(24 * 60 * 60)..=Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// More often than this, looking would be most of what the PBX does; less often, an operator waits
/// for what is long there.
const POLL: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(60);
/// Shorter than this, an entry would lapse while the PBX is away over a week-end.
const EXPIRY: RangeInclusive<Duration> =
    Duration::from_secs(30 * 24 * 60 * 60)..=Duration::from_secs(50 * 365 * 24 * 60 * 60);
/// Each of them has an agent that is told of every change.
const MAX_PBX_NODES: usize = 8;
/// What AWS raises the quota to at most.
const RULES: RangeInclusive<usize> = 1..=1000;
/// The longest name of an account, by the PBX's API.
const MAX_USERNAME: usize = 64;
/// Docker's own bound is 255 for the name; a digest and a tag come on top.
const MAX_REFERENCE: usize = 512;
/// The longest name that DNS allows.
const MAX_ADDRESS: usize = 253;

pub(super) fn state_dir() -> PathBuf {
    PathBuf::from("/var/lib/extend")
}

pub(super) fn socket() -> PathBuf {
    PathBuf::from("/run/extend/controller.sock")
}

pub(super) fn socket_group() -> String {
    "extend".to_owned()
}

pub(super) fn roles_dir() -> PathBuf {
    PathBuf::from("/etc/extend/roles.d")
}

pub(super) fn agent_package_dir() -> PathBuf {
    PathBuf::from("/usr/share/extend/agent")
}

pub(super) fn image() -> String {
    "portsip/pbx:22".to_owned()
}

/// Other addresses of this controller.
pub(super) fn standby<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NodeAddr>, D::Error> {
    let addresses = Vec::<NodeAddr>::deserialize(from)?;
    // With the controller's own, as many as agents take.
    let most = MAX_CONTROLLERS - 1;
    if addresses.len() > most {
        let cause = format_args!("{} addresses are too many", addresses.len());
        return Err(refused(cause, &format!("name {most} at most")));
    }
    Ok(addresses)
}

/// A path that means the same wherever the daemon is started.
pub(super) fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(from)?;
    if path.is_absolute() {
        return Ok(path);
    }
    Err(refused(
        format_args!("`{}` is not an absolute path", path.display()),
        "begin it with /",
    ))
}

pub(super) fn group<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.$".contains(c);
    if name.is_empty() || name.len() > 32 || !name.chars().all(allowed) {
        let cause = format_args!("`{}` cannot be the name of a group", name.escape_debug());
        return Err(refused(
            cause,
            "name a group of this host, such as \"extend\"",
        ));
    }
    Ok(name)
}

/// An image reference. It is handed on to nodes and shown to people: no spaces, no controls.
pub(super) fn reference<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let graphic = text.chars().all(|c| c.is_ascii_graphic());
    if text.is_empty() || text.len() > MAX_REFERENCE || !graphic || text.starts_with('-') {
        let cause = format_args!("`{}` is no image reference", text.escape_debug());
        return Err(refused(
            cause,
            "write it as for `docker pull`, such as \"portsip/pbx:22\"",
        ));
    }
    Ok(text)
}

/// An address that becomes an argument of the servers' binaries: it must not look like an option.
pub(super) fn pbx_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    let first = text
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == ':');
    if !first || text.len() > MAX_ADDRESS || !text.chars().all(allowed) {
        let cause = format_args!("`{}` is neither an address nor a name", text.escape_debug());
        return Err(refused(
            cause,
            "write the Elastic IP of the PBX, such as \"54.151.30.9\"",
        ));
    }
    Ok(Some(text))
}

/// The base of the PBX's REST API: a scheme, a host, perhaps a port, and no more.
pub(super) fn api<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let hint = "write where its REST API is, such as \"https://54.151.30.9:8887\"";
    // As the client will read it.
    match base(&text, &["https"]).filter(|base| base.parse::<BaseUrl>().is_ok()) {
        Some(base) => Ok(Some(base)),
        None => Err(refused(
            format_args!("`{}` is not the address of a PBX", text.escape_debug()),
            hint,
        )),
    }
}

/// Where EC2 is asked, for what is not AWS itself.
pub(super) fn endpoint<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let hint = "write a scheme and a host, such as \"https://ec2.us-west-1.amazonaws.com\"";
    match base(&text, &["https", "http"]) {
        Some(base) => Ok(Some(base)),
        None => Err(refused(
            format_args!("`{}` is no endpoint", text.escape_debug()),
            hint,
        )),
    }
}

/// A URL of one of some schemes without path, user or query, and without the last slash.
fn base(text: &str, schemes: &[&str]) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let uri: http::Uri = text.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let plain = !authority.contains('@') && text.len() <= MAX_ADDRESS + 16;
    let nothing_more = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let scheme = uri.scheme_str()?;
    (plain && nothing_more && schemes.contains(&scheme)).then(|| text.to_owned())
}

/// An account of the PBX.
pub(super) fn username<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let graphic = text.chars().all(|c| !c.is_control());
    if text.is_empty() || text.chars().count() > MAX_USERNAME || !graphic {
        let cause = format_args!("`{}` cannot be an account", text.escape_debug());
        let hint = "name an account of the PBX that is for the controller alone";
        return Err(refused(cause, hint));
    }
    Ok(Some(text))
}

pub(super) fn pbx_nodes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NodeAddr>, D::Error> {
    let addresses = Vec::<NodeAddr>::deserialize(from)?;
    if addresses.len() > MAX_PBX_NODES {
        let cause = format_args!("{} nodes are too many", addresses.len());
        return Err(refused(cause, &format!("name {MAX_PBX_NODES} at most")));
    }
    Ok(addresses)
}

pub(super) fn poll<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    within(from, &POLL)
}

pub(super) fn expiry<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let hint = "write a duration from 30d to 18250d, such as \"3650d\"";
    within_words(from, &EXPIRY, hint)
}

pub(super) fn security_group<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let is_id = text
        .strip_prefix("sg-")
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric()));
    if !is_id || text.len() > 64 {
        let cause = format_args!("`{}` is no security group", text.escape_debug());
        return Err(refused(
            cause,
            "write the id of the group, such as \"sg-0123456789abcdef0\"",
        ));
    }
    Ok(Some(text))
}

pub(super) fn region<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 32 || !text.chars().all(allowed) {
        let cause = format_args!("`{}` is no region", text.escape_debug());
        return Err(refused(cause, "write a region, such as \"us-west-1\""));
    }
    Ok(Some(text))
}

pub(super) fn rules<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let rules = usize::deserialize(from)?;
    if !RULES.contains(&rules) {
        let (least, most) = (RULES.start(), RULES.end());
        return Err(refused(
            format_args!("{rules} rules are not a quota"),
            &format!("write a number from {least} to {most}"),
        ));
    }
    Ok(rules)
}

/// Where to listen. Nodes are known by IPv4 addresses; an IPv6 listener serves them only when it
/// takes both kinds.
pub(super) fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    let address: SocketAddr = text.parse().map_err(|_| {
        let cause = format_args!("`{}` is no address with a port", text.escape_debug());
        refused(cause, "write both, such as \"0.0.0.0:7443\"")
    })?;
    let broadcast = address.ip() == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.ip().is_multicast() || broadcast {
        return Err(refused(
            format_args!("nothing can listen on {}", address.ip()),
            "name an address of this host, or 0.0.0.0 for all of them",
        ));
    }
    Ok(address)
}

pub(super) fn heartbeat<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    within(from, &HEARTBEAT)
}

pub(super) fn leaf_lifetime<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    within(from, &LIFETIME)
}

pub(super) fn audit_keep<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let hint = "write a duration from 1d to 3650d, such as \"365d\"";
    within_words(from, &AUDIT, hint)
}

fn within<'de, D: Deserializer<'de>>(
    from: D,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, D::Error> {
    let (least, most) = (duration::show(*range.start()), duration::show(*range.end()));
    within_words(
        from,
        range,
        &format!("write a duration from {least} to {most}"),
    )
}

fn within_words<'de, D: Deserializer<'de>>(
    from: D,
    range: &RangeInclusive<Duration>,
    hint: &str,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let duration = duration::parse(&text).map_err(|_| {
        refused(
            format_args!("`{}` is no duration", text.escape_debug()),
            hint,
        )
    })?;
    if !range.contains(&duration) {
        let size = if duration < *range.start() {
            "too short"
        } else {
            "too long"
        };
        return Err(refused(format_args!("{text} is {size}"), hint));
    }
    Ok(duration)
}
