//! The only conversions between the protobuf types and the domain's. Whatever comes from the
//! wire is hostile until it has been through here: every text has a bound, every enum is known.

mod checkup;
mod enums;
mod event;
mod firewall;
mod host;
mod logs;
mod operation;
mod record;
mod service;
mod status;
mod unclaimed;

use extend_proto::v1;
use jiff::Timestamp;
use prost::Message as _;

pub use event::MAX_EVENTS;
pub use firewall::{firewall_told, firewall_wanted};
pub use logs::MAX_LISTED;
pub use operation::whole_seconds;
pub use status::{MAX_DUMPS, MAX_LOG_LINES, bounded_log_tail};

/// Why a message cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {problem}")]
pub struct WireError {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl WireError {
    /// An error about a field.
    pub fn new(field: &'static str, problem: impl std::fmt::Display) -> Self {
        Self {
            field,
            problem: problem.to_string(),
        }
    }
}

impl From<WireError> for tonic::Status {
    fn from(error: WireError) -> Self {
        Self::invalid_argument(format!("the message cannot be understood: {error}"))
    }
}

/// Larger messages are refused by both sides.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// The bound of HTTP/2 header lists (the default of the library is 16 MiB).
pub const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Addresses at which a node may dial its controller: three nodes of a cluster, and room to move.
pub const MAX_CONTROLLERS: usize = 8;
/// Sentences and details.
const MAX_TEXT: usize = 2048;

/// Parses a required text.
pub(crate) fn parse<T>(field: &'static str, text: &str) -> Result<T, WireError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| WireError::new(field, error))
}

/// Parses an optional text: empty is none.
pub(crate) fn parse_optional<T>(field: &'static str, text: &str) -> Result<Option<T>, WireError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    if text.is_empty() {
        Ok(None)
    } else {
        parse(field, text).map(Some)
    }
}

/// An optional value as text: none is empty.
pub(crate) fn optional(value: Option<&impl std::fmt::Display>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// A required message.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| WireError::new(field, "it is missing"))
}

/// Cuts a text to `most` bytes at a character's border.
pub fn clipped(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A text that is shown to people: bounded, with control characters made visible, so that no
/// node can write escape sequences to an operator's terminal or turn a line around.
pub fn shown_text(text: String) -> String {
    let text = clipped(text, MAX_TEXT);
    let is_odd = |c: char| (c.is_control() && c != '\t') || turns_text(c);
    if text.chars().any(is_odd) {
        text.chars()
            .flat_map(|c| {
                if is_odd(c) {
                    c.escape_default().collect()
                } else {
                    vec![c]
                }
            })
            .collect()
    } else {
        text
    }
}

/// Whether a character has no shape and changes the order of the others.
pub fn turns_text(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Unix milliseconds as a time.
pub fn time(field: &'static str, ms: i64) -> Result<Timestamp, WireError> {
    Timestamp::from_millisecond(ms).map_err(|error| WireError::new(field, error))
}

/// Unix milliseconds as a time; 0 is none.
pub fn optional_time(field: &'static str, ms: i64) -> Result<Option<Timestamp>, WireError> {
    if ms == 0 {
        Ok(None)
    } else {
        time(field, ms).map(Some)
    }
}

/// A time as Unix milliseconds; none is 0.
pub fn optional_ms(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_millisecond)
}

/// Bytes of a fixed length.
pub(crate) fn fixed<const N: usize>(
    field: &'static str,
    bytes: &[u8],
) -> Result<[u8; N], WireError> {
    bytes
        .try_into()
        .map_err(|_| WireError::new(field, format!("it must have {N} bytes")))
}

/// An answer of the controller that refuses: shown to the operator as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalText {
    /// A stable word.
    pub code: String,
    /// Operation and object.
    pub sentence: String,
    /// What led to it.
    pub causes: Vec<String>,
    /// The command to run next.
    pub hint: String,
}

impl RefusalText {
    /// What a status carries, if the controller put its own words into it.
    #[must_use]
    pub fn of(status: &tonic::Status) -> Option<Self> {
        let refusal = v1::Refusal::decode(status.details()).ok()?;
        Some(Self::from(refusal)).filter(|text| !text.sentence.is_empty())
    }
}

impl From<RefusalText> for v1::Refusal {
    fn from(text: RefusalText) -> Self {
        Self {
            code: text.code,
            sentence: text.sentence,
            causes: text.causes,
            hint: text.hint,
        }
    }
}

impl From<v1::Refusal> for RefusalText {
    fn from(refusal: v1::Refusal) -> Self {
        Self {
            code: shown_text(refusal.code),
            sentence: shown_text(refusal.sentence),
            causes: refusal.causes.into_iter().map(shown_text).collect(),
            hint: shown_text(refusal.hint),
        }
    }
}

#[cfg(test)]
mod tests;
