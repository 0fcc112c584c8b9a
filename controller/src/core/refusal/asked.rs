//! The command that is being refused, kept so that a hint can repeat it corrected.
//!
//! Owns the spelling of command lines in hints, and nothing else.

use std::fmt;

use extend_common::checkup::Accepted;
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::Verb;

use super::super::request::{SelectorWords, Submission};
use super::Known;

/// What was to be done, for sentences: `cannot …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A verb on servers.
    Verb(Verb),
    /// `extend status`
    Status,
    /// `extend events`
    Events,
    /// `extend logs`
    Logs,
    /// `extend health`
    Health,
    /// `extend doctor`
    Checkup,
    /// `extend node show`
    ShowNode(NodeAddr),
    /// `extend node token`
    MintToken(NodeAddr),
    /// `extend node revoke`
    RevokeNode(NodeAddr),
    /// `extend node remove`
    RemoveNode(NodeAddr),
}

impl Action {
    /// To what it was to be done: `stop the server at …`.
    pub(super) fn upon(&self, object: &str) -> String {
        match self {
            Self::Logs | Self::Health => format!("{self} of {object}"),
            _ => format!("{self} {object}"),
        }
    }

    /// The command line that does it to nodes.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Verb(verb) => format!("extend {verb}"),
            Self::Status => "extend status".to_owned(),
            Self::Events => "extend events".to_owned(),
            Self::Logs => "extend logs".to_owned(),
            Self::Health => "extend health".to_owned(),
            Self::Checkup => "extend doctor".to_owned(),
            Self::ShowNode(node) => format!("extend node show {node}"),
            Self::MintToken(node) => format!("extend node token {node}"),
            Self::RevokeNode(node) => format!("extend node revoke {node}"),
            Self::RemoveNode(node) => format!("extend node remove {node}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verb(Verb::Rm) => f.write_str("remove"),
            Self::Verb(verb) => verb.fmt(f),
            Self::Status => f.write_str("show"),
            Self::Events => f.write_str("show events"),
            Self::Logs => f.write_str("show the logs"),
            Self::Health => f.write_str("show the health"),
            Self::Checkup => f.write_str("check"),
            Self::ShowNode(node) => write!(f, "show the node {node}"),
            Self::MintToken(node) => write!(f, "make a token for {node}"),
            Self::RevokeNode(node) => write!(f, "revoke the node {node}"),
            Self::RemoveNode(node) => write!(f, "remove the node {node}"),
        }
    }
}

/// A command on servers, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What was to be done: a verb, [`Action::Status`], [`Action::Events`] or [`Action::Logs`].
    pub action: Action,
    /// The word after `-s`.
    pub role: Option<String>,
    /// `-n`
    pub name: Option<ServerName>,
    /// `-a`
    pub nodes: Vec<NodeAddr>,
    /// `-A`
    pub public_address: Option<NodeAddr>,
    /// `-i`
    pub image: Option<String>,
    /// `--force`
    pub force: bool,
    /// `--accept`
    pub accepted: Vec<Accepted>,
}

impl Asked {
    /// A request to show servers.
    pub fn status(selector: &SelectorWords) -> Self {
        Self {
            action: Action::Status,
            role: Some(selector.role.clone()).filter(|word| !word.is_empty()),
            name: selector.name.clone(),
            nodes: selector.nodes.clone(),
            public_address: None,
            image: None,
            force: false,
            accepted: Vec::new(),
        }
    }

    /// A request to check nodes.
    pub fn checkup(selector: &SelectorWords) -> Self {
        Self {
            action: Action::Checkup,
            ..Self::status(selector)
        }
    }

    /// A request to show events.
    pub fn events(selector: &SelectorWords) -> Self {
        Self {
            action: Action::Events,
            ..Self::status(selector)
        }
    }

    /// A request to read what a server writes.
    pub fn logs(selector: &SelectorWords) -> Self {
        Self {
            action: Action::Logs,
            ..Self::status(selector)
        }
    }

    /// A request to show how servers are and were.
    pub fn health(selector: &SelectorWords) -> Self {
        Self {
            action: Action::Health,
            ..Self::status(selector)
        }
    }

    /// A submission.
    pub fn submission(submission: &Submission) -> Self {
        Self {
            action: Action::Verb(submission.verb),
            public_address: submission.public_address,
            image: submission.image.clone(),
            force: submission.force,
            accepted: submission.accepted.clone(),
            ..Self::status(&submission.selector)
        }
    }

    /// What was to be done.
    pub fn action(&self) -> Action {
        self.action.clone()
    }

    /// Whether this verb was to be done.
    pub(super) fn is(&self, verb: Verb) -> bool {
        self.action == Action::Verb(verb)
    }

    /// The servers in words: the options as they were given.
    pub(super) fn selector(&self) -> String {
        let line = self.line();
        line.strip_prefix(&self.action.line())
            .unwrap_or_default()
            .trim_start()
            .to_owned()
    }

    /// The same with another role.
    pub fn with_role(&self, role: &RoleName) -> Self {
        Self {
            role: Some(role.to_string()),
            ..self.clone()
        }
    }

    /// The same with another name.
    pub fn with_name(&self, name: &ServerName) -> Self {
        Self {
            name: Some(name.clone()),
            ..self.clone()
        }
    }

    /// The same for one address.
    pub fn with_node(&self, node: NodeAddr) -> Self {
        Self {
            nodes: vec![node],
            ..self.clone()
        }
    }

    /// The same with another image.
    pub fn with_image(&self, image: &str) -> Self {
        Self {
            image: Some(image.to_owned()),
            ..self.clone()
        }
    }

    /// What to do once the withdrawal of a server is confirmed: the same `run`; any other verb
    /// has nothing left to work on.
    pub(super) fn again_after_withdrawal(&self, found: &Known) -> String {
        if self.is(Verb::Run) {
            return self.line();
        }
        format!("extend status -a {}", found.node)
    }

    /// The same without an option that does not apply.
    pub fn without(&self, option: &str) -> Self {
        let mut asked = self.clone();
        match option {
            "-i" => asked.image = None,
            "-A" => asked.public_address = None,
            "-s" => asked.role = None,
            "-n" => asked.name = None,
            "--accept" => asked.accepted.clear(),
            _ => {}
        }
        asked
    }

    /// The command line. What `run` needs and was not given stands there as a placeholder.
    pub fn line(&self) -> String {
        let mut words = vec![self.action.line()];
        let needs = self.is(Verb::Run);
        let nodes: Vec<_> = self.nodes.iter().map(NodeAddr::to_string).collect();
        let nodes = (!nodes.is_empty()).then(|| nodes.join(","));
        let parts = [
            (
                "-s",
                self.role.as_ref().map(|word| quoted(word)),
                needs.then_some("TYPE"),
            ),
            (
                "-n",
                self.name.as_ref().map(ServerName::to_string),
                needs.then_some("NAME"),
            ),
            ("-a", nodes, needs.then_some("PRIVATE_IP")),
            ("-A", self.public_address.map(|ip| ip.to_string()), None),
            ("-i", self.image.as_ref().map(|image| quoted(image)), None),
        ];
        for (option, given, placeholder) in parts {
            if let Some(value) = given.or(placeholder.map(str::to_owned)) {
                words.push(option.to_owned());
                words.push(value);
            }
        }
        if self.is(Verb::Adopt) && self.nodes.is_empty() {
            words.push("--all".to_owned());
        }
        for accepted in &self.accepted {
            let given = format!("{}={}", accepted.name, accepted.reason);
            words.extend(["--accept".to_owned(), quoted(&given)]);
        }
        if self.force {
            words.push("--force".to_owned());
        }
        words.join(" ")
    }
}

/// A word as it can be pasted into a shell: an operator's text may hold anything.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let shown: String = word.chars().take(80).flat_map(shown).collect();
    format!("'{}'", shown.replace('\'', r"'\''"))
}

fn shown(c: char) -> Vec<char> {
    if c.is_control() {
        c.escape_default().collect()
    } else {
        vec![c]
    }
}
