//! As much of HTTP/1.1 as the instance metadata needs: one request on a connection, a small answer
//! of a told length. It is read up to a bound, and nothing else is believed of it.

use std::fmt;
use std::net::SocketAddrV4;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The metadata answers within milliseconds, from the instance's own host.
const LIMIT: Duration = Duration::from_secs(1);
/// Head and body. The longest answer is a list of security groups.
const MAX_ANSWER: u64 = 8 * 1024;
/// The port when none is named.
const HTTP: u16 = 80;

/// Where the metadata is: `http://169.254.169.254`. An address, because the agent resolves no names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Base(SocketAddrV4);

impl Default for Base {
    fn default() -> Self {
        Self(SocketAddrV4::new([169, 254, 169, 254].into(), HTTP))
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.port() {
            HTTP => write!(f, "http://{}", self.0.ip()),
            port => write!(f, "http://{}:{port}", self.0.ip()),
        }
    }
}

impl FromStr for Base {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://");
        let rest = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let address = rest.and_then(|rest| {
            let with_port = rest.parse().ok();
            with_port.or_else(|| Some(SocketAddrV4::new(rest.parse().ok()?, HTTP)))
        });
        let wrong = || format!("`{text}` is not http:// with an IPv4 address");
        address.map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Base {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Base> for String {
    fn from(base: Base) -> Self {
        base.to_string()
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Asks once. `header` is one header with its value.
///
/// # Errors
/// When nobody answers in time, or what comes is no such answer.
pub(super) async fn ask(
    base: Base,
    method: &str,
    path: &str,
    header: (&str, &str),
) -> Result<Answer, String> {
    match timeout(LIMIT, exchange(base, method, path, header)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("{base} did not answer within {LIMIT:?}")),
    }
}

async fn exchange(
    base: Base,
    method: &str,
    path: &str,
    (name, value): (&str, &str),
) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("{method} {base}{path}: {error}");
    let mut stream = TcpStream::connect(base.0).await.map_err(failed)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\n{name}: {value}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n",
        base.0
    );
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    let mut bounded = stream.take(MAX_ANSWER);
    bounded.read_to_end(&mut answer).await.map_err(failed)?;
    read(&answer).ok_or_else(|| format!("{method} {base}{path}: what came is no such answer"))
}

/// Reads a whole answer: status, headers, and a body of exactly the told length.
fn read(answer: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    if !matches!(words.next()?, "HTTP/1.1" | "HTTP/1.0") {
        return None;
    }
    let status = words.next()?.parse().ok()?;
    let mut lengths = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim())
    });
    let length: usize = lengths.next()?.parse().ok()?;
    (lengths.next().is_none() && body.len() == length).then(|| Answer {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_an_address() {
        for (text, shown) in [
            ("http://169.254.169.254", "http://169.254.169.254"),
            ("http://127.0.0.1:8111/", "http://127.0.0.1:8111"),
        ] {
            assert_eq!(text.parse::<Base>().unwrap().to_string(), shown);
        }
        assert_eq!(Base::default().to_string(), "http://169.254.169.254");
        for bad in [
            "https://169.254.169.254",
            "http://metadata",
            "169.254.169.254",
            "",
            "http://",
        ] {
            assert!(bad.parse::<Base>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let whole = "HTTP/1.1 200 OK\r\nServer: EC2ws\r\nContent-Length: 3\r\n\r\nabc";
        let answer = read(whole.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "abc"));
        for broken in [
            "",
            "HTTP/1.1 200 OK\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
            "HTTP/1.1 OK\r\nContent-Length: 3\r\n\r\nabc",
            "SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert_eq!(read(broken.as_bytes()), None, "{broken}");
        }
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff"),
            None
        );
    }
}
