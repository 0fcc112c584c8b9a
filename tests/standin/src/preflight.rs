//! What the host must have prepared before a server starts: its user and its directories.

use std::fs::{self, OpenOptions};
use std::path::Path;

/// The uid and gid of `portsip` in the official image.
const PORTSIP: u32 = 888;
/// What the host makes below the data directory before the first start.
const DIRECTORIES: [&str; 4] = ["callqueue", "dump", "log", "mcu/record"];

/// Refuses to run as anyone but `portsip`, user and group.
pub(crate) fn check_user() -> Result<(), String> {
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("cannot read /proc/self/status: {error}"))?;
    match (effective(&status, "Uid:"), effective(&status, "Gid:")) {
        (Some(PORTSIP), Some(PORTSIP)) => Ok(()),
        (Some(uid), Some(gid)) => Err(format!(
            "runs as uid {uid}, gid {gid} instead of portsip ({PORTSIP}:{PORTSIP})"
        )),
        _ => Err("cannot find the user in /proc/self/status".to_owned()),
    }
}

/// The effective id in a `Uid:` or `Gid:` line: real, effective, saved, file system.
fn effective(status: &str, field: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Refuses a data directory in which a server could not write all it has to. Making a file is
/// the only honest test: modes say nothing about a read-only mount.
pub(crate) fn check_directories(data_dir: &Path) -> Result<(), String> {
    for directory in DIRECTORIES {
        let directory = data_dir.join(directory);
        let shown = directory.display();
        let metadata = fs::metadata(&directory).map_err(|error| format!("{shown}: {error}"))?;
        if !metadata.is_dir() {
            return Err(format!("{shown} is not a directory"));
        }
        let trial = directory.join(".standin-can-write");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&trial)
            .and_then(|_| fs::remove_file(&trial))
            .map_err(|error| format!("{shown} is not writable: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_id_is_the_second() {
        let status = "Name:\tmediaserver\nUid:\t0\t888\t1\t2\nGid:\t3\t889\t4\t5\n";
        assert_eq!(effective(status, "Uid:"), Some(888));
        assert_eq!(effective(status, "Gid:"), Some(889));
        assert_eq!(effective("Uid:\t0\n", "Uid:"), None);
    }

    #[test]
    fn every_directory_is_wanted() {
        let data = std::env::temp_dir().join(format!("pbx-standin-dirs-{}", std::process::id()));
        for directory in DIRECTORIES {
            fs::create_dir_all(data.join(directory)).unwrap();
        }
        assert_eq!(check_directories(&data), Ok(()));
        assert_eq!(
            fs::read_dir(data.join("log")).unwrap().count(),
            0,
            "the trial file is gone"
        );
        fs::remove_dir(data.join("mcu/record")).unwrap();
        let missing = check_directories(&data).unwrap_err();
        assert!(missing.contains("mcu/record"), "{missing}");
        fs::write(data.join("mcu/record"), "").unwrap();
        let file = check_directories(&data).unwrap_err();
        assert!(file.ends_with("mcu/record is not a directory"), "{file}");
        fs::remove_dir_all(&data).unwrap();
    }
}
