//! What a container was made from, out of what the Engine shows of it, of its image and of its
//! volumes. What the image brings by itself is taken out: it is nobody's decision.

use std::collections::HashMap;

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, HostConfig, ImageConfig, MountPoint,
};

use crate::docker::{LogSetup, MountKind, Setup, SetupMount};

/// Puts together what was inspected. `device` says where a volume's data lies when that is not
/// where Docker keeps volumes.
pub(super) fn setup(
    inspected: &ContainerInspectResponse,
    image: Option<&ImageConfig>,
    device: impl Fn(&str) -> Option<String>,
) -> Setup {
    let none = (ContainerConfig::default(), HostConfig::default());
    let config = inspected.config.as_ref().unwrap_or(&none.0);
    let host = inspected.host_config.as_ref().unwrap_or(&none.1);
    let of_image = image.cloned().unwrap_or_default();
    let log = host.log_config.clone().unwrap_or_default();
    let limit = |name: &str| log.config.as_ref()?.get(name).cloned();
    Setup {
        image: config.image.clone().unwrap_or_default(),
        user: config.user.clone().unwrap_or_default(),
        entrypoint: config
            .entrypoint
            .clone()
            .filter(|own| Some(own) != of_image.entrypoint.as_ref() && !own.is_empty()),
        command: config.cmd.clone().unwrap_or_default(),
        environment: beyond(config.env.as_ref(), of_image.env.as_ref()),
        network: host.network_mode.clone().unwrap_or_default(),
        capabilities: host
            .cap_add
            .iter()
            .flatten()
            .map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned())
            .collect(),
        mounts: inspected
            .mounts
            .iter()
            .flatten()
            .map(|found| mount(found, &device))
            .collect(),
        policy: policy(host),
        stop_timeout_seconds: config.stop_timeout,
        log: LogSetup {
            max_size: limit("max-size"),
            max_files: limit("max-file"),
            driver: log.typ.unwrap_or_default(),
        },
        labels: labels(config, &of_image),
        extras: extras(config, host, &of_image),
    }
}

fn beyond(own: Option<&Vec<String>>, of_image: Option<&Vec<String>>) -> Vec<String> {
    let is_new = |text: &&String| !of_image.is_some_and(|known| known.contains(text));
    own.into_iter().flatten().filter(is_new).cloned().collect()
}

fn labels(config: &ContainerConfig, of_image: &ImageConfig) -> Vec<String> {
    let known = of_image.labels.as_ref();
    let is_new = |(name, value): &(&String, &String)| {
        known.is_none_or(|known| known.get(*name) != Some(*value))
    };
    let mut names: Vec<_> = config
        .labels
        .iter()
        .flat_map(HashMap::iter)
        .filter(is_new)
        .map(|(name, _)| name.clone())
        .collect();
    names.sort_unstable();
    names
}

fn policy(host: &HostConfig) -> String {
    let name = host.restart_policy.as_ref().and_then(|policy| policy.name);
    match name.map(|name| name.to_string()) {
        Some(name) if !name.is_empty() => name,
        _ => "no".to_owned(),
    }
}

/// The names of the volumes that a container mounts.
pub(super) fn volumes(inspected: &ContainerInspectResponse) -> Vec<String> {
    let mounts = inspected.mounts.iter().flatten();
    mounts.filter_map(|mount| mount.name.clone()).collect()
}

/// The directory that a local volume is bound to, by its options. Docker shows its own directory
/// for such a volume, in which nothing lies until it is mounted.
pub(super) fn bound_to(driver: &str, options: &HashMap<String, String>) -> Option<String> {
    let words = options.get("o").map(String::as_str).unwrap_or_default();
    let is_bind = words.split(',').any(|word| word.trim() == "bind");
    let device = options.get("device").filter(|device| !device.is_empty());
    device.filter(|_| driver == "local" && is_bind).cloned()
}

fn mount(found: &MountPoint, device: &impl Fn(&str) -> Option<String>) -> SetupMount {
    let kind = found.typ.clone().unwrap_or_default();
    let source = found.source.clone().unwrap_or_default();
    let (kind, source) = match (kind.as_str(), &found.name) {
        ("bind", _) => (MountKind::Bind, source),
        ("volume", Some(name)) => (
            MountKind::Volume(name.clone()),
            device(name).unwrap_or(source),
        ),
        _ => (MountKind::Other(kind), source),
    };
    SetupMount {
        kind,
        source,
        target: found.destination.clone().unwrap_or_default(),
        read_only: found.rw == Some(false),
    }
}

/// What no role has a word on and what a container made anew will not have.
fn extras(config: &ContainerConfig, host: &HostConfig, of_image: &ImageConfig) -> Vec<String> {
    fn has<T>(list: Option<&Vec<T>>) -> bool {
        list.is_some_and(|list| !list.is_empty())
    }
    let named = |word: Option<&String>| word.filter(|word| !word.is_empty()).cloned();
    let own_check = config.healthcheck.as_ref().is_some_and(|check| {
        of_image.healthcheck.as_ref() != Some(check) && has(check.test.as_ref())
    });
    let found = [
        (host.privileged == Some(true), "privileged".to_owned()),
        (
            host.auto_remove == Some(true),
            "removed when it ends".to_owned(),
        ),
        (has(host.devices.as_ref()), "devices".to_owned()),
        (
            has(host.cap_drop.as_ref()),
            "dropped capabilities".to_owned(),
        ),
        (
            has(host.security_opt.as_ref()),
            "security options".to_owned(),
        ),
        (has(host.ulimits.as_ref()), "ulimits".to_owned()),
        (
            host.memory.is_some_and(|bytes| bytes > 0),
            "a memory limit".to_owned(),
        ),
        (
            host.nano_cpus.is_some_and(|n| n > 0) || host.cpu_quota.is_some_and(|n| n > 0),
            "a processor limit".to_owned(),
        ),
        (
            host.readonly_rootfs == Some(true),
            "a read-only root".to_owned(),
        ),
        (
            named(host.pid_mode.as_ref()).is_some(),
            "a PID mode".to_owned(),
        ),
        (own_check, "a health check of its own".to_owned()),
    ];
    let found = found.into_iter().filter(|(is_so, _)| *is_so);
    found.map(|(_, words)| words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_bound_to_a_directory_is_told_by_its_options() {
        let options = |o: &str, device: &str| {
            HashMap::from([
                ("o".to_owned(), o.to_owned()),
                ("type".to_owned(), "none".to_owned()),
                ("device".to_owned(), device.to_owned()),
            ])
        };
        let bound = bound_to(
            "local",
            &options("bind", "/var/lib/portsip/media-server-only"),
        );
        assert_eq!(bound.as_deref(), Some("/var/lib/portsip/media-server-only"));
        assert_eq!(
            bound_to("local", &options("rw,bind", "/a")).as_deref(),
            Some("/a")
        );
        for (driver, o, device) in [
            ("nfs", "bind", "/a"),
            ("local", "rw", "/a"),
            ("local", "bind", ""),
        ] {
            assert_eq!(
                bound_to(driver, &options(o, device)),
                None,
                "{driver} {o} {device}"
            );
        }
        assert_eq!(bound_to("local", &HashMap::new()), None);
    }
}
