//! What the controller shows, as protobuf messages. Called by the handlers.

use extend_common::clock::since;
use extend_common::host::AgedFigures;
use extend_common::wire::{firewall_wanted, optional_ms};
use extend_proto::v1;
use jiff::Timestamp;

use crate::core::request::{PbxDoor, Submitted, ToAgent};
use crate::core::view::{
    HostSample, NodeView, OperationList, PortalStanding, PortalState, ServerView, ServersView,
};
use crate::engine::Checkup;
use crate::package::{AgentPackage, PackageError};

/// In place of a share, for a time of which nothing is known.
const GAP: u8 = u8::MAX;

pub(super) fn to_agent(message: ToAgent) -> v1::ControllerMessage {
    use v1::controller_message::Kind;
    let kind = match message {
        ToAgent::Welcome(welcome) => Kind::Welcome(v1::Welcome {
            store_id: welcome.store.to_string(),
            epoch: welcome.epoch,
            session: welcome.session.0,
            heartbeat_interval_ms: welcome
                .heartbeat_interval
                .as_millis()
                .try_into()
                .unwrap_or(u32::MAX),
            ahead: welcome.ahead,
            controllers: welcome
                .controllers
                .iter()
                .map(ToString::to_string)
                .collect(),
        }),
        ToAgent::Assignment { record, recovered } => Kind::Assignment(v1::Assignment {
            record: Some((*record).into()),
            recovered,
        }),
        ToAgent::EventsKept { journal, sequence } => {
            Kind::EventsKept(v1::EventsKept { journal, sequence })
        }
        ToAgent::RestartHold { lasts, reason } => Kind::RestartHold(v1::RestartHold {
            // Rounded up: less would be none at its end.
            seconds: u32::try_from(lasts.as_millis().div_ceil(1000)).unwrap_or(u32::MAX),
            reason,
        }),
        ToAgent::ImageWanted(wanted) => Kind::ImageWanted(v1::ImageWanted {
            id: wanted.id.to_string(),
            reference: wanted.reference,
            pull: wanted.pull.to_wire(),
        }),
        ToAgent::FirewallWanted(wanted) => {
            let wanted = *wanted;
            Kind::FirewallWanted(firewall_wanted(wanted.id.to_string(), wanted.change))
        }
        ToAgent::CheckupWanted(wanted) => Kind::CheckupWanted(v1::CheckupWanted {
            id: wanted.id.to_string(),
            role: text(wanted.role.as_ref()),
            ports: wanted.doors.into_iter().map(port).collect(),
        }),
        ToAgent::LogsWanted(wanted) => Kind::LogsWanted(v1::LogsWanted {
            id: wanted.id.to_string(),
            role: wanted.role.to_string(),
            query: Some(wanted.query.into()),
        }),
    };
    v1::ControllerMessage { kind: Some(kind) }
}

pub(super) fn submitted(submitted: Submitted) -> v1::SubmitResponse {
    v1::SubmitResponse {
        plan: submitted.plan.into_iter().map(Into::into).collect(),
        operation: submitted.operation.map(Into::into),
    }
}

pub(super) fn operations(list: OperationList) -> v1::ListOperationsResponse {
    v1::ListOperationsResponse {
        operations: list.operations.into_iter().map(Into::into).collect(),
        cut_ms: optional_ms(list.cut),
    }
}

pub(super) fn server(server: ServerView, now: Timestamp) -> v1::ServerView {
    v1::ServerView {
        record: Some(server.record.into()),
        node_state: server.node_state.to_wire(),
        status: server.status.map(Into::into),
        operation: text(server.operation.as_ref()),
        node_reason: server.node_reason,
        portal: server.portal.map(portal),
        node_away_since_ms: optional_ms(server.node_away_since),
        host: server.host.map(|host| self::host(host, now)),
        recent: server
            .recent
            .into_iter()
            .map(|share| share.unwrap_or(GAP))
            .collect(),
    }
}

pub(super) fn servers(view: ServersView, now: Timestamp) -> v1::ListServersResponse {
    let server = |view| server(view, now);
    let unclaimed = |(node, unclaimed): (extend_common::ids::NodeAddr, _)| {
        let v1::Unclaimed {
            container_name,
            container_id,
            role,
            found,
            obstacle,
        } = extend_common::status::Unclaimed::into(unclaimed);
        v1::UnclaimedView {
            node: node.to_string(),
            container_name,
            container_id,
            role,
            found,
            obstacle,
        }
    };
    v1::ListServersResponse {
        servers: view.servers.into_iter().map(server).collect(),
        unclaimed: view.unclaimed.into_iter().map(unclaimed).collect(),
    }
}

pub(super) fn node(view: NodeView, now: Timestamp) -> v1::NodeView {
    v1::NodeView {
        node: view.node.to_string(),
        state: view.state.to_wire(),
        reason: view.reason,
        agent_version: view.agent_version,
        enrolled_ms: optional_ms(view.enrolled),
        last_seen_ms: optional_ms(view.last_seen),
        leaf_expires_ms: optional_ms(view.leaf_expires),
        token_expires_ms: optional_ms(view.token_expires),
        server_name: text(view.server_name.as_ref()),
        role: text(view.role.as_ref()),
        stamp: view.stamp.map(Into::into),
        docker_trouble: view.docker_trouble,
        ledger_trouble: view.ledger_trouble,
        away_since_ms: optional_ms(view.away_since),
        host: view.host.map(|host| self::host(host, now)),
        clock_ahead_ms: view.clock_ahead.map(|ahead| {
            // A century is far from the bounds of 64 bits.
            i64::try_from(ahead.as_millis()).unwrap_or_default()
        }),
        cloud: view.cloud.map(Into::into),
    }
}

fn port(door: PbxDoor) -> v1::CheckupPort {
    v1::CheckupPort {
        address: door.address,
        port: door.port.into(),
        purpose: door.purpose.to_owned(),
        needed: door.needed,
    }
}

pub(super) fn checkups(checkups: Vec<Checkup>) -> v1::CheckupResponse {
    let node = |checkup: Checkup| v1::NodeCheckup {
        node: checkup.subject.node.to_string(),
        name: text(checkup.subject.name.as_ref()),
        role: text(checkup.subject.role.as_ref()),
        checks: checkup.checks.into_iter().map(Into::into).collect(),
    };
    v1::CheckupResponse {
        nodes: checkups.into_iter().map(node).collect(),
    }
}

fn host(sample: HostSample, now: Timestamp) -> v1::HostFigures {
    let age = since(sample.at, now);
    let figures = sample.figures;
    AgedFigures { age, figures }.into()
}

/// How a server stands in the portal.
fn portal(standing: PortalStanding) -> v1::PortalStanding {
    let state = match standing.state {
        PortalState::Unknown => v1::PortalState::Unknown,
        PortalState::NotRegistered => v1::PortalState::NotRegistered,
        PortalState::Offline => v1::PortalState::Offline,
        PortalState::Online => v1::PortalState::Online,
        PortalState::Disabled => v1::PortalState::Disabled,
    };
    v1::PortalStanding {
        state: state.into(),
        reason: standing.reason,
        sessions: standing.sessions,
    }
}

/// The rest of the view: the package, or why there is none.
pub(super) fn enrolment(
    mut view: v1::EnrolmentView,
    found: Result<AgentPackage, PackageError>,
) -> v1::EnrolmentView {
    match found {
        Ok(package) => {
            view.package = Some(v1::AgentPackage {
                path: package.path.display().to_string(),
                version: package.version,
                architecture: package.architecture,
                size: package.size,
                sha256: package.sha256.0.to_vec(),
            });
        }
        Err(error) => {
            view.problem = error.to_string();
            view.hint = error.hint();
        }
    }
    view
}

pub(super) fn noted(
    view: Option<NodeView>,
    notes: Vec<String>,
    now: Timestamp,
) -> v1::NodeResponse {
    v1::NodeResponse {
        node: view.map(|view| node(view, now)),
        notes,
    }
}

/// None is empty.
fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}
