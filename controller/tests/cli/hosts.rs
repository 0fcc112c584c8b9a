//! Hosts to bootstrap: directories, with an `ssh` that runs what it is given in one of them, and
//! programs there that do to files what the real ones do to a machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use extend_common::hash::sha256;
use extend_proto::v1;

use crate::harness::Place;

/// The authority's certificate: nobody looks into it.
const AUTHORITY: &[u8] = b"authority";

/// The programs that the scripts call, and that do the same in a directory as on a machine.
const TOOLS: [&str; 23] = [
    "sh",
    "head",
    "tail",
    "sed",
    "cut",
    "base64",
    "sha256sum",
    "grep",
    "mktemp",
    "chmod",
    "rm",
    "mv",
    "mkdir",
    "df",
    "date",
    "timeout",
    "cat",
    "touch",
    "sleep",
    "sync",
    "dirname",
    "basename",
    "tr",
];

/// What is made for every host. `$R` is its directory.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "ssh",
        r#"
top=$(dirname "$0")/..
printf '%s\n' "$*" >>"$top/ssh.log"
for last; do host=$command; command=$last; done
root=$top/hosts/$host
if [ -e "$root/hangs" ]; then touch "$root/hanging"; fi
while [ -e "$root/hangs" ]; do sleep 0.05; done
if [ -e "$root/ssh-says" ]; then cat "$root/ssh-says" >&2; exit 255; fi
if [ ! -e "$root/met" ]; then
    echo "Warning: Permanently added '$host' (ED25519) to the list of known hosts." >&2
    touch "$root/met"
fi
echo 'Welcome to this host. extend is no word of ours.'
EXTEND_ROOT=$root PATH=$root/bin:$top/bin exec sh -c "$command""#,
    ),
    (
        "sudo",
        r#"
if [ -e "$R/no-sudo" ]; then echo 'sudo: a password is required' >&2; exit 1; fi
shift
exec "$@""#,
    ),
    (
        "dpkg",
        r#"[ "$1" != --print-architecture ] || cat "$R/arch""#,
    ),
    (
        "dpkg-query",
        r#"for last; do :; done; [ "$last" = extend-agent ] && cat "$R/agent""#,
    ),
    ("dpkg-deb", r#"for last; do :; done; head -n 1 "$last""#),
    (
        "apt-get",
        r#"
words=$*
what=
for word; do case $word in install|update) what=$word ;; esac; file=$word; done
printf '%s %s\n' "$what" "$(basename "$file")" >>"$R/apt.log"
if [ -e "$R/apt-says" ]; then cat "$R/apt-says"; exit 100; fi
case $what,$file in
install,docker.io)
    [ -e "$R/lists" ] || { echo 'E: Unable to locate package docker.io'; exit 100; }
    cp_docker() { printf '#!/bin/sh\n%s\n' 'case $1 in version) echo 20.10.24 ;; esac' >"$R/bin/docker"; chmod 755 "$R/bin/docker"; }
    cp_docker ;;
install,*.deb)
    case $words in *--no-install-recommends*--allow-downgrades*) ;; *) exit 9 ;; esac
    echo "installed $(head -n 1 "$file" | cut -d ' ' -f 2)" >"$R/agent"
    echo active >"$R/unit" ;;
update,*) touch "$R/lists" ;;
esac"#,
    ),
    (
        "ip",
        r#"echo "2: eth0    inet $(cat "$R/address")/20 brd x scope global eth0""#,
    ),
    (
        "systemctl",
        r#"
printf '%s\n' "$*" >>"$R/systemctl.log"
case $1 in
show) cat "$R/unit" 2>/dev/null || echo inactive ;;
start|restart) echo active >"$R/unit" ;;
stop) echo inactive >"$R/unit" ;;
esac"#,
    ),
    ("uname", "echo x86_64"),
    ("timedatectl", "echo yes"),
    (
        "journalctl",
        "echo 'the controller at 172.31.16.133:7443 refuses it'",
    ),
    ("id", "echo 0"),
    ("chown", r#"printf '%s\n' "$1" >"$R/chown""#),
    ("stat", r#"echo "$(cat "$R/chown" | tr -d :) 600""#),
    (
        "extend-agent",
        r#"
read -r token
if [ -e "$R/join-says" ]; then cat "$R/join-says" >&2; exit 4; fi
printf '%s\n' "$token" >>"$R/tokens"
mkdir -p "$R/var/lib/extend-agent"
cat "$R/../../ca.crt" >"$R/var/lib/extend-agent/ca.crt"
printf '{\n  "node": "%s"\n}\n' "$(cat "$R/address")" >"$R/var/lib/extend-agent/enrolment.json"
[ -e "$R/never-online" ] || touch "$R/online""#,
    ),
];

/// A place with hosts in it.
pub(crate) struct Hosts {
    pub(crate) place: Place,
}

impl Hosts {
    /// With the agent's package, version 0.2.0, and these hosts, bare.
    pub(crate) fn new(addresses: &[&str]) -> Self {
        let place = Place::new();
        let hosts = Self { place };
        let bin = hosts.path("bin");
        fs::create_dir(&bin).unwrap();
        for tool in TOOLS {
            let found = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(tool));
            let found = found.iter().find(|path| path.exists());
            let found = found.unwrap_or_else(|| panic!("these tests need {tool}"));
            symlink(found, bin.join(tool)).unwrap();
        }
        for (name, text) in PROGRAMS {
            let path = bin.join(name);
            fs::write(&path, format!("#!/bin/sh\nR=${{EXTEND_ROOT-}}\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let pem = data_encoding::BASE64.encode(AUTHORITY);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n");
        fs::write(hosts.path("ca.crt"), pem).unwrap();
        for address in addresses {
            hosts.bare(address);
        }
        hosts.offer("0.2.0");
        *hosts.place.script.nodes_in.lock().unwrap() = Some(hosts.path("hosts"));
        hosts
    }

    fn bare(&self, address: &str) {
        for directory in [
            "etc/extend",
            "run/systemd/system",
            "var/tmp",
            "var/log",
            "bin",
        ] {
            fs::create_dir_all(self.host(address).join(directory)).unwrap();
        }
        let os = "ID=ubuntu\nVERSION_ID=24.04\nPRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\n";
        self.write(address, "etc/os-release", os);
        self.write(address, "arch", "amd64\n");
        self.write(address, "address", address);
    }

    /// Has the controller offer this version of the package.
    pub(crate) fn offer(&self, version: &str) {
        let path = self.path(&format!("extend-agent_{version}_amd64.deb"));
        let contents = format!("extend-agent {version}\n{}", "contents\n".repeat(9000));
        fs::write(&path, &contents).unwrap();
        *self.place.script.enrolment.lock().unwrap() = v1::EnrolmentView {
            address: "172.31.16.133:7444".to_owned(),
            ca_der: AUTHORITY.to_vec(),
            package: Some(v1::AgentPackage {
                path: path.display().to_string(),
                version: version.to_owned(),
                architecture: "amd64".to_owned(),
                size: contents.len() as u64,
                sha256: sha256(contents.as_bytes()).to_vec(),
            }),
            ..v1::EnrolmentView::default()
        };
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// The directory of a host.
    pub(crate) fn host(&self, address: &str) -> PathBuf {
        self.path("hosts").join(address)
    }

    pub(crate) fn write(&self, address: &str, name: &str, text: &str) {
        fs::write(self.host(address).join(name), text).unwrap();
    }

    pub(crate) fn remove(&self, address: &str, name: &str) {
        fs::remove_file(self.host(address).join(name)).unwrap();
    }

    pub(crate) fn read(&self, address: &str, name: &str) -> String {
        fs::read_to_string(self.host(address).join(name)).unwrap_or_default()
    }

    /// Takes what was written there so far.
    pub(crate) fn take(&self, address: &str, name: &str) -> String {
        let text = self.read(address, name);
        drop(fs::remove_file(self.host(address).join(name)));
        text
    }
}
