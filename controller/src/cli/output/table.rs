//! Tables: left-aligned columns without borders, fit for eyes and for `awk`.
//!
//! Where a terminal is wide enough the last column, which holds sentences, wraps below itself;
//! elsewhere every row stays one line.

use comfy_table::{Cell as StyledCell, Color, ColumnConstraint, ContentArrangement};

use super::text::or_dash;
use super::{Stream, Tone};

/// The last column wraps only if it is left this much room; narrower, it is no longer readable.
const MIN_SENTENCE_WIDTH: usize = 24;
/// The space between two columns.
const GAP: u16 = 2;

/// One value, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A value with a tone.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
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
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(heading: Vec<&'static str>) -> Self {
        Self {
            heading,
            rows: Vec::new(),
        }
    }

    /// Adds a row: a cell for each column. Empty cells become dashes.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.heading.len());
        self.rows.push(cells);
    }

    /// The table as lines.
    pub(crate) fn render(&self, stream: Stream) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .force_no_tty()
            .style_text_only();
        if stream.colour {
            table.enforce_styling();
        }
        table.set_header(self.heading.clone());
        for row in &self.rows {
            table.add_row(row.iter().map(styled));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        match sentence_width(&self.natural_widths(), stream) {
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
}

/// The width to arrange the table in, if its last column should wrap.
fn sentence_width(widths: &[usize], stream: Stream) -> Option<u16> {
    let total = terminal_width(stream)?;
    let gap = usize::from(GAP);
    let (last, others) = widths.split_last()?;
    let taken: usize = others.iter().map(|width| width + gap).sum();
    let left = usize::from(total).checked_sub(taken + gap)?;
    (left >= MIN_SENTENCE_WIDTH && *last > left).then_some(total)
}

/// How many columns the terminal has, if the stream is one.
pub(crate) fn terminal_width(stream: Stream) -> Option<u16> {
    if !stream.terminal {
        return None;
    }
    // The library asks the terminal behind stdout, or behind stderr.
    let mut probe = comfy_table::Table::new();
    probe.width().or_else(|| probe.use_stderr().width())
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
