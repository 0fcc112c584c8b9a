//! Secrets taken out of what is given away: lines of logs, command arguments, environments.
//!
//! Too much is taken rather than too little: who reads a diagnosis can ask again, and a password
//! that went with it cannot be called back. Nothing of it makes a secret of a crash dump go away:
//! those are binary.

mod follows;
mod names;
mod quoting;
mod value;

use follows::{Follows, LINES_OF_VALUE, going_on, indent};
pub use names::is_sensitive;
use quoting::{ESCAPE, OPENING, control, is_name, split};
use value::secret_after;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// Short options that take a secret, by the images of the roles.
const SHORT: [&str; 3] = ["-t", "-p", "-P"];
/// A text of so many such characters in a row is a key or a token, whatever its name.
const LONG: usize = 40;
/// A private key has fewer lines. One whose end is missing takes no more of a text than that.
const LINES_OF_KEY: usize = 120;
/// Takes secrets out of the lines of one text: a key may go over several.
#[derive(Debug, Default)]
pub struct Redactor {
    /// So many lines of a private key may follow.
    of_key: usize,
    /// What of a value is on the lines that follow, and how many there may be.
    follows: Option<(Follows, usize)>,
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

/// A line of which nothing is known but itself.
fn plain(line: &str) -> String {
    plain_and_what_follows(line).0
}

fn plain_and_what_follows(line: &str) -> (String, Option<Follows>) {
    let mut told = String::with_capacity(line.len());
    let mut follows = None;
    let mut rest = line;
    // Where so much is left, a run of base64 ends that is no key, nor is any end of it.
    let mut no_key = usize::MAX;
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
        if rest.len() <= no_key && !told.ends_with('/') {
            let run = encoded(rest);
            if run.len() > word.len() && is_long_and_mixed(run) {
                told.push_str(REDACTED);
                rest = rest.get(run.len()..).unwrap_or_default();
                continue;
            }
            no_key = rest.len() - run.len();
        }
        match looks_like_a_key(word) {
            true => told.push_str(REDACTED),
            false => told.push_str(word),
        }
        rest = after;
    }
    (told, follows)
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
mod tests;
