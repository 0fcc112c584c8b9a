//! Whom a network covers, against a matcher that compares bit by bit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;

use crate::whitelist::{covers, parse_net, single};

/// Compares bit by bit. An IPv6 network is compared with the address written as IPv6; one that is
/// shorter than what all such addresses share is about IPv6.
fn naive(net: &IpNet, address: Ipv4Addr) -> bool {
    let (bits, wanted): (Vec<bool>, Vec<bool>) = match net {
        IpNet::V4(net) => (of(&net.addr().octets()), of(&address.octets())),
        IpNet::V6(net) => {
            if net.prefix_len() < 96 {
                return false;
            }
            (
                of(&net.addr().octets()),
                of(&address.to_ipv6_mapped().octets()),
            )
        }
    };
    for place in 0..usize::from(net.prefix_len()) {
        if bits[place] != wanted[place] {
            return false;
        }
    }
    true
}

fn of(octets: &[u8]) -> Vec<bool> {
    let bit = |octet: u8| (0..8).rev().map(move |place| octet >> place & 1 == 1);
    octets.iter().flat_map(|octet| bit(*octet)).collect()
}

/// An address, a network of any length near it or anywhere, in any way of writing it.
fn near() -> impl Strategy<Value = (Ipv4Addr, IpNet)> {
    let address = any::<u32>().prop_map(Ipv4Addr::from);
    // Which bit is flipped: often just at the edge of the prefix.
    (
        address,
        0_u8..=32,
        -2_i32..=2,
        any::<bool>(),
        any::<u128>(),
        0..4_u8,
    )
        .prop_map(|(address, length, edge, flip, any, form)| {
            let mut bits = u32::from(address);
            let place = i32::from(length) + edge;
            if flip && (0..32).contains(&place) {
                bits ^= 1 << (31 - place);
            }
            let beside = Ipv4Addr::from(bits);
            let (net, length) = match form {
                0 => (IpAddr::V4(beside), length),
                1 => (IpAddr::V6(beside.to_ipv6_mapped()), length + 96),
                2 => (IpAddr::V6(beside.to_ipv6_mapped()), length * 3),
                _ => (IpAddr::V6(Ipv6Addr::from(any)), length * 4),
            };
            (address, IpNet::new(net, length).unwrap())
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_network_covers_what_a_look_at_every_bit_finds((address, net) in near()) {
        prop_assert_eq!(covers(&net, address), naive(&net, address), "{} {}", net, address);
        prop_assert_eq!(covers(&net.trunc(), address), naive(&net, address));
        let alone = single(&net) == Some(address);
        let full = net.prefix_len() == net.max_prefix_len();
        prop_assert_eq!(alone, full && naive(&net, address));
    }

    #[test]
    fn what_is_written_is_read_as_what_it_is((_, net) in near()) {
        let read = parse_net(&net.to_string()).unwrap();
        prop_assert_eq!(read, net.trunc());
        prop_assert_eq!(parse_net(&format!(" {}\n", net.addr())).unwrap(), IpNet::from(net.addr()));
    }
}

#[test]
fn an_ipv4_address_written_as_ipv6_is_that_address() {
    let address = Ipv4Addr::new(203, 0, 113, 7);
    for net in [
        "::ffff:203.0.113.7",
        "::ffff:203.0.113.7/128",
        "::ffff:203.0.113.0/120",
    ] {
        assert!(covers(&parse_net(net).unwrap(), address), "{net}");
    }
    // All addresses of IPv4, however written; but IPv6 as a whole is another thing.
    assert!(covers(&parse_net("0.0.0.0/0").unwrap(), address));
    assert!(covers(&parse_net("::ffff:0:0/96").unwrap(), address));
    for net in ["::/0", "::ffff:0:0/95", "::203.0.113.7", "2001:db8::/32"] {
        assert!(!covers(&parse_net(net).unwrap(), address), "{net}");
    }
}

#[test]
fn what_is_no_network_is_said() {
    for text in [
        "",
        "203.0.113",
        "203.0.113.7/33",
        "203.0.113.7/",
        "all",
        "1.2.3.4 5.6.7.8",
    ] {
        assert!(parse_net(text).is_err(), "{text}");
    }
    assert_eq!(
        parse_net("300.1.1.1/8").unwrap_err().to_string(),
        "`300.1.1.1/8` is no network: an address, or one with the length of its prefix"
    );
}
