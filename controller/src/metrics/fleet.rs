//! The fleet's numbers under their names.

use extend_common::ids::RoleName;
use extend_common::status::WarningKind;

use super::page::Page;
use super::table::{self, Definition};
use crate::core::figures::{
    FleetFigures, HEALTHS, HostFigures, ListFigures, NODE_STATES, PORTAL_STATES, ROW_STATES,
    RoleFigures, ServerFigures, WARNINGS,
};
use crate::core::view::PortalState;
use crate::whitelist::State;

/// Who counts sessions.
const SOURCES: [&str; 2] = ["portal", "node"];
/// A role that no definition has.
const OTHER: &str = "other";

/// Everything that the engine told.
pub(super) fn show(page: &mut Page, figures: &FleetFigures) {
    for (role, of_role) in &figures.roles {
        show_role(page, role_word(role.as_ref()), of_role, figures.has_portal);
    }
    if let Some(at) = figures.portal_seen {
        page.moment(&table::PORTAL_SEEN, [], at);
    }
    for (state, count) in NODE_STATES.iter().zip(figures.nodes) {
        page.number(&table::AGENTS, [&state.to_string()], count);
    }
    page.number(&table::CONNECTED, [], figures.connected);
    if let Some(silence) = figures.silence {
        page.span(&table::SILENCE, [], silence);
    }
    page.number(&table::TROUBLED, ["docker"], figures.docker_silent);
    page.number(&table::TROUBLED, ["ledger"], figures.ledger_trouble);
    for (enforcer, list) in &figures.whitelist {
        show_list(page, &enforcer.name(), list);
    }
    for server in &figures.each {
        show_server(page, server);
    }
    page.number(&table::LEFT_OUT, [], figures.left_out);
}

/// A role as a label.
pub(super) fn role_word(role: Option<&RoleName>) -> &str {
    role.map_or(OTHER, RoleName::as_str)
}

fn show_role(page: &mut Page, role: &str, figures: &RoleFigures, has_portal: bool) {
    for (health, count) in HEALTHS.iter().zip(figures.health) {
        page.number(&table::SERVERS, [role, &health.to_string()], count);
    }
    page.number(&table::FAILING, [role], figures.failing);
    page.number(&table::SPARED, [role], figures.spared);
    page.number(&table::HELD, [role], figures.held);
    for (kind, count) in WARNINGS.iter().zip(figures.warned) {
        page.number(&table::WARNED, [role, warning_word(*kind)], count);
    }
    for (kind, probes) in &figures.probes {
        page.number(&table::PROBES_FAILING, [role, kind], probes.failing);
        if let Some(slowest) = probes.slowest {
            page.span(&table::PROBES_SLOWEST, [role, kind], slowest);
        }
    }
    if has_portal {
        for (state, count) in PORTAL_STATES.iter().zip(figures.portal) {
            page.number(&table::PORTAL_SERVERS, [role, portal_word(*state)], count);
        }
    }
    let counted = [figures.portal_sessions, figures.node_sessions];
    for (source, sessions) in SOURCES.into_iter().zip(counted) {
        if let Some(sessions) = sessions {
            page.number(&table::SESSIONS, [role, source], sessions);
        }
    }
}

fn show_list(page: &mut Page, enforcer: &str, list: &ListFigures) {
    for (state, count) in ROW_STATES.iter().zip(list.rows) {
        page.number(&table::ROWS, [enforcer, row_word(*state)], count);
    }
    if let Some(at) = list.expires {
        page.moment(&table::LIST_EXPIRES, [enforcer], at);
    }
    if let Some(at) = list.looked {
        page.moment(&table::LIST_LOOKED, [enforcer], at);
    }
    page.gauge(&table::LIST_TROUBLE, [enforcer], u8::from(list.trouble));
}

fn show_server(page: &mut Page, server: &ServerFigures) {
    let (name, node) = (server.name.as_str(), server.node.to_string());
    let labels = [name, &node, role_word(server.role.as_ref())];
    let [name, node, role] = labels;
    let health = server.health.to_string();
    page.gauge(&table::SERVER_STATE, [name, node, role, &health], 1.0);
    let mut number = |definition: &Definition, value: Option<u64>| {
        if let Some(value) = value {
            page.number(definition, labels, value);
        }
    };
    number(&table::SERVER_AGENT_RESTARTS, server.agent_restarts);
    number(&table::SERVER_DOCKER_RESTARTS, server.docker_restarts);
    number(&table::SERVER_MEMORY, server.memory);
    number(&table::SERVER_DUMPS, server.dumps.map(|(count, _)| count));
    number(
        &table::SERVER_DUMP_BYTES,
        server.dumps.map(|(_, bytes)| bytes),
    );
    let host = server.host.as_ref();
    let memory = host.and_then(|host| host.memory);
    number(&table::NODE_MEMORY, memory.map(|memory| memory.total));
    number(&table::NODE_MEMORY_USED, memory.map(|memory| memory.used));
    let disk = host.and_then(|host| host.disk);
    number(&table::NODE_DISK, disk.map(|(total, _)| total));
    number(&table::NODE_DISK_FREE, disk.map(|(_, free)| free));
    for (source, sessions) in SOURCES.into_iter().zip(server.sessions) {
        if let Some(sessions) = sessions {
            page.number(
                &table::SERVER_SESSIONS,
                [name, node, role, source],
                sessions,
            );
        }
    }
    for (kind, probes) in &server.probes {
        if let Some(slowest) = probes.slowest {
            page.span(&table::SERVER_PROBE, [name, node, role, kind], slowest);
        }
    }
    if let Some(host) = host {
        show_load(page, labels, host);
    }
    if let Some(ahead) = server.clock_ahead {
        page.gauge(&table::NODE_CLOCK, labels, ahead.as_secs_f64());
    }
}

fn show_load(page: &mut Page, labels: [&str; 3], host: &HostFigures) {
    if let Some(permille) = host.processor_permille {
        page.gauge(&table::NODE_CPU, labels, f64::from(permille) / 1_000.0);
    }
    if let Some(hundredths) = host.load {
        page.gauge(&table::NODE_LOAD, labels, f64::from(hundredths) / 100.0);
    }
}

fn warning_word(kind: WarningKind) -> &'static str {
    match kind {
        WarningKind::Disk => "disk",
        WarningKind::Memory => "memory",
        WarningKind::Probe => "probe",
    }
}

fn portal_word(state: PortalState) -> &'static str {
    match state {
        PortalState::Unknown => "unknown",
        PortalState::NotRegistered => "not-registered",
        PortalState::Offline => "offline",
        PortalState::Online => "online",
        PortalState::Disabled => "disabled",
    }
}

fn row_word(state: State) -> &'static str {
    match state {
        State::InForce => "in-force",
        State::Expiring => "expiring",
        State::Missing => "missing",
        State::Leaving => "leaving",
        State::Denied => "denied",
    }
}
