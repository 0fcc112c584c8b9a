//! Which addresses a network covers.
//!
//! An IPv4 address that is written as an IPv6 one (`::ffff:a.b.c.d`) is that IPv4 address, and a
//! network of such is the IPv4 network. An IPv6 network that is wider than all of them, such as
//! `::/0`, speaks of IPv6 and covers no IPv4 address: who lets all of IPv6 in lets no IPv4 in.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// The first 96 bits of an IPv4 address that is written as an IPv6 one.
const MAPPED_BITS: u8 = 96;

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network: an address, or one with the length of its prefix")]
pub struct NetError(String);

/// Reads `a.b.c.d`, `a.b.c.d/n` or the same in IPv6. Bits behind the prefix are let go.
pub fn parse_net(text: &str) -> Result<IpNet, NetError> {
    let text = text.trim();
    let net = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    net.map(|net| net.trunc())
        .ok_or_else(|| NetError(text.chars().take(64).collect()))
}

/// Whether `net` covers `address`.
pub fn covers(net: &IpNet, address: Ipv4Addr) -> bool {
    ipv4(net).is_some_and(|net| net.contains(&address))
}

/// The one address that `net` covers; none: it covers more, or none of IPv4.
pub fn single(net: &IpNet) -> Option<Ipv4Addr> {
    ipv4(net)
        .filter(|net| net.prefix_len() == 32)
        .map(|net| net.addr())
}

/// The IPv4 network that it is, however it is written.
fn ipv4(net: &IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(net) => {
            let length = net.prefix_len().checked_sub(MAPPED_BITS)?;
            Ipv4Net::new(net.addr().to_ipv4_mapped()?, length).ok()
        }
    }
}
