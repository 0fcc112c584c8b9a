//! User data at work: the script that `extend node token --cloud-init` prints, run by a shell
//! against a running controller, with stand-ins for the programs that change a machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::*;

/// The address of the node. The script asks from there.
const NODE: u8 = 7;
const SIZE: usize = 200_000;

const TOOLS: &[&str] = &[
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
    "date",
    "timeout",
    "cat",
    "touch",
    "sleep",
    "basename",
    "mkdir",
    "cp",
];

/// What does not do here what it does on a machine. `$R` is the machine.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "ip",
        r#"echo "2: eth0    inet 127.0.1.7/8 scope global eth0""#,
    ),
    ("systemctl", r#"echo "$*" >>"$R/systemctl.log""#),
    ("dpkg", "exit 0"),
    (
        "apt-get",
        r#"
for file; do :; done
echo "$(basename "$file")" >>"$R/apt.log"
case $file in *.deb) cp "$file" "$R/installed.deb" ;; esac"#,
    ),
    ("dockerd", "exit 0"),
    (
        "extend-agent",
        r#"
cat >>"$R/tokens"
[ ! -e "$R/refuses" ] || { echo 'error: the controller gives no certificate' >&2; exit 4; }
mkdir -p "$R/var/lib/extend-agent"
cat "$R/ca.crt" >"$R/var/lib/extend-agent/ca.crt"
echo '{}' >"$R/var/lib/extend-agent/enrolment.json""#,
    ),
];

/// A machine at its first boot.
struct Machine {
    root: PathBuf,
}

impl Machine {
    /// With one of the two programs that fetch.
    fn with(place: &Place, fetches: &str) -> Self {
        let root = place.root().join(format!("machine-{fetches}"));
        for directory in ["bin", "var/tmp", "var/log", "etc/extend"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let machine = Self { root };
        for tool in TOOLS {
            machine.link(tool);
        }
        for (name, text) in PROGRAMS {
            let path = machine.root.join("bin").join(name);
            fs::write(&path, format!("#!/bin/sh\nR=$EXTEND_ROOT\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine.link(fetches);
        machine
    }

    fn link(&self, tool: &str) {
        let found = ["/usr/bin", "/bin"].map(|directory| Path::new(directory).join(tool));
        let found = found.iter().find(|path| path.exists());
        let found = found.unwrap_or_else(|| panic!("this test needs {tool}: apt-get install it"));
        symlink(found, self.root.join("bin").join(tool)).unwrap();
    }

    /// Boots with this user data.
    async fn boots(&self, user_data: &str) -> Output {
        let script = self.root.join("part-001");
        fs::write(&script, user_data).unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .arg(script)
            .env_clear()
            .env("EXTEND_ROOT", &self.root)
            .env("PATH", self.root.join("bin"));
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }
}

/// What the operator's command prints.
async fn user_data(place: &Place) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_extend"));
    command
        .args([
            "node",
            "token",
            "-a",
            &node(NODE).to_string(),
            "--cloud-init",
            "--ttl",
            "24h",
        ])
        .arg("--socket")
        .arg(place.socket());
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let (out, err) = (
        String::from_utf8(ran.stdout).unwrap(),
        String::from_utf8(ran.stderr).unwrap(),
    );
    assert!(ran.status.success(), "{err}");
    (out, err)
}

async fn with_package(place: &Place) -> (Controller, Vec<u8>) {
    let contents: Vec<u8> = (0..SIZE).map(|n| u8::try_from(n % 241).unwrap()).collect();
    fs::create_dir_all(place.root().join("agent")).unwrap();
    fs::write(package(place), &contents).unwrap();
    (place.start().await, contents)
}

fn package(place: &Place) -> PathBuf {
    place.root().join("agent/extend-agent_0.1.0_amd64.deb")
}

#[track_caller]
fn assert_said(output: &Output, words: &str) {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let all = String::from_utf8_lossy(&all);
    assert!(all.contains(words), "{words}: {all}");
}

#[tokio::test]
async fn an_instance_fetches_installs_and_joins_with_whatever_it_has_and_once() {
    let place = Place::new();
    let (controller, contents) = with_package(&place).await;
    let (data, said) = user_data(&place).await;
    assert!(data.len() < 16 * 1024, "{} bytes", data.len());
    assert!(said.contains("It works once, until "), "{said}");
    assert!(
        said.contains("whoever can read the instance's user data"),
        "{said}"
    );
    for fetches in ["curl", "python3"] {
        let machine = Machine::with(&place, fetches);
        fs::copy(place.state().join("ca.crt"), machine.root.join("ca.crt")).unwrap();
        let booted = machine.boots(&data).await;
        assert!(booted.status.success(), "{fetches}: {booted:?}");
        assert_said(&booted, "extend: 127.0.1.7 has joined\n");
        assert!(fs::read(machine.root.join("installed.deb")).unwrap() == contents);
        let token = machine.read("tokens");
        assert!(
            token.starts_with("extend1.") && data.contains(token.trim()),
            "{token}"
        );
        assert!(!said.contains(token.trim()));
        assert_eq!(machine.read("apt.log"), "extend-agent_0.1.0_amd64.deb\n");
        assert!(
            machine
                .read("systemctl.log")
                .contains("enable --quiet --now extend-agent")
        );
        assert_eq!(
            fs::read_dir(machine.root.join("var/tmp")).unwrap().count(),
            0
        );

        let again = machine.boots(&data).await;
        assert!(again.status.success(), "{again:?}");
        assert_said(&again, "has joined already\n");
        assert_eq!(machine.read("tokens").lines().count(), 1);
    }
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn an_instance_takes_no_other_package_and_a_refused_token_ends_it() {
    let place = Place::new();
    let (controller, contents) = with_package(&place).await;
    let (data, _) = user_data(&place).await;
    let machine = Machine::with(&place, "curl");
    fs::write(machine.root.join("refuses"), "").unwrap();
    let refused = machine.boots(&data).await;
    assert!(!refused.status.success());
    assert_said(&refused, "the token is not good, or no longer");
    assert_eq!(
        machine.read("tokens").lines().count(),
        1,
        "it is not tried again"
    );

    let other = [contents, b"more".to_vec()].concat();
    fs::remove_file(package(&place)).unwrap();
    fs::write(package(&place), other).unwrap();
    let machine = Machine::with(&place, "python3");
    let changed = machine.boots(&data).await;
    assert!(!changed.status.success());
    assert_said(&changed, "the controller hands out another package by now");
    assert_eq!(machine.read("apt.log"), "", "nothing was installed");
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn an_instance_trusts_no_other_controller_and_waits_for_the_right_one() {
    let (place, impostor) = (Place::new(), Place::new());
    let (controller, _) = with_package(&place).await;
    let (other, _) = with_package(&impostor).await;
    let (data, _) = user_data(&place).await;
    // The other one even expects the node.
    other.token(node(NODE)).await;
    let (right, wrong) = (
        controller.daemon.addresses().enrolment.port(),
        other.daemon.addresses().enrolment.port(),
    );
    let misled = data.replace(&format!("port='{right}'"), &format!("port='{wrong}'"));
    assert_ne!(data, misled);
    // Its patience is short here: one try and one pause.
    let misled = misled.replace("patience=1800", "patience=1");
    for fetches in ["curl", "python3"] {
        let machine = Machine::with(&place, fetches);
        let booted = machine.boots(&misled).await;
        assert!(!booted.status.success(), "{fetches}");
        assert_said(
            &booted,
            "fetching the package did not succeed; again in 2 s",
        );
        assert_said(&booted, "gave up fetching the package");
        assert_said(&booted, "certificate");
        assert_eq!(
            (machine.read("apt.log"), machine.read("tokens")),
            Default::default()
        );
    }
    other.daemon.shutdown().await;
    controller.daemon.shutdown().await;
}
