//! Each rule as a table: what is found, and what that means.

use std::net::SocketAddrV4;

use extend_common::checkup::Verdict;
use extend_common::roles::RoleSet;

use super::super::facts::{Door, NotReached, Tunnel};
use super::*;

const NODE: &str = "172.31.16.139";

fn roles() -> RoleSet {
    RoleSet::built_in().unwrap()
}

fn case(roles: &RoleSet) -> Case<'_> {
    Case {
        node: NODE.parse().unwrap(),
        role: roles.get(&"media-server-only".parse().unwrap()),
        is_its_own: false,
        cloud: None,
    }
}

/// The verdict of one check on an exemplary host that is changed, and what was found.
#[track_caller]
fn found(name: CheckName, change: impl FnOnce(&mut Facts)) -> (Verdict, String) {
    let roles = roles();
    let mut facts = Facts::exemplary();
    change(&mut facts);
    let checks = judge(&facts, &case(&roles));
    let check = checks.into_iter().find(|check| check.name == name).unwrap();
    if check.verdict == Verdict::Ok {
        assert_eq!(check.fix, "", "{check:?}");
    }
    if matches!(check.verdict, Verdict::Fail | Verdict::Warn) {
        assert_ne!(check.fix, "", "{check:?}");
    }
    (check.verdict, check.found)
}

#[track_caller]
fn is(name: CheckName, verdict: Verdict, words: &str, change: impl FnOnce(&mut Facts)) {
    let (was, text) = found(name, change);
    assert_eq!((was, text.as_str()), (verdict, words), "{name}");
}

fn packages(names: &[&str]) -> Option<Known<BTreeSet<String>>> {
    Some(Ok(names.iter().map(|name| (*name).to_owned()).collect()))
}

fn taken(tcp: &[(&str, u16)], udp: &[(&str, u16)]) -> Option<Known<PortUse>> {
    let set = |list: &[(&str, u16)]| {
        let parsed = list
            .iter()
            .map(|(address, port)| (address.parse().unwrap(), *port));
        parsed.collect()
    };
    Some(Ok(PortUse {
        tcp: set(tcp),
        udp: set(udp),
    }))
}

#[test]
fn an_exemplary_host_is_as_the_guide_wants_it() {
    let roles = roles();
    let checks = judge(&Facts::exemplary(), &case(&roles));
    let not_ok: Vec<_> = checks.iter().filter(|c| c.verdict != Verdict::Ok).collect();
    // No controller has said where the PBX is.
    let [check] = not_ok.as_slice() else {
        panic!("{not_ok:#?}");
    };
    assert_eq!(check.name, CheckName::PbxReachable);
    assert_eq!(check.verdict, Verdict::Unknown);
}

#[test]
fn what_nobody_knows_is_unknown_and_never_ok() {
    let roles = roles();
    let checks = judge(&Facts::default(), &case(&roles));
    assert_eq!(checks.len(), 13);
    for check in &checks {
        assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
        assert_ne!(check.found, "");
    }
    // Without a role too, and half a look is none.
    let nobody = Case {
        role: None,
        ..case(&roles)
    };
    let checks = judge(&Facts::exemplary(), &nobody);
    for name in [CheckName::DiskSize, CheckName::Ports] {
        let check = checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(
            (check.verdict, check.fix.as_str()),
            (Verdict::Unknown, "-s TYPE")
        );
    }
    is(
        CheckName::Postgresql,
        Verdict::Unknown,
        "no dpkg",
        |facts| {
            facts.packages = Some(Err("no dpkg".to_owned()));
        },
    );
    is(
        CheckName::RemoteAccess,
        Verdict::Unknown,
        "no /sys",
        |facts| {
            facts.tunnels = Some(Err("no /sys".to_owned()));
        },
    );
}

#[test]
fn another_system_is_a_warning() {
    let name = CheckName::OsRelease;
    for (id, version, verdict) in [
        ("ubuntu", "24.04", Verdict::Ok),
        ("ubuntu", "22.04", Verdict::Warn),
        ("debian", "12", Verdict::Warn),
    ] {
        is(name, verdict, "its name", |facts| {
            facts.os = Some(Ok(Os {
                id: id.to_owned(),
                version: version.to_owned(),
                name: "its name".to_owned(),
            }));
        });
    }
}

#[test]
fn updates_wait_or_nobody_has_looked() {
    const DAY: u64 = 86_400;
    for (pending, security, reboot, days, verdict, words) in [
        (0, 0, false, 1, Verdict::Ok, "all are installed"),
        (1, 0, false, 0, Verdict::Warn, "1 waits"),
        (12, 0, false, 0, Verdict::Warn, "12 wait"),
        (
            12,
            5,
            true,
            0,
            Verdict::Warn,
            "12 wait, 5 of them for security",
        ),
        (
            0,
            0,
            true,
            0,
            Verdict::Warn,
            "the machine is to be restarted after updates",
        ),
        (
            0,
            0,
            false,
            4,
            Verdict::Unknown,
            "nobody has looked for 4 days",
        ),
    ] {
        is(CheckName::Updates, verdict, words, |facts| {
            facts.updates = Some(Ok(Updates {
                pending,
                security,
                reboot,
                age: Duration::from_secs(days * DAY),
            }));
        });
    }
}

#[test]
fn a_clock_is_synchronised_or_wrong_or_unknown() {
    let words = "a time service runs, and the clock is not synchronised";
    is(CheckName::Clock, Verdict::Fail, words, |facts| {
        facts.clock = Some(Ok(ClockState::Unsynchronized));
    });
    is(CheckName::Clock, Verdict::Unknown, "nobody", |facts| {
        facts.clock = Some(Err("nobody".to_owned()));
    });
}

#[test]
fn an_address_is_leased_unless_the_cloud_says_that_it_stays() {
    let leased = || Some(Ok(Addressing::Leased("a lease".to_owned())));
    is(
        CheckName::StaticAddress,
        Verdict::Fail,
        "172.31.16.139 is leased by DHCP (a lease)",
        |facts| facts.addressing = leased(),
    );
    let roles = roles();
    for (private, verdict, words) in [
        (
            NODE,
            Verdict::Ok,
            "172.31.16.139 is the instance's primary private address",
        ),
        (
            "172.31.16.200",
            Verdict::Fail,
            "the instance's primary private address is 172.31.16.200, not 172.31.16.139",
        ),
    ] {
        let cloud = CloudFacts {
            private: Some(private.parse().unwrap()),
            ..CloudFacts::default()
        };
        let case = Case {
            cloud: Some(Arc::new(cloud)),
            ..case(&roles)
        };
        let facts = Facts {
            addressing: leased(),
            ..Facts::exemplary()
        };
        let check = network::static_address(known(&facts.addressing), &case);
        assert_eq!((check.verdict, check.found.as_str()), (verdict, words));
    }
}

#[test]
fn power_is_not_saved() {
    let with = |governors: &[&str], can_sleep, sleep_masked| {
        let governors = governors.iter().map(|word| (*word).to_owned()).collect();
        Some(Ok(Power {
            governors,
            can_sleep,
            sleep_masked,
        }))
    };
    let name = CheckName::PowerSaving;
    let slow = "the processors are governed by `powersave`";
    is(name, Verdict::Warn, slow, |facts| {
        facts.power = with(&["performance", "powersave"], false, true);
    });
    is(
        name,
        Verdict::Warn,
        "the machine can be put to sleep",
        |facts| {
            facts.power = with(&["performance"], true, false);
        },
    );
    is(
        name,
        Verdict::Ok,
        "governed by performance, and it does not sleep",
        |facts| {
            facts.power = with(&["performance"], true, true);
        },
    );
}

#[test]
fn a_disk_is_as_large_as_the_role_needs() {
    for (gigabytes, verdict, words) in [
        (500, Verdict::Ok, "500.0 GB at /var/lib/portsip"),
        // A disk of 256 GB, of which a file system has taken its part.
        (231, Verdict::Ok, "231.0 GB at /var/lib/portsip"),
        (
            130,
            Verdict::Warn,
            "130.0 GB at /var/lib/portsip; 256 GB are recommended",
        ),
        (
            114,
            Verdict::Fail,
            "114.0 GB at /var/lib/portsip; a media server needs 128 GB",
        ),
    ] {
        is(CheckName::DiskSize, verdict, words, |facts| {
            facts.disk = Some(Ok(DataDisk {
                path: "/var/lib/portsip".into(),
                total: gigabytes * 1_000_000_000,
            }));
        });
    }
}

#[test]
fn postgresql_is_neither_installed_nor_listening() {
    let name = CheckName::Postgresql;
    for (package, verdict) in [
        ("postgresql", Verdict::Fail),
        ("postgresql-16", Verdict::Fail),
        ("postgresql-9.6", Verdict::Fail),
        ("postgresql-client-16", Verdict::Ok),
        ("teamviewer", Verdict::Ok),
    ] {
        let (was, _) = found(name, |facts| facts.packages = packages(&[package]));
        assert_eq!(was, verdict, "{package}");
    }
    let words = "somebody listens at 127.0.0.1 on port 5432";
    is(name, Verdict::Fail, words, |facts| {
        facts.ports = taken(&[("127.0.0.1", 5432)], &[]);
    });
    is(
        name,
        Verdict::Fail,
        "postgresql is installed; somebody listens at 0.0.0.0 on port 5432",
        |facts| {
            facts.packages = packages(&["postgresql"]);
            facts.ports = taken(&[("0.0.0.0", 5432)], &[]);
        },
    );
}

#[test]
fn nobody_comes_in_by_another_way() {
    let name = CheckName::RemoteAccess;
    is(
        name,
        Verdict::Fail,
        "tun0 is a tunnel of some VPN",
        |facts| {
            facts.tunnels = Some(Ok(vec![Tunnel {
                interface: "tun0".to_owned(),
                kind: "a tunnel of some VPN",
            }]));
        },
    );
    for (package, verdict) in [
        ("teamviewer-host", Verdict::Fail),
        ("xrdp", Verdict::Fail),
        ("openvpn", Verdict::Warn),
        ("wireguard-tools", Verdict::Warn),
        ("postgresql-16", Verdict::Ok),
        ("dnsmasq", Verdict::Ok),
    ] {
        let (was, _) = found(name, |facts| facts.packages = packages(&[package]));
        assert_eq!(was, verdict, "{package}");
    }
}

#[test]
fn the_host_serves_neither_dns_nor_dhcp() {
    let name = CheckName::DnsDhcp;
    let fine = "nobody serves DNS or DHCP to others";
    is(name, Verdict::Ok, fine, |facts| {
        facts.ports = taken(&[("127.0.0.53", 53)], &[("127.0.0.54", 53), ("::1", 53)]);
    });
    is(
        name,
        Verdict::Fail,
        "somebody serves DNS (port 53)",
        |facts| {
            facts.ports = taken(&[], &[("192.168.122.1", 53)]);
        },
    );
    is(
        name,
        Verdict::Fail,
        "somebody serves DHCP (port 67)",
        |facts| {
            facts.ports = taken(&[], &[("0.0.0.0", 67)]);
        },
    );
    let both = "somebody serves DNS (port 53) and DHCP (port 67)";
    is(name, Verdict::Fail, both, |facts| {
        facts.ports = taken(&[("::", 53)], &[("0.0.0.0", 67)]);
    });
}

#[test]
fn the_roles_ports_are_free_or_its_own() {
    let name = CheckName::Ports;
    for (tcp, udp, words) in [
        (
            &[(NODE, 8843)][..],
            &[][..],
            "somebody has 8843/tcp, which a media server needs",
        ),
        (
            &[],
            &[("0.0.0.0", 8840)],
            "somebody has 8840/udp, which a media server needs",
        ),
    ] {
        is(name, Verdict::Fail, words, |facts| {
            facts.ports = taken(tcp, udp)
        });
    }
    // Elsewhere, or in a range that everybody's ports come from.
    let elsewhere = taken(&[("127.0.0.9", 8843)], &[("0.0.0.0", 40_000)]);
    is(
        name,
        Verdict::Ok,
        "those of a media server are free",
        |facts| {
            facts.ports = elsewhere;
        },
    );
    let roles = roles();
    let own = Case {
        is_its_own: true,
        ..case(&roles)
    };
    let ports = taken(&[(NODE, 8843)], &[]);
    assert_eq!(network::ports(known(&ports), &own).verdict, Verdict::Ok);
}

#[test]
fn an_engine_is_new_enough_and_has_room() {
    let with = |version: &str, driver: &str, free: u64| {
        let engine = EngineFacts {
            version: version.to_owned(),
            driver: driver.to_owned(),
            root: None,
        };
        Some(Ok((engine, Some(free))))
    };
    const GB: u64 = 1_000_000_000;
    for (version, driver, free, verdict, words) in [
        (
            "20.10.24",
            "overlay2",
            3 * GB,
            Verdict::Ok,
            "version 20.10.24, overlay2, 3.0 GB are free for images",
        ),
        (
            "20.9.1",
            "overlay2",
            3 * GB,
            Verdict::Fail,
            "version 20.9.1; 20.10 or newer is needed",
        ),
        (
            "28.5.1",
            "vfs",
            3 * GB,
            Verdict::Warn,
            "its storage driver is `vfs`",
        ),
        (
            "28.5.1",
            "overlay2",
            GB,
            Verdict::Warn,
            "1.0 GB are free for images",
        ),
        (
            "28.5.1",
            "overlay2",
            GB / 4,
            Verdict::Fail,
            "250.0 MB are free for images",
        ),
        (
            "weekly",
            "overlay2",
            3 * GB,
            Verdict::Unknown,
            "its version is `weekly`",
        ),
    ] {
        is(CheckName::Docker, verdict, words, |facts| {
            facts.docker = with(version, driver, free);
        });
    }
}

#[test]
fn the_pbx_takes_connections_or_the_way_is_named() {
    let door = |port, needed| Door {
        to: Ok(SocketAddrV4::new([54, 151, 30, 9].into(), port)),
        purpose: "REST API".to_owned(),
        needed,
    };
    let refused = || Err(NotReached::Failed("refused".to_owned()));
    let name = CheckName::PbxReachable;
    for (needed, reached, verdict, words) in [
        (
            true,
            Ok(()),
            Verdict::Ok,
            "54.151.30.9:8887 (REST API) takes connections",
        ),
        (
            true,
            refused(),
            Verdict::Fail,
            "54.151.30.9:8887 (REST API) is not reached: refused",
        ),
        (
            false,
            refused(),
            Verdict::Warn,
            "54.151.30.9:8887 (REST API) is not reached: refused",
        ),
    ] {
        is(name, verdict, words, |facts| {
            facts.reached = vec![(door(8887, needed), reached)]
        });
    }
    let words = "54.151.30.9:8887 (REST API): the agent's unit does not let it try";
    is(name, Verdict::Unknown, words, |facts| {
        facts.reached = vec![
            (door(8887, true), Err(NotReached::Forbidden)),
            (door(4222, false), Ok(())),
        ];
    });
    is(
        name,
        Verdict::Ok,
        "54.151.30.9:8887 (REST API), 54.151.30.9:4222 (REST API) takes connections",
        |facts| facts.reached = vec![(door(8887, true), Ok(())), (door(4222, false), Ok(()))],
    );
    let named = Door {
        to: Err("names are not resolved on nodes".to_owned()),
        ..door(1, true)
    };
    is(
        name,
        Verdict::Unknown,
        "REST API: names are not resolved on nodes",
        |facts| {
            let why = Err(NotReached::Untried(
                "names are not resolved on nodes".to_owned(),
            ));
            facts.reached = vec![(named, why)];
        },
    );
}

#[test]
fn a_host_carries_one_role() {
    let with = |names: &[&str]| Some(Ok(names.iter().map(|name| (*name).to_owned()).collect()));
    let name = CheckName::OneRole;
    let alone = [
        "portsip.mediaserver",
        "portsip.mediaserver.previous",
        "registry",
    ];
    is(
        name,
        Verdict::Ok,
        "no other PortSIP server is there",
        |facts| {
            facts.containers = with(&alone);
        },
    );
    let words = "portsip.database is there too: a host carries one role";
    is(name, Verdict::Fail, words, |facts| {
        facts.containers = with(&["portsip.mediaserver", "portsip.database"]);
    });
    let names = with(&["portsip.mediaserver", "portsip.database"]);
    assert_eq!(
        software::one_role(known(&names), None).verdict,
        Verdict::Fail
    );
    let names = with(&["portsip.database"]);
    assert_eq!(software::one_role(known(&names), None).verdict, Verdict::Ok);
}
