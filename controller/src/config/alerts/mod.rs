//! The table `[alerts]`: who is told of what is wrong, by which rules, and when not.

mod receiver;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use extend_common::config_file::refused;
use extend_common::duration;
use extend_common::nearest::nearest;
use extend_common::roles::RoleSet;
use serde::{Deserialize, Deserializer};

use crate::core::alerts::{AlertSettings, ReceiverFilter, Rule, RuleSetting, Severity};

pub use receiver::{Email, Format, Place, Program, Receiver, Tls, Way, Webhook};
pub use window::{Day, Window};

/// So many receivers there may be: each has a task and up to sixteen waiting messages.
const MOST_RECEIVERS: usize = 16;
/// So many windows there may be: each is asked for each alert.
const MOST_WINDOWS: usize = 32;

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
    /// Roles that are named and that no definition has, each in a sentence: nobody would ever be
    /// told of them, or kept quiet about them.
    pub fn unknown_roles(&self, roles: &RoleSet) -> Vec<String> {
        let of_receivers = self.receivers.iter().flat_map(|receiver| {
            let place = format!("receiver {} of alerts", receiver.name);
            receiver.roles.iter().map(move |role| (place.clone(), role))
        });
        let of_windows = self.windows.iter().filter_map(|window| {
            let place = "a window of alerts".to_owned();
            Some((place, window.role.as_ref()?))
        });
        let named = of_receivers.chain(of_windows);
        let unknown = named.filter(|(_, role)| roles.get(role).is_none());
        unknown
            .map(|(place, role)| format!("{place} names {role}, and no role has that name"))
            .collect()
    }

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
