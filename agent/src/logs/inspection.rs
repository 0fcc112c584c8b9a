//! How the server's container is and what it was made from, as a diagnosis has it: lines of text.
//!
//! Values of the environment and secrets among the arguments do not leave the node.

use std::fmt::Write as _;

use extend_common::logs::{LogFault, LogFaultKind};
use extend_common::redact;

use super::out::{Out, Stop};
use crate::core::observed::Owner;
use crate::docker::{Docker, Inspected, MountKind};

/// Sends what an inspection shows of the container of this name, if it is ours.
pub(super) async fn read(
    docker: &dyn Docker,
    name: &str,
    owner: &Owner,
    out: &Out,
) -> Result<(), Stop> {
    let found = docker.inspected(name).await;
    let found = found.map_err(|error| LogFault::new(LogFaultKind::Docker, error.to_string()))?;
    let Some(found) = found.filter(|found| owner.owns(&found.container)) else {
        let words = format!("there is no container {name} of ours");
        return Err(LogFault::new(LogFaultKind::NoContainer, words).into());
    };
    out.data(text(&found).as_bytes(), |_| None).await
}

/// A line for each thing.
fn text(found: &Inspected) -> String {
    let Inspected { container, setup } = found;
    let mut text = String::new();
    // A label, an error or what a health check said may have one, too.
    let mut redactor = redact::Redactor::default();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to memory cannot fail.
            let line = value.replace(['\n', '\r'], " ");
            let _ = writeln!(text, "{name}: {}", redactor.line(&line));
        }
    };
    add("name", container.name.clone());
    add("id", container.id.clone());
    add("state", container.state.to_string());
    add("started", container.started_at.clone());
    add("exit code of its last run", container.exit_code.to_string());
    add("killed for memory", container.oom_killed.to_string());
    add("error", container.error.clone());
    add("restarts by Docker", container.restart_count.to_string());
    add("image", setup.image.clone());
    add("image id", container.image_id.clone());
    add("user", setup.user.clone());
    let words = |words: &[String]| {
        let told = redact::arguments(words.iter().map(String::as_str));
        format!("{told:?}")
    };
    add(
        "entrypoint",
        setup.entrypoint.as_deref().map(words).unwrap_or_default(),
    );
    add("command", words(&setup.command));
    for variable in redact::environment(setup.environment.iter().map(String::as_str)) {
        add("environment", variable);
    }
    add("network", setup.network.clone());
    add("capabilities", setup.capabilities.join(", "));
    for mount in &setup.mounts {
        let kind = match &mount.kind {
            MountKind::Bind => "bind".to_owned(),
            MountKind::Volume(name) => format!("volume {name}"),
            MountKind::Other(word) => word.clone(),
        };
        let access = if mount.read_only { ", read-only" } else { "" };
        let (source, target) = (&mount.source, &mount.target);
        add("mount", format!("{source} on {target} ({kind}{access})"));
    }
    add("restart policy", setup.policy.clone());
    let seconds = setup.stop_timeout_seconds;
    add(
        "stop timeout",
        seconds.map(|s| format!("{s} s")).unwrap_or_default(),
    );
    add("log driver", setup.log.driver.clone());
    add("labels", setup.labels.join(", "));
    add("extras", setup.extras.join(", "));
    add("stop signal", container.stop_signal.clone());
    for line in &container.health_log {
        add("health check", line.clone());
    }
    text
}

#[cfg(test)]
mod tests {
    use extend_common::roles::RestartPolicy;
    use extend_common::status::ContainerState;

    use super::*;
    use crate::docker::{Container, Setup};

    #[test]
    fn what_is_told_of_a_container_has_no_secret_wherever_it_stood() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = Inspected {
            container: Container {
                id: "3f2a9c41d0aa".to_owned(),
                name: "portsip.mediaserver".to_owned(),
                owner: None,
                state: ContainerState::Exited,
                started_at: "2026-11-30T22:53:00Z".to_owned(),
                exit_code: 139,
                oom_killed: false,
                error: "cannot start: db password=hunter2\nagain".to_owned(),
                policy: RestartPolicy::No,
                restart_count: 3,
                image_id: "sha256:aa".to_owned(),
                stop_signal: String::new(),
                health: None,
                health_log: words(&["-----BEGIN PRIVATE KEY-----", "hunter2"]),
            },
            setup: Setup {
                image: "portsip/pbx:22".to_owned(),
                entrypoint: Some(words(&["/bin/sh", "-c", "im serve -t hunter2"])),
                command: words(&["serve", "-t", "hunter2", "-a", "10.0.0.1"]),
                environment: words(&["PATH=/usr/bin", "POSTGRES_USER=hunter2"]),
                labels: words(&["token=hunter2"]),
                ..Setup::default()
            },
        };
        let text = text(&found);
        assert!(!text.contains("hunter2"), "{text}");
        for line in [
            "name: portsip.mediaserver",
            "exit code of its last run: 139",
            "error: cannot start: db password=[redacted]",
            r#"entrypoint: ["/bin/sh", "-c", "im serve -t [redacted]"]"#,
            r#"command: ["serve", "-t", "[redacted]", "-a", "10.0.0.1"]"#,
            "environment: PATH=/usr/bin",
            "environment: POSTGRES_USER=[redacted]",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
    }
}
