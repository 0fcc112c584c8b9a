//! Whether a listening service takes its connections. The kernel completes a handshake for a
//! process that is frozen, and goes on doing so until the listen queue is full: a connection
//! alone proves nothing. What waits in the queue is to be seen in `/proc/net/tcp`.
//!
//! Source: for a socket in the state LISTEN, the kernel's `get_tcp4_sock` prints the length of
//! the accept queue as `rx_queue`.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Listening sockets come first, one line of this length each (150 bytes for IPv4, padded). Read
/// in such portions, the kernel stops where we do: what follows the listening sockets is a walk
/// through its whole table of connections, milliseconds on a machine with much memory.
const PORTION: usize = 150;
/// No host has more listening sockets.
const MAX_LINES: usize = 4096;
/// The hexadecimal word for LISTEN.
const LISTEN: &str = "0A";

/// The kernel's two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    V4,
    V6,
}

/// Looks at accept queues, and remembers in which table a port was found.
#[derive(Debug, Default)]
pub(super) struct Backlogs(Mutex<BTreeMap<u16, Table>>);

impl Backlogs {
    /// How many connections wait to be accepted at this address. None when nobody listens there
    /// as far as this network namespace shows.
    pub(super) fn waiting(&self, ip: Ipv4Addr, port: u16) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = match known.get(&port) {
            Some(Table::V6) => [Table::V6, Table::V4],
            _ => [Table::V4, Table::V6],
        };
        for table in order {
            if let Some(waiting) = table.find(ip, port).unwrap_or_default() {
                known.insert(port, table);
                return Some(waiting);
            }
        }
        None
    }
}

impl Table {
    /// Reads up to the listening socket at this address.
    fn find(self, ip: Ipv4Addr, port: u16) -> io::Result<Option<u64>> {
        let (path, parse): (_, fn(&str) -> Option<Listener>) = match self {
            Self::V4 => ("/proc/net/tcp", Listener::of_tcp),
            Self::V6 => ("/proc/net/tcp6", Listener::of_tcp6),
        };
        let mut file = std::fs::File::open(path)?;
        let (mut text, mut portion) = (Vec::new(), [0; PORTION]);
        for _ in 0..MAX_LINES {
            let count = file.read(&mut portion)?;
            if count == 0 {
                break;
            }
            text.extend_from_slice(portion.get(..count).unwrap_or_default());
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if line.contains("local_address") {
                    continue;
                }
                if line.split_whitespace().nth(3) != Some(LISTEN) {
                    return Ok(None);
                }
                let ours = |l: &Listener| l.port == port && (l.ip.is_unspecified() || l.ip == ip);
                if let Some(listener) = parse(&line).filter(ours) {
                    return Ok(Some(listener.waiting));
                }
            }
        }
        Ok(None)
    }
}

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listener {
    ip: Ipv4Addr,
    port: u16,
    waiting: u64,
}

impl Listener {
    fn of_tcp(line: &str) -> Option<Self> {
        Self::parse(line, |text| {
            let raw = u32::from_str_radix(text, 16).ok()?;
            // Printed as the number that the bytes make in memory.
            Some(Ipv4Addr::from(raw.to_ne_bytes()))
        })
    }

    /// One that listens on all addresses, or on an IPv4 address in IPv6 clothes.
    fn of_tcp6(line: &str) -> Option<Self> {
        Self::parse(line, |text| {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                let word = text.get(at * 8..at * 8 + 8)?;
                let raw = u32::from_str_radix(word, 16).ok()?;
                chunk.copy_from_slice(&raw.to_ne_bytes());
            }
            let ip = Ipv6Addr::from(bytes);
            match ip.to_ipv4_mapped() {
                Some(ip) => Some(ip),
                None if ip.is_unspecified() => Some(Ipv4Addr::UNSPECIFIED),
                None => None,
            }
        })
    }

    fn parse(line: &str, ip: impl Fn(&str) -> Option<Ipv4Addr>) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (local, state) = (words.nth(1)?, words.nth(1)?);
        let (address, port) = local.split_once(':')?;
        let (_, waiting) = words.next()?.split_once(':')?;
        if state != LISTEN {
            return None;
        }
        Some(Self {
            ip: ip(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            waiting: u64::from_str_radix(waiting, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        let line = "   3: 8B1010AC:2288 00000000:0000 0A 00000000:00000005 00:00000000 00000000   888        0 12345 1 0000000000000000 100 0 0 10 0";
        let expected = Listener {
            ip: Ipv4Addr::new(172, 16, 16, 139),
            port: 8840,
            waiting: 5,
        };
        assert_eq!(Listener::of_tcp(line), Some(expected));
        let mapped = "   0: 0000000000000000FFFF00008B1010AC:2288 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0";
        assert_eq!(
            Listener::of_tcp6(mapped),
            Some(Listener {
                waiting: 0,
                ..expected
            })
        );
        let all = mapped.replace("FFFF00008B1010AC", "0000000000000000");
        assert_eq!(Listener::of_tcp6(&all).unwrap().ip, Ipv4Addr::UNSPECIFIED);
        let connected = line.replace(" 0A ", " 01 ");
        assert_eq!(Listener::of_tcp(&connected), None);
        for damaged in ["", "a b c d", "0: xx:yy 0:0 0A 0:0", "0: 0100007F 0 0A 0"] {
            assert_eq!(Listener::of_tcp(damaged), None, "{damaged}");
            assert_eq!(Listener::of_tcp6(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn what_nobody_accepts_is_counted() {
        let ip = Ipv4Addr::new(127, 0, 0, 1);
        let backlogs = Backlogs::default();
        let waiting = |ip, port| backlogs.waiting(ip, port);
        for bind in ["127.0.0.1:0", "[::]:0"] {
            let listener = std::net::TcpListener::bind(bind).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert_eq!(waiting(ip, port), Some(0), "{bind}");
            let _held: Vec<_> = (0..3)
                .map(|_| std::net::TcpStream::connect((ip, port)).unwrap())
                .collect();
            assert_eq!(waiting(ip, port), Some(3), "{bind}");
            listener.accept().unwrap();
            assert_eq!(waiting(ip, port), Some(2), "{bind}");
            drop(listener);
            assert_eq!(waiting(ip, port), None, "{bind}");
        }
    }
}
