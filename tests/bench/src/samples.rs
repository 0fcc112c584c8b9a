//! Samples and what is said of them.

use std::time::Duration;

/// Some measurements of one thing, in one unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Of durations, in milliseconds.
    pub(crate) fn millis(durations: impl IntoIterator<Item = Duration>) -> Self {
        let millis = durations.into_iter().map(|d| d.as_secs_f64() * 1e3);
        millis.collect()
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// The value that the given part of all is not above; none of nothing.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a short list"
        )]
        let at = (last as f64 * part).ceil() as usize;
        sorted.get(at).copied()
    }

    pub(crate) fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    pub(crate) fn least(&self) -> Option<f64> {
        self.quantile(0.0)
    }

    pub(crate) fn most(&self) -> Option<f64> {
        self.quantile(1.0)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let samples: Samples = [5.0, 1.0, 2.0, 4.0, 3.0].into_iter().collect();
        assert_eq!(samples.median(), Some(3.0));
        assert_eq!(samples.quantile(0.95), Some(5.0));
        assert_eq!((samples.least(), samples.most()), (Some(1.0), Some(5.0)));
        assert_eq!(Samples::default().median(), None);
        let millis = Samples::millis([Duration::from_micros(1_500)]);
        assert_eq!(millis.values(), [1.5]);
    }
}
