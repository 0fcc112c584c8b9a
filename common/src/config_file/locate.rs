//! Where in a configuration file something stands: which line, and which key is on it.
//!
//! Called by the parent with the text it has just parsed, or failed to. It reads lines and does
//! not parse: good enough to lead a person to the place, and it works where the parser gave up.

use std::ops::Range;

/// A place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Counted from 1.
    pub(super) line: usize,
    /// The key on that line with its table, such as `listen.agents`.
    pub(super) key: Option<String>,
}

/// The place that a byte range of the parser begins at. A range that covers the whole text (a key
/// that is missing) is no place.
pub(super) fn at_offset(text: &str, span: Range<usize>) -> Option<Place> {
    if span.start == 0 && span.end >= text.trim_end().len() && span.end > 0 {
        return None;
    }
    let line = text
        .as_bytes()
        .iter()
        .take(span.start)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1;
    Some(at_line(text, line))
}

/// The place of a key.
pub(super) fn key(text: &str, wanted: &str) -> Option<Place> {
    let found = keys(text).into_iter().find(|(_, key)| key == wanted);
    found.map(|(line, key)| Place {
        line,
        key: Some(key),
    })
}

/// Every line with a key on it.
fn keys(text: &str) -> Vec<(usize, String)> {
    let mut table = String::new();
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            table = header
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned();
        } else if let Some((name, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let name = name.trim();
            let key = if table.is_empty() {
                name.to_owned()
            } else {
                format!("{table}.{name}")
            };
            found.push((index + 1, key));
        }
    }
    found
}

/// The place of the first line that has `needle` on it outside a comment.
pub(super) fn words(text: &str, needle: &str) -> Option<Place> {
    let (index, _) = text
        .lines()
        .enumerate()
        .find(|(_, line)| line.split('#').next().unwrap_or_default().contains(needle))?;
    Some(at_line(text, index + 1))
}

fn at_line(text: &str, line: usize) -> Place {
    let key = keys(text)
        .into_iter()
        .find(|(at, _)| *at == line)
        .map(|(_, key)| key);
    Place { line, key }
}
