//! Hosts as files below a directory.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::super::facts::{Addressing, Known, Power, Tunnel};
use super::*;

struct Host(TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = below(self.0.path(), path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn look(&self) -> Facts {
        let found = Mutex::new(Facts::default());
        let wanted = Look {
            node: "172.31.16.139".parse().unwrap(),
            data: "/var/lib/portsip".into(),
        };
        look(self.root(), &wanted, &found);
        found.into_inner().unwrap()
    }
}

#[test]
fn of_an_empty_host_nothing_is_known_and_everything_says_why() {
    let facts = Host::new().look();
    fn why<T>(fact: Option<Known<T>>) -> String {
        match fact {
            Some(Err(why)) => why,
            Some(Ok(_)) => panic!("it cannot be known"),
            None => panic!("it was not looked at"),
        }
    }
    assert!(why(facts.os).contains("/etc/os-release"));
    assert!(why(facts.updates).contains("update-notifier"));
    assert!(why(facts.power).contains("/sys/devices/system/cpu"));
    assert!(why(facts.tunnels).contains("/sys/class/net"));
    assert!(why(facts.ports).contains("proc/net/tcp"));
    assert!(why(facts.addressing).contains("/proc/net/route"));
    assert!(why(facts.packages).contains("/var/lib/dpkg/status"));
    // A file system there is always.
    assert!(facts.disk.unwrap().unwrap().total > 0);
}

#[test]
fn the_system_names_itself() {
    let host = Host::new();
    host.write(
        "/etc/os-release",
        "PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nID=ubuntu\nVERSION_ID=\"24.04\"\nID_LIKE=debian\n",
    );
    let os = system::os(host.root()).unwrap();
    assert_eq!((os.id.as_str(), os.version.as_str()), ("ubuntu", "24.04"));
    assert_eq!(os.name, "Ubuntu 24.04.3 LTS");
    host.write("/etc/os-release", "# nothing\n");
    assert!(system::os(host.root()).is_err());
}

#[test]
fn updates_are_told_as_update_notifier_has_them() {
    let host = Host::new();
    let path = "/var/lib/update-notifier/updates-available";
    for (text, wanted) in [
        (
            "\n12 updates can be applied immediately.\n5 of these updates are standard security \
             updates.\nTo see these additional updates run: apt list --upgradable\n",
            (12, 5),
        ),
        (
            "1 update can be applied immediately.\n1 of these updates is a standard security \
             update.\n",
            (1, 1),
        ),
        ("0 updates can be applied immediately.\n", (0, 0)),
    ] {
        host.write(path, text);
        let updates = system::updates(host.root()).unwrap();
        assert_eq!((updates.pending, updates.security), wanted, "{text}");
        assert!(updates.age < Duration::from_secs(3_600) && !updates.reboot);
    }
    host.write("/run/reboot-required", "");
    assert!(system::updates(host.root()).unwrap().reboot);
    let file = host.write(path, "0 updates can be applied immediately.\n");
    let old = std::time::SystemTime::UNIX_EPOCH;
    std::fs::File::open(file)
        .unwrap()
        .set_modified(old)
        .unwrap();
    assert!(system::updates(host.root()).unwrap().age >= Duration::from_secs(9 * 86_400));
    host.write(path, "");
    assert!(
        system::updates(host.root()).is_err(),
        "no number is not zero"
    );
}

#[test]
fn packages_count_when_they_are_installed() {
    let host = Host::new();
    host.write(
        "/var/lib/dpkg/status",
        "Package: bash\nStatus: install ok installed\n\n\
         Package: teamviewer-host\nEssential: no\nStatus: install ok installed\n\n\
         Package: openvpn\nStatus: deinstall ok config-files\n\n\
         Package: postgresql-16\nStatus: install ok installed\nDescription: x\n \
         Package: xrdp\n Status: install ok installed\n\n\
         Package: postgresql-client-common\nStatus: install ok installed\n",
    );
    let found: Vec<_> = packages::installed(host.root())
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(found, ["postgresql-16", "teamviewer-host"]);
}

#[test]
fn tunnels_are_told_from_other_interfaces() {
    let host = Host::new();
    for (file, text) in [
        ("ens5/uevent", "INTERFACE=ens5\n"),
        ("docker0/uevent", "DEVTYPE=bridge\n"),
        ("vnet0/tun_flags", "0x1002\n"),
        ("tun0/tun_flags", "0x1001\n"),
        ("wg0/uevent", "DEVTYPE=wireguard\nINTERFACE=wg0\n"),
    ] {
        host.write(&format!("/sys/class/net/{file}"), text);
    }
    let tunnel = |interface: &str, kind| Tunnel {
        interface: interface.to_owned(),
        kind,
    };
    let wanted = vec![
        tunnel("tun0", "a tunnel of some VPN"),
        tunnel("wg0", "WireGuard"),
    ];
    assert_eq!(tunnels::tunnels(host.root()), Ok(wanted));
}

#[test]
fn power_is_told_by_governors_and_masks() {
    let host = Host::new();
    std::fs::create_dir_all(below(host.root(), "/sys/devices/system/cpu/cpufreq")).unwrap();
    assert_eq!(power::power(host.root()), Ok(Power::default()));
    for cpu in ["cpu0", "cpu11"] {
        let path = format!("/sys/devices/system/cpu/{cpu}/cpufreq/scaling_governor");
        host.write(&path, "powersave\n");
    }
    host.write("/sys/power/state", "freeze mem disk\n");
    let mut wanted = Power {
        governors: std::iter::once("powersave".to_owned()).collect(),
        can_sleep: true,
        sleep_masked: false,
    };
    assert_eq!(power::power(host.root()).as_ref(), Ok(&wanted));
    host.write("/etc/systemd/system/other", "");
    let unit = below(host.root(), "/etc/systemd/system/sleep.target");
    symlink("/dev/null", unit).unwrap();
    wanted.sleep_masked = true;
    assert_eq!(power::power(host.root()), Ok(wanted));
}

const ROUTES: &str = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                      ens5 00101FAC 00000000 0001 0 0 100 00F0FFFF 0 0 0\n";

fn on_ens5() -> Host {
    let host = Host::new();
    host.write("/proc/net/route", ROUTES);
    host.write("/sys/class/net/ens5/ifindex", "2\n");
    host
}

fn addressing(host: &Host) -> Known<Addressing> {
    addressing::addressing(host.root(), "172.31.16.139".parse().unwrap())
}

#[test]
fn networkd_leases_or_has_a_file() {
    let host = on_ens5();
    assert_eq!(
        addressing(&host),
        Err("nobody tells how ens5 got its address".to_owned())
    );
    host.write("/run/systemd/netif/links/2", "ADMIN_STATE=unmanaged\n");
    assert!(addressing(&host).is_err());
    let link =
        "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-ens5.network\n";
    host.write("/run/systemd/netif/links/2", link);
    let file = "/run/systemd/network/10-netplan-ens5.network".to_owned();
    assert_eq!(addressing(&host), Ok(Addressing::Configured(file)));
    host.write("/run/systemd/netif/leases/2", "ADDRESS=172.31.16.139\n");
    let leased = Addressing::Leased("systemd-networkd has a lease".to_owned());
    assert_eq!(addressing(&host), Ok(leased));
}

#[test]
fn dhclient_and_ifupdown_tell_too() {
    let host = on_ens5();
    let lease = |until: &str| {
        format!(
            "lease {{\n  interface \"ens5\";\n  fixed-address 172.31.16.139;\n  expire {until};\n}}\n"
        )
    };
    let path = "/var/lib/dhcp/dhclient.ens5.leases";
    host.write(path, &lease("1 2020/01/01 00:00:00"));
    assert!(addressing(&host).is_err(), "that was long ago");
    host.write(
        path,
        &(lease("1 2020/01/01 00:00:00") + &lease("5 2199/01/01 00:00:00")),
    );
    let words = "dhclient has a lease in /var/lib/dhcp/dhclient.ens5.leases".to_owned();
    assert_eq!(addressing(&host), Ok(Addressing::Leased(words)));
    let host = on_ens5();
    host.write("/etc/network/interfaces", "iface lo inet loopback\n");
    host.write(
        "/etc/network/interfaces.d/ens5",
        "auto ens5\niface ens5 inet static\n",
    );
    let file = "/etc/network/interfaces.d/ens5".to_owned();
    assert_eq!(addressing(&host), Ok(Addressing::Configured(file)));
    host.write("/etc/network/interfaces", "iface ens5 inet dhcp\n");
    let words = "/etc/network/interfaces says dhcp".to_owned();
    assert_eq!(addressing(&host), Ok(Addressing::Leased(words)));
}

#[test]
fn a_port_is_reached_or_not() {
    let limit = Duration::from_secs(5);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let std::net::SocketAddr::V4(to) = listener.local_addr().unwrap() else {
        panic!("an IPv4 address");
    };
    assert_eq!(reach(to, limit), Ok(()));
    drop(listener);
    assert!(matches!(
        reach(to, limit),
        Err(super::super::facts::NotReached::Failed(_))
    ));
}
