use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use extend_common::roles::{DirectoryDefinition, RoleSet};

use super::ports::bound;
use super::size::measure;
use super::*;

fn wanted(path: impl AsRef<Path>, mode: u32, owner: Option<u32>) -> DirectoryDefinition {
    DirectoryDefinition {
        path: path.as_ref().to_string_lossy().into_owned(),
        mode,
        uid: owner,
        gid: owner,
    }
}

/// What media servers want.
pub(super) fn needs() -> RoleNeeds {
    let roles = RoleSet::built_in().unwrap();
    let media = roles.find("media-server-only").unwrap().unwrap();
    RoleNeeds::of(media, Path::new("/var/lib/portsip"))
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The owner that tests may give away: any as root, their own otherwise.
fn some_owner() -> u32 {
    if is_root() {
        888
    } else {
        nix::unistd::geteuid().as_raw()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn directories_are_made_and_mended_and_their_contents_are_left_alone() {
    let base = tempfile::tempdir().unwrap();
    let owner = some_owner();
    let (data, log) = (
        base.path().join("not/named/data"),
        base.path().join("not/named/data/log"),
    );
    let directories = [
        wanted(&data, 0o755, Some(owner)),
        wanted(&log, 0o750, Some(owner)),
    ];
    ensure_directories(&directories).unwrap();
    assert_eq!((mode(&data), mode(&log)), (0o755, 0o750));
    assert_eq!(fs::metadata(&log).unwrap().uid(), owner);
    assert_eq!(fs::metadata(&log).unwrap().gid(), owner);
    assert_eq!(
        mode(&base.path().join("not")),
        0o755,
        "what nobody named is made as usual"
    );

    let kept = log.join("kept");
    fs::write(&kept, "x").unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o2777)).unwrap();
    let own = nix::unistd::geteuid().as_raw();
    std::os::unix::fs::chown(&log, Some(own), None).unwrap();
    ensure_directories(&directories).unwrap();
    assert_eq!((mode(&log), mode(&kept)), (0o750, 0o600));
    assert_eq!(fs::metadata(&log).unwrap().uid(), owner);
    assert_eq!(fs::metadata(&kept).unwrap().uid(), own);

    let before = fs::metadata(&log).unwrap();
    ensure_directories(&directories).unwrap();
    let after = fs::metadata(&log).unwrap();
    assert_eq!(
        (before.ctime(), before.ctime_nsec()),
        (after.ctime(), after.ctime_nsec()),
        "what is right is not written again"
    );
}

#[test]
fn the_owner_is_left_alone_when_none_is_wanted() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("data");
    fs::create_dir(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(some_owner()), Some(some_owner())).unwrap();
    ensure_directories(&[wanted(&path, 0o700, None)]).unwrap();
    assert_eq!(
        (mode(&path), fs::metadata(&path).unwrap().uid()),
        (0o700, some_owner())
    );
}

#[test]
fn a_link_is_never_the_directory_itself() {
    let base = tempfile::tempdir().unwrap();
    let (elsewhere, link) = (base.path().join("elsewhere"), base.path().join("link"));
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&elsewhere, &link).unwrap();
    let error = ensure_directories(&[wanted(&link, 0o777, None)]).unwrap_err();
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
    assert_eq!(mode(&elsewhere), 0o700);
    // On the way it is followed when it is root's or ours.
    ensure_directories(&[wanted(link.join("log"), 0o755, None)]).unwrap();
    assert!(elsewhere.join("log").is_dir());
    // A link to nowhere is no directory to be made.
    let nowhere = base.path().join("nowhere");
    symlink(base.path().join("missing"), &nowhere).unwrap();
    ensure_directories(&[wanted(&nowhere, 0o755, None)]).unwrap_err();
    assert!(!base.path().join("missing").exists());
}

#[test]
fn a_link_that_a_service_made_is_not_followed() {
    assert!(
        is_root(),
        "this test gives files away: run it as root (make test does)"
    );
    let base = tempfile::tempdir().unwrap();
    let (owned, victim) = (base.path().join("owned"), base.path().join("victim"));
    fs::create_dir(&victim).unwrap();
    ensure_directories(&[wanted(&owned, 0o755, Some(888))]).unwrap();
    // Of root, but in a directory where somebody else may have moved it to.
    symlink(&victim, owned.join("mcu")).unwrap();
    let record = wanted(owned.join("mcu/record"), 0o755, Some(888));
    let error = ensure_directories(std::slice::from_ref(&record)).unwrap_err();
    assert!(error.to_string().contains("is not followed"), "{error}");
    assert!(!victim.join("record").exists());
    // Of somebody else, in a directory that is root's.
    let theirs = base.path().join("theirs");
    symlink(&victim, &theirs).unwrap();
    std::os::unix::fs::lchown(&theirs, Some(888), Some(888)).unwrap();
    ensure_directories(&[wanted(theirs.join("record"), 0o755, Some(888))]).unwrap_err();
    assert!(!victim.join("record").exists());
}

#[test]
fn errors_name_path_and_cause() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    let error = ensure_directories(&[wanted(&file, 0o755, None)])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!("making the directory {}: Not a directory", file.display())
    );
    let below = ensure_directories(&[wanted(file.join("x"), 0o755, None)]).unwrap_err();
    assert!(
        below
            .to_string()
            .ends_with(&format!("Not a directory ({})", file.display()))
    );
    for (path, cause) in [
        ("relative/path", "the path is not absolute"),
        ("/tmp/../etc", "the path must not contain `..`"),
        ("/", "the root directory is nobody's to change"),
    ] {
        let error = ensure_directories(&[wanted(path, 0o755, None)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("making the directory {path}: {cause}")
        );
    }
}

const TCP: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 8B101FAC:2288 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   2: 8B101FAC:2289 8A101FAC:1F90 01 00000000:00000000 00:00000000 00000000     0        0 1 1
   3: 8C101FAC:228A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   4: garbage 00000000:0000 0A
   5: 8B101";
const TCP6: &str =
    "  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:22DD 00000000000000000000000000000000:0000 0A 0 0
   1: 0000000000000000FFFF00008B101FAC:22DE 00000000000000000000000000000000:0000 0A 0 0
   2: 00000000000000000000000001000000:22DF 00000000000000000000000000000000:0000 0A 0 0";

#[test]
#[cfg(target_endian = "little")]
fn the_kernels_tables_are_read() {
    let found: Vec<_> = bound(TCP, true).chain(bound(TCP6, true)).collect();
    let v4 = |last| IpAddr::V4(Ipv4Addr::new(172, 31, 16, last));
    let mapped = IpAddr::V6(Ipv4Addr::new(172, 31, 16, 139).to_ipv6_mapped());
    let expected = [
        (v4(139), 8840),
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 22),
        (v4(140), 8842),
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8925),
        (mapped, 8926),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 8927),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        bound(TCP, false).count(),
        4,
        "every bound UDP socket counts"
    );

    let taken = PortUse {
        tcp: found.into_iter().collect(),
        ..PortUse::default()
    };
    let node = "172.31.16.139".parse().unwrap();
    let busy = |range: &str| taken.busy(&[range.parse().unwrap()], node);
    assert_eq!(busy("8840-8845"), Some(8840));
    assert_eq!(busy("8841-8845"), None, "another address, or a connection");
    assert_eq!(busy("20-30"), Some(22), "every address");
    assert_eq!(
        busy("8925"),
        Some(8925),
        "every IPv6 address is every address"
    );
    assert_eq!(busy("8926"), Some(8926), "IPv4 within IPv6");
    assert_eq!(busy("8927"), None, "another IPv6 address");
    assert_eq!(taken.busy_udp(&["20-30".parse().unwrap()], node), None);
}

#[test]
fn the_ports_of_this_machine_are_found() {
    let tcp = TcpListener::bind("127.0.9.2:0").unwrap();
    let udp = UdpSocket::bind("127.0.9.2:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let range: PortRange = port.to_string().parse().unwrap();
    let busy = |node: &str| {
        SystemHost::default()
            .busy_port(&[range], node.parse().unwrap())
            .unwrap()
    };
    let found = busy("127.0.9.2").unwrap();
    assert_eq!(found.port, port);
    let holder = found.holder.expect("our own process can be named");
    assert_eq!(holder.process, std::process::id());
    let comm = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(holder.program, comm.trim());
    assert_eq!(busy("127.0.9.3"), None);
    let bound = udp.local_addr().unwrap();
    assert!(
        listening_ports()
            .unwrap()
            .udp
            .contains(&(bound.ip(), bound.port()))
    );
    drop(tcp);
    assert_eq!(busy("127.0.9.2"), None);
}

#[test]
fn the_container_of_a_process_is_told_by_its_cgroup() {
    let id = "4f66ad9a1b2c3d4e".repeat(4);
    for text in [
        format!("0::/system.slice/docker-{id}.scope\n"),
        format!("12:pids:/docker/{id}\n1:name=systemd:/docker/{id}\n"),
        format!("0::/../{id}/init\n"),
    ] {
        assert_eq!(holder::container_id(&text).as_ref(), Some(&id), "{text}");
    }
    for text in [
        "0::/init.scope\n",
        "",
        "0::/user.slice/user-1000.slice/session-3.scope\n",
    ] {
        assert_eq!(holder::container_id(text), None, "{text}");
    }
}

#[test]
fn a_directory_is_measured_as_du_does() {
    let base = tempfile::tempdir().unwrap();
    let tree = base.path().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/file"), vec![1; 100_000]).unwrap();
    fs::write(base.path().join("outside"), vec![1; 10_000_000]).unwrap();
    symlink(base.path().join("outside"), tree.join("link")).unwrap();
    symlink(base.path(), tree.join("loop")).unwrap();
    let bytes = directory_size(&tree).unwrap();
    assert!((100_000..1_000_000).contains(&bytes), "{bytes}");
    assert_eq!(directory_size(&base.path().join("missing")).unwrap(), 0);
    let late = measure(&tree, Duration::ZERO).unwrap_err();
    assert!(
        late.to_string().contains("more than can be counted"),
        "{late}"
    );
}

#[test]
fn a_host_in_memory_does_as_it_is_told() {
    let host = MemoryHost::new();
    host.occupy(8841);
    let node = "127.0.9.2".parse().unwrap();
    let range = ["8840-8845".parse().unwrap()];
    let busy = |port, holder| Ok(Some(BusyPort { port, holder }));
    assert_eq!(host.busy_port(&range, node), busy(8841, None));
    let nginx = Holder {
        process: 7,
        program: "nginx".to_owned(),
        container: None,
    };
    host.occupy_as(8840, nginx.clone());
    assert_eq!(host.busy_port(&range, node), busy(8840, Some(nginx)));
    host.release(8840);
    host.release(8841);
    assert_eq!(host.busy_port(&range, node), Ok(None));
    host.clone().set_size("/data", 7);
    let mut needs = needs();
    needs.data = "/data".into();
    needs.directories = vec![wanted("/data", 0o755, None)];
    let bytes = host.act(HostVerb::MeasureData, &needs).unwrap().bytes;
    assert_eq!(bytes, 7);
    for verb in HostVerb::PREPARE {
        host.act(verb, &needs).unwrap();
    }
    assert_eq!(host.directories(), needs.directories);
    assert_eq!(host.changes().len(), 2);
    host.set_trouble(Some("No space left on device"));
    host.act(HostVerb::MakeDirectories, &needs).unwrap_err();
    host.act(HostVerb::Undo, &needs).unwrap_err();
    host.set_trouble(None);
    host.act(HostVerb::Undo, &needs).unwrap();
    assert_eq!(host.changes(), []);
    assert_eq!(host.directories(), needs.directories, "data stays");
}
