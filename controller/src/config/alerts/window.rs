//! One of `[[alerts.windows]]`: when nobody is told, again and again.

use extend_common::config_file::refused;
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::Selector;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use crate::core::alerts::Window as CoreWindow;

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
    /// As the core asks it.
    pub(super) fn core(&self) -> CoreWindow {
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
