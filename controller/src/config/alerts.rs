//! The table `[alerts]`: who is told of what is wrong, by which rules, and when not.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use extend_common::config_file::refused;
use extend_common::duration;
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::nearest::nearest;
use extend_common::operation::Selector;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use crate::core::alerts::{
    AlertSettings, ReceiverFilter, Rule, RuleSetting, Severity, Window as CoreWindow,
};

/// So many receivers there may be: each has a task and up to sixteen waiting messages.
const MOST_RECEIVERS: usize = 16;
/// So many windows there may be: each is asked for each alert.
const MOST_WINDOWS: usize = 32;
/// So many people one e-mail goes to.
const MOST_PEOPLE: usize = 32;

/// The table `[alerts]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// A receiver is told again of what nobody has acknowledged, this often.
    #[serde(deserialize_with = "repeat")]
    pub repeat: Duration,
    /// So long more is waited for before a message is made.
    #[serde(deserialize_with = "group")]
    pub group: Duration,
    /// Who is told.
    #[serde(deserialize_with = "receivers")]
    pub receivers: Vec<Receiver>,
    /// What differs from the rules' defaults.
    #[serde(deserialize_with = "rules")]
    pub rules: BTreeMap<Rule, RuleSetting>,
    /// When nobody is told.
    #[serde(deserialize_with = "windows")]
    pub windows: Vec<Window>,
}

impl Default for Alerts {
    fn default() -> Self {
        let AlertSettings { repeat, group, .. } = AlertSettings::default();
        Self {
            repeat,
            group,
            receivers: Vec::new(),
            rules: BTreeMap::new(),
            windows: Vec::new(),
        }
    }
}

impl Alerts {
    /// What the core has to know of it.
    pub fn settings(&self, leaf_lifetime: Duration) -> AlertSettings {
        let receivers = self.receivers.iter().map(|receiver| ReceiverFilter {
            name: receiver.name.clone(),
            severity: receiver.severity,
            roles: receiver.roles.clone(),
        });
        AlertSettings {
            repeat: self.repeat,
            group: self.group,
            rules: self.rules.clone(),
            receivers: receivers.collect(),
            windows: self.windows.iter().map(Window::core).collect(),
            leaf_lifetime,
        }
    }
}

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
            &self.url_file,
            &self.token_file,
            &self.ca_file,
            &self.password_file,
        ];
        if let Some(path) = files.into_iter().flatten().find(|path| !path.is_absolute()) {
            let path = path.display();
            return Err(format!("{path} of receiver {name} is not an absolute path"));
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
        let (Some(host), Some(from)) = (self.host, self.from) else {
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

/// One of `[[alerts.windows]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On which days it begins; none named: on every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When it begins.
    #[serde(deserialize_with = "time")]
    pub from: Time,
    /// When it ends; not after `from`: on the next day.
    #[serde(deserialize_with = "time")]
    pub to: Time,
    /// By which clock; UTC unless it is named.
    #[serde(default = "utc", deserialize_with = "zone")]
    pub zone: TimeZone,
    /// Servers of this role.
    #[serde(default)]
    pub role: Option<RoleName>,
    /// Servers on these nodes.
    #[serde(default)]
    pub nodes: Vec<NodeAddr>,
    /// The server of this name.
    #[serde(default)]
    pub server: Option<ServerName>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Window {
    fn core(&self) -> CoreWindow {
        let all = [
            Day::Mon,
            Day::Tue,
            Day::Wed,
            Day::Thu,
            Day::Fri,
            Day::Sat,
            Day::Sun,
        ];
        let days = if self.days.is_empty() {
            &all[..]
        } else {
            &self.days
        };
        let days = days.iter().map(|day| match day {
            Day::Mon => Weekday::Monday,
            Day::Tue => Weekday::Tuesday,
            Day::Wed => Weekday::Wednesday,
            Day::Thu => Weekday::Thursday,
            Day::Fri => Weekday::Friday,
            Day::Sat => Weekday::Saturday,
            Day::Sun => Weekday::Sunday,
        });
        CoreWindow {
            days: days.collect(),
            from: self.from,
            to: self.to,
            zone: self.zone.clone(),
            selector: Selector {
                role: self.role.clone(),
                nodes: self.nodes.clone(),
                name: self.server.clone(),
            },
        }
    }
}

fn utc() -> TimeZone {
    TimeZone::UTC
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| {
        let cause = format_args!("`{}` is no time of day", text.escape_debug());
        refused(cause, "write hours and minutes, such as \"22:30\"")
    })
}

fn zone<'de, D: Deserializer<'de>>(from: D) -> Result<TimeZone, D::Error> {
    let text = String::deserialize(from)?;
    TimeZone::get(&text).map_err(|_| {
        let cause = format_args!("`{}` is no time zone of this system", text.escape_debug());
        refused(
            cause,
            "write one such as \"Europe/Berlin\" (package tzdata), or \"UTC\"",
        )
    })
}

fn bounded<'de, D: Deserializer<'de>>(
    from: D,
    range: std::ops::RangeInclusive<u64>,
    hint: &str,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let read = duration::parse(&text).ok();
    read.filter(|time| range.contains(&time.as_secs()))
        .ok_or_else(|| {
            refused(
                format_args!("`{}` is no such duration", text.escape_debug()),
                hint,
            )
        })
}

fn repeat<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    bounded(
        from,
        60..=7 * 86_400,
        "write a duration from 1m to 7d, such as \"4h\"",
    )
}

fn group<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    bounded(
        from,
        0..=600,
        "write a duration from 0s to 10m, such as \"10s\"",
    )
}

fn receivers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Receiver>, D::Error> {
    let receivers = Vec::<Receiver>::deserialize(from)?;
    if receivers.len() > MOST_RECEIVERS {
        let cause = format_args!("{} receivers are too many", receivers.len());
        return Err(refused(cause, &format!("write {MOST_RECEIVERS} at most")));
    }
    let mut names: Vec<_> = receivers.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|two| two.first() == two.last()) {
        let cause = format_args!("two receivers are called {}", twice.join(" and "));
        return Err(refused(cause, "give each its own name"));
    }
    Ok(receivers)
}

fn windows<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Window>, D::Error> {
    let windows = Vec::<Window>::deserialize(from)?;
    if windows.len() > MOST_WINDOWS {
        let cause = format_args!("{} windows are too many", windows.len());
        return Err(refused(cause, &format!("write {MOST_WINDOWS} at most")));
    }
    Ok(windows)
}

/// What is written of a rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleWords {
    #[serde(default)]
    off: bool,
    #[serde(default, rename = "for")]
    lasts: Option<String>,
    #[serde(default)]
    severity: Option<Severity>,
}

fn rules<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Rule, RuleSetting>, D::Error> {
    let words = BTreeMap::<String, RuleWords>::deserialize(from)?;
    let mut rules = BTreeMap::new();
    for (name, words) in words {
        let rule: Rule = name.parse().map_err(|error| {
            let known: Vec<_> = Rule::ALL
                .iter()
                .map(|rule| rule.name().to_owned())
                .collect();
            let hint = match nearest(&name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the rules are {}", known.join(", ")),
            };
            refused(error, &hint)
        })?;
        let lasts = words.lasts.map(|text| {
            let read = duration::parse(&text).ok();
            read.filter(|time| *time <= Duration::from_secs(86_400))
                .ok_or_else(|| {
                    let cause = format_args!("`{}` is no such duration", text.escape_debug());
                    refused(cause, "write a duration from 0s to 24h, such as \"5m\"")
                })
        });
        rules.insert(
            rule,
            RuleSetting {
                off: words.off,
                lasts: lasts.transpose()?,
                severity: words.severity,
            },
        );
    }
    Ok(rules)
}
