//! Network interfaces of tunnels, by what the kernel says of each.

use std::path::Path;

use super::super::facts::{Known, Tunnel};
use super::{below, names, read_file};

const INTERFACES: &str = "/sys/class/net";
/// Of `tun_flags`: a tunnel of packets. Virtual machines' interfaces have frames (2), and are none.
const TUN: u32 = 1;

pub(super) fn tunnels(root: &Path) -> Known<Vec<Tunnel>> {
    let directory = below(root, INTERFACES);
    if let Err(error) = std::fs::read_dir(&directory) {
        return Err(format!("{INTERFACES}: {error}"));
    }
    let kind = |name: &str| {
        let text = |file: &str| read_file(&directory.join(name).join(file)).unwrap_or_default();
        let flags = text("tun_flags");
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
        if flags.is_ok_and(|flags| flags & TUN != 0) {
            return Some("a tunnel of some VPN");
        }
        if text("uevent")
            .lines()
            .any(|line| line == "DEVTYPE=wireguard")
        {
            return Some("WireGuard");
        }
        if text("uevent").lines().any(|line| line == "DEVTYPE=ppp") {
            return Some("PPP");
        }
        None
    };
    let found = names(&directory).into_iter().filter_map(|interface| {
        let kind = kind(&interface)?;
        Some(Tunnel { interface, kind })
    });
    Ok(found.collect())
}
