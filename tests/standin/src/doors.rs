//! The sockets of a server: bound, polled for connections, closed, or jammed.
//!
//! Everything is polled from one thread, so that whoever stops polling has a server that accepts
//! nothing, as a hung process would. But the kernel completes handshakes on a listening socket
//! without its process, until the backlog is full: to a probe that only connects, a server that
//! hangs looks well for another hundred probes or more. [`Doors::jam`] takes that grace away.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use crate::sip::{self, MAX_QUESTION};

/// How long a connection to ourselves may take before the backlog counts as full. Where there is
/// room the kernel answers within microseconds; where there is none it drops the SYN.
const JAM_TIMEOUT: Duration = Duration::from_millis(50);
/// Connections that ask by SIP at a time; more are closed at once.
const MAX_TALKS: usize = 64;
/// More than any backlog in use (`net.core.somaxconn` is 4096), so that jamming ends in any case.
const JAM_LIMIT: usize = 10_000;

/// The bound sockets of one server.
pub(crate) struct Doors {
    address: Ipv4Addr,
    ports: RangeInclusive<u16>,
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    /// The port that speaks SIP.
    sip: Option<u16>,
    /// Connections to it, with what has come on them.
    talks: Vec<(TcpStream, Vec<u8>)>,
}

/// A port that could not be had.
#[derive(Debug)]
pub(crate) struct NoDoor {
    protocol: &'static str,
    at: SocketAddr,
    error: io::Error,
}

impl Doors {
    /// Binds the UDP ports; the TCP listeners come with [`Doors::listen`]. SIP is spoken at `sip`.
    pub(crate) fn open(
        address: Ipv4Addr,
        ports: RangeInclusive<u16>,
        sip: Option<u16>,
    ) -> Result<Self, NoDoor> {
        let udp = ports
            .clone()
            .map(|port| {
                let at = SocketAddr::from((address, port));
                UdpSocket::bind(at)
                    .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
                    .map_err(|error| NoDoor {
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
            udp,
            sip,
            talks: Vec::new(),
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

    /// Closes the TCP listeners; the UDP ports stay bound, and nothing that comes there is answered.
    pub(crate) fn turn_deaf(&mut self) {
        self.tcp.clear();
        self.talks.clear();
    }

    /// Accepts and closes whatever has connected, without waiting for anyone, and throws away what
    /// has come in datagrams; but at the port of SIP questions are answered with this status, or
    /// read and left alone.
    pub(crate) fn answer(&mut self, status: Option<u16>) {
        for (port, listener) in self.ports.clone().zip(&self.tcp) {
            // An error other than "nobody there" is one of that connection, or a shortage that
            // the next poll may find gone.
            while let Ok((stream, _)) = listener.accept() {
                let is_sip = self.sip == Some(port) && self.talks.len() < MAX_TALKS;
                if is_sip && stream.set_nonblocking(true).is_ok() {
                    self.talks.push((stream, Vec::new()));
                }
            }
        }
        for (port, socket) in self.ports.clone().zip(&self.udp) {
            let mut datagram = [0; MAX_QUESTION];
            while let Ok((count, from)) = socket.recv_from(&mut datagram) {
                let request = datagram.get(..count).unwrap_or_default();
                let hears = self.sip == Some(port) && !self.tcp.is_empty();
                let wanted = status.filter(|_| hears);
                if let Some(answer) = wanted.and_then(|status| sip::answer(request, status)) {
                    // Whoever does not get it asks again.
                    let _ = socket.send_to(&answer, from);
                }
            }
        }
        self.talks
            .retain_mut(|(stream, heard)| talk(stream, heard, status).is_ok());
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

/// Reads what has come on a connection, and answers what is a whole question.
fn talk(stream: &mut TcpStream, heard: &mut Vec<u8>, status: Option<u16>) -> io::Result<()> {
    let mut portion = [0; 1024];
    loop {
        match stream.read(&mut portion) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => heard.extend(portion.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
        if heard.len() > MAX_QUESTION {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    while let Some(end) = sip::end_of_request(heard) {
        let request: Vec<u8> = heard.drain(..end).collect();
        if let Some(answer) = status.and_then(|status| sip::answer(&request, status)) {
            stream.write_all(&answer)?;
        }
    }
    Ok(())
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
        let mut doors = Doors::open(address, PORTS, Some(*PORTS.end()))?;
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
        let mut doors = listening(address).unwrap();
        let mut client = connect(address).unwrap();
        doors.answer(None);
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
        let mut doors = listening(address).unwrap();
        doors.jam();
        assert_eq!(
            connect(address).unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        doors.answer(None);
        connect(address).unwrap();
    }

    #[test]
    fn sip_is_answered_at_its_port_on_both_transports_unless_it_is_silent() {
        let address = Ipv4Addr::new(127, 0, 113, 5);
        let mut doors = listening(address).unwrap();
        let question = "OPTIONS sip:a SIP/2.0\r\nVia: v\r\nFrom: f\r\nTo: t\r\nCall-ID: c\r\n\
                        CSeq: 1 OPTIONS\r\n\r\n";
        let at = SocketAddr::from((address, *PORTS.end()));
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_nonblocking(true).unwrap();
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        for status in [None, Some(503)] {
            stream.write_all(question.as_bytes()).unwrap();
            socket.send_to(question.as_bytes(), at).unwrap();
            doors.answer(status);
            let mut heard = [0; 512];
            let answers = [stream.read(&mut heard).ok(), socket.recv(&mut heard).ok()];
            assert_eq!(
                answers.map(|answer| answer.is_some()),
                [status.is_some(); 2]
            );
        }
        // Another port speaks none.
        socket
            .send_to(question.as_bytes(), (address, *PORTS.start()))
            .unwrap();
        doors.answer(Some(200));
        assert!(socket.recv(&mut [0; 8]).is_err());
        assert_eq!(doors.talks.len(), 1);
        // The deaf hear nothing at all.
        doors.turn_deaf();
        socket.send_to(question.as_bytes(), at).unwrap();
        doors.answer(Some(200));
        assert!(socket.recv(&mut [0; 8]).is_err());
        drop(stream);
        doors.answer(None);
        assert!(doors.talks.is_empty(), "whoever hangs up is forgotten");
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
        let refused = Doors::open(Ipv4Addr::new(192, 0, 2, 1), PORTS, None)
            .err()
            .unwrap();
        assert!(!refused.is_busy());
        assert!(refused.to_string().contains("swapped"), "{refused}");
    }
}
