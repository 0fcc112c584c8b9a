//! Between our words and the Engine's: what a container is made from, and what an inspection
//! says. Nothing is sent that the API of Docker 20.10 (1.41) does not know, since the socket's
//! calls name no version.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary,
    ContainerUpdateBody, Health, HealthStatusEnum, HealthcheckResult, HostConfig,
    HostConfigLogConfig, ImageInspect, Mount, MountType, RestartPolicy as EnginePolicy,
    RestartPolicyNameEnum,
};
use extend_common::roles::RestartPolicy;
use extend_common::status::ContainerState;

use super::trouble::clip;
use crate::core::spec::ContainerSpec;
use crate::docker::{Container, ContainerName, DockerError, DockerHealth, Image, Ownership};

/// What the Engine makes a container from: the specification, and nothing else.
pub(super) fn create_body(spec: &ContainerSpec) -> ContainerCreateBody {
    let listed = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        user: Some(spec.user.clone()).filter(|user| !user.is_empty()),
        cmd: listed(&spec.command),
        // The Engine adds these to the image's own.
        env: listed(&spec.environment),
        labels: Some(spec.labels.clone().into_iter().collect()),
        stop_timeout: Some(spec.stop_timeout_seconds),
        host_config: Some(HostConfig {
            network_mode: Some(spec.network.clone()),
            cap_add: listed(&spec.capabilities),
            mounts: Some(spec.mounts.iter().map(mount).collect()),
            restart_policy: Some(engine_policy(spec.policy)),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), spec.log_max_size.clone()),
                    ("max-file".to_owned(), spec.log_max_files.to_string()),
                ])),
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// A mount and not a bind: with a bind the Engine makes a missing source itself, as root.
fn mount(mount: &crate::core::spec::Mount) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.clone()),
        target: Some(mount.target.clone()),
        read_only: Some(true).filter(|_| mount.read_only),
        ..Mount::default()
    }
}

/// A change of the restart policy alone.
pub(super) fn update_body(policy: RestartPolicy) -> ContainerUpdateBody {
    ContainerUpdateBody {
        restart_policy: Some(engine_policy(policy)),
        ..ContainerUpdateBody::default()
    }
}

fn engine_policy(policy: RestartPolicy) -> EnginePolicy {
    let name = match policy {
        RestartPolicy::No => RestartPolicyNameEnum::NO,
        RestartPolicy::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
        RestartPolicy::Always => RestartPolicyNameEnum::ALWAYS,
    };
    EnginePolicy {
        name: Some(name),
        maximum_retry_count: None,
    }
}

/// A container as it was inspected.
pub(super) fn container(
    doing: &str,
    inspected: ContainerInspectResponse,
) -> Result<Container, DockerError> {
    let lacks = |what: &str| {
        DockerError::Unavailable(format!(
            "docker's answer was not understood ({doing}): no {what}"
        ))
    };
    let state = inspected.state.ok_or_else(|| lacks("state"))?;
    let config = inspected.config.unwrap_or_default();
    let policy = inspected
        .host_config
        .and_then(|host| host.restart_policy?.name);
    Ok(Container {
        id: inspected.id.ok_or_else(|| lacks("id"))?,
        name: inspected
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        owner: owner(config.labels),
        state: state
            .status
            .and_then(container_state)
            .ok_or_else(|| lacks("status"))?,
        started_at: state.started_at.unwrap_or_default(),
        exit_code: state.exit_code.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        error: clip(&state.error.unwrap_or_default()),
        policy: restart_policy(policy),
        restart_count: inspected
            .restart_count
            .and_then(|n| n.try_into().ok())
            .unwrap_or_default(),
        image_id: inspected.image.unwrap_or_default(),
        stop_signal: config.stop_signal.unwrap_or_default(),
        health: state.health.as_ref().and_then(health),
        health_log: state.health.as_ref().map(health_log).unwrap_or_default(),
    })
}

fn owner(labels: Option<HashMap<String, String>>) -> Option<Ownership> {
    Ownership::from_labels(&labels.unwrap_or_default().into_iter().collect())
}

fn container_state(status: ContainerStateStatusEnum) -> Option<ContainerState> {
    Some(match status {
        ContainerStateStatusEnum::EMPTY => return None,
        ContainerStateStatusEnum::CREATED => ContainerState::Created,
        // Asked to end, and still a process.
        ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING => {
            ContainerState::Running
        }
        ContainerStateStatusEnum::PAUSED => ContainerState::Paused,
        ContainerStateStatusEnum::RESTARTING => ContainerState::Restarting,
        ContainerStateStatusEnum::REMOVING => ContainerState::Removing,
        ContainerStateStatusEnum::EXITED => ContainerState::Exited,
        ContainerStateStatusEnum::DEAD => ContainerState::Dead,
    })
}

fn restart_policy(name: Option<RestartPolicyNameEnum>) -> RestartPolicy {
    match name {
        None | Some(RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO) => RestartPolicy::No,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
        // `on-failure` is nobody's here but a foreign container's. What matters of it is that
        // Docker may start it again.
        Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::ON_FAILURE) => {
            RestartPolicy::Always
        }
    }
}

fn health(health: &Health) -> Option<DockerHealth> {
    match health.status? {
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
        HealthStatusEnum::STARTING => Some(DockerHealth::Starting),
        HealthStatusEnum::HEALTHY => Some(DockerHealth::Healthy),
        HealthStatusEnum::UNHEALTHY => Some(DockerHealth::Unhealthy),
    }
}

/// So many results of Docker's own check are told.
const HEALTH_LOG: usize = 3;

/// The last results of Docker's own check. What it prints is the image's.
fn health_log(health: &Health) -> Vec<String> {
    let results = health.log.as_deref().unwrap_or_default();
    let skip = results.len().saturating_sub(HEALTH_LOG);
    let line = |result: &HealthcheckResult| {
        let output = result.output.as_deref().unwrap_or_default();
        let words: Vec<&str> = output.split_whitespace().collect();
        let code = result.exit_code.unwrap_or_default();
        let text = format!(
            "docker's health check: exit code {code}: {}",
            words.join(" ")
        );
        clip(text.trim_end_matches(": "))
    };
    results.iter().skip(skip).map(line).collect()
}

/// A container as it was listed; `None` while it has no name, which it loses when it is removed.
pub(super) fn container_name(listed: ContainerSummary) -> Option<ContainerName> {
    // Links show up as further names, with the linking container's before a second slash.
    let own = |name: &String| {
        name.strip_prefix('/')
            .filter(|name| !name.contains('/'))
            .map(str::to_owned)
    };
    Some(ContainerName {
        id: listed.id?,
        name: listed.names?.iter().find_map(own)?,
        owner: owner(listed.labels),
    })
}

/// An image as it was inspected.
pub(super) fn image(doing: &str, inspected: ImageInspect) -> Result<Image, DockerError> {
    let labels: Option<BTreeMap<String, String>> = inspected
        .config
        .and_then(|config| config.labels)
        .map(|map| map.into_iter().collect());
    Ok(Image {
        id: inspected.id.ok_or_else(|| {
            DockerError::Unavailable(format!(
                "docker's answer was not understood ({doing}): no id"
            ))
        })?,
        repo_digests: inspected.repo_digests.unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        size: inspected
            .size
            .and_then(|size| size.try_into().ok())
            .unwrap_or_default(),
    })
}
