//! As much of SIP as one question needs: OPTIONS outside of a dialog, and whether what came is an
//! answer to it. Pure.
//!
//! Source: RFC 3261, 7 (messages), 8.1 (what a client puts in, and how it knows its answers), 11
//! (OPTIONS), 18.3 (where a message ends), 20 (header fields); RFC 3581 (`rport`).

use std::net::SocketAddrV4;

use data_encoding::HEXLOWER;
use extend_common::roles::Transport;

/// A branch that begins so is unique (RFC 3261, 8.1.1.7).
const COOKIE: &str = "z9hG4bK";
/// A probe asks once, and anew the next time.
const NUMBER: u32 = 1;
/// Answers to OPTIONS have ten to thirty.
const MAX_FIELDS: usize = 128;
/// Bytes of chance in a question: for the branch, the call and the tag, eight each.
pub(super) const CHANCE: usize = 24;

/// A question to one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    transport: Transport,
    to: SocketAddrV4,
    from: SocketAddrV4,
    branch: String,
    call: String,
    tag: String,
}

/// What a message is to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// It will be answered.
    Provisional,
    /// It is, with this status.
    Final(u16),
}

/// What has come on a connection so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// The message is not whole yet.
    Open,
    /// The message ends here.
    Whole(usize),
    /// It is none, nor the beginning of one.
    Garbage,
}

impl Question {
    /// Asked from `from`, a socket of our own that nothing else is asked from.
    pub(super) fn new(
        transport: Transport,
        to: SocketAddrV4,
        from: SocketAddrV4,
        chance: [u8; CHANCE],
    ) -> Self {
        let chance = HEXLOWER.encode(&chance);
        let (branch, rest) = chance.split_at(CHANCE * 2 / 3);
        let (call, tag) = rest.split_at(CHANCE * 2 / 3);
        Self {
            transport,
            to,
            from,
            branch: format!("{COOKIE}{branch}"),
            call: format!("{call}@{}", from.ip()),
            tag: tag.to_owned(),
        }
    }

    /// As it is sent.
    pub(super) fn text(&self) -> String {
        let (via, parameter) = match self.transport {
            Transport::Udp => ("UDP", ""),
            Transport::Tcp => ("TCP", ";transport=tcp"),
        };
        let Self {
            to,
            from,
            branch,
            call,
            tag,
            ..
        } = self;
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "OPTIONS sip:{to}{parameter} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {from};branch={branch};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:extend-agent@{}>;tag={tag}\r\n\
             To: <sip:{to}>\r\n\
             Call-ID: {call}\r\n\
             CSeq: {NUMBER} OPTIONS\r\n\
             Contact: <sip:extend-agent@{from}{parameter}>\r\n\
             Accept: application/sdp\r\n\
             User-Agent: extend-agent/{version}\r\n\
             Content-Length: 0\r\n\r\n",
            from.ip()
        )
    }

    /// What a whole message is to this question; nothing when it is somebody else's, or none.
    pub(super) fn judge(&self, message: &[u8]) -> Option<Reply> {
        let (head, body) = Head::read(message)?;
        let status = status(head.start)?;
        if head.length()?.is_some_and(|length| length > body.len()) {
            return None;
        }
        // One that has passed through others would have more than ours.
        let via = head.only("Via", "v")?;
        let parameters = apart(via, ';');
        let branch = parameters.iter().skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let is_it = name.trim().eq_ignore_ascii_case("branch");
            is_it.then(|| value.trim())
        });
        let is_ours = branch.is_some_and(|branch| branch.eq_ignore_ascii_case(&self.branch))
            && apart(via, ',').len() == 1
            && head.only("Call-ID", "i")? == self.call
            && is_sequence(head.only("CSeq", "CSeq")?);
        is_ours.then_some(match status {
            100..=199 => Reply::Provisional,
            _ => Reply::Final(status),
        })
    }
}

/// Where the first message on a connection ends. Blank lines before it keep a connection alive.
pub(super) fn frame(bytes: &[u8]) -> Frame {
    let blank = bytes.iter().take_while(|byte| b"\r\n".contains(byte));
    let begin = blank.count();
    let message = bytes.get(begin..).unwrap_or_default();
    let Some(head_end) = end_of_head(message) else {
        return Frame::Open;
    };
    let length = Head::read(message).and_then(|(head, _)| head.length());
    // Over a connection everybody has to say it; who does not has nothing behind the head.
    let Some(length) = length.map(|length| length.unwrap_or(0)) else {
        return Frame::Garbage;
    };
    match begin
        .checked_add(head_end)
        .and_then(|end| end.checked_add(length))
    {
        Some(end) if end <= bytes.len() => Frame::Whole(end),
        Some(_) => Frame::Open,
        None => Frame::Garbage,
    }
}

/// The part of a message before its body.
struct Head<'a> {
    start: &'a str,
    fields: Vec<(&'a str, String)>,
}

impl<'a> Head<'a> {
    /// Reads the head, and gives what comes behind it.
    fn read(message: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let end = end_of_head(message)?;
        let (head, body) = message.split_at_checked(end)?;
        let text = std::str::from_utf8(head).ok()?.strip_suffix("\r\n\r\n")?;
        let mut lines = text.split("\r\n");
        let start = lines.next()?;
        let mut fields: Vec<(&str, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                let (_, value) = fields.last_mut()?;
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':')?;
            let name = name.trim_end_matches([' ', '\t']);
            if name.is_empty() || !name.bytes().all(is_token) || fields.len() == MAX_FIELDS {
                return None;
            }
            fields.push((name, value.trim().to_owned()));
        }
        Some((Self { start, fields }, body))
    }

    /// The value of a field that may be there once.
    fn only(&self, name: &str, short: &str) -> Option<&str> {
        let mut values = self.all(name, short);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    fn all(&self, name: &str, short: &str) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter();
        let is_it = move |field: &str| {
            field.eq_ignore_ascii_case(name) || field.eq_ignore_ascii_case(short)
        };
        fields
            .filter(move |(field, _)| is_it(field))
            .map(|(_, value)| value.as_str())
    }

    /// How long the body is told to be: nothing when what is told is no length, and `Some(None)`
    /// when nothing is told.
    #[expect(clippy::option_option, reason = "wrong and not told are different")]
    fn length(&self) -> Option<Option<usize>> {
        let mut told = self.all("Content-Length", "l");
        let Some(length) = told.next() else {
            return Some(None);
        };
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && told.next().is_none()).then(|| length.parse().ok().map(Some))?
    }
}

fn end_of_head(message: &[u8]) -> Option<usize> {
    let found = message.windows(4).position(|four| four == b"\r\n\r\n");
    found.map(|at| at + 4)
}

/// The status that a line tells: `SIP/2.0 200 OK`.
fn status(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    let (code, _) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let status = code.parse().ok().filter(|code| (100..700).contains(code))?;
    (version.eq_ignore_ascii_case("SIP/2.0") && is_code).then_some(status)
}

/// `1 OPTIONS`
fn is_sequence(value: &str) -> bool {
    let mut words = value.split_whitespace();
    let number = words.next().and_then(|number| number.parse::<u32>().ok());
    number == Some(NUMBER) && words.next() == Some("OPTIONS") && words.next().is_none()
}

/// The pieces between separators, apart from those within quotes.
fn apart(value: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    value
        .split(|c| {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                _ => {}
            }
            c == separator && !is_quoted
        })
        .collect()
}

/// What a field's name is made of.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
