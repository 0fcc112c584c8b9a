//! `/metrics` of a whole controller: what it is, and that silence of the engine is told as such.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use extend_controller::daemon::DaemonOptions;
use extend_controller::engine::{CrashHook, CrashPoint, InputKind, Moment};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;

/// The engine stays where it is once it is told to.
#[derive(Default)]
struct Hang(AtomicBool);

impl CrashHook for Hang {
    fn at(&self, point: CrashPoint) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let asked = CrashPoint::Input(Moment::BeforeReplies, InputKind::Question);
        if point == asked && self.0.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(()))
    }
}

async fn ask(controller: &Controller, line: &str) -> String {
    let http = controller.daemon.addresses().http;
    let mut stream = tokio::net::TcpStream::connect(http).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_controller_shows_itself_in_numbers() {
    let place = Place::new();
    let hang = Arc::new(Hang::default());
    let options = DaemonOptions {
        crash: hang.clone(),
        ..DaemonOptions::default()
    };
    let controller = place.try_start(options).await.unwrap();
    let node = controller.joined(node(2)).await;
    let session = node.session().await;
    until("the agent is counted", async || {
        let answer = ask(&controller, "GET /metrics").await;
        answer.contains("\nextend_agent_connections 1.0\n")
    })
    .await;
    let answer = ask(&controller, "GET /metrics?a=b").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let expected = "\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    assert!(head.contains(expected), "{head}");
    for line in [
        "extend_agents{state=\"online\"} 1.0",
        "extend_servers{role=\"media-server-only\",health=\"healthy\"} 0.0",
        "extend_handshakes_total{face=\"agents\",result=\"established\"} 1",
        "extend_handshakes_total{face=\"enrolment\",result=\"established\"} 1",
        "extend_server_restarts_total{role=\"media-server-only\",reason=\"memory\"} 0",
        "extend_epoch 1.0",
        "extend_servers_without_series 0.0",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} in\n{body}");
    }
    let head_only = ask(&controller, "HEAD /metrics").await;
    assert!(head_only.ends_with("\r\n\r\n"), "{head_only}");
    assert!(
        ask(&controller, "POST /metrics")
            .await
            .starts_with("HTTP/1.1 405")
    );

    hang.0.store(true, Ordering::SeqCst);
    until("silence is told", async || {
        ask(&controller, "GET /metrics")
            .await
            .starts_with("HTTP/1.1 503")
    })
    .await;
    drop(session);
    controller.daemon.kill().await;
}
