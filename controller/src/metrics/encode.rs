//! From samples to the text that Prometheus reads; escaping is the library's.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::page::{Page, Sample, Value};
use super::table::{self, Definition, Kind};

/// What is answered with: the text format that every Prometheus, and promtool, can read.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// A counter's name without what the library adds to it.
const TOTAL: &str = "_total";

/// The text of an answer.
pub(super) fn text(page: Page) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for definition in table::ALL {
            let samples = self.of(definition);
            // A name without a value says nothing.
            if samples.is_empty() {
                continue;
            }
            let (name, kind) = (bare(definition), kind(definition));
            let mut family = encoder.encode_descriptor(name, definition.help, None, kind)?;
            for sample in samples {
                let Sample { labels, value } = sample;
                put(family.encode_family(labels)?, value)?;
            }
        }
        Ok(())
    }
}

fn put(mut encoder: MetricEncoder<'_>, value: &Value) -> fmt::Result {
    type None = Vec<(&'static str, &'static str)>;
    match value {
        Value::Gauge(value) => encoder.encode_gauge(value),
        Value::Count(value) => encoder.encode_counter::<None, _, u64>(value, Option::None),
        Value::Seconds(value) => encoder.encode_counter::<None, _, f64>(value, Option::None),
        Value::Histogram(histogram) => histogram.encode(encoder),
    }
}

fn bare(definition: &Definition) -> &'static str {
    let name = definition.name;
    name.strip_suffix(TOTAL).unwrap_or(name)
}

fn kind(definition: &Definition) -> MetricType {
    match definition.kind {
        Kind::Gauge => MetricType::Gauge,
        Kind::Counter => MetricType::Counter,
        Kind::Histogram => MetricType::Histogram,
    }
}
