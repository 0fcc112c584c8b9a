//! One step of a history: what was seen of a server in a minute, ten minutes or two hours.
//!
//! Steps only ever take more in: highest, lowest and longest values, and whole seconds. So it does
//! not matter in which order things are told, and what a coarse step says is what its fine ones
//! say together.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use extend_common::status::Health;

/// What was seen at one moment beside the health. What nobody knows is none, and never a zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// All processors together, in tenths of a percent.
    pub processor: Option<u16>,
    /// The host's memory that is in use, in tenths of a percent.
    pub memory: Option<u16>,
    /// What the fullest of its disks has left, in tenths of a percent.
    pub disk_free: Option<u16>,
    /// How many sessions the server has.
    pub sessions: Option<u16>,
    /// The memory of its container, in MiB.
    pub service_memory: Option<u16>,
    /// How long the slowest probe that passed took, in milliseconds.
    pub slowest: Option<u16>,
}

/// What was seen within one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Step {
    /// Which one: the seconds of its begin since 1970, over its length.
    pub index: u32,
    /// So many seconds of it the health was known. The others are a gap.
    pub known: u16,
    /// So many of these it was healthy, or draining because an operator wants it to.
    pub healthy: u16,
    /// The worst health that was seen, by [`rank`]; none when none was.
    worst: Option<Rank>,
    /// The sum of the processors' use,
    processor: u32,
    /// and of how many moments.
    processors: u16,
    memory: Most,
    disk_free: Least,
    sessions: Most,
    service_memory: Most,
    slowest: Most,
}

/// A value and one: a step is a third smaller for it, and there are hundreds of a server. The
/// highest value of all is told as the one below.
fn packed(value: u16) -> Option<NonZeroU16> {
    NonZeroU16::new(value.saturating_add(1))
}

fn unpacked(value: Option<NonZeroU16>) -> Option<u16> {
    value.map(|value| value.get() - 1)
}

/// The highest value that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Most(Option<NonZeroU16>);

/// The lowest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Least(Option<NonZeroU16>);

impl Most {
    fn take(&mut self, value: Option<u16>) {
        self.0 = self.0.max(value.and_then(packed));
    }

    #[cfg(test)]
    fn merge(&mut self, other: Self) {
        self.0 = self.0.max(other.0);
    }
}

impl Least {
    fn take(&mut self, value: Option<u16>) {
        self.merge(Self(value.and_then(packed)));
    }

    fn merge(&mut self, other: Self) {
        self.0 = match (self.0, other.0) {
            (Some(present), Some(value)) => Some(present.min(value)),
            (present, value) => present.or(value),
        };
    }
}

/// A health as rows have it: the worse, the higher. Never renumbered.
type Rank = u8;

/// How bad a health is; none for what says that nobody knows.
fn rank(health: Health) -> Option<Rank> {
    match health {
        Health::Healthy => Some(0),
        Health::Draining => Some(1),
        Health::Stopped => Some(2),
        Health::Starting => Some(3),
        Health::Unhealthy => Some(4),
        Health::Quarantined => Some(5),
        Health::Unclaimed | Health::Unknown => None,
    }
}

fn ranked(rank: Rank) -> Option<Health> {
    let health = match rank {
        0 => Health::Healthy,
        1 => Health::Draining,
        2 => Health::Stopped,
        3 => Health::Starting,
        4 => Health::Unhealthy,
        5 => Health::Quarantined,
        _ => return None,
    };
    Some(health)
}

/// How a server is, as steps count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// One that says something: of the others a history has gaps.
    pub(super) health: Health,
    /// Whether the time counts as healthy. Draining does when it is meant, and not when the service
    /// turns new calls away by itself.
    is_good: bool,
}

impl State {
    /// The state of a server; none where the health says that nobody knows.
    pub(super) fn of(health: Health, refusing: bool) -> Option<Self> {
        let is_good = match health {
            Health::Healthy => true,
            Health::Draining => !refusing,
            _ => false,
        };
        rank(health).map(|_| Self { health, is_good })
    }

    pub(super) fn is_good(self) -> bool {
        self.is_good
    }
}

impl Step {
    /// A step of which nothing is known yet.
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            ..Self::default()
        }
    }

    /// The same under another index.
    pub(super) fn numbered(self, index: u32) -> Self {
        Self { index, ..self }
    }

    /// The worst health that was seen.
    #[must_use]
    pub fn worst(&self) -> Option<Health> {
        self.worst.and_then(ranked)
    }

    /// The figures: of the processors the mean, of the others what was worst.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mean = self.processor.checked_div(u32::from(self.processors));
        Figures {
            processor: mean.and_then(|mean| u16::try_from(mean).ok()),
            memory: unpacked(self.memory.0),
            disk_free: unpacked(self.disk_free.0),
            sessions: unpacked(self.sessions.0),
            service_memory: unpacked(self.service_memory.0),
            slowest: unpacked(self.slowest.0),
        }
    }

    /// Notes that a health was seen, for however short.
    pub(super) fn see(&mut self, health: Health) {
        self.worst = self.worst.max(rank(health));
    }

    /// Counts so many seconds of a state. A step has no more of them than it is long.
    pub(super) fn count(&mut self, state: State, seconds: u32, length: u32) {
        self.see(state.health);
        let most = u16::try_from(length).unwrap_or(u16::MAX);
        let seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
        self.known = self.known.saturating_add(seconds).min(most);
        if state.is_good {
            self.healthy = self.healthy.saturating_add(seconds).min(self.known);
        }
    }

    /// Takes the figures of a moment in.
    pub(super) fn note(&mut self, figures: &Figures) {
        if let Some(processor) = figures.processor
            && let Some(more) = self.processors.checked_add(1)
        {
            self.processors = more;
            self.processor = self.processor.saturating_add(processor.into());
        }
        self.memory.take(figures.memory);
        self.disk_free.take(figures.disk_free);
        self.sessions.take(figures.sessions);
        self.service_memory.take(figures.service_memory);
        self.slowest.take(figures.slowest);
    }

    /// Takes another step of the same server in.
    #[cfg(test)]
    pub(super) fn merge(&mut self, other: &Self) {
        self.known = self.known.saturating_add(other.known);
        self.healthy = self.healthy.saturating_add(other.healthy);
        self.worst = self.worst.max(other.worst);
        self.processor = self.processor.saturating_add(other.processor);
        self.processors = self.processors.saturating_add(other.processors);
        self.memory.merge(other.memory);
        self.disk_free.merge(other.disk_free);
        self.sessions.merge(other.sessions);
        self.service_memory.merge(other.service_memory);
        self.slowest.merge(other.slowest);
    }
}
