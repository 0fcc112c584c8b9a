//! Questions about references, with a simulated Engine, as a plan asks them and as a hostile
//! controller would.

use std::sync::Arc;
use std::time::Duration;

use extend_common::roles::RoleSet;
use extend_proto::v1::ImageTold;
use extend_proto::v1::agent_message::Kind;
use tokio::sync::mpsc;

use super::*;
use crate::core::spec::NodeFacts;
use crate::docker::memory::{MemoryDocker, RegistryAnswer};
use crate::docker::{DockerError, Image};
use crate::session::questions::{MAX_ID, MAX_OPEN, Questions};

const REFERENCE: &str = "portsip/pbx:22";
const SECOND: Duration = Duration::from_secs(1);

struct Node {
    docker: MemoryDocker,
    settings: Arc<Settings>,
    questions: Questions,
    told: mpsc::Receiver<v1::AgentMessage>,
}

impl Node {
    fn new(answer: RegistryAnswer) -> Self {
        let roles = RoleSet::built_in().unwrap();
        let docker = MemoryDocker::new(roles.clone());
        docker.set_registry(REFERENCE, Some(answer));
        let settings = Settings {
            facts: NodeFacts {
                node: "127.0.9.1".parse().unwrap(),
                data: "/var/lib/portsip".into(),
            },
            roles: Arc::new(roles),
            repositories: vec!["portsip/*".to_owned()],
            credentials: "/nonexistent".into(),
        };
        let (to, told) = mpsc::channel(1);
        Self {
            docker,
            settings: Arc::new(settings),
            questions: Questions::new(to),
            told,
        }
    }

    fn ask(&mut self, id: &str, reference: &str) {
        self.ask_if(id, reference, PullPolicy::Always);
    }

    fn ask_if(&mut self, id: &str, reference: &str, pull: PullPolicy) {
        let wanted = v1::ImageWanted {
            id: id.to_owned(),
            reference: reference.to_owned(),
            pull: pull.to_wire(),
        };
        let (docker, settings) = (self.docker.clone(), self.settings.clone());
        self.questions.take(id, async move {
            Kind::ImageTold(super::answer(&docker, &settings, wanted).await)
        });
    }

    async fn answer(&mut self) -> ImageTold {
        match self.told.recv().await.unwrap().kind {
            Some(Kind::ImageTold(told)) => told,
            other => panic!("{other:?}"),
        }
    }
}

fn served() -> RegistryAnswer {
    let image = Image {
        id: "sha256:aa".to_owned(),
        repo_digests: vec!["other/pbx@sha256:ee".into(), "portsip/pbx@sha256:dd".into()],
        labels: std::collections::BTreeMap::new(),
        size: 0,
    };
    RegistryAnswer::Serves(image, SECOND)
}

#[tokio::test(start_paused = true)]
async fn the_registry_tells_the_build_and_nothing_is_fetched() {
    let mut node = Node::new(served());
    node.ask("1", REFERENCE);
    let told = node.answer().await;
    assert_eq!(
        (
            told.id.as_str(),
            told.identity.as_str(),
            told.problem.as_str()
        ),
        ("1", "portsip/pbx@sha256:dd", "")
    );
    assert_eq!(node.docker.registry_questions().len(), 1);
    assert!(node.docker.pulls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_told_where_the_registry_would_not_be_asked() {
    let mut node = Node::new(served());
    node.ask_if("1", REFERENCE, PullPolicy::Missing);
    assert_eq!(
        node.answer().await.identity,
        "portsip/pbx@sha256:dd",
        "not there"
    );
    let image = Image {
        id: "sha256:bb".to_owned(),
        repo_digests: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        size: 0,
    };
    node.docker.add_image(REFERENCE, image);
    node.ask_if("2", REFERENCE, PullPolicy::Missing);
    assert_eq!(node.answer().await.identity, "sha256:bb");
    assert_eq!(node.docker.registry_questions().len(), 1);
    node.ask("3", REFERENCE);
    assert_eq!(node.answer().await.identity, "portsip/pbx@sha256:dd");
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_the_node_does_not_allow_is_not_asked_for() {
    let mut node = Node::new(served());
    node.ask("1", "evil/pbx:22");
    let told = node.answer().await;
    assert!(told.identity.is_empty());
    assert!(told.problem.contains("evil/pbx"), "{}", told.problem);
    assert!(node.docker.registry_questions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_told_in_time() {
    let refused = DockerError::Refused {
        status: 404,
        message: "manifest unknown".to_owned(),
    };
    for (answer, words) in [
        (RegistryAnswer::Refuses(refused), "manifest unknown"),
        (RegistryAnswer::Hangs, "did not answer within 8s"),
    ] {
        let mut node = Node::new(answer);
        node.ask("1", REFERENCE);
        let told = tokio::time::timeout(SECOND * 9, node.answer())
            .await
            .unwrap();
        assert!(told.identity.is_empty());
        assert!(told.problem.contains(words), "{}", told.problem);
    }
}

#[tokio::test(start_paused = true)]
async fn only_some_are_asked_at_once() {
    let mut node = Node::new(RegistryAnswer::Hangs);
    for number in 0..MAX_OPEN + 5 {
        node.ask(&number.to_string(), REFERENCE);
    }
    node.ask("", REFERENCE);
    node.ask(&"x".repeat(MAX_ID + 1), REFERENCE);
    for _ in 0..MAX_OPEN {
        node.answer().await;
    }
    let more = tokio::time::timeout(SECOND * 60, node.answer()).await;
    assert!(more.is_err(), "more were taken");
    node.ask("later", REFERENCE);
    assert_eq!(node.answer().await.id, "later");
}
