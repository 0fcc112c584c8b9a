//! The sockets of a server: bound, polled for connections, closed, or jammed.
//!
//! Everything is polled from one thread, so that whoever stops polling has a server that accepts
//! nothing, as a hung process would. But the kernel completes handshakes on a listening socket
//! without its process, until the backlog is full: to a probe that only connects, a server that
//! hangs looks well for another hundred probes or more. [`Doors::jam`] takes that grace away.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

/// How long a connection to ourselves may take before the backlog counts as full. Where there is
/// room the kernel answers within microseconds; where there is none it drops the SYN.
const JAM_TIMEOUT: Duration = Duration::from_millis(50);
/// More than any backlog in use (`net.core.somaxconn` is 4096), so that jamming ends in any case.
const JAM_LIMIT: usize = 10_000;

/// The bound sockets of one server.
pub(crate) struct Doors {
    address: Ipv4Addr,
    ports: RangeInclusive<u16>,
    tcp: Vec<TcpListener>,
    // Bound and never read: what the stand-in owes a test is that the ports are taken.
    _udp: Vec<UdpSocket>,
}

/// A port that could not be had.
#[derive(Debug)]
pub(crate) struct NoDoor {
    protocol: &'static str,
    at: SocketAddr,
    error: io::Error,
}

impl Doors {
    /// Binds the UDP ports; the TCP listeners come with [`Doors::listen`].
    pub(crate) fn open(address: Ipv4Addr, ports: RangeInclusive<u16>) -> Result<Self, NoDoor> {
        let udp = ports
            .clone()
            .map(|port| {
                let at = SocketAddr::from((address, port));
                UdpSocket::bind(at).map_err(|error| NoDoor {
                    protocol: "udp",
                    at,
                    error,
                })
            })
            .collect::<Result<_, _>>()?;
        let mut doors = Self {
            address,
            ports,
            tcp: Vec::new(),
            _udp: udp,
        };
        doors.listen()?;
        Ok(doors)
    }

    /// Opens the TCP listeners, all of them or none; nothing to do when they are open.
    pub(crate) fn listen(&mut self) -> Result<(), NoDoor> {
        if !self.tcp.is_empty() {
            return Ok(());
        }
        let listen = |port| {
            let at = SocketAddr::from((self.address, port));
            TcpListener::bind(at)
                .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
                .map_err(|error| NoDoor {
                    protocol: "tcp",
                    at,
                    error,
                })
        };
        self.tcp = self.ports.clone().map(listen).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Closes the TCP listeners; the UDP ports stay bound.
    pub(crate) fn turn_deaf(&mut self) {
        self.tcp.clear();
    }

    /// Accepts and closes whatever has connected, without waiting for anyone.
    pub(crate) fn answer(&self) {
        for listener in &self.tcp {
            // An error other than "nobody there" is one of that connection, or a shortage that
            // the next poll may find gone.
            while listener.accept().is_ok() {}
        }
    }

    /// Fills the backlogs of the listeners, so that no further connection is completed: the next
    /// one times out. Connections that are closed by their client keep their place in a backlog
    /// until somebody accepts them, which [`Doors::answer`] does when the hang is over.
    pub(crate) fn jam(&self) {
        thread::scope(|scope| {
            for listener in &self.tcp {
                scope.spawn(|| jam_one(listener));
            }
        });
    }
}

fn jam_one(listener: &TcpListener) {
    let Ok(at) = listener.local_addr() else {
        return;
    };
    let mut failed = 0;
    for _ in 0..JAM_LIMIT {
        match TcpStream::connect_timeout(&at, JAM_TIMEOUT) {
            Ok(_) => failed = 0,
            // Once may be a busy machine.
            Err(_) if failed == 0 => failed = 1,
            Err(_) => return,
        }
    }
}

impl NoDoor {
    pub(crate) fn is_busy(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }
}

impl fmt::Display for NoDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            at,
            error,
        } = self;
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "{protocol} port {} on {} is busy", at.port(), at.ip())
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(
                    f,
                    "{} is no address of this host (are -a and -x swapped?)",
                    at.ip()
                )
            }
            _ => write!(f, "cannot bind {protocol} {at}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    // Ports outside the ephemeral range and the servers' own, an address for each test.
    const PORTS: RangeInclusive<u16> = 18840..=18841;

    fn listening(address: Ipv4Addr) -> Result<Doors, NoDoor> {
        let mut doors = Doors::open(address, PORTS)?;
        doors.listen()?;
        Ok(doors)
    }

    fn connect(address: Ipv4Addr) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(
            &SocketAddr::from((address, *PORTS.start())),
            Duration::from_millis(300),
        )
    }

    #[test]
    fn connections_are_closed_at_once() {
        let address = Ipv4Addr::new(127, 0, 113, 1);
        let doors = listening(address).unwrap();
        let mut client = connect(address).unwrap();
        doors.answer();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn the_deaf_refuse_tcp_and_keep_udp() {
        let address = Ipv4Addr::new(127, 0, 113, 2);
        let mut doors = listening(address).unwrap();
        doors.turn_deaf();
        assert_eq!(
            connect(address).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        assert!(UdpSocket::bind((address, *PORTS.start())).is_err());
        doors.listen().unwrap();
        connect(address).unwrap();
    }

    #[test]
    fn a_jammed_door_lets_connections_time_out_until_it_is_answered() {
        let address = Ipv4Addr::new(127, 0, 113, 3);
        let doors = listening(address).unwrap();
        doors.jam();
        assert_eq!(
            connect(address).unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        doors.answer();
        connect(address).unwrap();
    }

    #[test]
    fn a_busy_port_is_named() {
        let address = Ipv4Addr::new(127, 0, 113, 4);
        let _taken = TcpListener::bind((address, *PORTS.end())).unwrap();
        let refused = listening(address).err().unwrap();
        assert!(refused.is_busy());
        assert_eq!(refused.to_string(), "tcp port 18841 on 127.0.113.4 is busy");
    }

    #[test]
    fn a_foreign_address_is_told_from_a_busy_port() {
        // TEST-NET-1: never an address of a host.
        let refused = Doors::open(Ipv4Addr::new(192, 0, 2, 1), PORTS)
            .err()
            .unwrap();
        assert!(!refused.is_busy());
        assert!(refused.to_string().contains("swapped"), "{refused}");
    }
}
