//! The memory of a container, by the Engine's statistics.

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt as _;

/// The one figure that `docker stats` would begin with: asked without waiting a second for another.
pub(super) async fn told(
    client: &Docker,
    id: &str,
) -> Result<Option<ContainerStatsResponse>, Error> {
    let options = StatsOptionsBuilder::default().stream(false).one_shot(true);
    let mut told = Box::pin(client.stats(id, Some(options.build())));
    told.next().await.transpose()
}

/// What its processes have. The kernel counts the files that they have read as theirs, and gives
/// back those that nobody has used lately when memory is wanted: they are left out, as `docker
/// stats` does. The word for them is another one in each version of cgroups.
pub(super) fn used(told: ContainerStatsResponse) -> Option<u64> {
    let ContainerMemoryStats { usage, stats, .. } = told.memory_stats?;
    let stats = stats.unwrap_or_default();
    let files = ["total_inactive_file", "inactive_file"];
    let files = files.into_iter().find_map(|word| stats.get(word));
    Some(usage?.saturating_sub(files.copied().unwrap_or(0)))
}
