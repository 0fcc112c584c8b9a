//! `extend node bootstrap`, from the command line to the host and back, with an `ssh` that leads
//! into directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Ran, finish, ran, until};
use crate::hosts::Hosts;

const NODE: &str = "172.31.16.139";
const OTHER: &str = "172.31.16.138";

impl Hosts {
    fn command(&self, words: &str) -> Command {
        let mut command = self.place.command(Path::new(env!("CARGO_BIN_EXE_extend")));
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.env("PATH", path).args(["node", "bootstrap"]);
        command.args(words.split_whitespace());
        command
    }

    fn bootstrap(&self, words: &str) -> Ran {
        ran(&mut self.command(words))
    }
}

/// What was said, without the moments that no test knows.
fn said(ran: &Ran) -> String {
    let mut lines = Vec::new();
    for line in ran.err.lines() {
        let timed = line.get(2..3) == Some(":") && line.get(5..6) == Some(":");
        let line = if timed { line.get(9..).unwrap() } else { line };
        let cut = [", after ", ", in "].iter().find_map(|before| {
            let (text, span) = line.rsplit_once(before)?;
            span.ends_with('s').then(|| format!("{text}{before}…"))
        });
        // How large the disk is that the tests run on.
        if !line.contains("the disk of /var has") {
            lines.push(cut.unwrap_or_else(|| line.to_owned()));
        }
    }
    lines.join("\n")
}

#[test]
fn from_a_bare_host_to_a_node_and_again() {
    let hosts = Hosts::new(&[NODE]);
    let plan = hosts.bootstrap(&format!("-a {NODE} --plan"));
    assert_eq!(plan.code, 10, "{plan:?}");
    insta::assert_snapshot!(plan.out, @r"
    ADDRESS        CHANGE
    172.31.16.139  install a Docker Engine (docker.io); install extend-agent 0.2.0; join
    ");
    assert_eq!(hosts.read(NODE, "apt.log"), "", "a plan changes nothing");

    let first = hosts.bootstrap(&format!("-a {NODE}"));
    assert_eq!((first.code, first.out.as_str()), (0, ""), "{first:?}");
    insta::assert_snapshot!(said(&first), @r"
    172.31.16.139: checking the host
    172.31.16.139: installing a Docker Engine (docker.io)
    172.31.16.139: installing extend-agent 0.2.0
    172.31.16.139: joining
    172.31.16.139: waiting until it is online
    172.31.16.139: online, after …
    bootstrap: 1 of 1 node online, in …
    ");
    // The lists were empty: they were fetched when that was of use, and only then.
    let apt = hosts.take(NODE, "apt.log");
    assert_eq!(
        apt,
        "install docker.io\nupdate update\ninstall docker.io\n\
         install extend-agent_0.2.0_amd64.deb\n"
    );
    assert_eq!(hosts.read(NODE, "tokens"), "172.31.16.133/ab12/secret\n");
    assert_eq!(
        fs::read_dir(hosts.host(NODE).join("var/tmp"))
            .unwrap()
            .count(),
        0
    );

    let again = hosts.bootstrap(&format!("-a {NODE}"));
    assert_eq!(again.code, 0, "{again:?}");
    insta::assert_snapshot!(said(&again), @r"
    172.31.16.139: checking the host
    172.31.16.139: online with extend-agent 0.2.0, nothing to do
    1 node online already, nothing to do
    ");
    assert_eq!(hosts.read(NODE, "apt.log"), "");
    let plan = hosts.bootstrap(&format!("-a {NODE} --plan"));
    assert_eq!(
        (plan.code, plan.err.lines().last()),
        (0, Some("nothing to do")),
        "{plan:?}"
    );
}

#[test]
fn no_secret_and_no_script_stands_in_an_argument() {
    let hosts = Hosts::new(&[NODE]);
    let key = hosts.path("key.pem");
    let words = format!(
        "-a {NODE} --user admin --key {} --ssh-option Port=2222",
        key.display()
    );
    assert_eq!(hosts.bootstrap(&words).code, 0);
    let calls = fs::read_to_string(hosts.path("ssh.log")).unwrap();
    assert!(calls.lines().count() >= 4, "{calls}");
    for call in calls.lines() {
        assert!(call.starts_with("-T -o Port=2222 -i "), "{call}");
        assert!(
            call.contains("-o BatchMode=yes -o StrictHostKeyChecking=accept-new"),
            "{call}"
        );
        let (_, command) = call.split_once(&format!("-l admin -- {NODE} ")).unwrap();
        let digits = command.replace(|c: char| c.is_ascii_digit(), "");
        assert_eq!(digits, "sudo -n sh -c 's=$(head -c ); eval \"$s\"'");
    }
}

#[test]
fn an_upgrade_replaces_the_package_and_nothing_else() {
    let hosts = Hosts::new(&[NODE]);
    assert_eq!(hosts.bootstrap(&format!("-a {NODE}")).code, 0);
    hosts.take(NODE, "apt.log");
    hosts.take(NODE, "systemctl.log");
    for version in ["0.3.0", "0.1.0"] {
        hosts.offer(version);
        let ran = hosts.bootstrap(&format!("-a {NODE}"));
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(said(&ran).contains(&format!(" by {version}\n")), "{ran:?}");
        let apt = hosts.take(NODE, "apt.log");
        assert_eq!(apt, format!("install extend-agent_{version}_amd64.deb\n"));
    }
    assert_eq!(
        hosts.read(NODE, "tokens").lines().count(),
        1,
        "it joined once"
    );
    let calls = hosts.read(NODE, "systemctl.log");
    assert!(
        calls.lines().all(|call| call.starts_with("show ")),
        "{calls}"
    );
}

#[test]
fn an_agent_that_is_down_is_started_and_a_node_that_was_removed_joins_anew() {
    let hosts = Hosts::new(&[NODE]);
    assert_eq!(hosts.bootstrap(&format!("-a {NODE}")).code, 0);
    hosts.write(NODE, "unit", "failed\n");
    let ran = hosts.bootstrap(&format!("-a {NODE}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(said(&ran).contains(": starting the agent\n"), "{ran:?}");
    assert_eq!(hosts.read(NODE, "unit"), "active\n");

    hosts.remove(NODE, "online");
    hosts.take(NODE, "systemctl.log");
    let ran = hosts.bootstrap(&format!("-a {NODE}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(hosts.read(NODE, "tokens").lines().count(), 2);
    let calls = hosts.read(NODE, "systemctl.log");
    assert!(!calls.contains("stop "), "{calls}");
    assert!(calls.contains("\nstart extend-agent"), "{calls}");
}

#[test]
fn credentials_are_put_once_and_for_the_agent_alone() {
    let hosts = Hosts::new(&[NODE]);
    let file = hosts.path("config.json");
    let text = "{\"auths\": {\"172.31.16.132:5000\": {\"auth\": \"c2VjcmV0\"}}}";
    fs::write(&file, text).unwrap();
    let words = format!("-a {NODE} --registry-credentials {}", file.display());
    let open = hosts.bootstrap(&words);
    assert_eq!(open.code, 2, "others may read it: {open:?}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ran = hosts.bootstrap(&words);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        said(&ran).contains(": putting the registry credentials in place\n"),
        "{ran:?}"
    );
    let there = hosts.host(NODE).join("etc/extend/registry.json");
    assert_eq!(fs::read_to_string(&there).unwrap(), text);
    assert_eq!(
        fs::metadata(&there).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(hosts.read(NODE, "chown"), "extend-agent:\n");
    assert!(!format!("{ran:?}").contains("c2VjcmV0"));
    let again = hosts.bootstrap(&words);
    assert!(said(&again).contains("nothing to do"), "{again:?}");

    fs::write(&file, "[]").unwrap();
    let odd = hosts.bootstrap(&words);
    assert_eq!(odd.code, 2, "{odd:?}");
    assert!(odd.err.contains("it has no \"auths\""), "{odd:?}");
}

#[test]
fn each_node_goes_its_own_way() {
    let (arm, asks, full) = ("172.31.16.137", "172.31.16.140", "172.31.16.141");
    let hosts = Hosts::new(&[arm, OTHER, NODE, asks, full]);
    hosts.write(arm, "arch", "arm64\n");
    hosts.write(asks, "no-sudo", "");
    hosts.write(full, "lists", "");
    hosts.write(
        full,
        "apt-says",
        "E: You don't have enough free space in /var/cache/apt/archives/.\n",
    );
    assert_eq!(hosts.bootstrap(&format!("-a {OTHER}")).code, 0);
    let ran = hosts.bootstrap(&format!("-a {arm},{OTHER},{NODE},{asks},{full} -o json"));
    assert_eq!(ran.code, 3, "{ran:?}");
    let errors = ran
        .err
        .lines()
        .skip_while(|line| !line.starts_with("error:"));
    let errors: Vec<&str> = errors
        .filter(|line| !line.starts_with("bootstrap:"))
        .collect();
    insta::assert_snapshot!(errors.join("\n"), @r"
    error: cannot set up node 172.31.16.137: it is arm64, and the package is for amd64
      cause: its kernel says x86_64
    hint: use an instance type of that architecture, or --package FILE with one for it
    error: cannot set up node 172.31.16.140: ubuntu may not become root there without a password
      cause: sudo: a password is required
    hint: on 172.31.16.140: echo 'ubuntu ALL=(ALL) NOPASSWD:ALL' | sudo tee /etc/sudoers.d/90-ubuntu, or name another user with --user
    error: cannot set up node 172.31.16.141: apt-get install docker.io did not succeed
      cause: E: You don't have enough free space in /var/cache/apt/archives/.
      cause: E: You don't have enough free space in /var/cache/apt/archives/.
      cause: E: You don't have enough free space in /var/cache/apt/archives/.
    hint: mend it, then the same command again: what is done already is not done twice
    ");
    let last = said(&ran);
    let last = last.lines().last().unwrap();
    assert_eq!(
        last,
        "bootstrap: 2 of 5 nodes online, 2 refused, 1 failed, in …"
    );
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    let outcomes: Vec<_> = nodes
        .iter()
        .map(|node| node["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        outcomes,
        ["refused", "already-so", "done", "refused", "failed"]
    );
    assert_eq!(nodes[2]["changes"][2], "join");
}

#[test]
fn what_ssh_says_is_told_with_what_helps() {
    let hosts = Hosts::new(&[NODE]);
    let mut told = Vec::new();
    for words in [
        "ubuntu@172.31.16.139: Permission denied (publickey).",
        "@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@@@\n\
         Host key for 172.31.16.139 has changed and you have requested strict checking.\n\
         Host key verification failed.",
        "ssh: connect to host 172.31.16.139 port 22: Connection timed out",
    ] {
        hosts.write(NODE, "ssh-says", words);
        let ran = hosts.bootstrap(&format!("-a {NODE}"));
        assert_eq!(ran.code, 1, "{ran:?}");
        told.push(
            ran.err
                .lines()
                .skip_while(|l| !l.starts_with("error:"))
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    let told = told
        .join("\n")
        .lines()
        .filter(|l| !l.starts_with("bootstrap:"))
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!(told, @r"
    error: cannot set up node 172.31.16.139: ssh does not reach it
      cause: ubuntu@172.31.16.139: Permission denied (publickey).
    hint: which user and key does it take? extend node bootstrap -a 172.31.16.139 --user ubuntu --key FILE
    error: cannot set up node 172.31.16.139: ssh does not reach it
      cause: @    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
      cause: Host key for 172.31.16.139 has changed and you have requested strict checking.
      cause: Host key verification failed.
    hint: only if that instance was made anew: ssh-keygen -R 172.31.16.139
    error: cannot set up node 172.31.16.139: ssh does not reach it
      cause: ssh: connect to host 172.31.16.139 port 22: Connection timed out
    hint: is it running, and does its security group let this host in on port 22? ssh ubuntu@172.31.16.139
    ");
}

#[test]
fn a_node_that_does_not_come_is_told_with_its_agents_words() {
    let hosts = Hosts::new(&[NODE]);
    hosts.write(NODE, "never-online", "");
    let ran = hosts.bootstrap(&format!("-a {NODE} --timeout 8s"));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .contains("it is set up, and it is unknown to the controller after "),
        "{ran:?}"
    );
    for told in [
        "  cause: its unit extend-agent is active; the agent said last:\n",
        "the controller at 172.31.16.133:7443 refuses it\n",
        "hint: on 172.31.16.139: journalctl -u extend-agent -e\n",
    ] {
        assert!(ran.err.contains(told), "{told}: {ran:?}");
    }

    hosts.write(NODE, "join-says", "error: cannot enrol 172.31.16.139\n");
    let ran = hosts.bootstrap(&format!("-a {NODE}"));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .contains(": extend-agent join did not succeed\n  cause: error: cannot enrol"),
        "{ran:?}"
    );
}

#[test]
fn what_does_not_arrive_whole_is_not_installed() {
    let hosts = Hosts::new(&[NODE]);
    // A disk without room, and one that keeps something else.
    let head = hosts.path("bin/head");
    let real = fs::read_link(&head).unwrap();
    let broken = |what: &str| {
        fs::remove_file(&head).unwrap();
        let text = format!(
            "#!/bin/sh\n[ \"$2\" -gt 50000 ] || exec {} \"$@\"\n{what}\n",
            real.display()
        );
        fs::write(&head, text).unwrap();
        fs::set_permissions(&head, fs::Permissions::from_mode(0o755)).unwrap();
        let ran = hosts.bootstrap(&format!("-a {NODE}"));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(hosts.read(NODE, "agent"), "");
        assert_eq!(
            fs::read_dir(hosts.host(NODE).join("var/tmp"))
                .unwrap()
                .count(),
            0
        );
        ran.err
    };
    let full = broken("echo 'head: No space left on device' >&2; exit 1");
    assert!(
        full.contains(": what was sent cannot be kept in "),
        "{full}"
    );
    assert!(
        full.contains("  cause: head: No space left on device\n"),
        "{full}"
    );
    let short = broken("cat >/dev/null; echo extend-agent 0.2.0");
    assert!(
        short.contains(": what was sent did not arrive whole\n"),
        "{short}"
    );
}

#[test]
fn interrupted_it_ends_at_once_and_the_next_one_goes_on() {
    let hosts = Hosts::new(&[NODE]);
    hosts.write(NODE, "hangs", "");
    let mut command = hosts.command(&format!("-a {NODE}"));
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let hanging = hosts.host(NODE).join("hanging");
    until("ssh runs", || hanging.exists());
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let ran = finish(child);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("error: bootstrap was interrupted\n"),
        "{ran:?}"
    );
    assert!(
        ran.err
            .contains(&format!("hint: extend node bootstrap -a {NODE}    (")),
        "{ran:?}"
    );
    hosts.remove(NODE, "hangs");
    assert_eq!(hosts.bootstrap(&format!("-a {NODE}")).code, 0);
}

#[test]
fn a_controller_that_is_started_anew_is_waited_for() {
    let mut hosts = Hosts::new(&[NODE]);
    hosts.write(NODE, "hangs", "");
    let mut command = hosts.command(&format!("-a {NODE}"));
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let hanging = hosts.host(NODE).join("hanging");
    until("ssh runs", || hanging.exists());
    hosts.place.kill();
    hosts.remove(NODE, "hangs");
    // The host has been looked at by now, or is about to be: the next question finds nobody.
    let calls = hosts.path("hosts").join(NODE).join("met");
    until("the host is looked at", || calls.exists());
    hosts.place.start();
    let ran = finish(child);
    assert_eq!(ran.code, 0, "{ran:?}");

    hosts.place.kill();
    let gone = hosts.bootstrap(&format!("-a {NODE} --patience 1s"));
    assert_eq!(gone.code, 5, "{gone:?}");
}

#[test]
fn another_controllers_node_is_left_alone_unless_it_is_meant() {
    let hosts = Hosts::new(&[NODE]);
    assert_eq!(hosts.bootstrap(&format!("-a {NODE}")).code, 0);
    hosts.place.script.enrolment.lock().unwrap().ca_der = b"another".to_vec();
    let refused = hosts.bootstrap(&format!("-a {NODE}"));
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused.err.contains(": it has joined another controller\n"),
        "{refused:?}"
    );
    let ran = hosts.bootstrap(&format!("-a {NODE} --rejoin"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(hosts.read(NODE, "tokens").lines().count(), 2);
}

#[test]
fn a_package_that_is_not_there_or_not_one_is_told_before_anything_is_done() {
    let hosts = Hosts::new(&[NODE]);
    let other = hosts.path("agent.deb");
    fs::write(&other, "extend-agent 0.2.0\n").unwrap();
    let odd = hosts.bootstrap(&format!("-a {NODE} --package {}", other.display()));
    assert_eq!(odd.code, 1, "{odd:?}");
    assert!(
        odd.err.contains("is not named like the agent's package"),
        "{odd:?}"
    );
    // The name says one version, the contents another.
    let lying = hosts.path("extend-agent_9.9.9_amd64.deb");
    fs::write(&lying, "extend-agent 0.2.0\n").unwrap();
    let lying = hosts.bootstrap(&format!("-a {NODE} --package {}", lying.display()));
    assert_eq!(lying.code, 1, "{lying:?}");
    assert!(
        lying
            .err
            .contains("the file is not the package extend-agent 9.9.9\n"),
        "{lying:?}"
    );
    assert_eq!(hosts.read(NODE, "agent"), "");

    let view = extend_proto::v1::EnrolmentView {
        problem: "there is no agent's package in /usr/share/extend/agent".to_owned(),
        hint: "sudo apt-get install --reinstall extend".to_owned(),
        ..extend_proto::v1::EnrolmentView::default()
    };
    *hosts.place.script.enrolment.lock().unwrap() = view;
    let none = hosts.bootstrap(&format!("-a {NODE}"));
    assert_eq!(none.code, 1, "{none:?}");
    assert!(
        none.err
            .contains("there is no agent's package in /usr/share/extend/agent"),
        "{none:?}"
    );
    assert!(
        none.err.contains("or name one with --package FILE"),
        "{none:?}"
    );
    let user_data = hosts
        .place
        .run(&format!("node token -a {NODE} --cloud-init"));
    assert_eq!(user_data.code, 1, "{user_data:?}");
    assert!(
        user_data
            .err
            .contains("cannot make user data: there is no agent's package"),
        "{user_data:?}"
    );
}

#[test]
fn what_is_wrong_in_itself_is_usage() {
    let hosts = Hosts::new(&[]);
    for words in [
        "",
        "-a 127.0.0.256",
        "-a 172.31.16.139 --user -oProxyCommand=x",
        "-a 172.31.16.139 --ssh-option Port",
        "-a 172.31.16.139 --timeout soon",
        "-a 172.31.16.139 --registry-credentials /nowhere/config.json",
    ] {
        let ran = hosts.bootstrap(words);
        assert_eq!(ran.code, 2, "{words}: {ran:?}");
    }
    assert!(!hosts.path("ssh.log").exists());
}
