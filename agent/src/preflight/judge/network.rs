//! The network: the node's address, who listens where, and the way to the PBX.

use std::net::IpAddr;

use extend_common::checkup::{Check, CheckName};
use extend_common::roles::PortRange;

use super::super::facts::{Addressing, Door, NotReached};
use super::{Case, of};
use crate::host::PortUse;

/// Wider ranges overlap the ports that the kernel gives to whoever asks for any: that one of them
/// is taken at a moment says nothing.
const WIDEST: u16 = 100;
/// Names are asked for here, and addresses there.
const DNS: u16 = 53;
const DHCP: u16 = 67;

pub(super) fn static_address(addressing: Result<&Addressing, String>, case: &Case<'_>) -> Check {
    let (name, node) = (CheckName::StaticAddress, case.node);
    if let Some(private) = case.cloud.as_ref().and_then(|cloud| cloud.private) {
        // AWS leaves the primary address to an interface for its life, by whichever lease it comes.
        return match private == node {
            true => Check::ok(
                name,
                format!("{node} is the instance's primary private address"),
            ),
            false => Check::fail(
                name,
                format!("the instance's primary private address is {private}, not {node}"),
                format!("join the node as {private}: extend node token {private}"),
            ),
        };
    }
    of(name, addressing, |addressing| match addressing {
        Addressing::Configured(by) => Check::ok(name, format!("configured by {by}")),
        Addressing::Leased(by) => Check::fail(
            name,
            format!("{node} is leased by DHCP ({by})"),
            format!("give the interface {node} in /etc/netplan, with dhcp4: false"),
        ),
    })
}

pub(super) fn dns_dhcp(ports: Result<&PortUse, String>) -> Check {
    let name = CheckName::DnsDhcp;
    of(name, ports, |ports| {
        // systemd-resolved answers this machine alone.
        let others = |(address, _): &&(IpAddr, u16)| !address.to_canonical().is_loopback();
        let listens = |taken: &std::collections::BTreeSet<(IpAddr, u16)>, port: u16| {
            taken.iter().filter(others).any(|(_, taken)| *taken == port)
        };
        let dns = listens(&ports.tcp, DNS) || listens(&ports.udp, DNS);
        let dhcp = listens(&ports.udp, DHCP);
        let found = match (dns, dhcp) {
            (false, false) => return Check::ok(name, "nobody serves DNS or DHCP to others"),
            (true, true) => "somebody serves DNS (port 53) and DHCP (port 67)",
            (true, false) => "somebody serves DNS (port 53)",
            (false, true) => "somebody serves DHCP (port 67)",
        };
        Check::fail(
            name,
            found,
            "ss -lntup 'sport = 53 or sport = 67', and stop it",
        )
    })
}

pub(super) fn ports(ports: Result<&PortUse, String>, case: &Case<'_>) -> Check {
    let name = CheckName::Ports;
    let Some(role) = case.role else {
        return Check::unknown(name, "which ports it needs depends on the role")
            .with_fix("-s TYPE");
    };
    if case.is_its_own {
        return Check::ok(name, "they are its own server's");
    }
    of(name, ports, |ports| {
        let narrow = |range: &&PortRange| range.ports().count() <= usize::from(WIDEST);
        let udp: Vec<_> = role.firewall.udp.iter().filter(narrow).copied().collect();
        let tcp = ports
            .busy(&role.firewall.tcp, case.node)
            .map(|port| format!("{port}/tcp"));
        let udp = ports
            .busy_udp(&udp, case.node)
            .map(|port| format!("{port}/udp"));
        match tcp.or(udp) {
            None => Check::ok(name, format!("those of a {} are free", role.title)),
            Some(port) => Check::fail(
                name,
                format!("somebody has {port}, which a {} needs", role.title),
                format!(
                    "ss -lntup | grep :{}",
                    port.split('/').next().unwrap_or_default()
                ),
            ),
        }
    })
}

pub(super) fn pbx_reachable(reached: &[(Door, Result<(), NotReached>)]) -> Check {
    let name = CheckName::PbxReachable;
    if reached.is_empty() {
        return Check::unknown(name, "no address of the PBX is configured")
            .with_fix("`address` under [pbx] in /etc/extend/controller.toml");
    }
    let checks = reached.iter().map(|(door, reached)| {
        let purpose = &door.purpose;
        let Ok(to) = &door.to else {
            let why = match reached {
                Err(NotReached::Untried(why)) => why.as_str(),
                _ => "it is no address",
            };
            return Check::unknown(name, format!("{purpose}: {why}"));
        };
        match reached {
            Ok(()) => Check::ok(name, format!("{to} ({purpose}) takes connections")),
            Err(NotReached::Untried(why)) => {
                Check::unknown(name, format!("{to} ({purpose}): {why}"))
            }
            Err(NotReached::Forbidden) => {
                let found = format!("{to} ({purpose}): the agent's unit does not let it try");
                let fix = format!(
                    "systemctl edit extend-agent: [Service], IPAddressAllow={}",
                    to.ip()
                );
                Check::unknown(name, found).with_fix(fix)
            }
            Err(NotReached::Failed(why)) => {
                let found = format!("{to} ({purpose}) is not reached: {why}");
                let fix = "the security group, and the firewall of the PBX";
                match door.needed {
                    true => Check::fail(name, found, fix),
                    false => Check::warn(name, found, fix),
                }
            }
        }
    });
    // Every port is named, also where all of them do.
    let all_ok: Vec<_> = reached
        .iter()
        .filter(|(_, reached)| reached.is_ok())
        .filter_map(|(door, _)| Some(format!("{} ({})", door.to.as_ref().ok()?, door.purpose)))
        .collect();
    let ok = Check::ok(name, format!("{} takes connections", all_ok.join(", ")));
    checks.fold(ok, Check::and)
}
