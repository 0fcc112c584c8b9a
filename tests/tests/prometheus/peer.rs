//! A Prometheus of our own on 127.0.0.1, at a port of the system's choice, and its promtool.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Some scrapes, each a second after the one before.
const LIMIT: Duration = Duration::from_secs(30);

fn program(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no program: run this by scripts/prometheus.sh (make test-metrics)")
    })
}

/// What promtool says; it must not find a fault.
pub(crate) fn promtool(arguments: &[&str], input: Option<&str>) -> String {
    let mut child = std::process::Command::new(program("EXTEND_PROMTOOL"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(input.unwrap_or_default().as_bytes())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

/// A running Prometheus.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// One that scrapes this address every second, with these rules.
    pub(crate) async fn start(target: SocketAddr, rules: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("extend.rules.yml"), rules).unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [extend.rules.yml]\n\
             scrape_configs:\n  - job_name: extend\n    static_configs:\n      - targets: ['{target}']\n"
        );
        fs::write(at("prometheus.yml"), config).unwrap();
        let mut child = Command::new(program("EXTEND_PROMETHEUS"))
            .arg(format!("--config.file={}", at("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", at("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = timeout(LIMIT, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let listening = line.split_once("msg=\"Listening on\" address=");
                if let Some((_, address)) = listening {
                    return address.split_whitespace().next().unwrap().parse().ok();
                }
                said.push(line);
            }
            None
        });
        let address = address.await.ok().flatten();
        let address = address.unwrap_or_else(|| panic!("Prometheus does not listen: {said:#?}"));
        // It must not stop at a pipe that nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            child,
            address,
            _directory: directory,
        }
    }

    /// An answer of its API.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or(Value::Null)
    }

    /// What an expression comes to now.
    pub(crate) async fn query(&self, expression: &str) -> Value {
        let encoded: String = expression
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        self.get(&format!("/api/v1/query?query={encoded}")).await
    }

    /// Waits until an expression has a value.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = self.query(expression).await;
            let result = answer["data"]["result"].as_array();
            if result.is_some_and(|result| !result.is_empty()) {
                return;
            }
            assert!(Instant::now() < deadline, "in vain: {what}: {answer}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// An alert, if it fires.
    pub(crate) async fn alert(&self, name: &str) -> Option<Value> {
        let answer = self.get("/api/v1/alerts").await;
        let alerts = answer["data"]["alerts"].as_array().cloned();
        let fires =
            |alert: &Value| alert["labels"]["alertname"] == name && alert["state"] == "firing";
        alerts.unwrap_or_default().into_iter().find(fires)
    }

    pub(crate) async fn fires(&self, name: &str) -> bool {
        self.alert(name).await.is_some()
    }

    /// Waits until an alert fires.
    pub(crate) async fn until_fires(&self, name: &str) {
        let deadline = Instant::now() + LIMIT;
        while !self.fires(name).await {
            let alerts = self.get("/api/v1/alerts").await;
            assert!(Instant::now() < deadline, "in vain: {name}: {alerts}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends it.
    pub(crate) async fn end(mut self, limit: Duration) {
        self.child.start_kill().unwrap();
        timeout(limit, self.child.wait()).await.unwrap().unwrap();
    }
}
