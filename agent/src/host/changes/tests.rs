//! Kernel parameters and firewall against a host that lies in a directory: its `/proc/sys`, its
//! `sysctl.d`, and a `firewall-cmd` that keeps what it is told in files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::host::tests::needs;
use crate::host::{Host as _, HostVerb, Places, RoleNeeds, SystemHost};

const START: &str = "net.ipv4.ip_unprivileged_port_start";
const DROP_IN: &str = "etc/sysctl.d/99-extend-media-server-only.conf";
const NOTES: &str = "notes/media-server-only.json";
const PORTS: [&str; 3] = ["35000-65000/udp", "8840-8845/udp", "8840-8845/tcp"];

/// firewalld, as far as it is asked here: a list in a file for the permanent configuration and for
/// the one in force, and a service that the latter does not know before a reload.
const FIREWALL_CMD: &str = r#"#!/bin/sh
cd "$(dirname "$0")/firewalld" || exit 1
echo "$*" >>calls
layer=runtime service= zone=
for word; do
    case $word in
        --permanent) layer=permanent ;;
        --zone=*) zone=${word#*=} ;;
        --service=*) service=${word#*=} ;;
    esac
done
[ -z "$zone" ] || [ "$zone" = public ] || exit 112
list() { cat "$1" 2>/dev/null | tr '\n' ' '; }
add() { grep -qxF "$2" "$1" 2>/dev/null || echo "$2" >>"$1"; }
remove() { grep -vxF "$2" "$1" >rest; mv rest "$1"; }
for word; do
    value=${word#*=}
    case $word in
        --state) [ -e running ] || exit 252 ;;
        --get-default-zone) echo public ;;
        --get-services) list $layer.known ;;
        --new-service=*) add $layer.known "$value" ;;
        --delete-service=*) remove $layer.known "$value"; rm -f "$layer.ports.$value" ;;
        --get-ports) list "$layer.ports.$service" ;;
        --list-services) list $layer.services ;;
        --list-ports) list $layer.ports ;;
        --add-service=*)
            grep -qxF "$value" $layer.known || { echo "Error: INVALID_SERVICE: $value" >&2; exit 101; }
            add $layer.services "$value" ;;
        --remove-service=*) remove $layer.services "$value" ;;
        --add-port=*) add "$layer.ports${service:+.$service}" "$value" ;;
        --remove-port=*) remove "$layer.ports${service:+.$service}" "$value" ;;
        --reload | --complete-reload) exit 99 ;;
    esac
done
exit 0
"#;

struct Machine {
    directory: tempfile::TempDir,
    host: SystemHost,
    needs: RoleNeeds,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["etc/sysctl.d", "usr/sysctl.d", "proc/net/ipv4", "firewalld"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("proc").join(START.replace('.', "/")), "1024\n").unwrap();
        let firewall_cmd = at("firewall-cmd");
        fs::write(&firewall_cmd, FIREWALL_CMD).unwrap();
        fs::set_permissions(&firewall_cmd, fs::Permissions::from_mode(0o755)).unwrap();
        let places = Places {
            notes: at("notes"),
            sysctl: at("etc/sysctl.d"),
            sysctl_others: vec![at("etc/sysctl.conf"), at("usr/sysctl.d")],
            proc_sys: at("proc"),
            firewall_cmd,
        };
        Self {
            host: SystemHost::new(places, true),
            directory,
            needs: needs(),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn firewalld_runs(&self) {
        fs::write(self.at("firewalld/running"), "").unwrap();
    }

    fn act(&self, verb: HostVerb) -> Vec<String> {
        self.host.act(verb, &self.needs).unwrap().changed
    }

    fn parameter(&self) -> String {
        let path = self.at("proc").join(START.replace('.', "/"));
        fs::read_to_string(path).unwrap().trim().to_owned()
    }

    fn set_parameter(&self, value: &str) {
        fs::write(self.at("proc").join(START.replace('.', "/")), value).unwrap();
    }

    /// The lines of one of firewalld's lists.
    fn firewalld(&self, list: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at("firewalld").join(list)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_parameter_is_set_once_for_now_and_for_the_next_boot_and_put_back() {
    let machine = Machine::new();
    let changed = machine.act(HostVerb::SetParameters);
    assert_eq!(changed, [format!("{START} = 0")]);
    assert_eq!(machine.parameter(), "0");
    let drop_in = text(&machine.at(DROP_IN));
    assert!(drop_in.ends_with(&format!("\n{START} = 0\n")), "{drop_in}");
    assert!(drop_in.starts_with('#'), "{drop_in}");

    assert!(machine.act(HostVerb::SetParameters).is_empty(), "it is so");
    assert!(!machine.act(HostVerb::Undo).is_empty());
    assert_eq!(machine.parameter(), "1024");
    assert!(!machine.at(DROP_IN).exists() && !machine.at(NOTES).exists());
    assert!(machine.act(HostVerb::Undo).is_empty());
}

#[test]
fn what_the_administrator_has_set_is_left_to_him() {
    let machine = Machine::new();
    machine.set_parameter("0");
    let theirs = machine.at("etc/sysctl.conf");
    fs::write(
        &theirs,
        "# net/ipv4/ip_unprivileged_port_start=1\n-net/ipv4/ip_unprivileged_port_start=0\n",
    )
    .unwrap();
    assert!(machine.act(HostVerb::SetParameters).is_empty());
    assert!(!machine.at(DROP_IN).exists() && !machine.at("notes").exists());
    machine.act(HostVerb::Undo);
    assert_eq!(machine.parameter(), "0", "it was not ours");

    // Set for now only: it would not outlive a boot.
    fs::remove_file(&theirs).unwrap();
    assert_eq!(machine.act(HostVerb::SetParameters).len(), 1);
    assert!(machine.at(DROP_IN).exists());
    machine.act(HostVerb::Undo);
    assert_eq!(machine.parameter(), "0", "as it was before");
    assert!(!machine.at(DROP_IN).exists());
}

#[test]
fn what_somebody_has_set_since_is_not_put_back() {
    let machine = Machine::new();
    machine.act(HostVerb::SetParameters);
    machine.set_parameter("80");
    machine.act(HostVerb::Undo);
    assert_eq!(machine.parameter(), "80");
    assert!(!machine.at(DROP_IN).exists());
}

#[test]
fn whoever_is_cut_short_still_knows_what_was_there_before() {
    let machine = Machine::new();
    // The notes are on disk and the file cannot be written.
    fs::remove_dir(machine.at("etc/sysctl.d")).unwrap();
    machine
        .host
        .act(HostVerb::SetParameters, &machine.needs)
        .unwrap_err();
    assert_eq!(machine.parameter(), "1024");
    fs::create_dir(machine.at("etc/sysctl.d")).unwrap();
    machine.act(HostVerb::SetParameters);
    // Half undone: the value is back, the file is there.
    machine.set_parameter("1024");
    machine.act(HostVerb::SetParameters);
    assert_eq!(machine.parameter(), "0");
    machine.act(HostVerb::Undo);
    assert_eq!(machine.parameter(), "1024");
}

#[test]
fn a_host_that_is_not_to_be_changed_is_not() {
    let mut machine = Machine::new();
    machine.firewalld_runs();
    machine.host = SystemHost::new(
        Places {
            notes: machine.at("notes"),
            ..Places::default()
        },
        false,
    );
    for verb in [
        HostVerb::SetParameters,
        HostVerb::OpenFirewall,
        HostVerb::Undo,
    ] {
        assert!(machine.act(verb).is_empty());
    }
    assert!(!machine.at("notes").exists());
}

#[test]
fn ports_are_opened_for_now_and_for_ever_without_a_reload_and_closed_again() {
    let machine = Machine::new();
    machine.firewalld_runs();
    fs::write(machine.at("firewalld/permanent.known"), "ssh\n").unwrap();
    fs::write(machine.at("firewalld/permanent.services"), "ssh\n").unwrap();
    fs::write(machine.at("firewalld/runtime.ports"), "8840-8845/tcp\n").unwrap();
    let changed = machine.act(HostVerb::OpenFirewall);
    assert_eq!(
        changed,
        ["firewalld service extend-media-server-only in zone public"]
    );
    let service = "extend-media-server-only";
    assert_eq!(machine.firewalld("permanent.services"), ["ssh", service]);
    assert_eq!(
        machine.firewalld("permanent.ports.extend-media-server-only"),
        PORTS
    );
    let mut open = machine.firewalld("runtime.ports");
    open.sort();
    assert_eq!(open, ["35000-65000/udp", "8840-8845/tcp", "8840-8845/udp"]);
    assert!(machine.act(HostVerb::OpenFirewall).is_empty(), "it is so");

    machine.act(HostVerb::Undo);
    assert_eq!(machine.firewalld("permanent.services"), ["ssh"]);
    assert_eq!(machine.firewalld("permanent.known"), ["ssh"]);
    assert_eq!(
        machine.firewalld("runtime.ports"),
        ["8840-8845/tcp"],
        "it was open before"
    );
    assert!(!machine.at(NOTES).exists());
    let calls = machine.firewalld("calls").join("\n");
    assert!(!calls.contains("reload"), "{calls}");
}

#[test]
fn after_a_reload_the_service_is_in_force_and_goes_too() {
    let machine = Machine::new();
    machine.firewalld_runs();
    machine.act(HostVerb::OpenFirewall);
    for (from, to) in [
        ("permanent.known", "runtime.known"),
        ("permanent.services", "runtime.services"),
    ] {
        fs::copy(
            machine.at("firewalld").join(from),
            machine.at("firewalld").join(to),
        )
        .unwrap();
    }
    fs::remove_file(machine.at("firewalld/runtime.ports")).unwrap();
    assert!(
        machine.act(HostVerb::OpenFirewall).is_empty(),
        "the service lets them through"
    );
    machine.act(HostVerb::Undo);
    assert_eq!(machine.firewalld("runtime.services"), Vec::<String>::new());
    assert_eq!(
        machine.firewalld("permanent.services"),
        Vec::<String>::new()
    );
}

#[test]
fn another_definition_changes_the_service_that_is_there() {
    let mut machine = Machine::new();
    machine.firewalld_runs();
    machine.act(HostVerb::OpenFirewall);
    machine.needs.ports = vec!["8840-8850/tcp".to_owned()];
    assert_eq!(machine.act(HostVerb::OpenFirewall).len(), 1);
    assert_eq!(
        machine.firewalld("permanent.ports.extend-media-server-only"),
        ["8840-8850/tcp"]
    );
    machine.act(HostVerb::Undo);
    assert_eq!(machine.firewalld("runtime.ports"), Vec::<String>::new());
}

#[test]
fn where_firewalld_does_not_run_there_is_nothing_to_open() {
    let machine = Machine::new();
    assert!(machine.act(HostVerb::OpenFirewall).is_empty());
    assert!(!machine.at("notes").exists());
    fs::remove_file(machine.at("firewall-cmd")).unwrap();
    assert!(machine.act(HostVerb::OpenFirewall).is_empty());
}

#[test]
fn a_firewall_that_was_stopped_since_is_told_and_the_rest_is_undone() {
    let machine = Machine::new();
    machine.firewalld_runs();
    machine.act(HostVerb::SetParameters);
    machine.act(HostVerb::OpenFirewall);
    fs::remove_file(machine.at("firewalld/running")).unwrap();
    let error = machine
        .host
        .act(HostVerb::Undo, &machine.needs)
        .unwrap_err();
    assert!(error.cause.contains("does not run"), "{error}");
    assert!(
        error
            .hint
            .unwrap()
            .contains("--delete-service=extend-media-server-only")
    );
    assert_eq!(machine.parameter(), "1024");
    // What is left is remembered.
    machine.firewalld_runs();
    machine.act(HostVerb::Undo);
    assert_eq!(machine.firewalld("permanent.known"), Vec::<String>::new());
    assert!(!machine.at(NOTES).exists());
}

#[test]
fn a_command_that_refuses_or_hangs_is_told_in_its_own_words() {
    let machine = Machine::new();
    machine.firewalld_runs();
    let script =
        "#!/bin/sh\n[ \"$1\" = --state ] || { echo >&2 'Error: COMMAND_FAILED: no'; exit 13; }\n";
    fs::write(machine.at("firewall-cmd"), script).unwrap();
    let error = machine
        .host
        .act(HostVerb::OpenFirewall, &machine.needs)
        .unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains("`--get-default-zone`: Error: COMMAND_FAILED: no"),
        "{words}"
    );
    assert!(error.hint.unwrap().contains("host_changes = false"));

    fs::write(machine.at("firewall-cmd"), "#!/bin/sh\nexec sleep 1000\n").unwrap();
    let limit = std::time::Duration::from_millis(50);
    let Err(error) = super::run::run(&machine.at("firewall-cmd"), &["--state"], limit) else {
        panic!("it hangs");
    };
    assert!(error.cause.contains("has not ended within 50ms"), "{error}");
}
