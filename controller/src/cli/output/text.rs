//! Small texts: ages, moments, sizes of groups, ids as people type them, lines that are cut.
//!
//! Moments have one rule: the time of day by this machine's time zone, with the date in front when
//! it is not today's. Documents have RFC 3339 instead, and so have the controller's sentences:
//! [`local_times`] makes them fit for people.

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

/// A moment by this machine's time zone: `11:36:00`, or `2026-11-22 11:36:00` on another day.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> String {
    let zone = TimeZone::system();
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    let format = if at.date() == now.date() {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    at.strftime(format).to_string()
}

/// The shortest RFC 3339 moment, `2026-11-22T11:36:00Z`; a longer one has digits before its `Z`.
const SHORTEST_MOMENT: usize = "2026-11-22T11:36:00Z".len();

/// A sentence with its RFC 3339 moments as [`moment`] has them.
pub(crate) fn local_times(sentence: &str, now: Timestamp) -> String {
    let mut told = String::new();
    let mut rest = sentence;
    while let Some(t) = rest.find('T') {
        let start = t.saturating_sub("2026-11-22".len());
        let after = rest.get(t..).and_then(|tail| tail.find('Z'));
        let found = after.and_then(|z| {
            let end = t + z + 1;
            let text = rest.get(start..end)?;
            let plain = |c: char| c.is_ascii_digit() || "-:.TZ".contains(c);
            let fits = text.len() >= SHORTEST_MOMENT && text.chars().all(plain);
            let at: Timestamp = fits.then(|| text.parse().ok())??;
            Some((at, end))
        });
        match found {
            Some((at, end)) => {
                told.push_str(rest.get(..start).unwrap_or_default());
                told.push_str(&moment(at, now));
                rest = rest.get(end..).unwrap_or_default();
            }
            None => {
                told.push_str(rest.get(..=t).unwrap_or_default());
                rest = rest.get(t + 1..).unwrap_or_default();
            }
        }
    }
    told + rest
}

/// Cuts a line to a width, and shows that it was cut. Colours take no room and are kept to the
/// end, so that none leaks.
pub(crate) fn clip(line: &str, width: usize) -> String {
    let cut = shown(line) > width;
    let room = if cut { width.saturating_sub(1) } else { width };
    let mut clipped = String::new();
    let (mut taken, mut in_escape, mut marked) = (0, false, false);
    for c in line.chars() {
        in_escape |= c == '\x1b';
        if in_escape {
            clipped.push(c);
            in_escape = c != 'm';
        } else if taken < room {
            clipped.push(c);
            taken += 1;
        } else if cut && !marked && width > 0 {
            clipped.push('…');
            marked = true;
        }
    }
    clipped
}

/// How many characters of a line take room.
fn shown(line: &str) -> usize {
    let (mut count, mut in_escape) = (0, false);
    for c in line.chars() {
        in_escape |= c == '\x1b';
        if in_escape {
            in_escape = c != 'm';
        } else {
            count += 1;
        }
    }
    count
}

/// A sentence as lines of at most `width` characters, broken between words where that can be.
pub(crate) fn wrap(sentence: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T10:13:00Z".parse().unwrap()
    }

    #[test]
    fn a_line_is_cut_and_shows_it_and_its_colours_are_closed() {
        assert_eq!(clip("\x1b[32mhealthy\x1b[0m", 4), "\x1b[32mhea…\x1b[0m");
        assert_eq!(clip("\x1b[32mhealthy\x1b[0m", 7), "\x1b[32mhealthy\x1b[0m");
        assert_eq!(clip("healthy", 40), "healthy");
        assert_eq!(clip("healthy", 1), "…");
        assert_eq!(clip("healthy", 0), "");
    }

    #[test]
    fn sentences_break_between_words() {
        assert_eq!(wrap("its node is offline", 11), ["its node is", "offline"]);
        assert_eq!(wrap("", 11), Vec::<String>::new());
        assert_eq!(wrap("a-very-long-word it", 5), ["a-very-long-word", "it"]);
    }

    #[test]
    fn moments_in_sentences_are_told_as_moments_are() {
        let zone = TimeZone::system();
        let other: Timestamp = "2026-11-01T00:00:00.5Z".parse().unwrap();
        let date = other.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S");
        assert_eq!(
            local_times(
                "Tea: it was offline since 2026-11-01T00:00:00.5Z, T Z",
                now()
            ),
            format!("Tea: it was offline since {date}, T Z")
        );
        let today = local_times("2026-11-22T10:13:00Z", now());
        assert_eq!(today, moment(now(), now()));
        assert_eq!(today.len(), "10:13:00".len());
        for same in [
            "",
            "T",
            "TZ",
            "é2026-11-22T10:13Z",
            "2026-99-22T10:13:00Z",
            "TéZ",
        ] {
            assert_eq!(local_times(same, now()), same);
        }
    }
}
