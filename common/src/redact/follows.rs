//! Values that go on behind their line: lists and objects, blocks of YAML, folded headers.

use super::names::is_header;

/// So many lines at most belong to a value that goes on behind its own.
pub(super) const LINES_OF_VALUE: usize = 200;

/// How a value goes on behind its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// A list or an object: until so many brackets of these are closed.
    Structure(char, char, usize),
    /// A block of YAML: on all lines that are further in than so much, and empty ones between.
    Block(usize),
    /// A folded header: on lines that are further in, up to an empty one.
    Folded(usize),
}

impl Follows {
    /// What of it is left behind a line; none when the line is none of it.
    pub(super) fn after(self, line: &str) -> Option<Self> {
        match self {
            Self::Structure(open, close, depth) => {
                let depth = depth_after(line, (open, close), depth);
                Some(Self::Structure(open, close, depth))
            }
            Self::Block(least) => {
                let is_of_it = line.trim().is_empty() || indent(line) > least;
                is_of_it.then_some(self)
            }
            Self::Folded(least) => {
                let is_of_it = !line.trim().is_empty() && indent(line) > least;
                is_of_it.then_some(self)
            }
        }
    }
}

pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// How many brackets are open behind a text.
fn depth_after(text: &str, (open, close): (char, char), before: usize) -> usize {
    text.chars().fold(before, |depth, c| {
        if c == open {
            depth + 1
        } else if c == close {
            depth.saturating_sub(1)
        } else {
            depth
        }
    })
}

/// How the value of a secret goes on behind the end of its line, if it does.
pub(super) fn going_on(name: &str, value: Option<&str>, indent: usize) -> Option<Follows> {
    let value = value?.trim();
    if is_header(name) {
        return Some(Follows::Folded(indent));
    }
    // A block of YAML, with what it does to line ends.
    if matches!(value, "|" | ">" | "|-" | ">-" | "|+" | ">+") {
        return Some(Follows::Block(indent));
    }
    let brackets = match value.chars().next()? {
        '{' => ('{', '}'),
        '[' => ('[', ']'),
        _ => return None,
    };
    let depth = depth_after(value, brackets, 0);
    (depth > 0).then_some(Follows::Structure(brackets.0, brackets.1, depth))
}
