//! Small texts: ages, sizes of groups, ids as people type them.

use std::time::Duration;

use extend_common::clock;
use extend_common::ids::OperationId;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How long it is from `then` to `now`: `4m 10s`.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    span(clock::since(then, now))
}

/// A time span in its two largest units, which is as exact as a glance needs.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, big: &str, small: u64, little: &str| {
        if small == 0 {
            format!("{large}{big}")
        } else {
            format!("{large}{big} {small}{little}")
        }
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => two(minutes, "m", seconds % 60, "s"),
        3600..86_400 => two(hours, "h", minutes % 60, "m"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// A number of things, in words: `1 server`, `4 servers`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 {
        format!("1 {thing}")
    } else {
        format!("{number} {thing}s")
    }
}

/// A text, or a dash where there is none.
pub(crate) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// The ending of an operation's id that people type.
pub(crate) fn short(id: &str) -> String {
    id.parse::<OperationId>()
        .map_or_else(|_| id.to_owned(), OperationId::short)
}

/// A container id or a digest as far as people compare them.
pub(crate) fn short_hash(text: &str) -> String {
    let digest = text
        .rsplit_once("sha256:")
        .map_or(text, |(_, digest)| digest);
    digest.chars().take(12).collect()
}

/// A moment by this machine's time zone.
pub(crate) fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// A moment by this machine's time zone, for columns: `2026-11-22 14:03:22`.
pub(crate) fn second(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The time of day by this machine's time zone.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system())
        .strftime("%H:%M:%S")
        .to_string()
}
