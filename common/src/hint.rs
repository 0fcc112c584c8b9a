//! A reason that travels as one text, with the command to run next at its end.
//!
//! Nodes give reasons for what failed there; the command line shows the command on a line of its
//! own. Written as people read it, so that it is good to read also where nobody takes it apart.

use std::fmt::Display;

const OPEN: &str = " (hint: ";

/// The reason with the command at its end.
#[must_use]
pub fn with_hint(reason: impl Display, hint: impl Display) -> String {
    format!("{reason}{OPEN}{hint})")
}

/// The reason, and the command at its end if there is one.
#[must_use]
pub fn split_hint(text: &str) -> (&str, Option<&str>) {
    let split = text.rfind(OPEN).and_then(|at| {
        Some((
            text.get(..at)?,
            text.get(at + OPEN.len()..)?.strip_suffix(')')?,
        ))
    });
    match split {
        Some((reason, hint)) => (reason, Some(hint)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_found_again_and_only_at_the_end() {
        let text = with_hint(
            "port 8842/tcp is in use",
            "ss -ltnp 'sport = :8842' (as root)",
        );
        assert_eq!(
            split_hint(&text),
            (
                "port 8842/tcp is in use",
                Some("ss -ltnp 'sport = :8842' (as root)")
            )
        );
        for plain in [
            "",
            "it exited",
            "(hint: x)",
            "a (hint: x); and more",
            "a (hint: cut o",
        ] {
            assert_eq!(split_hint(plain), (plain, None));
        }
    }
}
