//! `extend health` and `extend diagnose` the whole way: the real command line, a simulated
//! controller and a simulated node with files as services leave them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use extend_agent::docker::memory::MemoryDocker;
use extend_common::ids::NodeAddr;
use extend_tests::sim::{Fleet, typed};
use tokio::process::Command;

const NODE: &str = "172.31.16.139";
const NAME: &str = "media-server-1";
const CONTAINER: &str = "portsip.mediaserver";
const LIMIT: Duration = Duration::from_secs(30);
/// No archive has it, wherever it stood.
const CANARY: &str = "hunter2";

struct Place {
    fleet: Fleet,
    node: NodeAddr,
    directory: tempfile::TempDir,
}

struct Ran {
    code: i32,
    out: String,
    err: String,
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
        place.fleet.serve_operators(&place.path("controller.sock"));
        fs::create_dir_all(place.data("log/2026")).unwrap();
        fs::create_dir_all(place.data("dump")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        let data = self.fleet.nodes[&self.node].data();
        data.join("media-server-only").join(name)
    }

    fn docker(&self) -> &MemoryDocker {
        &self.fleet.nodes[&self.node].docker
    }

    async fn run(&self, words: &str) -> Ran {
        let output = typed::extend(&self.path("controller.sock"), words)
            .current_dir(self.directory.path())
            .output()
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Makes an archive and unpacks it; gives the directory in it.
    async fn diagnose(&self, name: &str, words: &str) -> (Ran, PathBuf) {
        let file = self.path(&format!("{name}.tar.gz"));
        let line = format!("diagnose {NAME} --to {} {words}", file.display());
        let ran = self.run(&line).await;
        assert!(file.exists(), "{}", ran.err);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "for its owner alone");
        let place = self.path(name);
        fs::create_dir(&place).unwrap();
        let tar = Command::new("tar")
            .arg("-xzf")
            .arg(&file)
            .arg("-C")
            .arg(&place)
            .status();
        assert!(tar.await.unwrap().success());
        let mut inner = fs::read_dir(&place).unwrap();
        let root = inner.next().unwrap().unwrap().path();
        assert!(inner.next().is_none(), "everything is in one directory");
        (ran, root)
    }

    /// Waits until a command says something.
    async fn until(&self, line: &str, words: &str) -> String {
        let told = tokio::time::timeout(LIMIT, async {
            loop {
                let ran = self.run(line).await;
                if ran.out.contains(words) {
                    return ran.out;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        told.await.unwrap_or_else(|_| panic!("{line}: {words}"))
    }
}

fn read(root: &Path, name: &str) -> String {
    let path = root.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything in the archive, in one text.
fn everything(root: &Path) -> String {
    let mut text = String::new();
    let mut places = vec![root.to_owned()];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => places.push(path),
                false => text.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap())),
            }
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_with_its_dump_and_a_diagnosis_has_all_of_it_and_no_secret() {
    let place = Place::new().await;
    fs::write(place.data("dump/core.1"), b"of long ago").unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = fs::File::options()
        .write(true)
        .open(place.data("dump/core.1"));
    file.unwrap().set_modified(old).unwrap();
    let dump = [b"\x7fELF hunter2 \x00\xff".as_slice(), &[7; 100_000]].concat();
    fs::write(place.data("dump/core.42"), &dump).unwrap();
    // As somebody who controls the service would like it.
    let outside = place.path("outside");
    fs::write(&outside, CANARY).unwrap();
    symlink(&outside, place.data("dump/link")).unwrap();
    symlink(&outside, place.data("log/link.log")).unwrap();
    fs::write(place.data("dump/\u{1b}[2J"), CANARY).unwrap();
    fs::write(
        place.data("log/2026/media.log"),
        format!("started\nAuthorization: Bearer {CANARY}\ndb password={CANARY}\nlast line\n"),
    )
    .unwrap();
    assert!(
        place
            .docker()
            .say(CONTAINER, &format!("token={CANARY} no memory left"))
    );
    assert!(place.docker().crash(CONTAINER, 139));
    let told = place
        .until(
            "events --kind crash -o wide",
            "crash dump core.42 (100.0 kB)",
        )
        .await;
    assert!(!told.contains("core.1 "), "that was there before: {told}");

    let (ran, root) = place.diagnose("safe", "").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let all = everything(&root);
    assert!(!all.contains(CANARY), "{all}");
    assert!(read(&root, "logs/2026/media.log").contains("db password=[redacted]\nlast line\n"));
    assert!(read(&root, "container/output.log").contains("token=[redacted]"));
    assert!(read(&root, "container/inspection.txt").contains("name: portsip.mediaserver\n"));
    assert!(read(&root, "controller/events.json").contains("core.42"));
    let health: serde_json::Value =
        serde_json::from_str(&read(&root, "controller/health.json")).unwrap();
    assert_eq!(health["server"]["name"], NAME);
    assert!(read(&root, "controller/operations.json").contains("\"run\""));
    assert!(read(&root, "controller/node.json").contains(NODE));
    let list = read(&root, "README.txt");
    assert!(list.contains("not here  dumps/core.42: 100.0 kB"), "{list}");
    assert!(list.contains("--dumps"), "{list}");
    assert!(!root.join("dumps").exists());
    assert!(!list.contains("link"), "{list}");

    let (ran, root) = place.diagnose("whole", "--dumps").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(fs::read(root.join("dumps/core.42")).unwrap(), dump);
    assert_eq!(read(&root, "dumps/core.1"), "of long ago");

    let (ran, root) = place.diagnose("little", "--dumps --dump-limit 1kB").await;
    assert_eq!(ran.code, 3, "{}", ran.err);
    let list = read(&root, "README.txt");
    assert!(root.join("dumps/core.1").exists(), "{list}");
    assert!(
        list.contains("dumps/core.42: 100.0 kB, more than --dump-limit"),
        "{list}"
    );
    place.fleet.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_compressed_no_secret_could_be_taken_and_it_is_left_out() {
    let place = Place::new().await;
    let packed = [&[0x1f, 0x8b, 8, 0], CANARY.as_bytes()].concat();
    fs::write(place.data("log/media.log.1.gz"), packed).unwrap();
    fs::write(place.data("log/media.log"), "last line\n").unwrap();
    let (ran, root) = place.diagnose("packed", "").await;
    assert_eq!(ran.code, 3, "{}", ran.err);
    let list = read(&root, "README.txt");
    assert!(
        list.contains("not here  logs/media.log.1.gz: it is compressed"),
        "{list}"
    );
    assert!(!root.join("logs/media.log.1.gz").exists());
    assert_eq!(read(&root, "logs/media.log"), "last line\n");
    assert!(!everything(&root).contains(CANARY));
    place.fleet.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_node_that_is_away_there_is_what_the_controller_knows() {
    let place = Place::new().await;
    place
        .until("health media-server-1 -o json", "\"known_seconds\": 1")
        .await;
    let node = place.node;
    place.fleet.net.set_away(node, true);
    let shown = place.until("health media-server-1", "offline since").await;
    assert!(
        shown.contains("Health       unknown") || shown.contains("Health   unknown"),
        "{shown}"
    );
    assert!(shown.contains("is offline since"), "{shown}");
    assert!(shown.contains("The last 2h, 2m a mark"), "{shown}");
    let (ran, root) = place.diagnose("away", "--dumps").await;
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(
        ran.err.contains("it has only what the controller knows"),
        "{}",
        ran.err
    );
    assert!(read(&root, "controller/health.json").contains("\"history\""));
    let list = read(&root, "README.txt");
    assert!(list.contains("not here  container/output.log: "), "{list}");
    assert!(list.contains("offline"), "{list}");
    place.fleet.net.set_away(node, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_leaves_nothing() {
    let place = Place::new().await;
    let before = || fs::read_dir(place.directory.path()).unwrap().count();
    let files = before();
    let ran = place.run("diagnose nobody").await;
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert_eq!(before(), files);
    fs::write(place.path("there"), "mine").unwrap();
    let ran = place.run("diagnose media-server-1 --to there").await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert_eq!(fs::read_to_string(place.path("there")).unwrap(), "mine");
    let ran = place
        .run("diagnose media-server-1 --to nowhere/a.tar.gz")
        .await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(
        place
            .run("diagnose media-server-1 --dump-limit 1GB")
            .await
            .code,
        2
    );
    let ran = place.run("diagnose -a 172.31.16.139").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let name = ran.out.trim();
    assert!(
        name.starts_with("media-server-1-2") && name.ends_with("Z.tar.gz"),
        "{name}"
    );
    assert!(place.path(name).exists());
}
