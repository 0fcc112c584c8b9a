//! Where the value of a named secret begins and ends on its line.

use super::REDACTED;
use super::names::{bare, is_header, is_sensitive};
use super::quoting::{
    CLOSING, OPENING, closing, is_name, opening, split, without_controls, without_quote,
};

/// Words before which anything is a secret.
const SCHEMES: [&str; 1] = ["bearer"];
/// So many attributes may stand between the name of a secret and `value=`.
const ATTRIBUTES: usize = 4;
/// They are no longer together, in characters.
const MAX_ATTRIBUTES: usize = 512;
/// What may stand between a name and its quoted secret, as in `PASSWORD 'x'`, `IDENTIFIED BY 'x'`.
const JOINING: [&str; 3] = ["by", "is", "to"];

/// What stands between a name and its secret, and where in `after` the secret ends; none where it
/// has none.
pub(super) fn secret_after<'a>(
    word: &str,
    after: &'a str,
    is_element: bool,
) -> Option<(&'a str, usize)> {
    let is_header = is_header(word);
    let is_scheme = SCHEMES.contains(&bare(word).as_str());
    let is_statement = word.eq_ignore_ascii_case("identified");
    // `inline:` in SDP is followed by the master key of the media.
    let is_named = is_sensitive(word) || word == "inline";
    if !is_header && !is_scheme && !is_statement && !is_named {
        return None;
    }
    // `name`, `"name"`, and then `=`, `:`, `=>` or, of an option and a scheme, a space.
    let spaced = without_controls(without_quote(without_controls(after))).trim_start();
    let assigned = assigned(spaced)
        .map(without_controls)
        .or_else(|| beside(spaced));
    if let Some(text) = content(spaced, is_element) {
        let is_end = |at: &usize| {
            let rest = text.get(*at..).unwrap_or_default();
            OPENING.iter().any(|bracket| rest.starts_with(bracket))
        };
        let end = text.char_indices().map(|(at, _)| at).find(is_end);
        return found(after, text, end.unwrap_or(text.len()));
    }
    let is_option = word.starts_with('-');
    // `["--password","x"]`
    let next = spaced.strip_prefix(',').map(str::trim_start);
    let assigned = assigned.or(next.filter(|next| is_option && opening(next).is_some()));
    let is_apart = after.starts_with(char::is_whitespace);
    let value = match assigned {
        Some(value) => value.trim_start(),
        None if (is_option || is_scheme) && is_apart => spaced,
        None if is_apart => quoted_after(spaced)?,
        None => return None,
    };
    if value.is_empty() || value.starts_with(REDACTED) {
        return None;
    }
    if is_option && assigned.is_none() && value.starts_with('-') {
        return None;
    }
    if is_header {
        return found(after, value, value.len());
    }
    if let Some(quote) = opening(value) {
        let inner = value.get(quote.len()..).unwrap_or_default();
        return found(after, inner, closing(inner, quote));
    }
    let length = match value.chars().next() {
        Some('{') => structure(value, ('{', '}')),
        Some('[') => structure(value, ('[', ']')),
        // Of a line in a file of settings the rest is the value, spaces and all.
        _ if assigned.is_some() => rest_of_value(value),
        _ => value.find(char::is_whitespace).unwrap_or(value.len()),
    };
    found(after, value, length)
}

/// What follows `<name>`, `<name type="x">`, and `<![CDATA[` behind it.
fn content(spaced: &str, is_element: bool) -> Option<&str> {
    let closed = |text: &str| {
        CLOSING
            .iter()
            .find_map(|bracket| text.strip_prefix(bracket).map(str::len))
    };
    let at = match closed(spaced) {
        Some(left) => spaced.len() - left,
        None if is_element => {
            let places = spaced.char_indices().map(|(at, _)| at);
            let mut places = places.take(MAX_ATTRIBUTES);
            let left = places.find_map(|at| closed(spaced.get(at..)?))?;
            spaced.len() - left
        }
        None => return None,
    };
    let text = spaced.get(at..)?;
    Some(text.strip_prefix("<![CDATA[").unwrap_or(text))
}

/// What stands before `value` at the end of `after`, and where so much of it ends.
fn found<'a>(after: &'a str, value: &str, length: usize) -> Option<(&'a str, usize)> {
    let begin = after.len() - value.len();
    (length > 0).then(|| (after.get(..begin).unwrap_or_default(), begin + length))
}

/// What follows `=`, `:`, `=>` or `:=`.
fn assigned(text: &str) -> Option<&str> {
    let two = text.strip_prefix("=>").or_else(|| text.strip_prefix(":="));
    two.or_else(|| text.strip_prefix(['=', ':']))
}

/// What follows `value` where a secret's name is itself a value: `name="password" value="x"`.
fn beside(text: &str) -> Option<&str> {
    let mut text = text;
    let far = text.len().saturating_sub(MAX_ATTRIBUTES);
    for _ in 0..ATTRIBUTES {
        if text.len() < far {
            return None;
        }
        let next = text.strip_prefix(',').unwrap_or(text).trim_start();
        let next = without_quote(next);
        let (word, after) = split(next, is_name);
        let value = assigned(without_quote(after).trim_start());
        if word.eq_ignore_ascii_case("value") {
            return value;
        }
        // Another attribute.
        let value = value?.trim_start();
        let quote = opening(value).filter(|_| !word.is_empty())?;
        let inner = value.get(quote.len()..)?;
        let rest = inner.get(closing(inner, quote)..)?;
        text = rest.get(quote.len()..)?.trim_start();
    }
    None
}

/// A text in quotes, here or behind a joining word.
fn quoted_after(text: &str) -> Option<&str> {
    let (word, rest) = split(text, char::is_alphabetic);
    let is_joined = JOINING.iter().any(|join| word.eq_ignore_ascii_case(join));
    let text = if is_joined { rest.trim_start() } else { text };
    opening(text).map(|_| text)
}

/// Up to the bracket that closes the first one; all there is where none does. What is in it may
/// have any form, so all of it is taken.
fn structure(text: &str, (open, close): (char, char)) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                // `{SHA}x` is no structure.
                let length = at + c.len_utf8();
                let rest = text.get(length..).unwrap_or_default();
                let goes_on = rest.starts_with(|c: char| c.is_alphanumeric());
                return if goes_on {
                    length + rest_of_value(rest)
                } else {
                    length
                };
            }
        }
    }
    text.len()
}

/// Up to where another value begins: `a=1, b=2`, `a=1&b=2`, `a=1 b=2`, or up to brackets and quotes
/// at the end of the line; otherwise all there is.
fn rest_of_value(value: &str) -> usize {
    const BETWEEN: [char; 10] = [',', '&', ';', '}', ')', ']', '"', '\'', '\\', '>'];
    let is_between = |c: char| c.is_whitespace() || BETWEEN.contains(&c);
    let mut left = value;
    while let Some(begin) = left.find(is_between) {
        let at = value.len() - left.len() + begin;
        let rest = left.get(begin..).unwrap_or_default();
        let next = rest.trim_start_matches(is_between);
        left = next;
        // Only where a name and its value follow, the next one's, or nothing.
        let (name, after) = split(next, is_name);
        let after = without_quote(after).trim_start();
        if next.is_empty() || (!name.is_empty() && after.starts_with(['=', ':'])) {
            return at;
        }
    }
    value.len()
}
