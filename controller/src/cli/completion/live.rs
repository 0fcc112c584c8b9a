//! What the controller knows for completions: names, addresses, types and operations.
//!
//! Asked while somebody waits for a key to do something: quickly or not at all.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use extend_common::operation::Operation;
use extend_common::roles::RoleSet;
use extend_proto::v1;

use crate::cli::args::DEFAULT_SOCKET;
use crate::cli::client::Client;
use crate::cli::view::node::Node;
use crate::cli::view::operation::read;
use crate::cli::view::server::{Fleet, Server};
use crate::cli::view::unclaimed::Unclaimed;

/// Longer than a controller takes, and short enough for a key.
const LIMIT: Duration = Duration::from_millis(300);
/// People complete what happened lately.
const OPERATIONS: u32 = 50;

/// The words after `-s`: the types that ship, by all their names, and others that have a server.
pub(crate) fn types(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut words = Vec::new();
    for role in RoleSet::built_in().iter().flat_map(RoleSet::iter) {
        words.push((role.role.to_string(), role.title.clone()));
        for alias in &role.aliases {
            words.push((alias.to_string(), format!("the same as {}", role.role)));
        }
    }
    for server in servers() {
        let known = words
            .iter()
            .any(|(word, _)| *word == server.r#type.as_str());
        if !known {
            words.push((server.r#type.to_string(), format!("as {}", server.name)));
        }
    }
    candidates(typed, words)
}

/// The names of the servers.
pub(crate) fn names(typed: &OsStr) -> Vec<CompletionCandidate> {
    let word = |server: Server| {
        let about = format!("{} at {}: {}", server.r#type, server.address, server.health);
        (server.name.to_string(), about)
    };
    candidates(typed, servers().into_iter().map(word))
}

/// The addresses of the servers.
pub(crate) fn servers_addresses(typed: &OsStr) -> Vec<CompletionCandidate> {
    let word = |server: Server| {
        let about = format!("{} ({}): {}", server.name, server.r#type, server.health);
        (server.address.to_string(), about)
    };
    candidates(typed, servers().into_iter().map(word))
}

/// The addresses of the nodes with a container that can be taken over.
pub(crate) fn unclaimed_addresses(typed: &OsStr) -> Vec<CompletionCandidate> {
    let fleet = fleet().map(|fleet| fleet.unclaimed).unwrap_or_default();
    let word = |unclaimed: Unclaimed| {
        let name = unclaimed.name?;
        let about = format!("{name} ({}) in {}", unclaimed.r#type, unclaimed.container);
        Some((unclaimed.address, about))
    };
    candidates(typed, fleet.into_iter().filter_map(word))
}

/// The addresses of the nodes, with a server or without.
pub(crate) fn nodes(typed: &OsStr) -> Vec<CompletionCandidate> {
    let request = v1::ListNodesRequest::default();
    let answer = ask(async |client: &mut Client| client.rpc().list_nodes(request).await);
    let nodes = answer.into_iter().flat_map(|answer| answer.nodes);
    let word = |node: Node| {
        let server = node.server.map(|name| format!(", {name}"));
        let about = format!("{}{}", node.state, server.unwrap_or_default());
        (node.address.to_string(), about)
    };
    candidates(
        typed,
        nodes.filter_map(|node| Node::try_from(node).ok()).map(word),
    )
}

/// The ids of operations, newest first.
pub(crate) fn operations(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(typed, operations_where(false, |_| true))
}

/// The ids of operations that have not ended.
pub(crate) fn open_operations(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(typed, operations_where(true, |_| true))
}

/// The ids of operations that have ended.
pub(crate) fn ended_operations(typed: &OsStr) -> Vec<CompletionCandidate> {
    let ended = |operation: &Operation| operation.ended.is_some();
    candidates(typed, operations_where(false, ended))
}

fn operations_where(
    open_only: bool,
    meant: impl Fn(&Operation) -> bool,
) -> impl Iterator<Item = (String, String)> {
    let limit = OPERATIONS;
    let request = v1::ListOperationsRequest {
        limit,
        open_only,
        ..v1::ListOperationsRequest::default()
    };
    let answer = ask(async |client: &mut Client| client.rpc().list_operations(request).await);
    let operations = answer.into_iter().flat_map(|answer| answer.operations);
    operations
        .filter_map(|operation| read(operation).ok())
        .filter(move |operation| meant(operation))
        .map(|operation| {
            let (verb, selector) = (operation.verb, &operation.selector);
            let about = format!("{verb} {selector}: {}", operation.summary());
            (operation.id.short(), about)
        })
}

fn servers() -> Vec<Server> {
    fleet().map(|fleet| fleet.servers).unwrap_or_default()
}

fn fleet() -> Option<Fleet> {
    let selector = Some(v1::Selector::default());
    let request = v1::ListServersRequest {
        selector,
        recent: false,
    };
    let answer = ask(async |client: &mut Client| client.rpc().list_servers(request).await);
    Fleet::try_from(answer?).ok()
}

/// Those that go on as it was typed.
fn candidates(
    typed: &OsStr,
    words: impl IntoIterator<Item = (String, String)>,
) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy().to_lowercase();
    words
        .into_iter()
        .filter(|(word, _)| word.to_lowercase().starts_with(&typed))
        .map(|(word, about)| CompletionCandidate::new(word).help(Some(about.into())))
        .collect()
}

/// Asks the controller, and gives up soon.
fn ask<T>(
    question: impl AsyncFnOnce(&mut Client) -> Result<tonic::Response<T>, tonic::Status>,
) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let socket = socket(std::env::args_os());
    let answer = runtime.block_on(async {
        tokio::time::timeout(LIMIT, async {
            let mut client = Client::connect(&socket).await.ok()?;
            question(&mut client).await.ok()
        })
        .await
    });
    answer.ok().flatten().map(tonic::Response::into_inner)
}

/// The socket that the line names so far; otherwise that of the environment, or the usual one.
fn socket(line: impl Iterator<Item = OsString>) -> PathBuf {
    let mut named = None;
    let mut words = line.peekable();
    while let Some(word) = words.next() {
        if word == "--socket" {
            named = words.peek().map(PathBuf::from).or(named);
        } else if let Some(path) = word.to_str().and_then(|w| w.strip_prefix("--socket=")) {
            named = Some(PathBuf::from(path));
        }
    }
    named
        .or_else(|| std::env::var_os("EXTEND_SOCKET").map(PathBuf::from))
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET))
}
