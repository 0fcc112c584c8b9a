//! Which packages of interest dpkg has installed. Read as it lies there: asking dpkg is a process,
//! and this is some megabytes at most.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::super::facts::Known;
use super::below;

/// dpkg's own book.
const STATUS: &str = "/var/lib/dpkg/status";
/// Far more than a machine with everything installed has.
const MAX_STATUS: u64 = 64 * 1024 * 1024;

/// What is looked for: exact names, or with a `*` at the end what they begin with.
pub const WATCHED: [&str; 21] = [
    "anydesk",
    "bind9",
    "dnsmasq",
    "isc-dhcp-server",
    "kea-dhcp4-server",
    "nordvpn",
    "openconnect",
    "openvpn",
    "openvpn-as",
    "postgresql",
    "postgresql-1*",
    "postgresql-9*",
    "realvnc-vnc-server",
    "rustdesk",
    "softether-vpnserver",
    "strongswan*",
    "tailscale",
    "teamviewer*",
    "wireguard*",
    "xrdp",
    "zerotier-one",
];

pub(super) fn installed(root: &Path) -> Known<BTreeSet<String>> {
    let failed = |error: std::io::Error| format!("{STATUS}: {error}");
    let file = File::open(below(root, STATUS)).map_err(failed)?;
    let mut lines = BufReader::new(file.take(MAX_STATUS));
    let mut found = BTreeSet::new();
    let (mut line, mut package) = (Vec::new(), String::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(found);
        }
        let text = String::from_utf8_lossy(&line);
        if let Some(name) = text.strip_prefix("Package: ") {
            name.trim().clone_into(&mut package);
        } else if text.trim_end() == "Status: install ok installed" && is_watched(&package) {
            found.insert(package.clone());
        }
    }
}

fn is_watched(package: &str) -> bool {
    WATCHED
        .iter()
        .any(|watched| match watched.strip_suffix('*') {
            Some(begins) => package.starts_with(begins),
            None => package == *watched,
        })
}
