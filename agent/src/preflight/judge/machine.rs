//! The machine: its clock, its power, its disk.

use extend_common::checkup::{Check, CheckName};
use extend_common::host::ClockState;
use extend_common::roles::RoleDefinition;
use extend_common::size;

use super::super::facts::{DataDisk, Power};
use super::of;

/// Of a disk that is sold as so large, this much is there at least: partitions and the file system
/// take their part. In percent.
const USABLE: u64 = 90;
/// Disks are sold by this.
const GB: u64 = 1_000_000_000;
/// The governor that holds the processors at their lowest, or lets them follow slowly.
const SLOW: [&str; 2] = ["powersave", "conservative"];
const MASK: &str =
    "systemctl mask sleep.target suspend.target hibernate.target hybrid-sleep.target";

pub(super) fn clock(state: Result<&ClockState, String>) -> Check {
    let name = CheckName::Clock;
    match state {
        Ok(ClockState::Synchronized) => Check::ok(name, "synchronised"),
        Ok(ClockState::Unsynchronized) => {
            let found = "a time service runs, and the clock is not synchronised";
            Check::fail(
                name,
                found,
                "timedatectl timesync-status, or chronyc tracking",
            )
        }
        Err(why) => Check::unknown(name, why).with_fix("apt-get install chrony"),
    }
}

pub(super) fn power_saving(power: Result<&Power, String>) -> Check {
    let name = CheckName::PowerSaving;
    of(name, power, |power| {
        let slow = power
            .governors
            .iter()
            .find(|governor| SLOW.contains(&governor.as_str()));
        let falls_asleep = power.can_sleep && !power.sleep_masked;
        match (slow, falls_asleep) {
            (Some(governor), _) => {
                let found = format!("the processors are governed by `{governor}`");
                Check::warn(name, found, "cpupower frequency-set -g performance")
            }
            (None, true) => Check::warn(name, "the machine can be put to sleep", MASK),
            (None, false) if power.governors.is_empty() => {
                Check::ok(name, "no processor is slowed down, and it does not sleep")
            }
            (None, false) => {
                let all: Vec<_> = power.governors.iter().map(String::as_str).collect();
                Check::ok(
                    name,
                    format!("governed by {}, and it does not sleep", all.join(", ")),
                )
            }
        }
    })
}

pub(super) fn disk_size(disk: Result<&DataDisk, String>, role: Option<&RoleDefinition>) -> Check {
    let name = CheckName::DiskSize;
    let Some(role) = role else {
        return Check::unknown(name, "how large it must be depends on the role")
            .with_fix("-s TYPE");
    };
    of(name, disk, |disk| {
        let (least, advised) = (
            role.preflight.disk_minimum_gb,
            role.preflight.disk_recommended_gb,
        );
        let is_at_least = |gb: u64| disk.total >= gb.saturating_mul(GB) / 100 * USABLE;
        let found = format!("{} at {}", size::show(disk.total), disk.path.display());
        let title = &role.title;
        if is_at_least(advised) {
            return Check::ok(name, found);
        }
        let fix = format!("a disk of {advised} GB");
        if is_at_least(least) {
            return Check::warn(name, format!("{found}; {advised} GB are recommended"), fix);
        }
        Check::fail(name, format!("{found}; a {title} needs {least} GB"), fix)
    })
}
