//! The kernel's table of UDP sockets, `/proc/net/udp` or `udp6`, read for the sockets of one role.
//! Pure. What cannot be read to the last line says nothing: a socket that is not understood could
//! be a call.
//!
//! Source: the kernel's `udp4_format_sock` and `udp6_sock_seq_show`. The columns are slot, local
//! and remote address, state, send and receive queue, timer, retransmits, user, time-out, inode,
//! references, pointer, drops.

use std::io::{BufRead, Read as _};
use std::net::Ipv4Addr;

use extend_common::roles::SessionsDefinition;

/// A UDP socket, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Its local port.
    pub port: u16,
    /// What tells it from every other one.
    pub inode: u64,
    /// How many bytes wait to be read.
    pub queued: u64,
    /// How many packets found no room there.
    pub dropped: u64,
}

/// A line has 128 characters for IPv4 and about 170 for IPv6.
const MAX_LINE: u64 = 512;
/// A host has 65,535 ports at each of its addresses; no server comes near this.
const MAX_LINES: usize = 1_000_000;
/// How many columns there are; fewer would leave the drops out.
const COLUMNS: usize = 13;

/// A UDP socket, as far as it matters whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Whose it is.
    pub uid: u32,
    address: Address,
    port: u16,
}

impl Bound {
    /// Whether what is sent to this address and port comes to it.
    pub fn is_at(&self, ip: Ipv4Addr, port: u16) -> bool {
        let is_here = match self.address {
            Address::Everywhere => true,
            Address::V4(address) => address == ip,
            Address::Other => false,
        };
        is_here && self.port == port
    }
}

/// Where a socket is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    /// At every address. A socket of IPv6 that takes no IPv4 is not told apart.
    Everywhere,
    V4(Ipv4Addr),
    Other,
}

/// The sockets of a role in a table: those of its user, in its range.
///
/// # Errors
/// When any line is not as the kernel writes it.
pub fn sockets(table: impl BufRead, how: &SessionsDefinition) -> Result<Vec<Socket>, String> {
    read(table, |bound, socket| {
        (bound.uid == how.uid && how.udp.contains(socket.port)).then_some(socket)
    })
}

/// Where the sockets of a table are bound.
///
/// # Errors
/// When any line is not as the kernel writes it.
pub fn bound(table: impl BufRead) -> Result<Vec<Bound>, String> {
    read(table, |bound, _| Some(bound))
}

fn read<T>(
    mut table: impl BufRead,
    take: impl Fn(Bound, Socket) -> Option<T>,
) -> Result<Vec<T>, String> {
    let mut found = Vec::new();
    let mut line = String::new();
    for number in 0..MAX_LINES {
        line.clear();
        let mut limited = (&mut table).take(MAX_LINE);
        let count = limited
            .read_line(&mut line)
            .map_err(|error| format!("line {}: {error}", number + 1))?;
        match (number, count) {
            (0, 0) => return Err("it is empty".to_owned()),
            (_, 0) => return Ok(found),
            (0, _) if is_head(&line) => {}
            (0, _) => return Err("it does not begin as the kernel's table does".to_owned()),
            _ => {
                let (bound, socket) =
                    parse(&line).ok_or_else(|| format!("line {} is no socket", number + 1))?;
                found.extend(take(bound, socket));
            }
        }
    }
    Err(format!("it has more than {MAX_LINES} lines"))
}

fn is_head(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.get(1) == Some(&"local_address")
        && words.contains(&"uid")
        && words.last() == Some(&"drops")
        && line.ends_with('\n')
}

fn parse(line: &str) -> Option<(Bound, Socket)> {
    // Cut off in the middle, the last number would be another one.
    let words: Vec<&str> = line.strip_suffix('\n')?.split_whitespace().collect();
    if words.len() != COLUMNS || !words.first()?.ends_with(':') {
        return None;
    }
    let (address, port) = words.get(1)?.split_once(':')?;
    let (_, queued) = words.get(4)?.split_once(':')?;
    let socket = Socket {
        port: u16::from_str_radix(port, 16).ok()?,
        queued: u64::from_str_radix(queued, 16).ok()?,
        inode: words.get(9)?.parse().ok()?,
        dropped: words.get(12)?.parse().ok()?,
    };
    let bound = Bound {
        uid: words.get(7)?.parse().ok()?,
        address: local(address)?,
        port: socket.port,
    };
    Some((bound, socket))
}

/// An address as the kernel prints it: words of 32 bits in the machine's order, one or four.
fn local(text: &str) -> Option<Address> {
    if !matches!(text.len(), 8 | 32) || !text.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    if text.bytes().all(|byte| byte == b'0') {
        return Some(Address::Everywhere);
    }
    let (before, last) = text.split_at_checked(text.len() - 8)?;
    // `::ffff:0:0/96`, where IPv4 is within IPv6.
    let mapped = format!("{:024X}", 0xFFFF_u32.to_be());
    if !before.is_empty() && !before.eq_ignore_ascii_case(&mapped) {
        return Some(Address::Other);
    }
    let word = u32::from_str_radix(last, 16).ok()?;
    Some(Address::V4(Ipv4Addr::from(word.to_ne_bytes())))
}
