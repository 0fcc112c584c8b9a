//! Times as people write them behind `--since` and `--until`: a day, a moment, or so long ago.

use std::time::Duration;

use extend_common::clock::before;
use extend_common::duration;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The options of whoever reads a part of the past.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct PeriodArgs {
    /// Only what happened at this time or later: 2026-10-01, "2026-10-01 14:30", or 7d for so long
    /// ago
    #[arg(long, value_name = "TIME", value_parser = parse)]
    since: Option<When>,

    /// Only what happened before this time; a date means its first moment
    #[arg(long, value_name = "TIME", value_parser = parse)]
    until: Option<When>,
}

/// The option of whoever reads up to now.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct SinceArgs {
    /// Only what was at this time or later: 2026-10-01, "2026-10-01 14:30", or 7d for so long ago
    #[arg(long, value_name = "TIME", value_parser = parse)]
    since: Option<When>,
}

impl SinceArgs {
    /// The time that was typed.
    pub(crate) fn at(self, now: Timestamp) -> Option<Timestamp> {
        self.since.map(|when| when.at(now))
    }
}

impl PeriodArgs {
    /// Whether nothing narrows it.
    pub(crate) fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Its beginning as it travels, and its end; 0 where there is none.
    pub(crate) fn to_wire(self, now: Timestamp) -> (i64, i64) {
        let ms = |when: Option<When>| when.map_or(0, |when| when.at(now).as_millisecond());
        (ms(self.since), ms(self.until))
    }
}

/// A time that somebody has typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    At(Timestamp),
    Ago(Duration),
}

impl When {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => before(now, ago),
        }
    }
}

fn parse(text: &str) -> Result<When, String> {
    parse_in(text, &TimeZone::system())
}

/// Reads a moment with its zone, a date or a time of this machine's zone, or a duration.
fn parse_in(text: &str, zone: &TimeZone) -> Result<When, String> {
    let text = text.trim();
    // Nothing that anybody looks for is older; 0 would be no time at all.
    let sensible = |at: Timestamp| at.as_second() > 0;
    if let Ok(at) = text.parse::<Timestamp>()
        && sensible(at)
    {
        return Ok(When::At(at));
    }
    if let Ok(civil) = text.parse::<DateTime>()
        && let Ok(zoned) = civil.to_zoned(zone.clone())
        && sensible(zoned.timestamp())
    {
        return Ok(When::At(zoned.timestamp()));
    }
    duration::parse(text).map(When::Ago).map_err(|_| {
        "write a date (2026-10-01), a time (\"2026-10-01 14:30\", 2026-10-01T14:30:00Z), or how long \
         ago (2h, 7d)"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::fixed(jiff::tz::offset(2)));
        let at = |text: &str| Ok(When::At(text.parse().unwrap()));
        for (typed, expected) in [
            ("2026-10-01", at("2026-09-30T22:00:00Z")),
            ("2026-10-01 14:30", at("2026-10-01T12:30:00Z")),
            ("2026-10-01T14:30:05", at("2026-10-01T12:30:05Z")),
            ("2026-10-01T14:30:00Z", at("2026-10-01T14:30:00Z")),
            ("2026-10-01T14:30:00+01:00", at("2026-10-01T13:30:00Z")),
            ("7d", Ok(When::Ago(Duration::from_secs(7 * 86_400)))),
            ("2h", Ok(When::Ago(Duration::from_secs(7_200)))),
        ] {
            assert_eq!(parse_in(typed, &zone), expected, "{typed}");
        }
        for wrong in ["", "yesterday", "2026-13-01", "1969-01-01", "5"] {
            let told = parse_in(wrong, &zone).unwrap_err();
            assert!(told.starts_with("write a date"), "{wrong}: {told}");
        }
    }
}
