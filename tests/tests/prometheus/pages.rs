//! What is shipped: rules and dashboard, as they lie in the repository.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).to_owned()
}

/// The rules, each firing as soon as it is true: promtool tries their times.
pub(crate) fn rules_without_waiting() -> String {
    let rules = repository().join("packaging/prometheus/extend.rules.yml");
    let text = std::fs::read_to_string(rules).unwrap();
    let lines = text.lines().map(|line| match line.trim_start() {
        rest if rest.starts_with("for: ") => "        for: 0s",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every expression of the dashboard, for all roles.
pub(crate) fn expressions() -> Vec<String> {
    let path = repository().join("packaging/grafana/extend.json");
    let text = std::fs::read_to_string(path).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let found: Vec<_> = targets
        .map(|target| target["expr"].as_str().unwrap().replace("$role", ".*"))
        .collect();
    assert!(found.len() > 20, "{found:?}");
    found
}
