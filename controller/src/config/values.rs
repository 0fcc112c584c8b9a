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

/// Slower than this, a node that died would be seen after minutes; faster, the network is the load.
const HEARTBEAT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);
/// Shorter than this, a certificate ends before it is used; longer, it is not a short-lived one.
const LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(30 * 24 * 60 * 60);
/// Shorter than this, yesterday's deeds would be gone in the morning; longer, nobody knows who the
/// people were.
const AUDIT: RangeInclusive<Duration> =
    Duration::from_secs(24 * 60 * 60)..=Duration::from_secs(10 * 365 * 24 * 60 * 60);
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
