//! Foreign text made fit for a terminal. Whatever a service writes into its logs, and whoever got
//! it to: nothing of it moves a cursor, sets a title, answers for a keyboard or turns a line around.

use extend_common::wire::turns_text;

/// Takes bytes as they come, cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    /// The beginning of a character whose rest is still to come.
    begun: Vec<u8>,
    /// A carriage return was the last, and is a new line already.
    after_return: bool,
}

impl Visible {
    /// What a terminal may be given for these bytes.
    pub(crate) fn show(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut shown = String::with_capacity(all.len());
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for c in chunk.valid().chars() {
                self.push(c, &mut shown);
            }
            let invalid = chunk.invalid();
            let cut = chunks.peek().is_none()
                && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if cut {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.push(char::REPLACEMENT_CHARACTER, &mut shown);
            }
        }
        shown
    }

    /// What is left when nothing more comes.
    pub(crate) fn end(&mut self) -> &'static str {
        if std::mem::take(&mut self.begun).is_empty() {
            ""
        } else {
            "\u{fffd}"
        }
    }

    fn push(&mut self, c: char, shown: &mut String) {
        let after_return = std::mem::replace(&mut self.after_return, c == '\r');
        match c {
            '\n' if after_return => {}
            '\r' => shown.push('\n'),
            '\n' | '\t' => shown.push(c),
            c if c.is_control() || turns_text(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_seen_and_not_obeyed() {
        let mut visible = Visible::default();
        let shown =
            visible.show("\x1b]0;title\x07\x1b[2J a\tb\x08\x7f\u{9b}31m\u{202e}x\n".as_bytes());
        assert_eq!(
            shown,
            "\\u{1b}]0;title\\u{7}\\u{1b}[2J a\tb\\u{8}\\u{7f}\\u{9b}31m\\u{202e}x\n"
        );
        // The one-byte form of C1, which is no UTF-8.
        assert_eq!(visible.show(b"\x9b31m"), "\u{fffd}31m");
    }

    #[test]
    fn a_carriage_return_is_a_new_line_and_with_one_it_is_one() {
        let mut visible = Visible::default();
        assert_eq!(visible.show(b"a\r\nb\rc\r"), "a\nb\nc\n");
        assert_eq!(visible.show(b"\nd\n\ne"), "d\n\ne");
    }

    #[test]
    fn characters_survive_being_cut_anywhere() {
        let text = "äöü €uro 𝄞 – 漢字\n";
        for size in 1..6 {
            let mut visible = Visible::default();
            let shown: String = text
                .as_bytes()
                .chunks(size)
                .map(|piece| visible.show(piece))
                .collect();
            assert_eq!(shown, text, "{size}");
            assert_eq!(visible.end(), "");
        }
        let mut visible = Visible::default();
        assert_eq!(visible.show(b"a\xe2\x82"), "a");
        assert_eq!(visible.end(), "\u{fffd}");
        assert_eq!(visible.show(b"\xe2\x28\xa1"), "\u{fffd}(\u{fffd}");
    }
}
