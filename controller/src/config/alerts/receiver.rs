//! One of `[[alerts.receivers]]`: who is told, and how. Read strictly: a key that belongs to another kind
//! of receiver is refused.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use extend_common::duration;
use extend_common::ids::RoleName;
use serde::Deserialize;

use crate::core::alerts::Severity;

/// So many people one e-mail goes to.
const MOST_PEOPLE: usize = 32;

/// One of `[[alerts.receivers]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Words")]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// It is told of what is at least so bad.
    pub severity: Severity,
    /// Of servers of these roles only; empty: of everything.
    pub roles: Vec<RoleName>,
    /// How it is told.
    pub way: Way,
}

/// How a receiver is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A request over HTTP.
    Webhook(Webhook),
    /// An e-mail.
    Email(Email),
    /// A program on the primary.
    Command(Program),
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// To where.
    pub url: Place,
    /// In which form.
    pub format: Format,
    /// A file with a token that goes with it.
    pub token_file: Option<PathBuf>,
    /// Authorities that alone are trusted; none: the system's.
    pub ca_file: Option<PathBuf>,
}

/// Where an address stands.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// In the configuration.
    Url(String),
    /// In a file that nobody but its owner reads.
    File(PathBuf),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Whoever has the address of a webhook can use it.
            Self::Url(_) => f.write_str("Url(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// The form of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Ours, as docs/alerts.md has it.
    #[default]
    Json,
    /// What Slack and what is compatible with it takes.
    Slack,
}

/// Where e-mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The server that takes it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is kept from others.
    pub tls: Tls,
    /// The account.
    pub username: Option<String>,
    /// Where its password is.
    pub password_file: Option<PathBuf>,
    /// Authorities that alone are trusted; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
}

/// How e-mail is kept from others on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// Plain first, then TLS, or nothing is sent.
    #[default]
    Starttls,
    /// From the first byte.
    Tls,
    /// Not at all.
    None,
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its absolute path, and its arguments.
    pub command: Vec<String>,
    /// It may take so long.
    pub timeout: Duration,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Webhook,
    Email,
    Command,
}

/// A receiver as it is written: which keys go with which kind is judged afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    name: String,
    kind: Kind,
    #[serde(default = "warning")]
    severity: Severity,
    #[serde(default)]
    roles: Vec<RoleName>,
    url: Option<String>,
    url_file: Option<PathBuf>,
    format: Option<Format>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    host: Option<String>,
    port: Option<u16>,
    tls: Option<Tls>,
    username: Option<String>,
    password_file: Option<PathBuf>,
    from: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    command: Vec<String>,
    timeout: Option<String>,
}

fn warning() -> Severity {
    Severity::Warning
}

impl TryFrom<Words> for Receiver {
    type Error = String;

    fn try_from(words: Words) -> Result<Self, String> {
        words.read()
    }
}

impl Words {
    fn read(self) -> Result<Receiver, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(allowed) {
            return Err("the name of a receiver is up to 64 letters, digits and -".to_owned());
        }
        let set = |is: bool, key: &'static str, kind: &'static str| (is, key, kind);
        let given = [
            set(self.url.is_some(), "url", "webhook"),
            set(self.url_file.is_some(), "url_file", "webhook"),
            set(self.format.is_some(), "format", "webhook"),
            set(self.token_file.is_some(), "token_file", "webhook"),
            set(self.host.is_some(), "host", "email"),
            set(self.port.is_some(), "port", "email"),
            set(self.tls.is_some(), "tls", "email"),
            set(self.username.is_some(), "username", "email"),
            set(self.password_file.is_some(), "password_file", "email"),
            set(self.from.is_some(), "from", "email"),
            set(!self.to.is_empty(), "to", "email"),
            set(!self.command.is_empty(), "command", "command"),
            set(self.timeout.is_some(), "timeout", "command"),
            set(
                self.ca_file.is_some() && matches!(self.kind, Kind::Command),
                "ca_file",
                "webhook or email",
            ),
        ];
        let kind = match self.kind {
            Kind::Webhook => "webhook",
            Kind::Email => "email",
            Kind::Command => "command",
        };
        let name = self.name.clone();
        let strange = given.iter().find(|(is, _, of)| *is && *of != kind);
        if let Some((_, key, of)) = strange {
            return Err(format!(
                "`{key}` of receiver {name} belongs to the kind {of}, not {kind}"
            ));
        }
        let files = [
            ("url_file", &self.url_file),
            ("token_file", &self.token_file),
            ("ca_file", &self.ca_file),
            ("password_file", &self.password_file),
        ];
        let relative = |path: &Option<PathBuf>| path.as_ref().is_some_and(|p| !p.is_absolute());
        // Without what is written there: it may be the secret itself.
        if let Some((key, _)) = files.into_iter().find(|(_, path)| relative(path)) {
            return Err(format!(
                "`{key}` of receiver {name} is not an absolute path"
            ));
        }
        let (severity, roles) = (self.severity, self.roles.clone());
        let way = match self.kind {
            Kind::Webhook => Way::Webhook(self.webhook()?),
            Kind::Email => Way::Email(self.email()?),
            Kind::Command => Way::Command(self.program()?),
        };
        Ok(Receiver {
            name,
            severity,
            roles,
            way,
        })
    }

    fn webhook(self) -> Result<Webhook, String> {
        let name = &self.name;
        let url = match (self.url, self.url_file) {
            (Some(url), None) => {
                crate::notify::check_url(&url)
                    .map_err(|why| format!("`url` of receiver {name}: {why}"))?;
                Place::Url(url)
            }
            (None, Some(file)) => Place::File(file),
            _ => return Err(format!("receiver {name} needs one of `url` and `url_file`")),
        };
        Ok(Webhook {
            url,
            format: self.format.unwrap_or_default(),
            token_file: self.token_file,
            ca_file: self.ca_file,
        })
    }

    fn email(self) -> Result<Email, String> {
        let name = &self.name;
        let host = self.host.filter(|host| !host.trim().is_empty());
        let (Some(host), Some(from)) = (host, self.from) else {
            return Err(format!("receiver {name} needs `host`, `from` and `to`"));
        };
        if self.to.is_empty() || self.to.len() > MOST_PEOPLE {
            return Err(format!(
                "receiver {name} needs 1 to {MOST_PEOPLE} addresses in `to`"
            ));
        }
        if self.username.is_some() != self.password_file.is_some() {
            return Err(format!(
                "receiver {name} needs `username` and `password_file`, or neither"
            ));
        }
        let tls = self.tls.unwrap_or_default();
        if tls == Tls::None && self.username.is_some() {
            return Err(format!(
                "receiver {name} would send its password unencrypted: set `tls`"
            ));
        }
        for address in self.to.iter().chain([&from]) {
            crate::notify::check_mailbox(address)
                .map_err(|why| format!("receiver {name}: `{}`: {why}", address.escape_debug()))?;
        }
        let port = self.port.unwrap_or(match tls {
            Tls::Starttls => 587,
            Tls::Tls => 465,
            Tls::None => 25,
        });
        Ok(Email {
            host,
            port,
            tls,
            username: self.username,
            password_file: self.password_file,
            ca_file: self.ca_file,
            from,
            to: self.to,
        })
    }

    fn program(self) -> Result<Program, String> {
        let name = &self.name;
        if !self
            .command
            .first()
            .is_some_and(|path| path.starts_with('/'))
        {
            return Err(format!(
                "`command` of receiver {name} begins with an absolute path"
            ));
        }
        let timeout = match &self.timeout {
            None => Duration::from_secs(30),
            Some(text) => duration::parse(text)
                .ok()
                .filter(|time| (1..=300).contains(&time.as_secs()))
                .ok_or_else(|| {
                    format!("`timeout` of receiver {name} is a duration from 1s to 5m")
                })?,
        };
        Ok(Program {
            command: self.command,
            timeout,
        })
    }
}
