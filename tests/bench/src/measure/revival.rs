//! A controller that is killed while a thousand agents are connected, and started again at once, as
//! a service manager does: until it answers what `extend status` asks, and until everybody is back.

use std::time::{Duration, Instant};

use super::Site;
use crate::args::Measure;
use crate::figure::{Figure, Target};
use crate::part::Part;
use crate::samples::Samples;

const SERVING: Target = Target {
    most: 2_000.0,
    words: "≤ 2 s",
};
/// Between two deaths.
const REST: Duration = Duration::from_secs(3);

pub(super) async fn measure(args: &Measure, site: &mut Site) -> anyhow::Result<Vec<Figure>> {
    let rounds = if args.brief { 1 } else { 5 };
    let (mut serving, mut back) = (Samples::default(), Samples::default());
    let agents = site.load.size();
    for _ in 0..rounds {
        tokio::time::sleep(REST).await;
        let began = Instant::now();
        site.controller.kill()?;
        site.operator = site.controller.start().await?;
        serving.push(began.elapsed().as_secs_f64() * 1e3);
        let count = usize::try_from(agents)?;
        site.controller.await_online(&site.operator, count).await?;
        back.push(began.elapsed().as_secs_f64() * 1e3);
        site.load.await_welcomed().await?;
    }
    let figure = |what: String| Figure::new(Part::Revival, what, "ms");
    Ok(vec![
        figure(format!(
            "controller killed with {agents} agents: answers `extend status` again after"
        ))
        .most(&serving, Some(SERVING)),
        figure(format!(
            "controller killed with {agents} agents: all are back after"
        ))
        .most(&back, None),
    ])
}
