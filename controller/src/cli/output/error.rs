//! The look of errors: one sentence, its causes, and a hint.

use jiff::Timestamp;

use super::Tone;
use super::text::local_times;
use crate::cli::failure::Failure;

/// What the parser of the arguments ends with, which says less than our hint does.
const PARSER_FOOTER: &str = "For more information, try";

/// A failure as lines.
pub(super) fn render(failure: &Failure, now: Timestamp, colour: bool) -> String {
    let mut lines = vec![format!(
        "{} {}",
        Tone::Bad.paint("error:", colour),
        local_times(&failure.sentence, now)
    )];
    lines.extend(
        failure
            .causes
            .iter()
            .map(|cause| local_times(cause, now))
            .map(|cause| format!("  {} {cause}", Tone::Faint.paint("cause:", colour))),
    );
    if !failure.hint.is_empty() {
        lines.push(hint(&failure.hint, colour));
    }
    lines.join("\n")
}

/// What to run next, as a line.
pub(super) fn hint(command: &str, colour: bool) -> String {
    format!("{} {command}", Tone::Good.paint("hint:", colour))
}

/// The parser's complaint with our hint in place of its own last line.
pub(super) fn with_hint_for_footer(text: &str, command: &str, colour: bool) -> String {
    let mut lines: Vec<&str> = text
        .lines()
        .take_while(|line| !line.contains(PARSER_FOOTER))
        .collect();
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    format!("{}\n{}", lines.join("\n"), hint(command, colour))
}
