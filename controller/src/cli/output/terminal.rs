//! How large the terminal is.

use std::io;

use terminal_size::{Height, Width, terminal_size_of};

use super::Stream;

/// Columns and lines of the terminal, if the stream is one.
pub(crate) fn size(stream: Stream) -> Option<(u16, u16)> {
    if !stream.terminal {
        return None;
    }
    let found = terminal_size_of(io::stdout()).or_else(|| terminal_size_of(io::stderr()));
    // Some terminals say that they have no room at all: they do not know.
    found
        .map(|(Width(width), Height(height))| (width, height))
        .filter(|(width, height)| *width > 0 && *height > 0)
}

/// How many columns the terminal has, if the stream is one.
pub(crate) fn width(stream: Stream) -> Option<usize> {
    size(stream).map(|(width, _)| usize::from(width))
}
