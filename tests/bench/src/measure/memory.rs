//! What a connected agent costs the controller: the memory of one that knows a thousand nodes with
//! their servers, without and with their agents connected.

use std::time::Duration;

use super::Site;
use crate::args::Measure;
use crate::figure::{Figure, Target};
use crate::part::Part;
use crate::procfs::{footprint, processor_time};
use crate::samples::Samples;

const EACH: Target = Target {
    most: 64.0,
    words: "≤ 64 KiB",
};
const KIB: f64 = 1024.0;

pub(super) async fn measure(args: &Measure, site: &mut Site) -> anyhow::Result<Vec<Figure>> {
    let (settle, quiet) = if args.brief { (2, 5) } else { (15, 30) };
    let (settle, quiet) = (Duration::from_secs(settle), Duration::from_secs(quiet));
    site.load.disconnect().await?;
    site.controller.stop().await?;
    site.operator = site.controller.start().await?;
    let pid = site.controller.pid()?;
    tokio::time::sleep(settle).await;
    let without = footprint(pid)?.rss;
    site.load.connect().await?;
    tokio::time::sleep(settle).await;
    let before = processor_time(pid)?;
    tokio::time::sleep(quiet).await;
    let used = (processor_time(pid)? - before).as_secs_f64() / quiet.as_secs_f64() * 100.0;
    let with = footprint(pid)?.rss;
    let agents = site.load.size();
    let one = |value: f64| -> Samples { [value].into_iter().collect() };
    let figure = |what: String, unit| Figure::new(Part::Memory, what, unit);
    Ok(vec![
        figure(
            format!("controller, for each of {agents} connected agents"),
            "KiB",
        )
        .most(&one((with - without) / f64::from(agents) / KIB), Some(EACH)),
        figure(
            format!("controller that knows {agents} nodes, none connected: VmRSS"),
            "MiB",
        )
        .most(&one(without / KIB / KIB), None),
        figure(
            format!("controller with {agents} agents, nothing asked: processor"),
            "% of a core",
        )
        .most(&one(used), None),
    ])
}
