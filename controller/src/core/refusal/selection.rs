//! Selectors that do not agree with the fleet, or not with themselves.

use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::Verb;

use super::{Asked, Known, Text};

/// How selector and fleet disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// There is no server anywhere.
    NoServers {
        /// The command.
        asked: Asked,
    },
    /// The selector means none of the servers there are.
    NothingMatches {
        /// The command.
        asked: Asked,
        /// What there is.
        servers: Vec<Known>,
    },
    /// A named address has no server.
    NoServerAt {
        /// The command.
        asked: Asked,
        /// The address.
        node: NodeAddr,
        /// Whether it is a node of the fleet.
        enrolled: bool,
    },
    /// The server at the address, or of the name, has another role.
    OtherRole {
        /// The command.
        asked: Asked,
        /// The role that was named.
        role: RoleName,
        /// What is there.
        found: Known,
        /// The servers of the role that was named.
        of_role: Vec<Known>,
    },
    /// The server at the address has another name.
    OtherName {
        /// The command.
        asked: Asked,
        /// The name that was given.
        name: ServerName,
        /// What is there.
        found: Known,
        /// The server that has the name.
        named: Option<Known>,
    },
    /// One operation cannot hold so many servers.
    TooManyServers {
        /// The command.
        asked: Asked,
        /// How many were meant.
        count: usize,
        /// The most.
        most: usize,
    },
    /// One answer cannot have the histories of so many servers.
    TooManyHistories {
        /// The command.
        asked: Asked,
        /// How many were meant.
        count: usize,
        /// The most.
        most: usize,
    },
}

impl Mismatch {
    pub(super) fn text(&self) -> Text {
        match self {
            Self::NoServers { asked } => Text::new(
                "no-servers",
                format!("cannot {}: there are no servers yet", asked.action()),
                "extend run -s TYPE -n NAME -a PRIVATE_IP".to_owned(),
            ),
            Self::NothingMatches { asked, servers } => nothing_matches(asked, servers),
            Self::NoServerAt {
                asked,
                node,
                enrolled: true,
            } => Text::new(
                "no-server-at",
                format!(
                    "cannot {}: the node has none",
                    asked.action().upon(&format!("the server at {node}"))
                ),
                format!("extend run -s TYPE -n NAME -a {node}"),
            ),
            Self::NoServerAt {
                asked,
                node,
                enrolled: false,
            } => Text::new(
                "no-server-at",
                format!(
                    "cannot {}: it is no node of this fleet",
                    asked.action().upon(&format!("the server at {node}"))
                ),
                "extend node list".to_owned(),
            )
            .because(format!(
                "a node joins with: extend node bootstrap -a {node}, or without SSH: extend node \
                 token -a {node} --cloud-init"
            )),
            Self::OtherRole {
                asked,
                role,
                found,
                of_role,
            } => other_role(asked, role, found, of_role),
            Self::OtherName {
                asked,
                name,
                found,
                named,
            } => other_name(asked, name, found, named.as_ref()),
            Self::TooManyServers { asked, count, most } => Text::new(
                "too-many-servers",
                format!("cannot {} {count} servers at once", asked.action()),
                "extend status".to_owned(),
            )
            .because(format!(
                "one operation takes at most {most}: narrow it with -s or -a"
            )),
            Self::TooManyHistories { asked, count, most } => Text::new(
                "too-many-histories",
                format!("cannot {} of {count} servers at once", asked.action()),
                "extend status -o wide".to_owned(),
            )
            .because(format!(
                "one answer has the histories of at most {most}: narrow it with -s, -a or -n"
            )),
        }
    }
}

fn nothing_matches(asked: &Asked, servers: &[Known]) -> Text {
    let what = match (&asked.role, &asked.name) {
        (None, Some(name)) => format!("no server is named {name}"),
        (Some(role), None) => format!("there is no {role}"),
        (Some(role), Some(name)) => format!("there is no {role} named {name}"),
        (None, None) => "no server is meant".to_owned(),
    };
    Text::new(
        "nothing-matches",
        format!("cannot {}: {what}", asked.action()),
        "extend status".to_owned(),
    )
    .listing("the servers are", servers)
}

fn other_role(asked: &Asked, role: &RoleName, found: &Known, of_role: &[Known]) -> Text {
    // Which half of the command is the slip is not known: a removal is not suggested on a guess.
    let hint = if asked.is(Verb::Rm) {
        format!("extend status -a {}", found.node)
    } else {
        asked.with_role(&found.role).line()
    };
    let text = Text::new(
        "other-role",
        format!(
            "cannot {}: the server at {} is {} ({}), not a {role}",
            asked.action(),
            found.node,
            found.name,
            found.role
        ),
        hint,
    );
    match of_role {
        [] => text.because(format!("there is no {role} in this fleet")),
        [only] => text.because(format!("the only {role} is {} at {}", only.name, only.node)),
        several => text.listing(&format!("the servers of type {role} are"), several),
    }
}

fn other_name(asked: &Asked, name: &ServerName, found: &Known, named: Option<&Known>) -> Text {
    let hint = if asked.is(Verb::Rm) {
        format!("extend status -a {}", found.node)
    } else {
        asked.with_name(&found.name).line()
    };
    let text = Text::new(
        "other-name",
        format!(
            "cannot {}: the server at {} is {} ({}), not {name}",
            asked.action(),
            found.node,
            found.name,
            found.role
        ),
        hint,
    );
    match named {
        Some(named) => text.because(format!("{} is at {}", named.name, named.node)),
        None => text.because(format!("no server is named {name}")),
    }
}
