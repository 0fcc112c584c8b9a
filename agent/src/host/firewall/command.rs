//! firewall-cmd: which calls are made, with which words, and for how long. No word of a call comes
//! from outside but addresses and ports that were parsed, and zones that firewalld has named.

use std::path::Path;
use std::time::Duration;

use extend_common::firewall::FirewallState;

use crate::host::HostError;
use crate::host::changes::{Said, run};

/// It is a Python program, and starts like one.
const LIMIT: Duration = Duration::from_secs(15);
/// So many options are given to one call: a command line has an end.
const AT_ONCE: usize = 200;
/// What it says when the daemon does not run.
const NOT_RUNNING: i32 = 252;
const ASKING: &str = "asking firewalld through";

/// One of firewalld's two configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// In force until the next reload.
    Runtime,
    /// In force from the next reload or start on.
    Permanent,
}

impl Layer {
    /// What is in force first: nobody waits for the other.
    pub(super) const BOTH: [Self; 2] = [Self::Runtime, Self::Permanent];
}

/// firewalld's command.
pub(super) struct Command<'a>(&'a Path);

impl<'a> Command<'a> {
    pub(super) fn of(path: &'a Path) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &'a Path {
        self.0
    }

    /// Whether it is there, and its daemon runs.
    pub(super) fn state(&self) -> Result<FirewallState, HostError> {
        if !self.0.exists() {
            return Ok(FirewallState::Absent);
        }
        let said = run(self.0, &["--state"], LIMIT)?;
        Ok(match said.status.code() {
            Some(0) => FirewallState::Running,
            Some(NOT_RUNNING) => FirewallState::Stopped,
            _ => return Err(self.failed("--state", &said)),
        })
    }

    pub(super) fn default_zone(&self) -> Result<String, HostError> {
        let zone = self.ask(&["--get-default-zone".to_owned()])?;
        Ok(zone.trim().to_owned())
    }

    /// Everything about all zones of a layer, as it is printed.
    pub(super) fn zones(&self, layer: Layer) -> Result<String, HostError> {
        self.ask_in(layer, vec!["--list-all-zones".to_owned()])
    }

    /// The entries of a set.
    pub(super) fn entries(&self, layer: Layer, set: &str) -> Result<String, HostError> {
        let words = vec![format!("--ipset={set}"), "--get-entries".to_owned()];
        self.ask_in(layer, words)
    }

    /// Gives a zone these options, as few calls as it takes; the first thing that went wrong.
    pub(super) fn in_zone(
        &self,
        layer: Layer,
        zone: &str,
        options: Vec<String>,
    ) -> Result<(), String> {
        let mut worst = Ok(());
        for some in options.chunks(AT_ONCE) {
            let mut words = vec![format!("--zone={zone}")];
            words.extend_from_slice(some);
            let done = self.ask_in(layer, words).map(drop);
            worst = worst.and(done.map_err(|error| error.cause));
        }
        worst
    }

    fn ask_in(&self, layer: Layer, mut words: Vec<String>) -> Result<String, HostError> {
        if layer == Layer::Permanent {
            words.insert(0, "--permanent".to_owned());
        }
        self.ask(&words)
    }

    fn ask(&self, words: &[String]) -> Result<String, HostError> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = run(self.0, &words, LIMIT)?;
        if said.status.success() {
            return Ok(said.text);
        }
        Err(self.failed(words.first().copied().unwrap_or_default(), &said))
    }

    fn failed(&self, call: &str, said: &Said) -> HostError {
        let mut lines = said.text.lines().map(str::trim);
        let last = lines.rfind(|line| !line.is_empty());
        let cause = format!("`{call}`: {}", last.unwrap_or("it failed without a word"));
        HostError {
            hint: Some("journalctl -u firewalld".to_owned()),
            ..HostError::new(ASKING, self.0, cause)
        }
    }
}
