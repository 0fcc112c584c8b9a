//! What slows the processors down, and whether the machine may fall asleep.

use std::path::Path;

use super::super::facts::{Known, Power};
use super::{below, names, read, read_file};

const PROCESSORS: &str = "/sys/devices/system/cpu";
/// What the kernel can be put to: `freeze mem disk`.
const SLEEP_STATES: &str = "/sys/power/state";
/// Where administrators and packages mask units.
const MASKS: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];
/// Every way to sleep goes by this unit.
const SLEEP: &str = "sleep.target";

pub(super) fn power(root: &Path) -> Known<Power> {
    let processors = below(root, PROCESSORS);
    if let Err(error) = std::fs::read_dir(&processors) {
        return Err(format!("{PROCESSORS}: {error}"));
    }
    let is_one = |name: &String| {
        let number = name.strip_prefix("cpu");
        number.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
    };
    let governors = names(&processors)
        .into_iter()
        .filter(is_one)
        .filter_map(|name| {
            let text = read_file(&processors.join(name).join("cpufreq/scaling_governor")).ok()?;
            Some(text.trim().chars().take(32).collect::<String>())
        });
    let states = read(root, SLEEP_STATES).unwrap_or_default();
    let is_masked = |directory: &str| {
        let unit = below(root, directory).join(SLEEP);
        std::fs::read_link(unit).is_ok_and(|to| to == Path::new("/dev/null"))
    };
    Ok(Power {
        governors: governors.collect(),
        can_sleep: states
            .split_ascii_whitespace()
            .any(|state| state != "freeze"),
        sleep_masked: MASKS.into_iter().any(is_masked),
    })
}
