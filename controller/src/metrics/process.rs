//! The process itself, under the names that Prometheus has for every process.

use std::fs;

use jiff::Timestamp;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};

use super::page::{Page, Value};
use super::table;

/// What cannot be learnt is left out.
pub(super) fn show(page: &mut Page, started: Timestamp) {
    page.moment(&table::PROCESS_START, [], started);
    if let Some(seconds) = processor_seconds() {
        page.put(&table::PROCESS_CPU, [], Value::Seconds(seconds));
    }
    if let Some(bytes) = resident() {
        page.number(&table::PROCESS_RESIDENT, [], bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory that is being read.
        let open = u64::try_from(open.count()).unwrap_or_default();
        page.number(&table::PROCESS_FDS, [], open.saturating_sub(1));
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        page.number(&table::PROCESS_MAX_FDS, [], soft);
    }
}

fn processor_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Some(std::time::Duration::from_micros(u64::try_from(micros).ok()?).as_secs_f64())
}

/// The second figure of `statm` is in pages.
fn resident() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let size = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(u64::try_from(size).ok()?)
}
