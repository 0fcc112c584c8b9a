//! `extend logs` the whole way: the real command line, a simulated controller and a simulated
//! node, and what goes on there meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use extend_agent::docker::memory::MemoryDocker;
use extend_common::ids::NodeAddr;
use extend_common::operation::Verb;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::{Fleet, typed};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

const NODE: &str = "172.31.16.139";
const NAME: &str = "media-server-1";
const CONTAINER: &str = "portsip.mediaserver";
const LIMIT: Duration = Duration::from_secs(30);

struct Place {
    fleet: Fleet,
    node: NodeAddr,
    directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let node = NODE.parse().unwrap();
        let mut fleet = Fleet::new(&[NODE]).await;
        fleet.deploy(node, "media-server-only", NAME).await;
        let place = Self {
            fleet,
            node,
            directory: tempfile::tempdir().unwrap(),
        };
        place.fleet.serve_operators(&place.socket());
        place
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("controller.sock")
    }

    fn docker(&self) -> &MemoryDocker {
        &self.fleet.nodes[&self.node].docker
    }

    fn say(&self, line: &str) {
        assert!(self.docker().say(CONTAINER, line));
    }

    fn log(&self, name: &str) -> PathBuf {
        let data = self.fleet.nodes[&self.node].data();
        data.join("media-server-only/log").join(name)
    }

    async fn restart(&mut self, verb: Verb) {
        let submission = self.fleet.submission(verb, "", &[self.node]);
        self.fleet.perform(&submission).await;
    }

    fn command(&self, words: &str) -> Command {
        typed::extend(&self.socket(), words)
    }

    async fn run(&self, words: &str) -> (i32, String, String) {
        let output = self.command(words).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        (code, text(&output.stdout), text(&output.stderr))
    }

    fn follow(&self, words: &str) -> Follower {
        let mut child = self.command(words).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Follower { child, out, err }
    }
}

struct Follower {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Follower {
    /// The next line on stdout that is not the first one of a process.
    async fn shows(&mut self, expected: &str) {
        loop {
            let line = timeout(LIMIT, self.out.next_line()).await;
            let line = line.expect("nothing was shown").unwrap().expect("it ended");
            if !line.ends_with(" started") {
                assert_eq!(line, expected);
                return;
            }
        }
    }

    /// Waits until this is said.
    async fn says(&mut self, words: &str) {
        loop {
            let line = timeout(LIMIT, self.err.next_line()).await;
            let line = line.expect(words).unwrap().expect("it ended");
            if line.contains(words) {
                return;
            }
        }
    }

    async fn interrupt(mut self) {
        let id = self.child.id().unwrap();
        kill(Pid::from_raw(id.try_into().unwrap()), Signal::SIGINT).unwrap();
        let ended = timeout(LIMIT, self.child.wait()).await.unwrap().unwrap();
        assert_eq!(ended.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_followed_across_a_restart_an_upgrade_and_a_controllers_death() {
    let mut place = Place::new().await;
    place.say("before");
    let (code, out, err) = place.run("logs media-server-1 --tail 1").await;
    assert_eq!((code, out.as_str()), (0, "before\n"), "{err}");

    let mut follower = place.follow("logs media-server-1 -f --tail 1");
    follower.shows("before").await;
    place.say("while it runs");
    follower.shows("while it runs").await;

    place.restart(Verb::Restart).await;
    follower.says("runs again").await;
    place.say("after the restart");
    follower.shows("after the restart").await;

    place.docker().add_image(IMAGE, image("22.4.0"));
    place.restart(Verb::Upgrade).await;
    follower.says("has a new container").await;
    place.say("after the upgrade");
    follower.shows("after the upgrade").await;

    place.fleet.kill_controller().await;
    follower.says("the connection was lost").await;
    place.say("while nobody was there");
    fs::remove_file(place.socket()).unwrap();
    place.fleet.start_controller().await;
    place.fleet.serve_operators(&place.socket());
    follower.says("connected again").await;
    place.say("and after that");
    follower.shows("while nobody was there").await;
    follower.shows("and after that").await;
    follower.interrupt().await;
    place.fleet.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_listed_shown_and_followed() {
    let place = Place::new().await;
    let (code, _, err) = place.run("logs media-server-1 --list").await;
    assert_eq!(code, 4, "there is no directory yet: {err}");
    fs::create_dir_all(place.log("2026")).unwrap();
    fs::write(place.log("2026/a.log"), "one\ntwo\n").unwrap();
    let (code, out, _) = place.run("logs -a 172.31.16.139 --list -o json").await;
    assert_eq!(code, 0);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(list["files"][0]["name"], "2026/a.log");
    assert_eq!(list["files"][0]["size"], 8);
    let (code, _, err) = place.run("logs media-server-1 --file b.log").await;
    assert_eq!(code, 4, "{err}");
    assert!(
        err.contains("hint: extend logs media-server-1 --list"),
        "{err}"
    );

    let mut follower = place.follow("logs media-server-1 --file 2026/a.log -f --tail 1");
    follower.shows("two").await;
    fs::rename(place.log("2026/a.log"), place.log("2026/a.log.1")).unwrap();
    fs::write(place.log("2026/a.log"), "three\n").unwrap();
    follower.says("is a new file").await;
    follower.shows("three").await;
    follower.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_read_is_told_why() {
    let mut place = Place::new().await;
    let (code, _, err) = place.run("logs media-server-9").await;
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("no server is named media-server-9"), "{err}");
    place.docker().freeze_daemon(true);
    let (code, _, err) = place.run("logs media-server-1").await;
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("did not answer"), "{err}");
    place.docker().freeze_daemon(false);
    place.fleet.net.set_away(place.node, true);
    let offline = async {
        loop {
            let (code, _, err) = place.run("logs media-server-1").await;
            if code == 4 {
                return err;
            }
        }
    };
    let err = timeout(LIMIT, offline).await.unwrap();
    assert!(err.contains("is offline since"), "{err}");
    place.fleet.kill_controller().await;
    let (code, _, err) = place.run("logs media-server-1").await;
    assert_eq!(code, 5, "{err}");
}
