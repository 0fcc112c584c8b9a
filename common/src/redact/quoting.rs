//! How texts within texts are written: quotes, brackets, and what colours a text on a terminal.

/// Quotes and brackets as texts within texts write them.
pub(super) const QUOTES: [&str; 4] = ["\\u0022", "&quot;", "&#34;", "\\x22"];
pub(super) const OPENING: [&str; 4] = ["<", "\\u003c", "\\u003C", "&lt;"];
pub(super) const CLOSING: [&str; 4] = [">", "\\u003e", "\\u003E", "&gt;"];

pub(super) fn split(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c: char| !is(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// What names, and tokens without a name, are written with.
pub(super) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

pub(super) const ESCAPE: char = '\u{1b}';

/// What colours a text on a terminal, at its beginning.
pub(super) fn control(text: &str) -> &str {
    let Some(sequence) = text.strip_prefix(ESCAPE) else {
        return "";
    };
    let Some(inner) = sequence.strip_prefix('[') else {
        return text.get(..ESCAPE.len_utf8()).unwrap_or_default();
    };
    let end = inner.find(|c: char| matches!(c, '@'..='~'));
    let end = end.map_or(text.len(), |at| at + text.len() - inner.len() + 1);
    text.get(..end).unwrap_or_default()
}

pub(super) fn without_controls(mut text: &str) -> &str {
    while !control(text).is_empty() {
        text = text.get(control(text).len()..).unwrap_or_default();
    }
    text
}

/// A quote, with the backslashes before it that a text within a text has.
pub(super) fn opening(text: &str) -> Option<&str> {
    if let Some(quote) = QUOTES.iter().find(|quote| text.starts_with(**quote)) {
        return text.get(..quote.len());
    }
    let slashes = text.len() - text.trim_start_matches('\\').len();
    let is_quote = text.get(slashes..)?.starts_with(['"', '\'']);
    is_quote.then(|| text.get(..=slashes))?
}

pub(super) fn without_quote(text: &str) -> &str {
    let quote = opening(text).unwrap_or_default();
    text.get(quote.len()..).unwrap_or_default()
}

/// Up to the quote that closes a value, and not one that is deeper within it.
pub(super) fn closing(text: &str, quote: &str) -> usize {
    if QUOTES.contains(&quote) {
        return text.find(quote).unwrap_or(text.len());
    }
    let mark = quote.chars().last();
    let mut slashes = 0;
    let mut doubled = false;
    for (at, c) in text.char_indices() {
        // In SQL two of them are one.
        let is_double = quote == "'" && text.get(at..).is_some_and(|rest| rest.starts_with("''"));
        if std::mem::take(&mut doubled) {
            continue;
        }
        match c {
            '\'' if is_double && slashes % 2 == 0 => doubled = true,
            '\\' => slashes += 1,
            // Of a text within a text the quote has backslashes itself; one that is escaped in it
            // has more, and in a plain one an odd number.
            _ if Some(c) == mark => {
                let own = quote.len() - 1;
                let is_end = match own {
                    0 => slashes % 2 == 0,
                    _ => slashes <= own,
                };
                if is_end {
                    return at - slashes.min(own);
                }
                slashes = 0;
            }
            _ => slashes = 0,
        }
    }
    text.len()
}
