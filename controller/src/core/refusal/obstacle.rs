//! What stands in the way at a server or at its node.

use jiff::Timestamp;

use extend_common::checkup::Check;
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::Verb;

use super::host;
use super::turn::{
    agent_cannot_wait, busy, last_healthy, no_previous_image, pbx_version_unknown, queue_full,
    sessions_uncounted,
};
use super::{Action, Asked, Held, Known, Text, moment};

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Open operations hold servers that were meant.
    Busy {
        /// What was to be done.
        action: Action,
        /// Which, and by whom; at least one.
        held: Vec<Held>,
    },
    /// The node follows records that this store does not have.
    NodeAhead {
        /// What was to be done.
        action: Action,
        /// Which.
        node: NodeAddr,
        /// How that is known.
        why: String,
    },
    /// The node has not joined.
    NotEnrolled {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// Until when its unspent token is good.
        token: Option<Timestamp>,
    },
    /// The node is one of the PBX's own.
    PbxNode {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
    },
    /// The node's certificate is no longer accepted.
    Revoked {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// Since when.
        since: Timestamp,
    },
    /// The server is on its way out.
    BeingRemoved {
        /// The command.
        asked: Asked,
        /// Which.
        found: Known,
        /// It is taken back because its first deployment failed or was cancelled.
        withdrawn: bool,
    },
    /// The node would render another container than the controller expects.
    DefinitionDiffers {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// The role.
        role: RoleName,
        /// How the two sides differ.
        gap: DefinitionGap,
    },
    /// The configuration does not say where the PBX is.
    NoPbxAddress {
        /// The command.
        asked: Asked,
    },
    /// Nobody says how the Internet reaches the node, and the portal is to be told.
    NoPublicAddress {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
    },
    /// The node's host breaks rules that nobody has accepted.
    HostUnfit {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// Which rules, and how; at least one.
        failed: Vec<Check>,
    },
    /// The node has a server already, and it is another one.
    NodeOccupied {
        /// The command.
        asked: Asked,
        /// What is there.
        found: Known,
    },
    /// Another node's server has the name.
    NameTaken {
        /// The command.
        asked: Asked,
        /// Which.
        found: Known,
    },
    /// The node cannot be asked: its agent is not connected.
    NodeAway {
        /// The command.
        asked: Asked,
        /// The server that was meant.
        found: Known,
        /// Since when.
        why: String,
    },
    /// A container that is not ours bears the official name.
    ContainerInTheWay {
        /// The command.
        asked: Asked,
        /// Where.
        node: NodeAddr,
        /// Its name.
        container: String,
        /// Docker's id.
        id: String,
        /// Why it cannot be taken over, if it cannot.
        unfit: Option<String>,
    },
    /// A container under an official name that cannot be taken over.
    CannotAdopt {
        /// The command.
        asked: Asked,
        /// Where.
        node: NodeAddr,
        /// Its name.
        container: String,
        /// Docker's id.
        id: String,
        /// Why.
        why: String,
    },
    /// There is no container to take over.
    NothingToAdopt {
        /// The command.
        asked: Asked,
        /// On which node; on none at all when none was named.
        node: Option<NodeAddr>,
        /// Of so many nodes nobody knows.
        away: usize,
    },
    /// What is on the node cannot be seen just now.
    NodeUnseen {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// Why.
        why: String,
    },
    /// The role has other servers that should run, and none of them could take over.
    LastHealthy {
        /// The command.
        asked: Asked,
        /// The server that runs well.
        found: Known,
        /// Its role, in sentences.
        title: String,
        /// What is known of each of the others, in a sentence.
        others: Vec<String>,
    },
    /// Nobody knows how the sessions of a role are counted.
    SessionsUncounted {
        /// The command.
        asked: Asked,
        /// The role.
        role: RoleName,
        /// The same in sentences.
        title: String,
    },
    /// Nobody can hold the image against the version of the PBX, and the operator has not said yes.
    PbxVersionUnknown {
        /// The command.
        asked: Asked,
    },
    /// The agent is older than waiting for sessions.
    AgentCannotWait {
        /// The command.
        asked: Asked,
        /// Where.
        node: NodeAddr,
    },
    /// The node keeps no image of a deployment before.
    NoPreviousImage {
        /// The command.
        asked: Asked,
        /// The server.
        found: Known,
        /// Its node has not been heard since the controller's start.
        unheard: bool,
    },
    /// So many operations wait for the server already.
    QueueFull {
        /// What was to be done.
        action: Action,
        /// The server.
        found: Known,
        /// The most that may wait.
        most: usize,
    },
    /// `node remove` of a node that still has a server.
    NodeHasServer {
        /// Which.
        found: Known,
        /// The server was removed, and the node has not confirmed it.
        unconfirmed: bool,
    },
}

/// How a node's role definitions differ from the controller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefinitionGap {
    /// Both know the role, and mean different containers.
    Content,
    /// The node does not know the role.
    NotThere,
    /// The controller does not know the role any more.
    NotHere,
}

impl Obstacle {
    pub(super) fn text(&self) -> Text {
        match self {
            Self::Busy { action, held } => busy(action, held),
            Self::NodeAhead { action, node, why } => Text::new(
                "ahead",
                format!("cannot {action}: node {node} is ahead of this controller's store"),
                "extend controller recover".to_owned(),
            )
            .because(why.clone()),
            Self::NotEnrolled { asked, node, token } => not_enrolled(asked, *node, *token),
            Self::PbxNode { asked, node } => pbx_node(asked, *node),
            Self::Revoked { asked, node, since } => Text::new(
                "revoked",
                format!("cannot {}: node {node} is revoked", asked.action()),
                format!("extend node token {node}"),
            )
            .because(format!(
                "since {}; a new token lets it join again",
                moment(*since)
            )),
            Self::BeingRemoved {
                asked,
                found,
                withdrawn: true,
            } => Text::new(
                "being-withdrawn",
                format!(
                    "cannot {}: {found} is being taken back just now",
                    asked.action()
                ),
                asked.again_after_withdrawal(found),
            )
            .because("its deployment did not come about, and its node has yet to confirm that")
            .because("try again in a moment"),
            Self::BeingRemoved {
                asked,
                found,
                withdrawn: false,
            } => Text::new(
                "being-removed",
                format!("cannot {} {found}: it is being removed", asked.action()),
                format!("extend rm -s {} -a {}", found.role, found.node),
            )
            .because("its node has yet to confirm; rm tries again, run deploys it anew"),
            Self::DefinitionDiffers {
                asked,
                node,
                role,
                gap,
            } => definition_differs(asked, *node, role, *gap),
            Self::NoPbxAddress { asked } => no_pbx_address(asked),
            Self::NoPublicAddress { asked, node } => host::no_public_address(asked, *node),
            Self::HostUnfit {
                asked,
                node,
                failed,
            } => host::unfit(asked, *node, failed),
            Self::NodeOccupied { asked, found } => node_occupied(asked, found),
            Self::NameTaken { asked, found } => name_taken(asked, found),
            Self::NodeAway { asked, found, why } => node_away(asked, found, why),
            Self::ContainerInTheWay { .. }
            | Self::CannotAdopt { .. }
            | Self::NothingToAdopt { .. }
            | Self::NodeUnseen { .. } => self.of_unclaimed(),
            Self::LastHealthy {
                asked,
                found,
                title,
                others,
            } => last_healthy(asked, found, title, others),
            Self::SessionsUncounted { asked, role, title } => {
                sessions_uncounted(asked, role, title)
            }
            Self::PbxVersionUnknown { asked } => pbx_version_unknown(asked),
            Self::AgentCannotWait { asked, node } => agent_cannot_wait(asked, *node),
            Self::NoPreviousImage {
                asked,
                found,
                unheard,
            } => no_previous_image(asked, found, *unheard),
            Self::QueueFull {
                action,
                found,
                most,
            } => queue_full(action, found, *most),
            Self::NodeHasServer { found, unconfirmed } => node_has_server(found, *unconfirmed),
        }
    }
}

fn node_away(asked: &Asked, found: &Known, why: &str) -> Text {
    Text::new(
        "node-away",
        format!(
            "cannot {}: its node cannot be asked",
            asked.action().upon(&found.to_string())
        ),
        format!("extend node show {}", found.node),
    )
    .because(why)
}

fn not_enrolled(asked: &Asked, node: NodeAddr, token: Option<Timestamp>) -> Text {
    let text = Text::new(
        "not-enrolled",
        format!(
            "cannot {}: the node has not joined",
            asked.action().upon(&format!("a server on {node}"))
        ),
        format!(
            "extend node bootstrap -a {node}, or without SSH: extend node token -a {node} --cloud-init"
        ),
    );
    match token {
        Some(until) => text.because(format!(
            "a token for it was made, is good until {}, and has not been used: it has yet to be \
             given to `extend-agent join` there",
            moment(until)
        )),
        None => text
            .because("bootstrap sets the node up over SSH; --cloud-init prints user data that does so at its first boot")
            .because(format!(
                "by hand, with the package extend-agent on it: extend node token -a {node}"
            )),
    }
}

fn pbx_node(asked: &Asked, node: NodeAddr) -> Text {
    let text = Text::new(
        "pbx-node",
        format!(
            "cannot {}: the node is one of the PBX's own",
            asked.action().upon(&format!("a server on {node}"))
        ),
        "extend node list shows the nodes for servers".to_owned(),
    );
    text.because("it stands in `[pbx] nodes` in /etc/extend/controller.toml; its agent is for firewalld there".to_owned())
}

fn definition_differs(asked: &Asked, node: NodeAddr, role: &RoleName, gap: DefinitionGap) -> Text {
    let (differs, hint) = match gap {
        DefinitionGap::Content => (
            format!("its definition of {role} is not the controller's"),
            format!("extend node show {node}"),
        ),
        DefinitionGap::NotThere => (
            format!("it has no definition of {role}"),
            format!(
                "on {node}: put the file back into /etc/extend/roles.d, then: systemctl restart \
                 extend-agent"
            ),
        ),
        DefinitionGap::NotHere => (
            format!("the controller has no definition of {role}"),
            "put the file back into /etc/extend/roles.d, then: sudo systemctl restart \
             extend-controller"
                .to_owned(),
        ),
    };
    Text::new(
        "definition-differs",
        format!("cannot {} on {node}: {differs}", asked.action()),
        hint,
    )
    .because(
        "definitions are built in, and added to by /etc/extend/roles.d: the two sides have other \
         files there, or other versions",
    )
}

fn node_occupied(asked: &Asked, found: &Known) -> Text {
    let name = asked
        .name
        .as_ref()
        .map_or("a server".to_owned(), ToString::to_string);
    // The right command is only clear when the role agrees: then the name was a slip.
    let hint = if asked.is(Verb::Run) && asked.role.as_deref() == Some(found.role.as_str()) {
        asked.with_name(&found.name).line()
    } else {
        format!("extend status -a {}", found.node)
    };
    Text::new(
        "node-occupied",
        format!(
            "cannot {} {name} on {}: the server there is {} ({})",
            asked.action(),
            found.node,
            found.name,
            found.role
        ),
        hint,
    )
    .because("a node carries one server")
}

fn name_taken(asked: &Asked, found: &Known) -> Text {
    let node = asked
        .nodes
        .first()
        .map(NodeAddr::to_string)
        .unwrap_or_default();
    Text::new(
        "name-taken",
        format!(
            "cannot {} {} on {node}: the name is taken by the server at {}",
            asked.action(),
            found.name,
            found.node
        ),
        format!("extend status -a {}", found.node),
    )
    .because(format!(
        "a name means one server in the PBX Web Portal; this one is {found}"
    ))
}

fn node_has_server(found: &Known, unconfirmed: bool) -> Text {
    let there = if unconfirmed {
        format!("it has not confirmed that {} is gone", found.name)
    } else {
        format!("it carries {} ({})", found.name, found.role)
    };
    Text::new(
        "node-has-server",
        format!("cannot remove the node {}: {there}", found.node),
        format!("extend rm -s {} -a {}", found.role, found.node),
    )
    .because(format!(
        "if the node is gone for good: {} --force",
        Action::RemoveNode(found.node).line()
    ))
}

fn no_pbx_address(asked: &Asked) -> Text {
    Text::new(
        "no-pbx-address",
        format!(
            "cannot {} a server: the address of the PBX is not set",
            asked.action()
        ),
        "sudo systemctl restart extend-controller".to_owned(),
    )
    .because("set `address` under [pbx] in /etc/extend/controller.toml first")
}
