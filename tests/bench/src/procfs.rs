//! What the kernel says of a process.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The memory of a process that is in RAM, in bytes, and its threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) rss: f64,
    /// What of it is the process's own; the rest is its program, which the kernel can drop.
    pub(crate) anonymous: f64,
    pub(crate) threads: u32,
}

/// `VmRSS`, `RssAnon` and `Threads`.
pub(crate) fn footprint(pid: u32) -> anyhow::Result<Footprint> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let field = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next())
    };
    let kib = |key| -> anyhow::Result<f64> {
        let value: f64 = field(key).with_context(|| format!("no {key}"))?.parse()?;
        Ok(value * 1024.0)
    };
    Ok(Footprint {
        rss: kib("VmRSS")?,
        anonymous: kib("RssAnon")?,
        threads: field("Threads").context("no Threads")?.parse()?,
    })
}

/// The processor time that a process has used with all its threads, those that have ended too. Its
/// own clock counts nanoseconds: the ticks of `stat` are coarse for a process that does next to
/// nothing.
pub(crate) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let process = Pid::from_raw(i32::try_from(pid)?);
    let clock = clock_getcpuclockid(process).with_context(|| format!("the clock of {pid}"))?;
    Ok(Duration::from(clock_gettime(clock)?))
}
