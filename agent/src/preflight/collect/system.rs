//! Which system this is, which updates wait, and how large the data's disk is.

use std::path::Path;

use extend_common::clock::since;
use jiff::Timestamp;

use super::super::facts::{DataDisk, Known, Os, Updates};
use super::{below, read};
use crate::host::figures;

/// Written by Ubuntu's update-notifier after every look for updates.
const UPDATES: &str = "/var/lib/update-notifier/updates-available";
/// There while a restart of the machine is wanted.
const REBOOT: &str = "/run/reboot-required";
/// Texts of others, in characters.
const MAX_WORD: usize = 80;

pub(super) fn os(root: &Path) -> Known<Os> {
    let text =
        read(root, "/etc/os-release").map_err(|error| format!("/etc/os-release: {error}"))?;
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let plain = line.unwrap_or_default().trim().trim_matches(['"', '\'']);
        plain.chars().take(MAX_WORD).collect::<String>()
    };
    let id = value("ID");
    if id.is_empty() {
        return Err("/etc/os-release names no system".to_owned());
    }
    let (version, name) = (value("VERSION_ID"), value("PRETTY_NAME"));
    let name = if name.is_empty() {
        format!("{id} {version}")
    } else {
        name
    };
    Ok(Os { id, version, name })
}

/// As update-notifier has found at its last look. Asking apt itself takes many seconds and a lock.
pub(super) fn updates(root: &Path) -> Known<Updates> {
    let text = read(root, UPDATES).map_err(|error| format!("{UPDATES}: {error}"))?;
    let told = below(root, UPDATES)
        .metadata()
        .and_then(|file| file.modified());
    let told = told.ok().and_then(|told| Timestamp::try_from(told).ok());
    // A time in the future is no age.
    let age = told.map(|told| since(told, Timestamp::now()));
    // "12 updates can be applied immediately.", "5 of these updates are standard security updates."
    let count = |words: &[&str]| {
        text.lines().find_map(|line| {
            let (number, rest) = line.trim().split_once(' ')?;
            let number: u32 = number.parse().ok()?;
            words
                .iter()
                .any(|words| rest.starts_with(words))
                .then_some(number)
        })
    };
    let pending = count(&["update can be", "updates can be"]);
    let pending = pending.ok_or_else(|| format!("{UPDATES} does not say how many there are"))?;
    Ok(Updates {
        pending,
        security: count(&[
            "of these updates is a standard sec",
            "of these updates are standard sec",
        ])
        .unwrap_or(0),
        reboot: below(root, REBOOT).exists(),
        age: age.unwrap_or_default(),
    })
}

pub(super) fn disk(root: &Path, data: &Path) -> Known<DataDisk> {
    let path = below(root, &data.to_string_lossy());
    let total = figures::total_space(&path);
    let total =
        total.ok_or_else(|| format!("the file system of {} does not tell", data.display()))?;
    Ok(DataDisk {
        path: data.to_owned(),
        total,
    })
}
