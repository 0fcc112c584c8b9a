//! What an administrator has decided about alerts, as far as the core needs it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use extend_common::ids::RoleName;
use extend_common::operation::Selector;

use super::Subject;
use super::rule::{Rule, Severity};

/// Everything that the core has to know of `[alerts]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertSettings {
    /// A receiver is told again of what nobody has acknowledged, this often.
    pub repeat: Duration,
    /// So long more is waited for before a message is made.
    pub group: Duration,
    /// What differs from the rules' defaults.
    pub rules: BTreeMap<Rule, RuleSetting>,
    /// Who is told of what.
    pub receivers: Vec<ReceiverFilter>,
    /// When nobody is told.
    pub windows: Vec<Window>,
    /// How long a node's certificate lives.
    pub leaf_lifetime: Duration,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            repeat: Duration::from_secs(4 * 60 * 60),
            group: Duration::from_secs(10),
            rules: BTreeMap::new(),
            receivers: Vec::new(),
            windows: Vec::new(),
            leaf_lifetime: extend_common::tls::LEAF_LIFETIME,
        }
    }
}

impl AlertSettings {
    /// For how long a rule's finding has to last; none when the rule is off.
    pub fn lasts(&self, rule: Rule) -> Option<Duration> {
        match self.rules.get(&rule) {
            Some(setting) if setting.off => None,
            Some(setting) => Some(setting.lasts.unwrap_or(rule.lasts())),
            None => Some(rule.lasts()),
        }
    }

    /// How bad it is.
    pub fn severity(&self, rule: Rule) -> Severity {
        let setting = self.rules.get(&rule);
        setting
            .and_then(|setting| setting.severity)
            .unwrap_or(rule.severity())
    }
}

/// What differs from a rule's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleSetting {
    /// It never fires.
    pub off: bool,
    /// For how long it has to last.
    pub lasts: Option<Duration>,
    /// How bad it is.
    pub severity: Option<Severity>,
}

/// Of what a receiver is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverFilter {
    /// Its name.
    pub name: String,
    /// At least so bad.
    pub severity: Severity,
    /// Of servers of these roles, and of what belongs to no role; empty: of everything.
    pub roles: Vec<RoleName>,
}

impl ReceiverFilter {
    /// Whether it is told of an alert.
    pub fn wants(&self, severity: Severity, subject: &Subject) -> bool {
        let role = subject.role.as_ref();
        severity >= self.severity
            && (self.roles.is_empty() || role.is_none_or(|role| self.roles.contains(role)))
    }
}

/// A time that comes back, in which people are not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Time,
    /// When it ends; not after `from`: on the next day.
    pub to: Time,
    /// By which clock.
    pub zone: TimeZone,
    /// Which servers are meant.
    pub selector: Selector,
}

impl Window {
    /// Whether it is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let (today, time) = (local.date(), local.time());
        let begins = |day: jiff::civil::Date| self.days.contains(&day.weekday());
        if self.from < self.to {
            return begins(today) && time >= self.from && time < self.to;
        }
        let yesterday = today.saturating_sub(Span::new().days(1));
        (begins(today) && time >= self.from) || (begins(yesterday) && time < self.to)
    }
}

/// Whether a selector means what an alert is about. Without any part it means everything; with
/// one, nothing that has no such part.
pub(super) fn means(selector: &Selector, subject: &Subject) -> bool {
    let node = |node| selector.nodes.contains(&node);
    (selector.nodes.is_empty() || subject.node.is_some_and(node))
        && selector
            .role
            .as_ref()
            .is_none_or(|role| subject.role.as_ref() == Some(role))
        && selector
            .name
            .as_ref()
            .is_none_or(|name| subject.name.as_ref() == Some(name))
}
