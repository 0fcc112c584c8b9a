//! What is installed and what runs: the system, its updates, what the guide forbids, Docker, and
//! servers of other roles.

use std::collections::BTreeSet;
use std::time::Duration;

use extend_common::checkup::{Check, CheckName};
use extend_common::roles::RoleDefinition;
use extend_common::size;

use super::super::facts::{Os, Tunnel, Updates};
use super::of;
use crate::docker::EngineFacts;
use crate::host::PortUse;

/// The guide's: the PBX's own.
const RELEASE: (&str, &str) = ("ubuntu", "24.04");
/// Older knowledge of updates is none: the timers that renew it are off, as PortSIP's script leaves
/// them.
const FRESH: Duration = Duration::from_secs(3 * DAY);
const DAY: u64 = 86_400;
/// PostgreSQL's port.
const POSTGRESQL: u16 = 5432;
/// The oldest Engine that the agent speaks with.
const OLDEST: (u64, u64) = (20, 10);
/// Storage drivers that hold up under a server's logs and recordings.
const DRIVERS: [&str; 5] = ["overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs"];
/// What an image takes when it is unpacked, and what nothing works without. In bytes.
const ROOM: u64 = 2_000_000_000;
const NO_ROOM: u64 = 500_000_000;
/// The containers of PortSIP's begin so.
const OFFICIAL: &str = "portsip.";

pub(super) fn os_release(os: Result<&Os, String>) -> Check {
    let name = CheckName::OsRelease;
    of(name, os, |os| {
        match (os.id.as_str(), os.version.as_str()) == RELEASE {
            true => Check::ok(name, &os.name),
            false => Check::warn(name, &os.name, "Ubuntu 24.04 LTS, the same as the PBX"),
        }
    })
}

pub(super) fn updates(updates: Result<&Updates, String>) -> Check {
    let name = CheckName::Updates;
    let upgrade = "apt-get update && apt-get upgrade";
    let look = "apt-get update && apt list --upgradable";
    let updates = match updates {
        Ok(updates) => updates,
        Err(why) => return Check::unknown(name, why).with_fix(look),
    };
    if updates.age > FRESH {
        let days = updates.age.as_secs() / DAY;
        return Check::unknown(name, format!("nobody has looked for {days} days")).with_fix(look);
    }
    match (updates.pending, updates.security, updates.reboot) {
        (0, _, false) => Check::ok(name, "all are installed"),
        (0, _, true) => Check::warn(
            name,
            "the machine is to be restarted after updates",
            "reboot",
        ),
        (1, ..) => Check::warn(name, "1 waits", upgrade),
        (pending, 0, _) => Check::warn(name, format!("{pending} wait"), upgrade),
        (pending, security, _) => {
            let found = format!("{pending} wait, {security} of them for security");
            Check::warn(name, found, upgrade)
        }
    }
}

pub(super) fn postgresql(
    packages: Result<&BTreeSet<String>, String>,
    ports: Result<&PortUse, String>,
) -> Check {
    let name = CheckName::Postgresql;
    let installed = of(name, packages, |packages| {
        // A client alone is none.
        let server = |package: &&String| {
            let rest = package.strip_prefix("postgresql");
            let rest = rest.map(|rest| rest.trim_start_matches('-'));
            rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
        };
        match packages.iter().find(server) {
            Some(package) => {
                let fix = format!("apt-get purge {package}");
                Check::fail(name, format!("{package} is installed"), fix)
            }
            None => Check::ok(name, "it is not installed"),
        }
    });
    let listens = of(name, ports, |ports| {
        let somebody = ports.tcp.iter().find(|(_, port)| *port == POSTGRESQL);
        match somebody {
            Some((address, port)) => {
                let found = format!("somebody listens at {address} on port {port}");
                Check::fail(name, found, "ss -lntp 'sport = 5432', and remove it")
            }
            None => Check::ok(name, "nobody listens on port 5432"),
        }
    });
    installed.and(listens)
}

pub(super) fn remote_access(
    packages: Result<&BTreeSet<String>, String>,
    tunnels: Result<&Vec<Tunnel>, String>,
) -> Check {
    let name = CheckName::RemoteAccess;
    let tunnels = of(name, tunnels, |tunnels| match tunnels.first() {
        Some(tunnel) => {
            let found = format!("{} is {}", tunnel.interface, tunnel.kind);
            Check::fail(
                name,
                found,
                format!("ip link show {}, and remove what made it", tunnel.interface),
            )
        }
        None => Check::ok(name, "no tunnels, and nothing of the kind is installed"),
    });
    let installed = of(name, packages, |packages| {
        let all = || packages.iter().map(String::as_str);
        let screens = ["teamviewer", "anydesk", "rustdesk", "realvnc", "xrdp"];
        let shares_screen =
            |package: &str| screens.iter().any(|begins| package.starts_with(begins));
        let elsewhere = ["postgresql", "bind9", "dnsmasq", "isc-dhcp", "kea-"];
        let is_other = |package: &str| elsewhere.iter().any(|begins| package.starts_with(begins));
        if let Some(package) = all().find(|package| shares_screen(package)) {
            let fix = format!("apt-get purge {package}");
            return Check::fail(name, format!("{package} is installed"), fix);
        }
        // A VPN that is merely there has no tunnel.
        match all().find(|package| !is_other(package)) {
            Some(package) => {
                let fix = format!("apt-get purge {package}");
                Check::warn(name, format!("{package} is installed"), fix)
            }
            None => Check::ok(name, "no tunnels, and nothing of the kind is installed"),
        }
    });
    tunnels.and(installed)
}

pub(super) fn docker(docker: Result<&(EngineFacts, Option<u64>), String>) -> Check {
    let name = CheckName::Docker;
    let (engine, free) = match docker {
        Ok(docker) => docker,
        Err(why) => return Check::unknown(name, why).with_fix("systemctl status docker"),
    };
    let EngineFacts {
        version, driver, ..
    } = engine;
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
    let Some(version_of) = major.zip(minor) else {
        return Check::unknown(name, format!("its version is `{version}`"));
    };
    if version_of < OLDEST {
        let (major, minor) = OLDEST;
        let found = format!("version {version}; {major}.{minor} or newer is needed");
        return Check::fail(name, found, "a Docker Engine of today's release");
    }
    let room = match free {
        None => Check::unknown(name, "how much room it has cannot be told"),
        Some(free) => {
            let found = format!("{} are free for images", size::show(*free));
            match *free {
                free if free < NO_ROOM => Check::fail(name, found, "docker system df"),
                free if free < ROOM => Check::warn(name, found, "docker system df"),
                _ => Check::ok(name, found),
            }
        }
    };
    let storage = match DRIVERS.contains(&driver.as_str()) {
        true => Check::ok(name, format!("version {version}, {driver}")),
        false => Check::warn(
            name,
            format!("its storage driver is `{driver}`"),
            "\"storage-driver\": \"overlay2\" in /etc/docker/daemon.json",
        ),
    };
    match (storage.verdict, room.verdict) {
        (extend_common::checkup::Verdict::Ok, extend_common::checkup::Verdict::Ok) => {
            Check::ok(name, format!("{}, {}", storage.found, room.found))
        }
        _ => storage.and(room),
    }
}

pub(super) fn one_role(
    containers: Result<&Vec<String>, String>,
    role: Option<&RoleDefinition>,
) -> Check {
    let name = CheckName::OneRole;
    of(name, containers, |containers| {
        let base = |container: &str| {
            let rest = container.strip_prefix(OFFICIAL)?;
            Some(format!(
                "{OFFICIAL}{}",
                rest.split('.').next().unwrap_or_default()
            ))
        };
        let official: BTreeSet<String> = containers.iter().filter_map(|c| base(c)).collect();
        let own = |container: &&String| {
            role.is_some_and(|role| role.containers.iter().any(|own| own.name == **container))
        };
        let others: Vec<_> = official
            .iter()
            .filter(|container| !own(container))
            .collect();
        match (role, others.as_slice()) {
            (_, []) => Check::ok(name, "no other PortSIP server is there"),
            (None, [_]) => Check::ok(name, format!("{} alone is there", others[0])),
            (_, [other, ..]) => Check::fail(
                name,
                format!("{other} is there too: a host carries one role"),
                format!("docker inspect {other}; another node for one of them"),
            ),
        }
    })
}
