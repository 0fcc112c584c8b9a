//! Secrets taken out of what is given away: lines of logs, command arguments, environments.
//!
//! Too much is taken rather than too little: who reads a diagnosis can ask again, and a password
//! that went with it cannot be called back. Nothing of it makes a secret of a crash dump go away:
//! those are binary.

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// Parts of names that hold secrets, without `-`, `_` and `.`.
const PARTS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "privatekey",
    "accesskey",
    "secretkey",
    "sessionkey",
    "credential",
    "masterkey",
];
/// Whole names that do.
const NAMES: [&str; 11] = [
    "pwd", "pass", "pw", "passcode", "auth", "jwt", "pin", "pincode", "psk", "sas", "ha1",
];
/// Ends of names that do: `db_pass`, `voicemail.pin`, `signing_key`.
const ENDS: [&str; 12] = [
    "authkey",
    "aeskey",
    "pincode",
    "pwd",
    "passwd",
    "pass",
    "signingkey",
    "encryptionkey",
    "hmackey",
    "sshkey",
    "sharedkey",
    "jwtkey",
];
/// Ends of headers whose whole value is one, in HTTP and in SIP; whatever stands before them, such as
/// `\n` of a text within a text.
const HEADERS: [&str; 3] = ["authorization", "cookie", "authenticate"];
/// Quotes and brackets as texts within texts write them.
const QUOTES: [&str; 4] = ["\\u0022", "&quot;", "&#34;", "\\x22"];
const OPENING: [&str; 4] = ["<", "\\u003c", "\\u003C", "&lt;"];
const CLOSING: [&str; 4] = [">", "\\u003e", "\\u003E", "&gt;"];
/// Short options that take a secret, by the images of the roles.
const SHORT: [&str; 3] = ["-t", "-p", "-P"];
/// Words before which anything is a secret.
const SCHEMES: [&str; 1] = ["bearer"];
/// A text of so many such characters in a row is a key or a token, whatever its name.
const LONG: usize = 40;
/// A private key has fewer lines. One whose end is missing takes no more of a text than that.
const LINES_OF_KEY: usize = 120;
/// So many lines at most belong to a value that goes on behind its own.
const LINES_OF_VALUE: usize = 200;
/// So many attributes may stand between the name of a secret and `value=`.
const ATTRIBUTES: usize = 4;
/// What may stand between a name and its quoted secret, as in `PASSWORD 'x'`, `IDENTIFIED BY 'x'`.
const JOINING: [&str; 3] = ["by", "is", "to"];

/// Takes secrets out of the lines of one text: a key may go over several.
#[derive(Debug, Default)]
pub struct Redactor {
    /// So many lines of a private key may follow.
    of_key: usize,
    /// What of a value is on the lines that follow, and how many there may be.
    follows: Option<(Follows, usize)>,
}

/// How a value goes on behind its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// A list or an object: until so many brackets of these are closed.
    Structure(char, char, usize),
    /// On all lines that are further in than so much: a folded header, a block of YAML.
    Indented(usize),
}

impl Follows {
    /// What of it is left behind a line; none when the line is none of it.
    fn after(self, line: &str) -> Option<Self> {
        match self {
            Self::Structure(open, close, depth) => {
                let depth = depth_after(line, (open, close), depth);
                Some(Self::Structure(open, close, depth))
            }
            Self::Indented(least) => {
                let is_of_it = line.trim().is_empty() || indent(line) > least;
                is_of_it.then_some(self)
            }
        }
    }
}

fn indent(line: &str) -> usize {
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

impl Redactor {
    /// A line without its secrets; without its newline.
    pub fn line(&mut self, line: &str) -> String {
        if self.of_key > 0 {
            let ends = line.contains("-----END ");
            self.of_key = if ends { 0 } else { self.of_key - 1 };
            return REDACTED.to_owned();
        }
        if let Some((follows, left)) = self.follows.take()
            && let Some(now) = follows.after(line)
        {
            let is_open = !matches!(now, Follows::Structure(_, _, 0));
            self.follows = (is_open && left > 1).then(|| (now, left - 1));
            return REDACTED.to_owned();
        }
        if let Some(begin) = line.find("-----BEGIN ")
            && line
                .get(begin..)
                .is_some_and(|rest| rest.contains("PRIVATE KEY"))
        {
            let rest = line.get(begin..).unwrap_or_default();
            let ends = rest.contains("-----END ");
            self.of_key = if ends { 0 } else { LINES_OF_KEY };
            let before = line.get(..begin).unwrap_or_default();
            return format!("{}{REDACTED}", plain(before));
        }
        let (told, follows) = plain_and_what_follows(line);
        self.follows = follows.map(|follows| (follows, LINES_OF_VALUE));
        told
    }
}

/// The arguments of a command without their secrets.
pub fn arguments<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut told = Vec::new();
    let mut is_secret = false;
    for word in words {
        let is_option = word.starts_with('-') && word.len() > 1;
        let short = word.split_once('=').map(|(option, _)| option);
        let short = short.filter(|option| SHORT.contains(option));
        if is_secret && !is_option {
            told.push(REDACTED.to_owned());
        } else if let Some(option) = short {
            told.push(format!("{option}={REDACTED}"));
        } else if word.contains(char::is_whitespace) {
            // A command of its own, for a shell.
            let line = plain(word);
            told.push(arguments(line.split_whitespace()).join(" "));
        } else {
            told.push(plain(word));
        }
        is_secret = is_option && (SHORT.contains(&word) || is_sensitive(word));
    }
    told
}

/// The variables of an environment, `NAME=value` each: names are told and values are not, but for
/// some that are no secret anywhere.
pub fn environment<'a>(variables: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    const KNOWN: [&str; 6] = ["LD_LIBRARY_PATH", "PATH", "PGDATA", "TZ", "LANG", "HOME"];
    let told = variables
        .into_iter()
        .map(|variable| match variable.split_once('=') {
            Some((name, _)) if !KNOWN.contains(&name) => format!("{name}={REDACTED}"),
            _ => variable.to_owned(),
        });
    told.collect()
}

/// Whether a name is one of a secret.
pub fn is_sensitive(name: &str) -> bool {
    let bare = bare(name);
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default();
    // `userPin` ends in a word of its own as well.
    let word = last.rfind(char::is_uppercase).and_then(|at| last.get(at..));
    let is_one = |name: &str| NAMES.contains(&name.to_ascii_lowercase().as_str());
    NAMES.contains(&bare.as_str())
        || is_one(last)
        || word.is_some_and(is_one)
        || PARTS.iter().any(|part| bare.contains(part))
        || ENDS.iter().any(|end| bare.ends_with(end))
}

fn bare(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_' | '.'));
    letters.collect::<String>().to_ascii_lowercase()
}

/// A line of which nothing is known but itself.
fn plain(line: &str) -> String {
    plain_and_what_follows(line).0
}

fn plain_and_what_follows(line: &str) -> (String, Option<Follows>) {
    let mut told = String::with_capacity(line.len());
    let mut follows = None;
    let mut rest = line;
    while !rest.is_empty() {
        let mark = control(rest);
        if !mark.is_empty() {
            told.push_str(mark);
            rest = rest.get(mark.len()..).unwrap_or_default();
            continue;
        }
        let (word, after) = split(rest, is_name);
        if word.is_empty() {
            let (other, after) = split(rest, |c| !is_name(c) && c != ESCAPE);
            told.push_str(other);
            rest = after;
            if told.ends_with("://") {
                rest = without_user(rest, &mut told);
            }
            continue;
        }
        // The letter of `\n` belongs to no name.
        let escape = told.ends_with('\\') && word.starts_with(['n', 'r', 't']) && word.len() > 1;
        let (letter, name) = word.split_at(usize::from(escape));
        let is_element = OPENING.iter().any(|bracket| told.ends_with(bracket))
            || word.starts_with("u003c")
            || word.starts_with("u003C");
        let taken = secret_after(name, after, is_element).or_else(|| {
            // A name may begin with that letter, too.
            (!letter.is_empty()).then(|| secret_after(word, after, is_element))?
        });
        if matches!(word.to_ascii_lowercase().as_str(), "sip" | "sips")
            && let Some(user) = after.strip_prefix(':')
        {
            told.push_str(word);
            told.push(':');
            rest = without_user(user, &mut told);
            continue;
        }
        if let Some((kept, end)) = taken {
            follows = going_on(name, after.get(kept.len()..end), indent(line)).or(follows);
            told.push_str(word);
            told.push_str(kept);
            told.push_str(REDACTED);
            rest = after.get(end..).unwrap_or_default();
            continue;
        }
        let run = encoded(rest);
        if run.len() > word.len() && !told.ends_with('/') && is_long_and_mixed(run) {
            told.push_str(REDACTED);
            rest = rest.get(run.len()..).unwrap_or_default();
            continue;
        }
        match looks_like_a_key(word) {
            true => told.push_str(REDACTED),
            false => told.push_str(word),
        }
        rest = after;
    }
    (told, follows)
}

/// How the value of a secret goes on behind the end of its line, if it does.
fn going_on(name: &str, value: Option<&str>, indent: usize) -> Option<Follows> {
    let value = value?.trim();
    if is_header(name) {
        return Some(Follows::Indented(indent));
    }
    // A block of YAML, with what it does to line ends.
    if matches!(value, "|" | ">" | "|-" | ">-" | "|+" | ">+") {
        return Some(Follows::Indented(indent));
    }
    let brackets = match value.chars().next()? {
        '{' => ('{', '}'),
        '[' => ('[', ']'),
        _ => return None,
    };
    let depth = depth_after(value, brackets, 0);
    (depth > 0).then_some(Follows::Structure(brackets.0, brackets.1, depth))
}

fn is_header(name: &str) -> bool {
    let bare = bare(name);
    HEADERS.iter().any(|header| bare.ends_with(header))
}

const ESCAPE: char = '\u{1b}';

/// What colours a text on a terminal, at its beginning.
fn control(text: &str) -> &str {
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

fn without_controls(mut text: &str) -> &str {
    while !control(text).is_empty() {
        text = text.get(control(text).len()..).unwrap_or_default();
    }
    text
}

fn split(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c: char| !is(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// What names, and tokens without a name, are written with.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// What base64 is written with, from the beginning of a text on.
fn encoded(text: &str) -> &str {
    split(text, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
    })
    .0
}

/// Behind `://`: the password of whoever is named before the host.
fn without_user<'a>(rest: &'a str, told: &mut String) -> &'a str {
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?'));
    let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    // A password may have a slash in it, which nobody has encoded; a port is none.
    let is_open = || {
        let (_, port) = authority.split_once(':')?;
        let is_port = port.chars().all(|c| c.is_ascii_digit());
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>'));
        let all = rest.get(..end.unwrap_or(rest.len()))?;
        (!is_port).then(|| all.rfind('@'))?
    };
    let Some(at) = authority.rfind('@').or_else(is_open) else {
        return rest;
    };
    let authority = rest;
    let user = authority.get(..at).unwrap_or_default();
    let name = user.split(':').next().unwrap_or_default();
    told.push_str(name);
    if name.len() < user.len() {
        told.push(':');
        told.push_str(REDACTED);
    }
    rest.get(at..).unwrap_or_default()
}

/// What stands between a name and its secret, and where in `after` the secret ends; none where it
/// has none.
fn secret_after<'a>(word: &str, after: &'a str, is_element: bool) -> Option<(&'a str, usize)> {
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
            let mut places = spaced.char_indices().map(|(at, _)| at);
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

/// A quote, with the backslashes before it that a text within a text has.
fn opening(text: &str) -> Option<&str> {
    if let Some(quote) = QUOTES.iter().find(|quote| text.starts_with(**quote)) {
        return text.get(..quote.len());
    }
    let slashes = text.len() - text.trim_start_matches('\\').len();
    let is_quote = text.get(slashes..)?.starts_with(['"', '\'']);
    is_quote.then(|| text.get(..=slashes))?
}

fn without_quote(text: &str) -> &str {
    let quote = opening(text).unwrap_or_default();
    text.get(quote.len()..).unwrap_or_default()
}

/// What follows `=`, `:`, `=>` or `:=`.
fn assigned(text: &str) -> Option<&str> {
    let two = text.strip_prefix("=>").or_else(|| text.strip_prefix(":="));
    two.or_else(|| text.strip_prefix(['=', ':']))
}

/// What follows `value` where a secret's name is itself a value: `name="password" value="x"`.
fn beside(text: &str) -> Option<&str> {
    let mut text = text;
    for _ in 0..ATTRIBUTES {
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

/// Up to the quote that closes a value, and not one that is deeper within it.
fn closing(text: &str, quote: &str) -> usize {
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
    for (at, c) in value.char_indices() {
        if !is_between(c) {
            continue;
        }
        let rest = value.get(at..).unwrap_or_default();
        let next = rest.trim_start_matches(is_between);
        // Only where a name and its value follow, the next one's, or nothing.
        let (name, after) = split(next, is_name);
        let after = without_quote(after).trim_start();
        if next.is_empty() || (!name.is_empty() && after.starts_with(['=', ':'])) {
            return at;
        }
    }
    value.len()
}

/// Whether a word is a key without saying so: a JSON web token, a key of AWS, or long and random.
fn looks_like_a_key(word: &str) -> bool {
    let is_jwt = word.starts_with("eyJ") && word.len() > 20;
    let is_aws = word.len() == 20 && (word.starts_with("AKIA") || word.starts_with("ASIA"));
    is_jwt || is_aws || (is_long_and_mixed(word) && !word.contains('.'))
}

/// Ids of containers and digests are long, too, and hexadecimal: they are wanted.
fn is_long_and_mixed(word: &str) -> bool {
    let has = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
    word.len() >= LONG
        && !word.chars().all(|c| c.is_ascii_hexdigit())
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit)
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
