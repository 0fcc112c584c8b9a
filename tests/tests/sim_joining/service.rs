//! The agent as a service: what the service manager is told, how it waits to be joined, and how a
//! join while it runs gives it another identity.

use std::path::Path;
use std::time::Duration;

use tokio::net::UnixDatagram;

use super::{Controller, NODE, Node};

/// A service manager's end of `sd_notify`.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn at(path: &Path) -> Self {
        Self {
            socket: UnixDatagram::bind(path).unwrap(),
            path: path.to_str().unwrap().to_owned(),
        }
    }

    /// Waits for this word.
    async fn hears(&self, wanted: &str) {
        let mut heard = String::new();
        let hearing = tokio::time::timeout(Duration::from_secs(60), async {
            let mut buffer = [0; 4096];
            loop {
                let length = self.socket.recv(&mut buffer).await.unwrap();
                let words = String::from_utf8_lossy(&buffer[..length]).into_owned();
                heard.push_str(&words);
                if words.contains(wanted) {
                    return;
                }
            }
        });
        assert!(hearing.await.is_ok(), "{wanted} was not said:\n{heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_waits_to_be_joined_and_takes_the_identity_of_the_next_join_too() {
    let (place, node) = (tempfile::tempdir().unwrap(), Node::new());
    let manager = Manager::at(&node.path("notify.sock"));
    let environment = [
        ("NOTIFY_SOCKET", manager.path.as_str()),
        ("WATCHDOG_USEC", "900000"),
    ];
    let mut agent = node.runs(&environment);
    manager.hears("READY=1").await;
    manager.hears("STATUS=waiting to be joined").await;
    for _ in 0..5 {
        manager.hears("WATCHDOG=1").await;
    }

    // Nothing more is needed than the join.
    let controller = Controller::start(place.path()).await;
    let joined = node.joins(&controller.token(NODE).await).await;
    assert_eq!(joined.code, Some(0), "{}", joined.words);
    assert!(
        joined.words.contains("goes on with it by itself"),
        "{}",
        joined.words
    );
    assert!(!joined.words.contains("hint:"), "{}", joined.words);
    // There is no Docker here, and it is told and no reason to starve.
    let status = "STATUS=no server; connected; docker unresponsive";
    manager.hears(status).await;
    for _ in 0..5 {
        manager.hears("WATCHDOG=1").await;
    }
    let key = std::fs::read(node.path("state/node.key")).unwrap();

    let joined = node.joins(&controller.token(NODE).await).await;
    assert_eq!(joined.code, Some(0), "{}", joined.words);
    assert_ne!(std::fs::read(node.path("state/node.key")).unwrap(), key);
    agent.says(&["joined anew"]).await;
    agent.says(&["welcomed"]).await;
    manager.hears(status).await;
    agent.ends().await;
    manager.hears("STOPPING=1").await;
    controller.daemon.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn root_works_as_the_owner_of_the_state_directory() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test gives a directory away: run it as root (make test does)"
    );
    let (place, node) = (tempfile::tempdir().unwrap(), Node::new());
    let state = node.path("state");
    std::fs::create_dir(&state).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&state, private).unwrap();
    std::os::unix::fs::chown(&state, Some(12345), Some(12346)).unwrap();
    // The way there, and the configuration, are for everybody.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(node.path("."), open).unwrap();

    let controller = Controller::start(place.path()).await;
    let joined = node.joins(&controller.token(NODE).await).await;
    assert_eq!(joined.code, Some(0), "{}", joined.words);
    let mut agent = node.runs(&[]);
    agent
        .says(&["running as the owner of the state directory", "12345"])
        .await;
    agent.says(&["welcomed"]).await;
    agent.ends().await;
    for entry in std::fs::read_dir(&state).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&metadata);
        assert_eq!(owner, 12345, "{}", entry.path().display());
    }

    // What root alone may read is refused with what helps.
    let credentials = node.path("registry.json");
    std::fs::write(&credentials, "{}").unwrap();
    let secret = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&credentials, secret).unwrap();
    let refused = node.agent("check-config", "").await;
    refused.fails(
        1,
        &["registry.json", "user 12345 may not read it"],
        "chown 12345",
    );
    controller.daemon.shutdown().await;
}
