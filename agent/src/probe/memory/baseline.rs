//! What a service needs when it has settled, and how far beyond that it has grown. Pure.
//!
//! ```text
//!   samples:  1 … 10          11 … 15            16 …
//!             it still grows  the first mean     each mean of five: lower than the lowest so far →
//!             of itself       is the baseline    the baseline; else compared with it
//! ```
//!
//! Samples and not minutes are counted, so that the interval of the probe scales both. With the
//! usual one of a minute a baseline is known after a quarter of an hour.

use std::collections::VecDeque;

use extend_common::size;

/// A service that has just started fills its caches.
const SETTLING: u32 = 10;
/// A mean of so many samples: a short peak is nothing.
const WINDOW: usize = 5;
/// Growth that is no trouble to any node, whatever it is in percent.
const FLOOR: u64 = 64 * 1024 * 1024;

/// The memory of one run's samples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Baseline {
    samples: u32,
    last: VecDeque<u64>,
    lowest: Option<u64>,
}

/// What a sample says beside those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// There is nothing to compare with yet; so many samples more.
    Unknown(u32),
    /// By so many bytes and percent beyond the baseline.
    Beyond {
        /// The mean of the last samples.
        now: u64,
        /// The lowest mean.
        baseline: u64,
        /// How much more it is now.
        percent: u64,
    },
}

impl Baseline {
    /// Takes a sample in.
    pub(super) fn note(&mut self, bytes: u64) -> Growth {
        self.samples = self.samples.saturating_add(1);
        if self.samples <= SETTLING {
            return Growth::Unknown(self.missing());
        }
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(bytes);
        if self.last.len() < WINDOW {
            return Growth::Unknown(self.missing());
        }
        let sum: u128 = self.last.iter().map(|bytes| u128::from(*bytes)).sum();
        let mean = sum / u128::from(u32::try_from(WINDOW).unwrap_or(1));
        let now = u64::try_from(mean).unwrap_or(u64::MAX);
        let baseline = self.lowest.map_or(now, |lowest| lowest.min(now));
        self.lowest = Some(baseline);
        let more = u128::from(now - baseline) * 100 / u128::from(baseline.max(1));
        Growth::Beyond {
            now,
            baseline,
            percent: u64::try_from(more).unwrap_or(u64::MAX),
        }
    }

    fn missing(&self) -> u32 {
        let wanted = SETTLING.saturating_add(u32::try_from(WINDOW).unwrap_or(0));
        wanted.saturating_sub(self.samples)
    }
}

impl Growth {
    /// Whether it is within what is allowed, in percent; why not, in words. What nobody can tell
    /// yet is the outer error.
    pub(super) fn judge(self, maximum: u32) -> Result<Result<(), String>, String> {
        let (now, baseline, percent) = match self {
            Self::Unknown(1) => return Err("its baseline needs 1 sample more".to_owned()),
            Self::Unknown(missing) => {
                return Err(format!("its baseline needs {missing} samples more"));
            }
            Self::Beyond {
                now,
                baseline,
                percent,
            } => (now, baseline, percent),
        };
        if percent <= u64::from(maximum) || now - baseline < FLOOR {
            return Ok(Ok(()));
        }
        let (now, baseline) = (size::show(now), size::show(baseline));
        Ok(Err(format!(
            "{now}, {percent} % more than its baseline of {baseline}; {maximum} % are allowed"
        )))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MB: u64 = 1_000_000;

    fn fed(samples: impl IntoIterator<Item = u64>) -> Growth {
        let mut baseline = Baseline::default();
        let noted = samples.into_iter().map(|bytes| baseline.note(bytes));
        noted.last().unwrap()
    }

    fn steady(bytes: u64, count: usize) -> impl Iterator<Item = u64> {
        std::iter::repeat_n(bytes, count)
    }

    #[test]
    fn nothing_is_said_before_there_is_a_baseline_and_the_beginning_is_no_part_of_it() {
        let words = fed(steady(MB, 14)).judge(100).unwrap_err();
        assert_eq!(words, "its baseline needs 1 sample more");
        assert_eq!(fed(steady(MB, 3)), Growth::Unknown(12));
        // Small while it starts, as every service.
        let grown = fed(steady(10 * MB, 10).chain(steady(300 * MB, 5)));
        assert_eq!(grown.judge(100), Ok(Ok(())));
    }

    #[test]
    fn a_leak_is_told_with_its_figures_and_a_peak_is_none() {
        let settled = || steady(200 * MB, 15);
        let leaked = fed(settled().chain(steady(500 * MB, 5)));
        let words = "500.0 MB, 150 % more than its baseline of 200.0 MB; 100 % are allowed";
        assert_eq!(leaked.judge(100), Ok(Err(words.to_owned())));
        assert_eq!(leaked.judge(150), Ok(Ok(())));
        let peak = fed(settled().chain([900 * MB]));
        assert_eq!(peak.judge(100), Ok(Ok(())));
    }

    #[test]
    fn the_baseline_is_the_lowest_mean_and_goes_down_with_it() {
        let later = steady(400 * MB, 15).chain(steady(100 * MB, 5));
        let words = fed(later.chain(steady(300 * MB, 5))).judge(100);
        assert!(words.unwrap().unwrap_err().contains("baseline of 100.0 MB"));
    }

    #[test]
    fn a_small_service_may_double() {
        let doubled = fed(steady(5 * MB, 15).chain(steady(11 * MB, 5)));
        assert_eq!(doubled.judge(100), Ok(Ok(())));
        let grown = fed(steady(5 * MB, 15).chain(steady(90 * MB, 5)));
        grown.judge(100).unwrap().unwrap_err();
    }

    proptest! {
        #[test]
        fn whatever_comes_is_taken(samples in prop::collection::vec(any::<u64>(), 1..60)) {
            let lowest = samples.iter().copied().min().unwrap();
            match fed(samples.iter().copied()) {
                Growth::Unknown(missing) => {
                    prop_assert_eq!(samples.len() + missing as usize, 15);
                }
                Growth::Beyond { now, baseline, .. } => {
                    prop_assert!(samples.len() >= 15 && lowest <= baseline && baseline <= now);
                }
            }
        }
    }
}
