//! Every command line of the guide, word for word, through the shim and the real command line,
//! against a simulated fleet at the guide's addresses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::path::PathBuf;
use std::process::Stdio;

use extend_common::ids::NodeAddr;
use extend_common::record::RunState;
use extend_tests::guide;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::{Fleet, typed};
use tokio::process::Command;

struct Terminal {
    directory: tempfile::TempDir,
    socket: PathBuf,
}

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Terminal {
    /// A primary where the shim lies in the guide's folder.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("controller.sock");
        let shim = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/extend.sh");
        std::fs::copy(shim, directory.path().join("extend.sh")).unwrap();
        Self { directory, socket }
    }

    /// Types a line of the guide. The guide's folder is where the shim was put: `cd` goes there,
    /// so that the line itself stays as it is.
    async fn types(&self, line: &str) -> Answer {
        let extend = typed::programs().join("extend");
        assert!(
            extend.exists(),
            "{} is not built: cargo build --workspace",
            extend.display()
        );
        let output = Command::new("/bin/bash")
            .arg("-c")
            // There is no PBX here: what that has the controller ask is said yes to.
            .arg(
                match line.starts_with("run") || line.starts_with("upgrade") {
                    true => format!("{}{line} --yes", guide::PREFIX),
                    false => format!("{}{line}", guide::PREFIX),
                },
            )
            .env("BASH_FUNC_cd%%", "() { builtin cd \"$GUIDE_FOLDER\"; }")
            .env("GUIDE_FOLDER", self.directory.path())
            .env("EXTEND_SOCKET", &self.socket)
            .env("EXTEND_BIN", extend)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    async fn types_well(&self, line: &str) {
        let answer = self.types(line).await;
        assert_eq!(answer.code, 0, "{line}\n{}{}", answer.stdout, answer.stderr);
    }
}

fn at(addr: &str) -> NodeAddr {
    addr.parse().unwrap()
}

async fn guides_fleet() -> (Fleet, Terminal) {
    let addresses = guide::SERVERS.map(|(_, _, addr)| addr);
    let fleet = Fleet::new(&addresses).await;
    let terminal = Terminal::new();
    fleet.serve_operators(&terminal.socket);
    (fleet, terminal)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_from_the_first_line_to_the_last() {
    let (fleet, terminal) = guides_fleet().await;
    for line in guide::DEPLOY {
        terminal.types_well(line).await;
    }
    for (role, name, addr) in guide::SERVERS {
        let server = fleet.server(at(addr)).await.expect(name);
        assert_eq!(server.record.desired.role.as_str(), role);
        assert_eq!(server.record.desired.name.as_str(), name);
    }
    for line in guide::ALL.iter().chain(&guide::ONE_TYPE) {
        terminal.types_well(line).await;
        if line.starts_with("stop") {
            let media = fleet.server(at("172.31.16.139")).await.unwrap();
            assert_eq!(media.record.desired.run_state, RunState::Stopped, "{line}");
            terminal.types_well(&line.replace("stop", "start")).await;
        }
    }
    for node in fleet.nodes.values() {
        node.docker.add_image(IMAGE, image("22.4.0"));
    }
    for line in guide::UPGRADE {
        terminal.types_well(line).await;
    }
    for (_, name, addr) in guide::SERVERS {
        let server = fleet.server(at(addr)).await.expect(name);
        assert_eq!(
            server.status.unwrap().serving_image.unwrap().version,
            "22.4.0",
            "{name}"
        );
    }
    terminal.types_well(guide::REMOVE[0]).await;
    assert!(fleet.server(at("172.31.16.139")).await.is_none());
    // A bare rm of several servers asks; off a terminal it wants to be told.
    let answer = terminal.types(guide::REMOVE[1]).await;
    assert_eq!(answer.code, 2, "{}", answer.stderr);
    assert!(answer.stderr.contains("--yes"), "{}", answer.stderr);
    terminal
        .types_well(&format!("{} --yes", guide::REMOVE[1]))
        .await;
    for (_, name, addr) in guide::SERVERS {
        assert!(fleet.server(at(addr)).await.is_none(), "{name}");
    }
    fleet.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_own_mistake_is_refused_and_names_what_is_there() {
    let (fleet, terminal) = guides_fleet().await;
    for line in guide::DEPLOY {
        terminal.types_well(line).await;
    }
    let before = fleet.mark(at("172.31.16.137"));
    for line in guide::ONE_SERVER {
        let answer = terminal.types(line).await;
        assert_eq!(answer.code, 4, "{line}\n{}", answer.stderr);
        assert!(
            answer.stderr.contains("meeting-server-1"),
            "{}",
            answer.stderr
        );
        assert!(answer.stderr.contains("hint:"), "{}", answer.stderr);
    }
    extend_tests::sim::invariants::untouched_since(&fleet.history(at("172.31.16.137")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_lines_work_where_137_is_a_media_server() {
    let fleet = Fleet::new(&["172.31.16.137"]).await;
    let terminal = Terminal::new();
    fleet.serve_operators(&terminal.socket);
    terminal
        .types_well("run -s media-server-only -n media-server-1 -a 172.31.16.137")
        .await;
    for line in guide::ONE_SERVER {
        terminal.types_well(line).await;
    }
    assert!(fleet.server(at("172.31.16.137")).await.is_none());
    fleet.check();
}
