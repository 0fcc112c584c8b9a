//! How the node's address came to its interface: a lease, or a file. The kernel itself would have to
//! be asked over netlink, which the agent's sandbox has closed; whoever manages the interface leaves
//! files that everybody may read. NetworkManager and a netplan that is not in force leave none.

use std::net::Ipv4Addr;
use std::path::Path;

use extend_common::ids::NodeAddr;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::facts::{Addressing, Known};
use super::{below, names, read, read_file};

const ROUTES: &str = "/proc/net/route";
const NETWORKD: &str = "/run/systemd/netif";
const DHCLIENT: &str = "/var/lib/dhcp";
const IFUPDOWN: &str = "/etc/network";

pub(super) fn addressing(root: &Path, node: NodeAddr) -> Known<Addressing> {
    let routes = read(root, ROUTES).map_err(|error| format!("{ROUTES}: {error}"))?;
    let interface = interface_of(&routes, node.ip())
        .ok_or_else(|| format!("no network interface is found for {node}"))?;
    let index = read(root, &format!("/sys/class/net/{interface}/ifindex"));
    let index = index.ok().and_then(|text| text.trim().parse::<u32>().ok());
    let networkd = index.and_then(|index| by_networkd(root, index));
    networkd
        .or_else(|| by_dhclient(root, interface, Timestamp::now()))
        .or_else(|| by_ifupdown(root, interface))
        .ok_or_else(|| format!("nobody tells how {interface} got its address"))
}

/// The interface whose own network has the address: the narrowest route without a gateway.
fn interface_of(routes: &str, node: Ipv4Addr) -> Option<&str> {
    // The kernel prints the address's bytes as a number of the machine's own order.
    let hex = |text: &str| {
        let number = u32::from_str_radix(text, 16).ok()?;
        Some(u32::from_be_bytes(number.to_ne_bytes()))
    };
    let routes = routes.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let to = hex(columns.get(1)?)?;
        let (gateway, mask) = (hex(columns.get(2)?)?, hex(columns.get(7)?)?);
        let has_it = gateway == 0 && mask != 0 && u32::from(node) & mask == to;
        has_it.then_some((mask, *columns.first()?))
    });
    let (_, name) = routes.max_by_key(|(mask, _)| *mask)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    // It becomes part of paths.
    (name.len() < 16 && name.chars().all(plain) && !name.starts_with('.')).then_some(name)
}

fn by_networkd(root: &Path, index: u32) -> Option<Addressing> {
    if below(root, NETWORKD)
        .join(format!("leases/{index}"))
        .exists()
    {
        return Some(Addressing::Leased(
            "systemd-networkd has a lease".to_owned(),
        ));
    }
    let link = read_file(&below(root, NETWORKD).join(format!("links/{index}"))).ok()?;
    let value = |key: &str| {
        let mut lines = link.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    if value("ADMIN_STATE") != Some("configured") {
        return None;
    }
    let file = value("NETWORK_FILE").unwrap_or("a file of systemd-networkd's");
    Some(Addressing::Configured(file.chars().take(120).collect()))
}

/// dhclient keeps its leases; the last of a file counts, and only while it is good.
fn by_dhclient(root: &Path, interface: &str, now: Timestamp) -> Option<Addressing> {
    let directory = below(root, DHCLIENT);
    let files = names(&directory)
        .into_iter()
        .filter(|name| name.ends_with(".leases"));
    let of_interface = format!("interface \"{interface}\";");
    let mut good = files.filter(|name| {
        let text = read_file(&directory.join(name)).unwrap_or_default();
        let last = text
            .rsplit("lease {")
            .find(|lease| lease.contains(&of_interface));
        last.and_then(expiry).is_some_and(|until| until > now)
    });
    let file = good.next_back()?;
    Some(Addressing::Leased(format!(
        "dhclient has a lease in {DHCLIENT}/{file}"
    )))
}

/// `expire 1 2026/11/30 23:04:05;`, in UTC.
fn expiry(lease: &str) -> Option<Timestamp> {
    let line = lease
        .lines()
        .find_map(|line| line.trim().strip_prefix("expire "))?;
    let words: Vec<&str> = line.trim_end_matches(';').split(' ').collect();
    let [_, date, time] = words.as_slice() else {
        // "never"
        return (words.first() == Some(&"never")).then_some(Timestamp::MAX);
    };
    let at: DateTime = format!("{}T{time}", date.replace('/', "-")).parse().ok()?;
    TimeZone::UTC.to_timestamp(at).ok()
}

fn by_ifupdown(root: &Path, interface: &str) -> Option<Addressing> {
    let directory = below(root, IFUPDOWN);
    let more = names(&directory.join("interfaces.d"));
    let more = more.into_iter().map(|name| format!("interfaces.d/{name}"));
    let files = std::iter::once("interfaces".to_owned()).chain(more);
    for file in files {
        let text = read_file(&directory.join(&file)).unwrap_or_default();
        let method = text.lines().find_map(|line| {
            match line.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
                ["iface", name, "inet", method] if *name == interface => Some((*method).to_owned()),
                _ => None,
            }
        });
        let path = format!("{IFUPDOWN}/{file}");
        match method.as_deref() {
            Some("static") => return Some(Addressing::Configured(path)),
            Some("dhcp") => return Some(Addressing::Leased(format!("{path} says dhcp"))),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_of_its_own_has_the_address() {
        let routes = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                      ens5 00000000 01101FAC 0003 0 0 100 00000000 0 0 0\n\
                      ens5 00101FAC 00000000 0001 0 0 100 00F0FFFF 0 0 0\n\
                      wrong 80101FAC 01101FAC 0003 0 0 100 80FFFFFF 0 0 0\n\
                      docker0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0\n";
        let of = |address: &str| interface_of(routes, address.parse().unwrap());
        assert_eq!(of("172.31.16.139"), Some("ens5"));
        assert_eq!(of("172.17.0.2"), Some("docker0"));
        assert_eq!(of("10.0.0.1"), None);
        let hostile = routes.replace("ens5", "../etc");
        assert_eq!(
            interface_of(&hostile, "172.31.16.139".parse().unwrap()),
            None
        );
    }

    #[test]
    fn a_lease_is_good_until_it_expires() {
        let until = |text: &str| expiry(text).map(|at| at.to_string());
        let lease = "  interface \"ens5\";\n  expire 1 2026/11/30 23:04:05;\n}\n";
        assert_eq!(until(lease).as_deref(), Some("2026-11-30T23:04:05Z"));
        assert!(expiry("expire never;").is_some());
        assert_eq!(expiry("expire soon;"), None);
        assert_eq!(expiry("}"), None);
    }
}
