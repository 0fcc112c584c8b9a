//! Both sides of the helper over a real socket pair, and what it refuses.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use extend_common::firewall::FirewallState;

use super::client::HelperHost;
use super::server::{Helper, serve};
use super::trust::require_roots;
use super::{Answer, MAX_ANSWER, read_line};
use crate::host::tests::needs;
use crate::host::{Host as _, HostVerb, Places};

/// A node below `/run`, where every directory that leads to it is root's.
struct Node {
    directory: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "the helper is root's: run it as root (make test does)"
        );
        let node = Self {
            directory: tempfile::Builder::new().tempdir_in("/run").unwrap(),
        };
        for path in ["state", "roles.d"] {
            fs::create_dir(node.at(path)).unwrap();
        }
        let config = format!(
            "state_dir = '{}'\ndata_dir = '{}'\nroles_dir = '{}'\nhost_changes = false\n",
            node.at("state").display(),
            node.at("data").display(),
            node.at("roles.d").display(),
        );
        fs::write(node.at("agent.toml"), config).unwrap();
        node
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn helper(&self) -> Helper {
        Helper {
            config: Some(self.at("agent.toml")),
            places: Places {
                notes: self.at("notes"),
                firewall_cmd: self.at("no-firewall-cmd"),
                ..Places::default()
            },
        }
    }

    /// What the helper answers to a line.
    fn ask(&self, line: &str) -> Answer {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(line.as_bytes()).unwrap();
        serve(&theirs, &self.helper()).unwrap();
        serde_json::from_str(&read_line(&ours, MAX_ANSWER).unwrap()).unwrap()
    }

    fn refusal(&self, line: &str) -> String {
        match self.ask(line) {
            Answer::Failed(error) => error.to_string(),
            done => panic!("{line} was done: {done:?}"),
        }
    }
}

const DIRECTORIES: &str = "{\"verb\":\"make-directories\",\"role\":\"media-server-only\"}\n";

#[test]
fn the_agent_names_a_role_and_the_helper_knows_the_paths() {
    let node = Node::new();
    let socket = node.at("host.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let helper = node.helper();
    let serving = std::thread::spawn(move || {
        for _ in 0..3 {
            let (stream, _) = listener.accept().unwrap();
            serve(&stream, &helper).unwrap();
        }
    });
    let host = HelperHost::new(&socket, true);
    // The agent's own idea of the paths does not matter.
    let needs = needs();
    let changed = host.act(HostVerb::MakeDirectories, &needs).unwrap().changed;
    assert_eq!(changed.len(), 7, "{changed:?}");
    let record = node.at("data/media-server-only/mcu/record");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&record).unwrap());
    assert_eq!(owner, 888);
    let again = host.act(HostVerb::MakeDirectories, &needs).unwrap();
    assert!(again.changed.is_empty(), "it is so: {again:?}");
    fs::write(record.join("call.wav"), vec![7; 100_000]).unwrap();
    let size = host.act(HostVerb::MeasureData, &needs).unwrap().bytes;
    assert!(size >= 100_000, "{size}");
    serving.join().unwrap();
}

#[test]
fn nothing_but_a_verb_and_a_role_is_understood() {
    let node = Node::new();
    for line in [
        "{\"verb\":\"run-a-shell\",\"role\":\"media-server-only\"}\n",
        "{\"verb\":\"make-directories\",\"role\":\"../../etc\"}\n",
        "{\"verb\":\"make-directories\",\"role\":\"media-server-only\",\"path\":\"/etc\"}\n",
        "{\"verb\":\"make-directories\"}\n",
        "make-directories media-server-only\n",
    ] {
        let words = node.refusal(line);
        assert!(words.starts_with("reading the request"), "{words}");
    }
    let words = node.refusal("{\"verb\":\"undo\",\"role\":\"sbc\"}\n");
    assert!(words.contains("no definition of sbc"), "{words}");
    assert!(!node.at("data").exists());
    // More than a request, or a part of one, is not even read to its end.
    for line in ["x".repeat(5000), "{\"verb\":".to_owned()] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(line.as_bytes()).unwrap();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(serve(&theirs, &node.helper()).is_err());
    }
}

#[test]
fn firewalld_is_kept_only_where_root_says_so_and_only_for_addresses() {
    let node = Node::new();
    let trust = |address: &str| format!("{{\"firewall\":{{\"trust\":[\"{address}\"]}}}}\n");
    let state = |line: &str| match node.ask(line) {
        Answer::Told(told) => told.state,
        other => panic!("{other:?}"),
    };
    // On every other node, whatever the agent says.
    let good = trust("172.31.16.139");
    assert_eq!(state(&good), FirewallState::NotAllowed);
    let config = fs::read_to_string(node.at("agent.toml")).unwrap();
    fs::write(node.at("agent.toml"), format!("{config}firewall = true\n")).unwrap();
    assert_eq!(
        state(&good),
        FirewallState::Absent,
        "there is no firewalld here"
    );
    for odd in [
        "0.0.0.0/0",
        "172.31.16.0/20",
        "::1",
        "--reload",
        "a; reboot",
        "",
    ] {
        let words = node.refusal(&trust(odd));
        assert!(words.starts_with("reading the request"), "{odd}: {words}");
    }
    for odd in ["127.0.0.1", "0.0.0.0", "224.0.0.1"] {
        let words = node.refusal(&trust(odd));
        assert!(words.contains("no address of another host"), "{words}");
    }
    for line in [
        "{\"firewall\":{\"reload\":true}}\n",
        "{\"firewall\":{},\"verb\":\"undo\"}\n",
        "{\"firewall\":{\"open\":[{\"port\":7443,\"source\":\"10.0.0.1\",\"zone\":\"drop\"}]}}\n",
        "{\"firewall\":{\"open\":[{\"port\":99999,\"source\":\"10.0.0.1\"}]}}\n",
    ] {
        let words = node.refusal(line);
        assert!(words.starts_with("reading the request"), "{words}");
    }
    // A file that the agent could have written allows nothing.
    chown(node.at("agent.toml"), Some(888), None).unwrap();
    assert!(node.refusal(&good).starts_with("trusting"));
}

#[test]
fn files_that_others_could_have_written_are_not_obeyed() {
    let node = Node::new();
    let config = node.at("agent.toml");
    let refused = |what: &str| {
        let words = node.refusal(DIRECTORIES);
        assert!(
            words.starts_with("trusting") && words.contains(what),
            "{words}"
        );
        assert!(!node.at("data").exists());
    };
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&config, 0o664);
    refused("others than root can write it (mode 0664)");
    mode(&config, 0o644);
    chown(&config, Some(888), None).unwrap();
    refused("belongs to user 888");
    chown(&config, Some(0), None).unwrap();
    mode(&node.at("roles.d"), 0o777);
    refused("(mode 0777)");
    mode(&node.at("roles.d"), 0o755);
    let role = node.at("roles.d/evil.toml");
    fs::write(&role, "role = ").unwrap();
    chown(&role, Some(888), None).unwrap();
    refused("belongs to user 888");
    fs::remove_file(&role).unwrap();
    assert!(matches!(node.ask(DIRECTORIES), Answer::Done(_)));
}

#[test]
fn a_path_is_as_good_as_the_worst_directory_on_the_way() {
    let node = Node::new();
    let open = node.at("open");
    fs::create_dir(&open).unwrap();
    let file = open.join("agent.toml");
    fs::write(&file, "").unwrap();
    require_roots(&file).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let words = require_roots(&file).unwrap_err().to_string();
    assert!(words.contains(&format!("{}:", open.display())), "{words}");
    // A link may be anybody's to move where its directory is.
    let link = open.join("link.toml");
    symlink(node.at("agent.toml"), &link).unwrap();
    require_roots(&link).unwrap_err();
    // And where it leads counts as well.
    let outside = node.at("outside.toml");
    symlink(&file, &outside).unwrap();
    require_roots(&outside).unwrap_err();
    require_roots(&node.at("missing")).unwrap();
}

#[test]
fn without_a_helper_what_is_right_is_enough_and_the_rest_says_what_to_enable() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("host.sock");
    let host = HelperHost::new(&socket, false);
    let mut needs = needs();
    needs.directories.clear();
    assert_eq!(
        host.act(HostVerb::MakeDirectories, &needs)
            .unwrap()
            .changed
            .len(),
        0
    );
    needs.directories = vec![extend_common::roles::DirectoryDefinition {
        path: "/proc/nobody/can/make/this".to_owned(),
        mode: 0o755,
        uid: None,
        gid: None,
    }];
    let error = host.act(HostVerb::MakeDirectories, &needs).unwrap_err();
    assert!(error.cause.contains("no root helper at"), "{error}");
    assert_eq!(
        error.hint.as_deref(),
        Some("systemctl enable --now extend-agent-host.socket")
    );
}
