//! The RTP ports of a media server's calls: for each leg one for RTP and one for RTCP, and two legs
//! to a call. They are bound, read whenever something has come, and released with the call.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::ops::RangeInclusive;

/// The official range; it overlaps the ephemeral ports, whose holders are stepped over.
const RANGE: RangeInclusive<u16> = 35_000..=65_000;
/// The sockets of one call.
const SOCKETS: usize = 4;

/// The calls that a server has.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<UdpSocket>);

impl Calls {
    /// Has so many calls from now on.
    pub(crate) fn set(&mut self, address: Ipv4Addr, calls: u8) -> io::Result<()> {
        let wanted = usize::from(calls) * SOCKETS;
        self.0.truncate(wanted);
        let mut free = RANGE.filter_map(|port| UdpSocket::bind((address, port)).ok());
        while self.0.len() < wanted {
            let socket = free.next().ok_or(io::ErrorKind::AddrInUse)?;
            socket.set_nonblocking(true)?;
            self.0.push(socket);
        }
        Ok(())
    }

    /// Takes what has come.
    pub(crate) fn read(&self) {
        for socket in &self.0 {
            while socket.recv(&mut [0; 2048]).is_ok() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_four_ports_of_the_range_and_gives_them_back() {
        let address = Ipv4Addr::new(127, 0, 113, 9);
        let mut calls = Calls::default();
        calls.set(address, 2).unwrap();
        let ports: Vec<u16> = calls
            .0
            .iter()
            .map(|socket| socket.local_addr().unwrap().port())
            .collect();
        assert_eq!(ports, (35_000..35_008).collect::<Vec<u16>>());
        let sender = UdpSocket::bind((address, 0)).unwrap();
        sender.send_to(&[1], (address, 35_000)).unwrap();
        calls.read();
        let nothing = calls.0[0].recv(&mut [0; 8]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        calls.set(address, 1).unwrap();
        UdpSocket::bind((address, 35_004)).unwrap();
        UdpSocket::bind((address, 35_003)).unwrap_err();
    }
}
