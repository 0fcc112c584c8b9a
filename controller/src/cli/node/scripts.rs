//! The shell scripts that run on nodes, put together.
//!
//! POSIX sh, for whatever a bare Debian or Ubuntu has. Used over SSH by `bootstrap` and at the
//! first boot by `token --cloud-init`.

/// What every script begins with.
pub(super) const COMMON: &str = include_str!("scripts/common.sh");
/// Installing with apt.
pub(super) const APT: &str = include_str!("scripts/apt.sh");
/// What a node is.
const CHECK: &str = include_str!("scripts/check.sh");
/// What an instance does at its first boot.
pub(super) const FIRST_BOOT: &str = include_str!("scripts/first-boot.sh");
const DOCKER: &str = include_str!("scripts/docker.sh");
const PACKAGE: &str = include_str!("scripts/package.sh");
const REGISTRY: &str = include_str!("scripts/registry.sh");
const JOIN: &str = include_str!("scripts/join.sh");
const START: &str = include_str!("scripts/start.sh");
const JOURNAL: &str = include_str!("scripts/journal.sh");

/// Tells what a node is.
pub(super) fn check() -> String {
    [COMMON, CHECK].concat()
}

/// Installs a Docker Engine.
pub(super) fn docker() -> String {
    [COMMON, APT, DOCKER].concat()
}

/// Receives and installs the agent's package.
pub(super) fn package(version: &str, architecture: &str, size: u64, sha256: &str) -> String {
    let values = [
        assign("version", version),
        assign("architecture", architecture),
        assign("size", &size.to_string()),
        assign("sha256", sha256),
    ];
    [COMMON, APT, &values.concat(), PACKAGE].concat()
}

/// Receives the registry's credentials.
pub(super) fn registry(size: usize, sha256: &str) -> String {
    let values = [assign("size", &size.to_string()), assign("sha256", sha256)];
    [COMMON, &values.concat(), REGISTRY].concat()
}

/// Receives a token and joins with it.
pub(super) fn join(size: usize) -> String {
    [COMMON, &assign("size", &size.to_string()), JOIN].concat()
}

/// Starts the agent anew.
pub(super) fn start() -> String {
    [COMMON, START].concat()
}

/// Tells what the agent said last.
pub(super) fn journal() -> String {
    [COMMON, JOURNAL].concat()
}

/// A variable of a script.
pub(super) fn assign(name: &str, value: &str) -> String {
    format!("{name}='{}'\n", value.replace('\'', r"'\''"))
}

/// A script without what only its readers need.
pub(super) fn without_comments(script: &str) -> String {
    let says = |line: &&str| !line.trim_start().starts_with('#') && !line.trim().is_empty();
    script
        .lines()
        .filter(says)
        .flat_map(|line| [line, "\n"])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn every_script_is_posix_and_does_nothing_when_it_is_cut_short() {
        let scripts = [
            check(),
            docker(),
            package("0.1.0", "amd64", 7, "ab"),
            registry(7, "ab"),
            join(7),
            start(),
            journal(),
        ];
        let checks = |script: &str| {
            let ran = Command::new("/bin/sh").args(["-n", "-c", script]).status();
            ran.unwrap().success()
        };
        for script in scripts {
            assert!(checks(&script), "{script}");
            // Wherever it is cut, either it is no script, or what it would call is not there yet.
            let end = script.rfind("main").unwrap();
            for cut in 0..end {
                let part = script.get(..cut).unwrap_or_default();
                let is_there = part.contains("main() {");
                let calls = is_there && part.lines().any(|line| line.trim() == "main");
                assert!(!calls, "cut at {cut}");
            }
        }
    }

    #[test]
    fn values_are_quoted() {
        assert_eq!(assign("x", "it's"), "x='it'\\''s'\n");
    }

    #[test]
    fn comments_are_for_readers() {
        let told = without_comments("# one\na='#'\n\n    # two\nb # three\n");
        assert_eq!(told, "a='#'\nb # three\n");
    }
}
