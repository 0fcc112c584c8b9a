//! Tables: left-aligned columns without borders, fit for eyes and for `awk`.
//!
//! Off a terminal every row is one line with every column. On one the last column, which holds
//! sentences, wraps below itself. Where not even that fits, the columns that a table can spare are
//! left out, one after the other, and named below it; what a row must not lose with a column goes
//! into its sentence. Nothing is cut.

use comfy_table::{Cell as StyledCell, Color, ColumnConstraint, ContentArrangement};

use super::text::{or_dash, wrap};
use super::{Stream, Tone, terminal};

/// The last column wraps only if it is left this much room; narrower, it is no longer readable.
const MIN_SENTENCE_WIDTH: usize = 24;
/// The space between two columns.
const GAP: usize = 2;
/// Before a sentence that has to stand below its row.
const INDENT: usize = 2;

/// One value, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    /// What the sentence has to say when this column is left out.
    instead: String,
}

impl Cell {
    /// A value with a tone.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
            instead: String::new(),
        }
    }

    /// Says in the row's sentence what would be lost with the column.
    pub(crate) fn or_say(mut self, instead: impl Into<String>) -> Self {
        self.instead = instead.into();
        self
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// Rows under a heading.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    spare: &'static [&'static str],
    left_out: Vec<&'static str>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(heading: Vec<&'static str>) -> Self {
        Self {
            heading,
            rows: Vec::new(),
            spare: &[],
            left_out: Vec::new(),
        }
    }

    /// Names the columns that may be left out on a narrow terminal, the first one first.
    pub(crate) fn sparing(mut self, columns: &'static [&'static str]) -> Self {
        self.spare = columns;
        self
    }

    /// Adds a row: a cell for each column. Empty cells become dashes.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.heading.len());
        self.rows.push(cells);
    }

    /// The table as lines.
    pub(crate) fn render(&self, stream: Stream) -> String {
        self.render_at(terminal::width(stream), stream.colour)
    }

    fn render_at(&self, width: Option<usize>, colour: bool) -> String {
        let Some(width) = width else {
            return self.draw(None, colour);
        };
        if self.spare.is_empty() {
            return self.draw(self.sentence_wraps_at(width), colour);
        }
        let mut table = self.clone();
        let mut spare = table.spare.iter();
        while !table.fits(width) {
            let Some(column) = spare.next() else { break };
            table.leave_out(column);
        }
        let mut text = if table.fits(width) {
            table.draw(table.sentence_wraps_at(width), colour)
        } else {
            table.draw_with_sentences_below(width, colour)
        };
        if !table.left_out.is_empty() {
            let told = format!(
                "no room for {}: -o wide shows all",
                table.left_out.join(", ")
            );
            for line in wrap(&told, width) {
                text = format!("{text}\n{}", Tone::Faint.paint(&line, colour));
            }
        }
        text
    }

    /// Whether everything has room, the sentence perhaps in several lines.
    fn fits(&self, width: usize) -> bool {
        let widths = self.natural_widths();
        let Some((last, others)) = widths.split_last() else {
            return true;
        };
        let taken: usize = others.iter().map(|width| width + GAP).sum();
        taken + last.min(&MIN_SENTENCE_WIDTH) <= width
    }

    fn leave_out(&mut self, column: &'static str) {
        let last = self.heading.len().saturating_sub(1);
        let at = self.heading.iter().position(|title| *title == column);
        let Some(at) = at.filter(|at| *at < last) else {
            return;
        };
        self.heading.remove(at);
        self.left_out.push(column);
        for row in &mut self.rows {
            let instead = row.remove(at).instead;
            if let Some(sentence) = row.last_mut().filter(|_| !instead.is_empty()) {
                sentence.text = if sentence.text.is_empty() {
                    instead
                } else {
                    format!("{instead}; {}", sentence.text)
                };
            }
        }
    }

    /// Draws the table; with a width, the sentences wrap at it.
    fn draw(&self, width: Option<u16>, colour: bool) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .force_no_tty()
            .style_text_only();
        if colour {
            table.enforce_styling();
        }
        table.set_header(self.heading.clone());
        for row in &self.rows {
            table.add_row(row.iter().map(styled));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, u16::try_from(GAP).unwrap_or_default()));
        }
        match width {
            Some(total) => {
                table
                    .set_content_arrangement(ContentArrangement::Dynamic)
                    .set_width(total);
                let fixed = self.heading.len().saturating_sub(1);
                table.set_constraints(vec![ColumnConstraint::ContentWidth; fixed]);
            }
            None => drop(table.set_content_arrangement(ContentArrangement::Disabled)),
        }
        table.trim_fmt()
    }

    fn draw_with_sentences_below(&self, width: usize, colour: bool) -> String {
        let mut narrow = self.clone();
        narrow.heading.pop();
        let sentences: Vec<String> = narrow
            .rows
            .iter_mut()
            .map(|row| row.pop().map(|cell| cell.text).unwrap_or_default())
            .collect();
        let drawn = narrow.draw(None, colour);
        let mut rows = drawn.lines();
        let mut lines: Vec<String> = rows.next().map(str::to_owned).into_iter().collect();
        for (row, sentence) in rows.zip(sentences) {
            lines.push(row.to_owned());
            let below = wrap(&sentence, width.saturating_sub(INDENT));
            lines.extend(below.iter().map(|line| format!("{:INDENT$}{line}", "")));
        }
        lines.join("\n")
    }

    fn natural_widths(&self) -> Vec<usize> {
        let width = |text: &str| text.chars().count().max(1);
        let mut widths: Vec<usize> = self.heading.iter().map(|title| width(title)).collect();
        for row in &self.rows {
            for (column, cell) in widths.iter_mut().zip(row) {
                *column = (*column).max(width(&cell.text));
            }
        }
        widths
    }

    /// The width to arrange the table in, if its last column should wrap.
    fn sentence_wraps_at(&self, total: usize) -> Option<u16> {
        let widths = self.natural_widths();
        let (last, others) = widths.split_last()?;
        let taken: usize = others.iter().map(|width| width + GAP).sum();
        let left = total.checked_sub(taken)?;
        if left < MIN_SENTENCE_WIDTH || *last <= left {
            return None;
        }
        // The library pads the last column too; the padding is trimmed afterwards.
        u16::try_from(total + GAP).ok()
    }
}

fn styled(cell: &Cell) -> StyledCell {
    let styled = StyledCell::new(or_dash(&cell.text));
    match cell.tone {
        Tone::Plain => styled,
        Tone::Good => styled.fg(Color::Green),
        Tone::Busy => styled.fg(Color::Yellow),
        Tone::Bad => styled.fg(Color::Red),
        Tone::Faint => styled.fg(Color::DarkGrey),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
