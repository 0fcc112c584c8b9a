//! Which ports of this host are taken, by the kernel's own tables.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use extend_common::ids::NodeAddr;
use extend_common::roles::PortRange;

use super::HostError;

/// 150 bytes a socket: room for over 200,000 of them. More is an attack, not a table.
const MAX_TABLE_BYTES: u64 = 32 * 1024 * 1024;
/// The kernel's word for a TCP socket that listens.
const TCP_LISTEN: &str = "0A";
/// The column of a socket's inode.
const INODE: usize = 9;

/// The ports that are taken, each with the address it is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortUse {
    /// TCP sockets that listen.
    pub tcp: BTreeSet<(IpAddr, u16)>,
    /// UDP sockets, connected or not.
    pub udp: BTreeSet<(IpAddr, u16)>,
}

impl PortUse {
    /// The first TCP port of the ranges that is listened on where a service bound to `node`
    /// would collide: there, or at every address.
    pub fn busy(&self, tcp: &[PortRange], node: NodeAddr) -> Option<u16> {
        Self::first_taken(&self.tcp, tcp, node)
    }

    /// The same for UDP.
    pub fn busy_udp(&self, udp: &[PortRange], node: NodeAddr) -> Option<u16> {
        Self::first_taken(&self.udp, udp, node)
    }

    fn first_taken(
        taken: &BTreeSet<(IpAddr, u16)>,
        ranges: &[PortRange],
        node: NodeAddr,
    ) -> Option<u16> {
        let collides = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => address == node.ip() || address.is_unspecified(),
            // A socket on `::` takes IPv4 too, unless it says otherwise, which no table shows.
            IpAddr::V6(address) => address.is_unspecified(),
        };
        taken
            .iter()
            .filter(|(address, port)| {
                ranges.iter().any(|range| range.contains(*port)) && collides(*address)
            })
            .map(|(_, port)| *port)
            .min()
    }
}

/// The ports that are taken on this host now.
///
/// # Errors
/// When the kernel's tables cannot be read.
pub fn listening_ports() -> Result<PortUse, HostError> {
    ports_below(Path::new("/"))
}

/// The same of a host whose files lie below `root`.
///
/// # Errors
/// When the kernel's tables cannot be read.
pub fn ports_below(root: &Path) -> Result<PortUse, HostError> {
    let mut found = PortUse::default();
    for (table, is_tcp) in [
        ("tcp", true),
        ("tcp6", true),
        ("udp", false),
        ("udp6", false),
    ] {
        let path = root.join("proc/net").join(table);
        // Without IPv6 in the kernel its tables are not there.
        let optional = table.ends_with('6');
        let Some(text) = read_table(&path, optional)? else {
            continue;
        };
        let taken = if is_tcp {
            &mut found.tcp
        } else {
            &mut found.udp
        };
        taken.extend(bound(&text, is_tcp));
    }
    Ok(found)
}

/// The inodes of the TCP sockets that listen on a port, at whichever address.
///
/// # Errors
/// When the kernel's tables cannot be read.
pub(super) fn listening_inodes(port: u16) -> Result<Vec<u64>, HostError> {
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let path = format!("/proc/net/{table}");
        let Some(text) = read_table(Path::new(&path), table.ends_with('6'))? else {
            continue;
        };
        let lines = text.lines().skip(1);
        found.extend(lines.filter_map(|line| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let (_, local) = columns.get(1)?.split_once(':')?;
            let is_it = u16::from_str_radix(local, 16).ok()? == port;
            let listens = *columns.get(3)? == TCP_LISTEN;
            columns
                .get(INODE)?
                .parse::<u64>()
                .ok()
                .filter(|_| is_it && listens)
        }));
    }
    Ok(found)
}

fn read_table(path: &Path, optional: bool) -> Result<Option<String>, HostError> {
    let failed = |error: std::io::Error| HostError::new("reading", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if optional && error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    file.take(MAX_TABLE_BYTES)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(Some(text))
}

/// The bound sockets of one table. Lines that are not understood are passed over: the kernel may
/// add columns, and the last line of a table that was cut off is half a line.
pub(super) fn bound(table: &str, is_tcp: bool) -> impl Iterator<Item = (IpAddr, u16)> {
    table.lines().skip(1).filter_map(move |line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (local, _remote, state) = (columns.next()?, columns.next()?, columns.next()?);
        if is_tcp && state != TCP_LISTEN {
            return None;
        }
        let (address, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16)
            .ok()
            .filter(|port| *port > 0)?;
        Some((parse_address(address)?, port))
    })
}

/// The kernel prints an address as 32-bit words in the machine's own byte order.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at..at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}
