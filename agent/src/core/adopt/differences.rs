//! Where somebody else's container is not as the role's definition would make it: a few words for
//! each place, and whether the official script makes every container so.
//!
//! Only told, never acted upon: the next upgrade makes the container as the definition says.

use extend_common::status::Difference;

use crate::core::spec::{ContainerSpec, Mount};
use crate::docker::{LogSetup, MountKind, Setup, SetupMount};

/// What Docker waits when nothing was said, in seconds.
const DOCKERS_STOP_TIMEOUT: i64 = 10;
/// Labels of Docker Compose begin so.
const COMPOSE: &str = "com.docker.compose.";

/// Lists the differences, in the order of a container's description.
pub(super) fn differences(wanted: &ContainerSpec, found: &Setup) -> Vec<Difference> {
    let mut all = Vec::new();
    image(wanted, found, &mut all);
    plain(
        &mut all,
        "user",
        or_images(&found.user),
        or_images(&wanted.user),
    );
    if let Some(entrypoint) = &found.entrypoint {
        let words = format!("entrypoint {}, wanted the image's", entrypoint.join(" "));
        all.push(odd(words));
    }
    command(wanted, found, &mut all);
    environment(wanted, found, &mut all);
    plain(&mut all, "network", &found.network, &wanted.network);
    lists(
        &mut all,
        "capability",
        &found.capabilities,
        &wanted.capabilities,
    );
    mounts(wanted, found, &mut all);
    let policy = Setup::from(wanted).policy;
    plain(&mut all, "restart policy", &found.policy, &policy);
    stop_timeout(wanted, found, &mut all);
    log(wanted, &found.log, &mut all);
    if found.labels.iter().any(|label| label.starts_with(COMPOSE)) {
        all.push(usual("labels of Docker Compose".to_owned()));
    }
    all.extend(
        found
            .extras
            .iter()
            .map(|extra| odd(format!("extra: {extra}"))),
    );
    all
}

fn usual(text: String) -> Difference {
    Difference { text, usual: true }
}

fn odd(text: String) -> Difference {
    Difference { text, usual: false }
}

fn or_images(user: &str) -> &str {
    if user.is_empty() { "the image's" } else { user }
}

fn plain(all: &mut Vec<Difference>, what: &str, found: &str, wanted: &str) {
    if found != wanted {
        all.push(odd(format!("{what} {found}, wanted {wanted}")));
    }
}

fn lists(all: &mut Vec<Difference>, what: &str, found: &[String], wanted: &[String]) {
    for extra in found.iter().filter(|one| !wanted.contains(one)) {
        all.push(odd(format!("extra {what} {extra}")));
    }
    for missing in wanted.iter().filter(|one| !found.contains(one)) {
        all.push(odd(format!("no {what} {missing}")));
    }
}

/// Only options are told: a value may be a secret.
fn command(wanted: &ContainerSpec, found: &Setup, all: &mut Vec<Difference>) {
    if found.command == wanted.command {
        return;
    }
    let options = |of: &[String], beyond: &[String]| {
        let option = |word: &&String| word.starts_with('-') && !beyond.contains(word);
        of.iter().filter(option).cloned().collect::<Vec<_>>()
    };
    let extra = options(&found.command, &wanted.command);
    let missing = options(&wanted.command, &found.command);
    if extra.is_empty() && missing.is_empty() {
        let words = "command in another order, or with other values";
        return all.push(odd(words.to_owned()));
    }
    all.extend(
        extra
            .iter()
            .map(|option| odd(format!("extra option {option}"))),
    );
    all.extend(
        missing
            .iter()
            .map(|option| odd(format!("no option {option}"))),
    );
}

/// Only names are told: a value may be a secret.
fn environment(wanted: &ContainerSpec, found: &Setup, all: &mut Vec<Difference>) {
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let has = |list: &[String], pair: &str| list.iter().any(|one| name(one) == name(pair));
    for pair in found
        .environment
        .iter()
        .filter(|p| !wanted.environment.contains(p))
    {
        let words = match has(&wanted.environment, pair) {
            true => format!("another value of {}", name(pair)),
            false => format!("extra variable {}", name(pair)),
        };
        all.push(odd(words));
    }
    let missing = wanted
        .environment
        .iter()
        .filter(|p| !has(&found.environment, p));
    all.extend(missing.map(|pair| odd(format!("no variable {}", name(pair)))));
}

/// A tag may mean another image tomorrow.
fn image(wanted: &ContainerSpec, found: &Setup, all: &mut Vec<Difference>) {
    if found.image != wanted.image {
        let words = format!("image by its tag ({}), wanted by its digest", found.image);
        all.push(usual(words));
    }
}

fn stop_timeout(wanted: &ContainerSpec, found: &Setup, all: &mut Vec<Difference>) {
    let seconds = found.stop_timeout_seconds.unwrap_or(DOCKERS_STOP_TIMEOUT);
    if seconds != wanted.stop_timeout_seconds {
        let text = format!(
            "stop timeout {seconds} s, wanted {} s",
            wanted.stop_timeout_seconds
        );
        let usual = seconds == DOCKERS_STOP_TIMEOUT;
        all.push(Difference { text, usual });
    }
}

fn log(wanted: &ContainerSpec, found: &LogSetup, all: &mut Vec<Difference>) {
    let limit = format!("{} files of {}", wanted.log_max_files, wanted.log_max_size);
    if found.driver != "json-file" {
        let driver = &found.driver;
        return all.push(odd(format!(
            "log driver {driver}, wanted json-file ({limit})"
        )));
    }
    let Some(size) = &found.max_size else {
        return all.push(usual(format!("no log limit, wanted {limit}")));
    };
    // One file is what Docker keeps when nothing was said.
    let files = found.max_files.as_deref().unwrap_or("1");
    if *size != wanted.log_max_size || files != wanted.log_max_files.to_string() {
        all.push(odd(format!(
            "log limit {files} files of {size}, wanted {limit}"
        )));
    }
}

fn mounts(wanted: &ContainerSpec, found: &Setup, all: &mut Vec<Difference>) {
    for mount in &wanted.mounts {
        match found.mounts.iter().find(|one| one.target == mount.target) {
            None => all.push(odd(format!(
                "nothing mounted on {}, wanted {}",
                mount.target, mount.source
            ))),
            Some(one) => compare(mount, one, all),
        }
    }
    let is_extra = |one: &&SetupMount| !wanted.mounts.iter().any(|m| m.target == one.target);
    for extra in found.mounts.iter().filter(is_extra) {
        all.push(odd(format!(
            "extra mount {} on {}",
            source(extra),
            extra.target
        )));
    }
}

fn compare(wanted: &Mount, found: &SetupMount, all: &mut Vec<Difference>) {
    let target = &wanted.target;
    if found.source != wanted.source {
        // What lies in the one is not there in the other: nothing for a few words in passing.
        all.push(odd(format!(
            "{target} is {}, wanted {}: the next upgrade will not see what lies there",
            source(found),
            wanted.source
        )));
    } else if found.kind != MountKind::Bind {
        all.push(usual(format!(
            "{target} is a {} bound to {}, wanted a plain bind mount",
            kind(&found.kind),
            wanted.source
        )));
    }
    match (found.read_only, wanted.read_only) {
        (false, true) => {
            let text = format!("{target} is writable, wanted read-only");
            // The official script mounts it on itself as it is.
            let usual = wanted.source == *target;
            all.push(Difference { text, usual });
        }
        (true, false) => all.push(odd(format!("{target} is read-only, wanted writable"))),
        _ => {}
    }
}

fn kind(kind: &MountKind) -> &str {
    match kind {
        MountKind::Bind => "bind mount",
        MountKind::Volume(_) => "volume",
        MountKind::Other(word) => word,
    }
}

fn source(mount: &SetupMount) -> String {
    match &mount.kind {
        MountKind::Volume(name) => format!("the volume {name} ({})", mount.source),
        _ if mount.source.is_empty() => kind(&mount.kind).to_owned(),
        _ => mount.source.clone(),
    }
}
