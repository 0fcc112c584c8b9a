//! A terminal that is drawn over again and again, without flicker.

use super::table::terminal_width;
use super::{Output, Stream};
use crate::cli::failure::Failure;

const HOME: &str = "\x1b[H";
const CLEAR_ALL: &str = "\x1b[2J";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// The terminal behind stdout.
#[derive(Debug)]
pub(crate) struct Screen {
    stream: Stream,
    drawn: bool,
    last: String,
}

impl Screen {
    /// Nothing is drawn yet.
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            drawn: false,
            last: String::new(),
        }
    }

    /// Draws a text in place of what is there.
    pub(crate) fn show(&mut self, output: &Output, text: &str) -> Result<(), Failure> {
        text.clone_into(&mut self.last);
        self.draw(output, text)
    }

    /// Draws a line above what was drawn last, which stays.
    pub(crate) fn overlay(&mut self, output: &Output, line: &str) -> Result<(), Failure> {
        let text = format!("{line}\n\n{}", self.last);
        self.draw(output, &text)
    }

    fn draw(&mut self, output: &Output, text: &str) -> Result<(), Failure> {
        let width = terminal_width(self.stream).map_or(usize::MAX, usize::from);
        let mut frame = String::from(HOME);
        if !self.drawn {
            frame.push_str(CLEAR_ALL);
            self.drawn = true;
        }
        for line in text.lines() {
            frame.push_str(&clip(line, width));
            frame.push_str(CLEAR_LINE);
            frame.push('\n');
        }
        frame.push_str(CLEAR_BELOW);
        output.frame(&frame)
    }
}

/// Cuts a line to a width. Colours take no room and are kept to the end, so that none leaks.
fn clip(line: &str, width: usize) -> String {
    let mut clipped = String::new();
    let (mut shown, mut in_escape) = (0, false);
    for c in line.chars() {
        if c == '\x1b' {
            in_escape = true;
        }
        if in_escape {
            clipped.push(c);
            in_escape = c != 'm';
        } else if shown < width {
            clipped.push(c);
            shown += 1;
        }
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn a_line_is_cut_and_its_colours_are_closed() {
        assert_eq!(clip("\x1b[32mhealthy\x1b[0m", 4), "\x1b[32mheal\x1b[0m");
        assert_eq!(clip("healthy", 40), "healthy");
    }
}
