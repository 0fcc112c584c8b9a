//! A real Prometheus scrapes a controller with a PBX, servers and agents; promtool judges what is
//! shown and what is shipped. Run by `scripts/prometheus.sh`, which brings both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "prometheus/pages.rs"]
mod pages;
#[path = "prometheus/peer.rs"]
mod peer;
#[path = "prometheus/scene.rs"]
mod scene;
#[path = "../../controller/tests/daemon/support.rs"]
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod support;

use std::path::PathBuf;
use std::time::Duration;

use extend_controller::metrics::table;
use serde_json::Value;

use self::pages::{expressions, repository, rules_without_waiting};
use self::peer::{Prometheus, promtool};
use self::scene::Scene;

#[tokio::test]
async fn promtool_finds_no_fault_in_what_is_shown() {
    let scene = Scene::begin().await;
    let text = scene.metrics().await;
    assert_eq!(promtool(&["check", "metrics"], Some(&text)), "");
    scene.end().await;
}

#[test]
fn promtool_finds_no_fault_in_the_rules_and_each_fires_when_it_should() {
    let at = |name: &str| repository().join("packaging/prometheus").join(name);
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    let checked = promtool(&["check", "rules", &path(at("extend.rules.yml"))], None);
    assert!(checked.contains("SUCCESS"), "{checked}");
    let tried = promtool(&["test", "rules", &path(at("tests.yml"))], None);
    assert!(tried.contains("SUCCESS"), "{tried}");
    let checked = promtool(
        &["check", "config", "--syntax-only", &path(at("scrape.yml"))],
        None,
    );
    assert!(checked.contains("SUCCESS"), "{checked}");
}

#[tokio::test]
async fn a_prometheus_scrapes_it_and_its_rules_fire() {
    let mut scene = Scene::begin().await;
    let prometheus = Prometheus::start(scene.http(), &rules_without_waiting()).await;
    prometheus
        .until("the controller is up", "up{job=\"extend\"} == 1")
        .await;
    for definition in table::ALL {
        let query = match definition.kind {
            table::Kind::Histogram => format!("{}_count", definition.name),
            _ => definition.name.to_owned(),
        };
        prometheus.until(definition.name, &query).await;
    }
    for expression in expressions() {
        let answer = prometheus.query(&expression).await;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    let served = "extend_server_state{server=\"media1\",node=\"127.0.1.7\",\
                  role=\"media-server-only\",health=\"healthy\"} == 1";
    prometheus.until("the server", served).await;
    let ratio = "extend_node_disk_free_bytes{server=\"media1\"} \
                 / extend_node_disk_bytes{server=\"media1\"} == 0.25";
    prometheus.until("the fullest of its disks", ratio).await;
    assert!(!prometheus.fires("ExtendAgentOffline").await);

    scene.lose_agent();
    prometheus.until_fires("ExtendAgentOffline").await;
    let alert = prometheus.alert("ExtendAgentOffline").await.unwrap();
    assert_eq!(alert["labels"]["severity"], "warning");
    let summary = alert["annotations"]["summary"].as_str().unwrap();
    assert_eq!(summary, "1 agents are offline");
    // A server of which nobody can tell is no healthy one.
    prometheus.until_fires("ExtendServerUnknown").await;

    let rules = prometheus.get("/api/v1/rules").await;
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(rules.len() > 20);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    scene.stop_controller().await;
    prometheus.until_fires("ExtendControllerDown").await;
    prometheus.end(Duration::from_secs(10)).await;
}
