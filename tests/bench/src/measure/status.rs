//! `extend status` of four servers, from the start of its process to its end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::Fleet;
use crate::args::Measure;
use crate::figure::{Figure, Target};
use crate::part::Part;
use crate::samples::Samples;

const WHOLE: Target = Target {
    most: 10.0,
    words: "≤ 10 ms",
};

pub(super) fn measure(args: &Measure, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let count = if args.brief { 20 } else { 200 };
    let status = whole(count, || fleet.controller.extend(&["status"]))?;
    // What this machine takes for a process that does nothing.
    let nothing = whole(count, || Command::new("true"))?;
    Ok(vec![
        Figure::new(
            Part::Status,
            "`extend status` of 4 servers, whole process",
            "ms",
        )
        .p95(&status, Some(WHOLE)),
        Figure::new(Part::Status, "for comparison: `true`, whole process", "ms")
            .p95(&nothing, None),
    ])
}

fn whole(count: usize, make: impl Fn() -> Command) -> anyhow::Result<Samples> {
    let run = || -> anyhow::Result<Duration> {
        let mut command = make();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let began = Instant::now();
        let status = command.status()?;
        let took = began.elapsed();
        ensure!(status.success(), "{command:?}: {status}");
        Ok(took)
    };
    // Once for the page cache.
    run()?;
    let taken = (0..count).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    Ok(Samples::millis(taken))
}
