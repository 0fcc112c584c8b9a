//! How this machine does: samples processor, load, memory, disks, uptime and clock, and keeps the
//! last sample where the session finds it.
//!
//! `daemon` starts [`keep`] and gives the other end to the session. Nothing here decides anything,
//! and whatever cannot be learnt stays unknown. A file system that hangs holds up the samples and
//! nothing else: the sample's age shows it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use extend_common::host::{AgedFigures, ClockState, Disk, HostFigures, LoadAverages, Memory};
use jiff::Timestamp;
use nix::sys::statvfs::statvfs;
use sysinfo::{MemoryRefreshKind, System};

use super::clock::TimeService;
use crate::docker::Docker as _;
use crate::docker::engine::Engine;
use crate::latest::{self, Latest, Teller};

/// Often enough for a person who looks, and less than a thousandth of a core.
const EVERY: Duration = Duration::from_secs(10);
/// The use of processors is known only from the second sample on: people need not wait for it.
const SECOND: Duration = Duration::from_secs(1);

/// What a session tells of the machine. Clones see the same samples.
#[derive(Debug, Clone)]
pub struct Figures {
    samples: Latest<HostFigures>,
    wall: fn() -> Option<Timestamp>,
}

impl Figures {
    /// For a machine that is only simulated: nothing is ever told.
    pub fn none() -> Self {
        Self {
            samples: Latest::none(),
            wall: || None,
        }
    }

    /// The machine's wall clock, with its jumps; none where there is no machine.
    pub fn wall_clock(&self) -> Option<Timestamp> {
        (self.wall)()
    }

    /// Whether something keeps the clock right, by the last sample.
    pub fn clock(&self) -> Option<ClockState> {
        self.samples.look(|figures| figures.clock).flatten()
    }

    /// The last sample, if it was not taken here before. A new clone takes it again.
    pub fn take_news(&mut self) -> Option<AgedFigures> {
        let (figures, age) = self.samples.take()?;
        Some(AgedFigures { age, figures })
    }

    /// The same samples for a new session, which has told none of them.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self {
            samples: self.samples.anew(),
            wall: self.wall,
        }
    }
}

/// Begins to sample. The future does so for as long as it is polled.
pub fn keep(data: PathBuf, engine: Arc<Engine>) -> (Figures, impl Future<Output = ()>) {
    let (to, samples) = latest::channel();
    let wall = || Some(Timestamp::now());
    (Figures { samples, wall }, sample_for_ever(data, engine, to))
}

async fn sample_for_ever(data: PathBuf, engine: Arc<Engine>, to: Teller<HostFigures>) {
    let mut sampler = Sampler::new(data);
    let mut service = TimeService::default();
    let mut pause = SECOND;
    loop {
        if sampler.docker_root.is_none() {
            sampler.docker_root = engine.data_root().await;
        }
        let work = tokio::task::spawn_blocking(move || {
            let figures = sampler.sample();
            (sampler, figures)
        });
        let Ok((back, mut figures)) = work.await else {
            tracing::error!("the figures of this machine are no longer sampled");
            return;
        };
        sampler = back;
        figures.clock = service.state().await;
        to.tell(figures);
        tokio::time::sleep(pause).await;
        pause = EVERY;
    }
}

/// Reads what the kernel tells. Holds the one `System` there is, without any list of processes.
struct Sampler {
    system: Option<System>,
    /// Whether the use of processors has a sample before it.
    compared: bool,
    data: PathBuf,
    docker_root: Option<PathBuf>,
}

impl Sampler {
    fn new(data: PathBuf) -> Self {
        Self {
            system: System::new().ok(),
            compared: false,
            data,
            docker_root: None,
        }
    }

    fn sample(&mut self) -> HostFigures {
        let mut figures = HostFigures {
            load: System::load_average().ok().map(|load| LoadAverages {
                one: hundredths(load.one),
                five: hundredths(load.five),
                fifteen: hundredths(load.fifteen),
            }),
            uptime: System::uptime().ok().map(Duration::from_secs),
            disks: disks(&self.data, self.docker_root.as_deref()),
            ..HostFigures::default()
        };
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            figures.processors = u32::try_from(system.cpus().len())
                .ok()
                .filter(|count| *count > 0);
            if self.compared {
                figures.processor_permille = permille(system.global_cpu_usage());
            }
            self.compared = true;
            let (total, used) = (system.total_memory(), system.used_memory());
            figures.memory = (total > 0).then_some(Memory { total, used });
        }
        figures
    }
}

/// The file system of the services' data, and that of Docker's own if it is another one.
fn disks(data: &Path, docker_root: Option<&Path>) -> Vec<Disk> {
    let data_device = device(data);
    let docker = docker_root.filter(|root| device(root).is_none_or(|d| Some(d) != data_device));
    [Some(data), docker]
        .into_iter()
        .flatten()
        .filter_map(disk)
        .collect()
}

/// The directory that is there: before the first server's deployment its data has none.
fn present(path: &Path) -> &Path {
    let there = |path: &&Path| path.exists();
    path.ancestors().find(there).unwrap_or(Path::new("/"))
}

fn device(path: &Path) -> Option<u64> {
    present(path).metadata().ok().map(|metadata| metadata.dev())
}

/// How many bytes whoever is not root can still write where `path` is, or would be.
pub fn free_space(path: &Path) -> Option<u64> {
    disk(path).map(|disk| disk.free)
}

/// How large the file system is that `path` is on, or would be.
pub fn total_space(path: &Path) -> Option<u64> {
    disk(path).map(|disk| disk.total)
}

fn disk(path: &Path) -> Option<Disk> {
    let figures = statvfs(present(path)).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(figures.fragment_size());
    let total = bytes(figures.blocks());
    (total > 0).then(|| Disk {
        path: path.display().to_string(),
        total,
        free: bytes(figures.blocks_available()),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floats saturate; these are clamped before"
)]
fn hundredths(load: f64) -> u32 {
    (load * 100.0).round().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before"
)]
fn permille(percent: f32) -> Option<u16> {
    percent
        .is_finite()
        .then(|| (percent * 10.0).round().clamp(0.0, 1_000.0) as u16)
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
