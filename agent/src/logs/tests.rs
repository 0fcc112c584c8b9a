//! A simulated Engine's containers, read as an operator wants them, and as a hostile controller
//! would.

use std::path::Path;
use std::time::Duration;

use extend_common::logs::{LogNote, LogPiece, LogPosition, LogSource};
use extend_common::record::{
    Deployment, Desired, Drain, ImageRequest, Parameters, PullPolicy, RunState, ServerRecord, Stamp,
};
use extend_common::roles::RoleSet;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::core::spec::{ContainerSpec, NodeFacts, render};
use crate::docker::Image;
use crate::docker::memory::MemoryDocker;

const NAME: &str = "portsip.mediaserver";
const ROLE: &str = "media-server-only";
const LIMIT: Duration = Duration::from_secs(60);

/// An agent whose record is a media server.
struct Node {
    docker: MemoryDocker,
    sources: Sources,
    spec: ContainerSpec,
}

impl Node {
    fn new() -> Self {
        let roles = RoleSet::built_in().unwrap();
        let docker = MemoryDocker::new(roles.clone());
        let id = "sha256:aa".to_owned();
        let image = Image {
            id: id.clone(),
            repo_digests: Vec::new(),
            labels: std::collections::BTreeMap::new(),
            size: 0,
        };
        docker.add_image("portsip/pbx:22", image);
        let role = roles.find(ROLE).unwrap().unwrap();
        let desired = Desired {
            node: "127.0.9.1".parse().unwrap(),
            name: "media-server-1".parse().unwrap(),
            role: role.role.clone(),
            definition: role.digest(),
            run_state: RunState::Running,
            deployment: Deployment(1),
            image: ImageRequest {
                reference: "portsip/pbx:22".to_owned(),
                pull: PullPolicy::Missing,
                allow_older: false,
                pin: None,
                newest: None,
            },
            parameters: Parameters {
                pbx_address: "54.151.30.9".to_owned(),
                public_address: None,
            },
            replace: None,
            secrets: Vec::new(),
            operation: None,
            adopted: None,
            staged: None,
            drain: Drain::Off,
        };
        let facts = NodeFacts {
            node: desired.node,
            data: Path::new("/var/lib/portsip").to_owned(),
        };
        let spec = render(role, &desired, &facts, &id);
        let stamp = Stamp {
            epoch: 1,
            generation: 1,
        };
        let view = AgentView {
            record: Some(ServerRecord::seal(stamp, desired)),
            ..AgentView::default()
        };
        let sources = Sources {
            docker: Arc::new(docker.clone()),
            settings: Arc::new(Settings {
                facts,
                roles: Arc::new(roles),
                repositories: Vec::new(),
                credentials: "/nonexistent".into(),
            }),
            view: watch::Sender::new(view).subscribe(),
        };
        Self {
            docker,
            sources,
            spec,
        }
    }

    async fn run(&self) -> String {
        let id = self.docker.create(&self.spec).await.unwrap();
        self.docker.start(&id).await.unwrap();
        id
    }

    fn say(&self, line: &str) {
        assert!(self.docker.say(NAME, line));
    }

    fn read(&self, query: LogQuery) -> Reader {
        self.read_of(ROLE, query)
    }

    fn read_of(&self, role: &str, query: LogQuery) -> Reader {
        let (sender, pieces) = mpsc::channel(out::QUEUED);
        let (sources, role) = (self.sources.clone(), role.parse().unwrap());
        let task = tokio::spawn(async move { sources.read(&role, query, &Out(sender)).await });
        Reader {
            pieces,
            task,
            last: None,
        }
    }

    async fn fault(&self, role: &str, source: LogSource) -> LogFaultKind {
        let mut reader = self.read_of(role, query(source, 10, false));
        assert_eq!(reader.pieces.recv().await, None);
        match reader.task.await.unwrap() {
            Err(Stop::Fault(fault)) => fault.kind,
            other => panic!("{other:?}"),
        }
    }
}

fn query(source: LogSource, tail: u32, follow: bool) -> LogQuery {
    LogQuery {
        source,
        tail,
        follow,
        after: None,
    }
}

fn follow(tail: u32) -> LogQuery {
    query(LogSource::Output, tail, true)
}

struct Reader {
    pieces: mpsc::Receiver<LogPiece>,
    task: JoinHandle<Result<(), Stop>>,
    last: Option<LogPosition>,
}

impl Reader {
    async fn next(&mut self) -> LogPiece {
        let next = timeout(LIMIT, self.pieces.recv()).await;
        next.expect("nothing came").expect("it ended")
    }

    async fn lines(&mut self, expected: &[&str]) {
        let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
        let mut text = String::new();
        while text.len() < expected.len() {
            match self.next().await {
                LogPiece::Data { bytes, position } => {
                    text.push_str(&String::from_utf8(bytes).unwrap());
                    self.last = position;
                }
                other => panic!("{other:?} after {text:?}"),
            }
        }
        assert_eq!(text, expected);
    }

    async fn started(&mut self) {
        match self.next().await {
            LogPiece::Data { bytes, .. } => assert!(bytes.ends_with(b" started\n"), "{bytes:?}"),
            other => panic!("{other:?}"),
        }
    }

    async fn note(&mut self, expected: LogNote) {
        assert_eq!(self.next().await, LogPiece::Note(expected));
    }

    async fn nothing(&mut self) {
        let next = timeout(LIMIT, self.pieces.recv()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_tail_is_read_once() {
    let node = Node::new();
    node.run().await;
    node.say("one");
    node.say("two");
    let mut reader = node.read(query(LogSource::Output, 2, false));
    reader.lines(&["one", "two"]).await;
    assert_eq!(reader.pieces.recv().await, None);
    assert_eq!(reader.task.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_follower_goes_on_in_the_next_run_and_misses_and_repeats_nothing() {
    let node = Node::new();
    let id = node.run().await;
    node.say("before");
    let mut reader = node.read(follow(1));
    reader.lines(&["before"]).await;
    node.say("while");
    reader.lines(&["while"]).await;

    // An operator's restart: it ends, and is started some time later.
    node.docker.signal(&id, "SIGTERM").await.unwrap();
    node.say("the last word");
    reader.lines(&["the last word"]).await;
    reader.note(LogNote::Ended).await;
    reader.nothing().await;
    node.docker.start(&id).await.unwrap();
    reader.note(LogNote::RunsAgain).await;
    reader.started().await;
    node.say("again");
    reader.lines(&["again"]).await;

    // An upgrade: another container under the same name.
    node.docker.signal(&id, "SIGTERM").await.unwrap();
    reader.note(LogNote::Ended).await;
    let previous = format!("{NAME}.previous");
    node.docker.rename(&id, &previous).await.unwrap();
    let other = node.run().await;
    reader.note(LogNote::Replaced).await;
    reader.started().await;
    node.say("new");
    reader.lines(&["new"]).await;

    // And back: what the old one had written is not shown again.
    node.docker.signal(&other, "SIGTERM").await.unwrap();
    node.docker
        .rename(&other, &format!("{NAME}.failed"))
        .await
        .unwrap();
    node.docker.rename(&id, NAME).await.unwrap();
    node.docker.start(&id).await.unwrap();
    reader.note(LogNote::Replaced).await;
    reader.started().await;
    drop(reader.pieces);
    node.say("nobody reads");
    let ended = timeout(LIMIT, reader.task).await.unwrap().unwrap();
    assert_eq!(ended, Err(Stop::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_crash_that_dockers_policy_mends_is_followed_across() {
    let node = Node::new();
    node.run().await;
    let mut reader = node.read(follow(0));
    reader.nothing().await;
    assert!(node.docker.crash(NAME, 1));
    reader.note(LogNote::RunsAgain).await;
    reader.started().await;
    node.say("after");
    reader.lines(&["after"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_silence_and_a_frozen_engine_end_nothing() {
    let node = Node::new();
    node.run().await;
    let mut reader = node.read(follow(0));
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    node.say("good morning");
    reader.lines(&["good morning"]).await;
    node.docker.freeze_daemon(true);
    reader.nothing().await;
    node.docker.freeze_daemon(false);
    node.say("thawed");
    reader.lines(&["thawed"]).await;
    // One that restarts breaks the connection; containers may be the same afterwards.
    node.docker.stop_daemon();
    reader.note(LogNote::DockerSilent).await;
    node.docker.start_daemon();
    reader.note(LogNote::RunsAgain).await;
    reader.started().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_engine_is_told_of_to_whoever_begins_to_read() {
    let node = Node::new();
    node.run().await;
    node.docker.freeze_daemon(true);
    for follows in [false, true] {
        let mut reader = node.read(query(LogSource::Output, 10, follows));
        assert_eq!(timeout(LIMIT, reader.pieces.recv()).await, Ok(None));
        let Err(Stop::Fault(fault)) = reader.task.await.unwrap() else {
            panic!("it is no end");
        };
        assert_eq!(fault.kind, LogFaultKind::Docker);
        assert!(fault.detail.contains("did not answer"), "{}", fault.detail);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_comes_back_goes_on_where_he_was() {
    let node = Node::new();
    let id = node.run().await;
    let mut reader = node.read(follow(10));
    reader.started().await;
    node.say("seen");
    reader.lines(&["seen"]).await;
    let after = reader.last;
    assert!(after.is_some());
    drop(reader);
    node.say("missed");
    node.docker.signal(&id, "SIGTERM").await.unwrap();
    node.say("missed too");
    let mut again = node.read(LogQuery {
        after,
        ..follow(10)
    });
    again.lines(&["missed", "missed too"]).await;
    again.note(LogNote::Ended).await;
}

#[tokio::test(start_paused = true)]
async fn only_the_server_of_the_agents_own_record_is_read() {
    let node = Node::new();
    let output = LogSource::Output;
    assert_eq!(
        node.fault(ROLE, output.clone()).await,
        LogFaultKind::NoContainer
    );
    // Under the official name, and not ours.
    node.docker.foreign(NAME).unwrap();
    assert_eq!(
        node.fault(ROLE, output.clone()).await,
        LogFaultKind::NoContainer
    );
    for source in [
        output.clone(),
        LogSource::List,
        LogSource::File("a".parse().unwrap()),
    ] {
        let fault = node.fault("queue-server-only", source).await;
        assert_eq!(fault, LogFaultKind::NoServer);
    }
    let node = Node {
        sources: Sources {
            view: watch::Sender::new(AgentView::default()).subscribe(),
            ..node.sources
        },
        ..node
    };
    assert_eq!(node.fault(ROLE, output).await, LogFaultKind::NoServer);
}

#[tokio::test(start_paused = true)]
async fn a_failed_container_is_read_by_its_place() {
    let node = Node::new();
    let failed = LogSource::FailedOutput;
    assert_eq!(
        node.fault(ROLE, failed.clone()).await,
        LogFaultKind::NoContainer
    );
    let id = node.run().await;
    node.say("why it failed");
    node.docker.signal(&id, "SIGKILL").await.unwrap();
    node.docker
        .rename(&id, &format!("{NAME}.failed"))
        .await
        .unwrap();
    let mut reader = node.read(query(failed, 1, false));
    reader.lines(&["why it failed"]).await;
}

#[tokio::test(start_paused = true)]
async fn much_output_comes_in_pieces_and_only_as_fast_as_it_is_taken() {
    let node = Node::new();
    node.run().await;
    for number in 0..900 {
        node.say(&format!("{number} {}", "x".repeat(200)));
    }
    let mut reader = node.read(query(LogSource::Output, 900, false));
    tokio::time::sleep(LIMIT).await;
    assert_eq!(reader.pieces.len(), out::QUEUED, "the rest waits");
    let (mut bytes_all, mut pieces) = (Vec::new(), 0);
    while let Some(LogPiece::Data { bytes, position }) = reader.pieces.recv().await {
        assert!(bytes.len() <= extend_common::logs::MAX_PIECE_BYTES);
        assert!(bytes.ends_with(b"\n") && position.is_some());
        pieces += 1;
        bytes_all.extend(bytes);
    }
    let text = String::from_utf8(bytes_all).unwrap();
    assert_eq!(text.lines().count(), 900);
    assert!(text.starts_with("0 x") && text.lines().last().unwrap().starts_with("899 x"));
    assert!(pieces < 30, "lines travel together: {pieces}");
}
