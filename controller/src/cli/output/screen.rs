//! A terminal that is drawn over again and again, without flicker.

use super::text::clip;
use super::{Output, Stream, terminal};
use crate::cli::failure::Failure;

const HOME: &str = "\x1b[H";
const CLEAR_ALL: &str = "\x1b[2J";
/// What is right of the cursor.
pub(crate) const CLEAR_LINE: &str = "\x1b[K";
/// What is right of the cursor and below.
pub(crate) const CLEAR_BELOW: &str = "\x1b[J";

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
        let (width, height) = terminal::size(self.stream)
            .map_or((usize::MAX, usize::MAX), |(width, height)| {
                (usize::from(width), usize::from(height))
            });
        let mut frame = String::from(HOME);
        if !self.drawn {
            frame.push_str(CLEAR_ALL);
            self.drawn = true;
        }
        // The line below the last one is where the cursor stands.
        for line in fit(text, height.saturating_sub(1)) {
            frame.push_str(&clip(&line, width));
            frame.push_str(CLEAR_LINE);
            frame.push('\n');
        }
        frame.push_str(CLEAR_BELOW);
        output.frame(&frame)
    }
}

/// The first lines, as many as have room; the last one tells how many have not.
fn fit(text: &str, height: usize) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.len() > height && height > 0 {
        let more = lines.len() - (height - 1);
        lines.truncate(height - 1);
        lines.push(format!("… and {more} lines more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn what_has_no_room_is_counted() {
        assert_eq!(fit("a\nb\nc", 3), ["a", "b", "c"]);
        assert_eq!(fit("a\nb\nc\nd", 3), ["a", "b", "… and 2 lines more"]);
    }
}
