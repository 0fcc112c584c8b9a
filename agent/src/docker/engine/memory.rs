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

/// What its processes have themselves: memory of their own and what they share. The files that they
/// have read or written are the kernel's, which keeps them as long as there is room: a service that
/// records calls would seem to leak. The words are others in each version of cgroups.
pub(super) fn used(told: ContainerStatsResponse) -> Option<u64> {
    let ContainerMemoryStats { usage, stats, .. } = told.memory_stats?;
    let stats = stats.unwrap_or_default();
    let versions = [("total_rss", "total_shmem"), ("anon", "shmem")];
    let own = versions.into_iter().find_map(|(own, shared)| {
        let shared = stats.get(shared).copied().unwrap_or(0);
        Some(stats.get(own)?.saturating_add(shared))
    });
    // An Engine that tells no more than the sum.
    own.or(usage)
}
