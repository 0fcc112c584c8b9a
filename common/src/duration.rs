//! Durations as people write them: `300s`, `10m`, `1h 30m`, `7d`.

use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::{Designator, Spacing, SpanParser, SpanPrinter};

/// Parses a duration with units; a bare number is refused, since nobody knows its unit. A day has
/// 24 hours; how long a month is, nobody knows either.
///
/// # Errors
/// A sentence for the user.
pub fn parse(text: &str) -> Result<Duration, String> {
    let days = SpanRelativeTo::days_are_24_hours();
    let parsed = SpanParser::new().parse_span(text.trim());
    parsed
        .and_then(|span| span.to_duration(days))
        .and_then(Duration::try_from)
        .map_err(|_| format!("`{text}` is no duration: write 90s, 10m, 1h or 7d"))
}

/// Prints a duration in whole seconds, compactly: `4m 10s`.
pub fn show(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{}ms", duration.as_millis());
    }
    SpanPrinter::new()
        .designator(Designator::Compact)
        .spacing(Spacing::BetweenUnits)
        .unsigned_duration_to_string(&Duration::from_secs(duration.as_secs()))
}

/// For serde: `#[serde(with = "duration::text")]`.
pub mod text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the duration as text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::show(*value))
    }

    /// Reads the duration from text.
    ///
    /// # Errors
    /// A sentence when the text is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        super::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written() {
        assert_eq!(parse("300s"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse("365d"), Ok(Duration::from_secs(365 * 86_400)));
        assert_eq!(parse("1w 1d"), Ok(Duration::from_secs(8 * 86_400)));
        assert!(parse("1y").is_err() && parse("2 months").is_err() && parse("5s ago").is_err());
        assert!(parse("300").is_err() && parse("soon").is_err() && parse("-5s").is_err());
        assert_eq!(show(Duration::from_millis(250_400)), "4m 10s");
        assert_eq!(show(Duration::from_millis(400)), "400ms");
    }
}
