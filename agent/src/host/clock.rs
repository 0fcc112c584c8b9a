//! Whether something keeps this machine's clock right.
//!
//! The kernel's own word (`adjtimex`) cannot be had without unsafe code, so that the time services
//! are asked: systemd-timesyncd by the file it leaves, chrony by its command. Where neither runs
//! nobody knows, and that is what is told.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use extend_common::host::ClockState;
use tokio::process::Command;
use tokio::time::Instant;

/// systemd-timesyncd's directory, there while it runs.
const TIMESYNC: &str = "/run/systemd/timesync";
/// Made in it at the first synchronisation since the boot.
const TIMESYNC_DONE: &str = "synchronized";
/// chrony's directory, there while it runs. Only its own user may look into it.
const CHRONY: &str = "/run/chrony";
/// Asking chrony is a process: not for every sample.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// chronyc answers at once or waits for an answer that does not come.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// The column of `chronyc -c tracking` that says whether it is synchronised.
const LEAP_STATUS: usize = 13;

/// What the time services told last.
#[derive(Debug, Default)]
pub(super) struct TimeService {
    asked: Option<Instant>,
    told: Option<ClockState>,
}

impl TimeService {
    /// Whether the clock is synchronised; none when nobody knows.
    pub(super) async fn state(&mut self) -> Option<ClockState> {
        if let Some(state) = timesyncd(Path::new(TIMESYNC)) {
            return Some(state);
        }
        if !Path::new(CHRONY).is_dir() {
            return None;
        }
        if self.asked.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
            self.told = chrony().await;
            self.asked = Some(Instant::now());
        }
        self.told
    }
}

fn timesyncd(directory: &Path) -> Option<ClockState> {
    if !directory.is_dir() {
        return None;
    }
    Some(if directory.join(TIMESYNC_DONE).exists() {
        ClockState::Synchronized
    } else {
        ClockState::Unsynchronized
    })
}

async fn chrony() -> Option<ClockState> {
    let mut command = Command::new("chronyc");
    command
        .args(["-n", "-c", "tracking"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(ASK_LIMIT, command.output()).await;
    let output = output.ok()?.ok()?;
    read_tracking(&String::from_utf8_lossy(&output.stdout))
}

fn read_tracking(line: &str) -> Option<ClockState> {
    match line.trim_end().split(',').nth(LEAP_STATUS)? {
        "Normal" | "Insert second" | "Delete second" => Some(ClockState::Synchronized),
        "Not synchronised" => Some(ClockState::Unsynchronized),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timesyncd_tells_by_a_file() {
        let run = tempfile::tempdir().unwrap();
        let directory = run.path().join("timesync");
        assert_eq!(timesyncd(&directory), None, "it does not run");
        std::fs::create_dir(&directory).unwrap();
        assert_eq!(timesyncd(&directory), Some(ClockState::Unsynchronized));
        std::fs::write(directory.join("synchronized"), "").unwrap();
        assert_eq!(timesyncd(&directory), Some(ClockState::Synchronized));
    }

    #[test]
    fn chrony_tells_in_the_last_column() {
        let tracking = |status: &str| {
            format!(
                "A9FEA97B,169.254.169.123,4,1795354036.658893836,0.000001,0.0,0.0,-1.5,0.0,0.1,\
                 0.0003,0.0002,16.1,{status}\n"
            )
        };
        for (status, state) in [
            ("Normal", Some(ClockState::Synchronized)),
            ("Insert second", Some(ClockState::Synchronized)),
            ("Not synchronised", Some(ClockState::Unsynchronized)),
            ("who knows", None),
        ] {
            assert_eq!(read_tracking(&tracking(status)), state, "{status}");
        }
        assert_eq!(read_tracking("506 Cannot talk to daemon\n"), None);
        assert_eq!(read_tracking(""), None);
    }
}
