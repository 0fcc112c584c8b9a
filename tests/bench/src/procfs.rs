//! What the kernel says of a process.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// The memory of a process that is in RAM, in bytes, and its threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) rss: f64,
    pub(crate) threads: u32,
}

/// `VmRSS` and `Threads`.
pub(crate) fn footprint(pid: u32) -> anyhow::Result<Footprint> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let field = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next())
    };
    let kib: f64 = field("VmRSS").context("no VmRSS")?.parse()?;
    let threads = field("Threads").context("no Threads")?.parse()?;
    Ok(Footprint {
        rss: kib * 1024.0,
        threads,
    })
}

/// The processor time that all threads of a process have used. The scheduler's own account, in
/// nanoseconds: the ticks of `stat` are too coarse for a process that does next to nothing.
pub(crate) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let tasks = format!("/proc/{pid}/task");
    let mut nanos = 0_u64;
    for task in fs::read_dir(&tasks).with_context(|| format!("listing {tasks}"))? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let on = text.split(' ').next().context("an empty schedstat")?;
        nanos += on.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}
