//! What the program `extend-agent` says to a person when something is wrong, and with which exit
//! code: its files, its token, its controller, the clocks. The controller is a real one, within
//! this process, so that its clock can be set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::net::{SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use extend_agent::identity::Identity;
use extend_agent::session::Dial;
use extend_agent::session::controllers::Controllers;
use extend_agent::session::dial::TlsDial;
use extend_common::clock::Clock;
use extend_common::tls::{JoinToken, Time, TimeProvider, system_time};
use extend_controller::config::Config;
use extend_controller::daemon::{Daemon, DaemonOptions};
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls_pki_types::UnixTime;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

#[path = "sim_joining/service.rs"]
mod service;

/// The node. This machine has all of 127.0.0.0/8.
const NODE: &str = "127.0.3.7";

/// The directory of the programs that were built with this test.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().and_then(Path::parent).unwrap().join(name);
    let shown = path.display();
    assert!(
        path.exists(),
        "{shown} is not built: cargo build --workspace"
    );
    path
}

struct Answer {
    code: Option<i32>,
    words: String,
}

impl Answer {
    /// An error with this exit code that says all of this, and leads on with a hint.
    #[track_caller]
    fn fails(&self, code: i32, says: &[&str], hint: &str) {
        let Self { code: ended, words } = self;
        assert_eq!(*ended, Some(code), "{words}");
        assert!(words.starts_with("error: "), "{words}");
        for said in says {
            assert!(words.contains(said), "it should say `{said}`:\n{words}");
        }
        let hinted = words
            .lines()
            .last()
            .and_then(|line| line.strip_prefix("hint: "));
        assert!(
            hinted.is_some_and(|line| line.contains(hint)),
            "{hint}:\n{words}"
        );
    }
}

/// A node's directory, with its configuration.
struct Node {
    root: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().display();
        let config = format!(
            "state_dir = \"{path}/state\"\nroles_dir = \"{path}/roles.d\"\n\
             docker_socket = \"{path}/no-docker.sock\"\n\
             registry_credentials = \"{path}/registry.json\"\n"
        );
        std::fs::create_dir(root.path().join("roles.d")).unwrap();
        let node = Self { root };
        node.write("agent.toml", config);
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    async fn agent(&self, command: &str, input: &str) -> Answer {
        let mut child = Command::new(program("extend-agent"))
            .arg("--config")
            .arg(self.path("agent.toml"))
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Who reads nothing may have gone already.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
        let output = ended.expect("it should end").unwrap();
        Answer {
            code: output.status.code(),
            words: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// An agent that runs until it is told to end, with this in its environment.
    fn runs(&self, environment: &[(&str, &str)]) -> Running {
        let mut child = Command::new(program("extend-agent"))
            .arg("--config")
            .arg(self.path("agent.toml"))
            .arg("run")
            .envs(environment.iter().copied())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Running { child, lines }
    }

    async fn joins(&self, token: &JoinToken) -> Answer {
        self.agent("join", &format!("{token}\n")).await
    }
}

/// An agent that runs.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Waits for a line that says all of this.
    async fn says(&mut self, all: &[&str]) -> String {
        let mut before = String::new();
        let line = tokio::time::timeout(Duration::from_secs(60), async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if all.iter().all(|part| line.contains(part)) {
                    return Some(line);
                }
                before.push_str(&line);
                before.push('\n');
            }
            None
        });
        let line = line.await.ok().flatten();
        line.unwrap_or_else(|| panic!("nothing says {all:?}:\n{before}"))
    }

    /// Ends it as systemd does.
    async fn ends(mut self) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGTERM).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        assert_eq!(ended.expect("it should end").unwrap().code(), Some(0));
    }
}

/// What `time` says, judged so much later.
#[derive(Debug)]
struct Off(SignedDuration);

impl TimeProvider for Off {
    fn current_time(&self) -> Option<UnixTime> {
        let then = Timestamp::now() + self.0;
        let seconds = u64::try_from(then.as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// A controller on a directory of its own.
struct Controller {
    daemon: Daemon,
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

impl Controller {
    async fn start(root: &Path) -> Self {
        Self::with_clock(root, SignedDuration::ZERO, SignedDuration::ZERO).await
    }

    /// One that dates certificates so much later than it is, and judges them so much later.
    async fn with_clock(root: &Path, dates: SignedDuration, judges: SignedDuration) -> Self {
        Self::listening("127.0.0.1", root, dates, judges).await
    }

    /// The same at this address.
    async fn listening(
        address: &str,
        root: &Path,
        dates: SignedDuration,
        judges: SignedDuration,
    ) -> Self {
        let path = root.display();
        let text = format!(
            "address = \"{address}\"\nstate_dir = \"{path}/state\"\n\
             socket = \"{path}/run/controller.sock\"\nsocket_group = \"no-such-group-here\"\n\
             roles_dir = \"{path}/roles.d\"\n[listen]\nagents = \"{address}:0\"\n\
             enrolment = \"{address}:0\"\nhttp = \"127.0.0.1:0\"\n"
        );
        let config = Config::parse(Path::new("controller.toml"), &text).unwrap();
        let options = DaemonOptions {
            clock: Clock::starting_at(Timestamp::now() + dates),
            time: Arc::new(Off(judges)),
            ..DaemonOptions::default()
        };
        let daemon = Daemon::start(config, options).await.unwrap();
        Self { daemon }
    }

    async fn token(&self, node: &str) -> JoinToken {
        let output = Command::new(program("extend"))
            .args(["node", "token", "-a", node, "--socket"])
            .arg(&self.daemon.addresses().socket)
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let line = String::from_utf8_lossy(&output.stdout);
        let token = line
            .split_whitespace()
            .find(|word| word.starts_with("extend1."));
        token
            .unwrap_or_else(|| panic!("{line}{errors}"))
            .parse()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_once_and_only_where_it_belongs() {
    let place = tempfile::tempdir().unwrap();
    let (controller, node) = (Controller::start(place.path()).await, Node::new());
    let token = controller.token(NODE).await;
    let joined = node.joins(&token).await;
    assert_eq!(joined.code, Some(0), "{}", joined.words);
    assert!(
        joined.words.contains("node 127.0.3.7 has joined"),
        "{}",
        joined.words
    );
    assert!(!joined.words.contains("clock"), "{}", joined.words);

    let before = std::fs::read(node.path("state/node.crt")).unwrap();
    let twice = node.joins(&token).await;
    let at = format!(
        "cannot join the controller at {} as node {NODE}",
        token.controller
    );
    twice.fails(
        5,
        &[&at, "closed the connection without a word"],
        "extend node token -a",
    );
    let fresh = controller.token(NODE).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let spent = node.joins(&token).await;
    spent.fails(
        4,
        &[&at, "gives no certificate to 127.0.3.7", "token"],
        "extend node token -a 127.0.3.7",
    );
    assert_eq!(
        std::fs::read(node.path("state/node.crt")).unwrap(),
        before,
        "the identity that there is stays"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(
        node.joins(&fresh).await.code,
        Some(0),
        "the fresh one was not spoiled"
    );

    let elsewhere = controller.token("192.0.2.7").await;
    let other = Node::new();
    let refused = other.joins(&elsewhere).await;
    refused.fails(
        2,
        &["cannot use 192.0.2.7 as the address to dial from"],
        "ip -4 address",
    );
    let taken = node.joins(&elsewhere).await;
    taken.fails(
        2,
        &["this node has joined as 127.0.3.7, and the token is for 192.0.2.7"],
        "extend node token -a 127.0.3.7",
    );
    controller.daemon.shutdown().await;

    let away = other.joins(&controller_away(&token)).await;
    away.fails(
        5,
        &["refused the connection"],
        "systemctl status extend-controller",
    );
}

/// A token of a controller that does not run.
fn controller_away(token: &JoinToken) -> JoinToken {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut token = token.clone();
    token
        .controller
        .set_port(listener.local_addr().unwrap().port());
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_not_the_pinned_one_is_named() {
    let (place, other_place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let controller = Controller::start(place.path()).await;
    let other = Controller::start(other_place.path()).await;
    let mut token = controller.token(NODE).await;
    other.token(NODE).await;
    let port = other.daemon.addresses().enrolment.port();
    token.controller.set_port(port);
    let answer = Node::new().joins(&token).await;
    let says = [
        "the certificate of 127.0.0.1:",
        "wrong authority: expected the authority",
        &token.ca.to_string(),
    ];
    answer.fails(5, &says, "extend node token -a");
    controller.daemon.shutdown().await;
    other.daemon.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_disagree_are_named_when_a_node_joins() {
    // An hour: nothing fails yet, and it is said.
    let minutes = SignedDuration::from_mins(59);
    for off in [minutes, -minutes] {
        let place = tempfile::tempdir().unwrap();
        let controller = Controller::with_clock(place.path(), off, off).await;
        let joined = Node::new().joins(&controller.token(NODE).await).await;
        assert_eq!(joined.code, Some(0), "{}", joined.words);
        let warns = "warning: the clocks of this node and of the controller are 5";
        assert!(joined.words.starts_with(warns), "{}", joined.words);
        assert!(joined.words.contains("here and 20"), "{}", joined.words);
        assert!(
            joined.words.contains("hint: timedatectl"),
            "{}",
            joined.words
        );
        controller.daemon.shutdown().await;
    }
    // More than that: the controller's certificate is refused, and the token stays good.
    for (off, says) in [
        (hours(2), "certificate is valid from 20"),
        (hours(-26), "certificate expired at 20"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let controller = Controller::with_clock(place.path(), off, off).await;
        let node = Node::new();
        let token = controller.token(NODE).await;
        let refused = node.joins(&token).await;
        let sentence = "the clocks of this node and of 127.0.0.1:";
        refused.fails(5, &[sentence, "do not agree", says, " here"], "timedatectl");
        let mut unjoined = node.runs(&[]);
        let says = [
            "waiting",
            "this node has not joined",
            "extend node token -a",
        ];
        unjoined.says(&says).await;
        unjoined.ends().await;
        controller.daemon.shutdown().await;
    }
}

/// A node that has joined, in this process.
async fn joined(node: &Node, controller: &Controller) -> Identity {
    let answer = node.joins(&controller.token(NODE).await).await;
    assert_eq!(answer.code, Some(0), "{}", answer.words);
    let mut identity = Identity::load(&node.path("state")).unwrap();
    identity.enrolment.agents.set_port(0);
    identity
}

/// What dialling a controller ends in.
async fn dialled(node: &Node, controller: &Controller, time: Time) -> String {
    let mut identity = Identity::load(&node.path("state")).unwrap();
    let addresses = controller.daemon.addresses();
    identity.enrolment.agents.set_port(addresses.agents.port());
    identity
        .enrolment
        .enrolment
        .set_port(addresses.enrolment.port());
    let controllers = Controllers::load(&node.path("state"), &[], identity.enrolment.agents);
    let dial = TlsDial::new(identity, controllers, time, Clock::system());
    match dial.channel().await {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_disagree_are_named_when_a_node_connects() {
    let (place, node) = (tempfile::tempdir().unwrap(), Node::new());
    let controller = Controller::start(place.path()).await;
    let identity = joined(&node, &controller).await;
    assert_eq!(
        dialled(&node, &controller, system_time()).await,
        "connected"
    );
    let ahead: Time = Arc::new(Off(hours(25)));
    let words = dialled(&node, &controller, ahead).await;
    for said in [
        "the clocks of this node and of",
        "certificate expired at",
        "hint: timedatectl",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    let behind: Time = Arc::new(Off(hours(-2)));
    let words = dialled(&node, &controller, behind).await;
    for said in [
        "the clocks of",
        "certificate is valid from",
        "hint: timedatectl",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    controller.daemon.shutdown().await;

    // The controller's clock is the one that is off: it refuses the node's certificate.
    let off = Controller::with_clock(place.path(), SignedDuration::ZERO, hours(25)).await;
    let words = dialled(&node, &off, system_time()).await;
    let until = identity.valid.not_after.to_string();
    for said in [
        "does not accept this node",
        "it is not valid at this time",
        &until,
        "here: the clock of the controller says something else",
        "hint: timedatectl",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    off.daemon.shutdown().await;

    // And a controller that was set up anew at the same place.
    let other_place = tempfile::tempdir().unwrap();
    let other = Controller::start(other_place.path()).await;
    other.token(NODE).await;
    let twin = Node::new();
    joined(&twin, &other).await;
    let words = dialled(&node, &other, system_time()).await;
    for said in [
        "not from the authority that is trusted here",
        "extend-agent join",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    other.daemon.shutdown().await;
}

/// Where a daemon's agents' listener is.
fn agents_of(controller: &Controller) -> SocketAddrV4 {
    match controller.daemon.addresses().agents {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_was_restored_elsewhere_is_found_by_the_list_of_the_one_before() {
    let (place, node) = (tempfile::tempdir().unwrap(), Node::new());
    let state = node.path("state");
    let first = Controller::start(place.path()).await;
    joined(&node, &first).await;
    let lost = agents_of(&first);
    first.daemon.shutdown().await;
    // Store and authority at another address, as a restored backup has them.
    let none = SignedDuration::ZERO;
    let restored = Controller::listening("127.0.0.2", place.path(), none, none).await;
    let found = agents_of(&restored);

    let dial = |controllers: Controllers| {
        let mut identity = Identity::load(&state).unwrap();
        let enrolment = restored.daemon.addresses().enrolment.port();
        identity.enrolment.enrolment.set_port(enrolment);
        TlsDial::new(identity, controllers, system_time(), Clock::system())
    };
    let unlisted = dial(Controllers::load(&state, &[], lost));
    unlisted.channel().await.unwrap_err();

    let mut told = Controllers::load(&state, &[], lost);
    assert!(told.welcomed(lost, vec![lost, found]));
    told.save().unwrap();
    let listed = dial(Controllers::load(&state, &[], lost));
    listed.channel().await.unwrap();
    // What the restored one tells is kept for the next start.
    listed.welcomed(vec![found]).await;
    let kept = Controllers::load(&state, &[], lost);
    assert_eq!(kept.in_order(), [found, lost]);
    restored.daemon.shutdown().await;

    // A node that joins anew forgets the controllers of before.
    let anew = Controller::start(place.path()).await;
    joined(&node, &anew).await;
    assert_eq!(Controllers::load(&state, &[], lost).in_order(), [lost]);
    anew.daemon.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_files_is_told_with_the_line_and_they_stay_as_they_are() {
    let (place, node) = (tempfile::tempdir().unwrap(), Node::new());
    let garbled = node.agent("join", "extend1.AAAA\n").await;
    garbled.fails(2, &["reading the token", "cut off"], "extend node token -a");
    node.agent("join", "")
        .await
        .fails(2, &["not a join token"], "extend node token -a");
    let mut unjoined = node.runs(&[]);
    let says = "this node has not joined a controller (hint: ";
    unjoined.says(&[says, "extend-agent join"]).await;
    unjoined.ends().await;

    let controller = Controller::start(place.path()).await;
    joined(&node, &controller).await;
    controller.daemon.shutdown().await;
    for (name, content, says) in [
        ("state/node.crt", "-----BEGIN CERT", "node.crt is damaged"),
        (
            "state/node.key",
            "-----BEGIN PRIV",
            "does not hold an ECDSA P-256 key",
        ),
        ("state/ca.crt", "", "ca.crt is damaged"),
        (
            "state/enrolment.json",
            "{\"node\": \"127.",
            "enrolment.json is damaged",
        ),
        (
            "registry.json",
            "{\"auths\": ",
            "not in the format of Docker's config.json",
        ),
    ] {
        let path = node.path(name);
        let good = std::fs::read(&path).ok();
        std::fs::write(&path, content).unwrap();
        if name == "registry.json" {
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, private).unwrap();
        }
        // It waits for whoever puts it right, and has said what is wrong.
        let mut running = node.runs(&[]);
        running.says(&[name, says]).await;
        running.ends().await;
        if name == "registry.json" {
            let checked = node.agent("check-config", "").await;
            checked.fails(1, &[name, says], "docker login");
        }
        assert_eq!(
            std::fs::read(&path).unwrap(),
            content.as_bytes(),
            "{name} stays"
        );
        match good {
            Some(good) => std::fs::write(&path, good).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
    }

    let media = include_str!("../../common/src/roles/builtin/media-server-only.toml");
    for (text, says) in [
        (
            media.replace("stop_grace", "stop_grase"),
            "did you mean `stop_grace`?",
        ),
        (media[..media.len() / 2].to_owned(), "hint: "),
        (
            media.replace("{node}", "{knot}"),
            "`{knot}` is no placeholder",
        ),
    ] {
        node.write("roles.d/media.toml", &text);
        for command in ["check-config", "run"] {
            let answer = node.agent(command, "").await;
            answer.fails(2, &["roles.d/media.toml, line ", says], "");
        }
    }
    std::fs::remove_file(node.path("roles.d/media.toml")).unwrap();
    let good = node.agent("check-config", "").await;
    assert_eq!(good.code, Some(0), "{}", good.words);

    let config = std::fs::read_to_string(node.path("agent.toml")).unwrap();
    node.write(
        "agent.toml",
        format!("{config}repository = [\"portsip/*\"]\n"),
    );
    for command in ["check-config", "run", "join"] {
        let answer = node.agent(command, "").await;
        let says = ["agent.toml, line 5, key `repository`: unknown field `repository`"];
        answer.fails(2, &says, "did you mean `repositories`?");
    }
}
