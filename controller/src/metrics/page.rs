//! What one answer consists of: samples under the definitions of the table.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

use super::table::Definition;

/// One value with its labels.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: Value,
}

/// What a sample says.
#[derive(Debug)]
pub(super) enum Value {
    /// Of a gauge.
    Gauge(f64),
    /// Of a counter.
    Count(u64),
    /// Of a counter of seconds.
    Seconds(f64),
    /// Of a histogram.
    Histogram(Histogram),
}

/// All samples of an answer.
#[derive(Debug, Default)]
pub(super) struct Page {
    samples: HashMap<&'static str, Vec<Sample>>,
}

impl Page {
    /// A value under a definition, with a value for each of its labels in their order.
    pub(super) fn put<const N: usize>(
        &mut self,
        definition: &Definition,
        labels: [&str; N],
        value: Value,
    ) {
        debug_assert_eq!(definition.labels.len(), N, "{}", definition.name);
        let names = definition.labels.iter().copied();
        let labels = names.zip(labels.map(str::to_owned)).collect();
        let samples = self.samples.entry(definition.name).or_default();
        samples.push(Sample { labels, value });
    }

    /// The value of a gauge.
    pub(super) fn gauge<const N: usize>(
        &mut self,
        definition: &Definition,
        labels: [&str; N],
        value: impl Into<f64>,
    ) {
        self.put(definition, labels, Value::Gauge(value.into()));
    }

    /// A gauge of a whole number. What a float cannot hold exactly is far beyond what is counted.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(super) fn number<const N: usize>(
        &mut self,
        definition: &Definition,
        labels: [&str; N],
        value: u64,
    ) {
        self.gauge(definition, labels, value as f64);
    }

    /// A whole number that only grows.
    pub(super) fn count<const N: usize>(
        &mut self,
        definition: &Definition,
        labels: [&str; N],
        value: u64,
    ) {
        self.put(definition, labels, Value::Count(value));
    }

    /// A moment.
    pub(super) fn moment<const N: usize>(
        &mut self,
        definition: &Definition,
        labels: [&str; N],
        at: Timestamp,
    ) {
        self.gauge(definition, labels, at.as_duration().as_secs_f64());
    }

    /// A time span.
    pub(super) fn span<const N: usize>(
        &mut self,
        definition: &Definition,
        labels: [&str; N],
        took: Duration,
    ) {
        self.gauge(definition, labels, took.as_secs_f64());
    }

    /// The samples of a definition.
    pub(super) fn of(&self, definition: &Definition) -> &[Sample] {
        self.samples.get(definition.name).map_or(&[], Vec::as_slice)
    }
}
