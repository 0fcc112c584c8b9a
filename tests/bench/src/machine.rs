//! The machine that was measured on.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// What a reader has to know of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    date: String,
    cores: usize,
    processor: String,
    memory_gib: f64,
    kernel: String,
    docker: String,
    load: String,
}

impl Machine {
    /// Looks at the present one.
    pub(crate) fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let kib = field(&read("/proc/meminfo"), "MemTotal");
        let kib: f64 = kib
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0.0);
        let docker = Command::new("docker")
            .args(["version", "--format", "{{.Server.Version}}"])
            .output();
        let docker = docker.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        );
        Self {
            date: jiff::Zoned::now().date().to_string(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            memory_gib: kib / 1024.0 / 1024.0,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            docker,
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// It in one sentence.
    pub(crate) fn sentence(&self) -> String {
        let Self {
            date,
            cores,
            processor,
            memory_gib,
            kernel,
            docker,
            load,
        } = self;
        let docker = if docker.is_empty() {
            "no Docker Engine".to_owned()
        } else {
            format!("Docker Engine {docker}")
        };
        format!(
            "Measured on {date}: {cores} cores ({processor}), {memory_gib:.0} GiB of memory, Linux \
             {kernel}, {docker}; load average {load} before the run."
        )
    }
}
