//! The control port of the binary: a line of JSON is a command, and a line of JSON answers it.
//!
//! For tests that run the stand-in as a process, and for people: `nc 127.0.0.1 PORT`.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::fault::Fault;
use crate::state::{Kind, State};

/// A command is a line, and no longer than this.
const MAX_LINE: u64 = 64 * 1024;

/// What the stand-in is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Show servers, entries and violations.
    Show,
    /// Show the calls and their answers.
    Record,
    /// The PBX hears of a server, or not.
    Online {
        /// Its name.
        name: String,
        /// Whether it does.
        online: bool,
    },
    /// A server has so many sessions.
    Sessions {
        /// Its name.
        name: String,
        /// How many.
        sessions: u64,
    },
    /// Somebody enters a server in the portal.
    Put {
        /// Its kind.
        kind: Kind,
        /// What is entered.
        fields: Map<String, Value>,
    },
    /// Somebody takes servers of a name away.
    Remove {
        /// The name.
        name: String,
    },
    /// Somebody enters an entry of the whitelist.
    LetIn(Map<String, Value>),
    /// Somebody takes the entries of a network away.
    LockOut(String),
    /// Suffer from this.
    Fault(Fault),
    /// Suffer from nothing.
    NoFaults,
    /// Whether the account wants a second factor.
    TwoFactor(bool),
    /// Whether the account lacks the permission.
    Forbidden(bool),
    /// No page is longer.
    Page(usize),
    /// Tokens are over; true: the refresh tokens too.
    ExpireTokens(bool),
    /// How long tokens last, in seconds.
    TokenLife(u64),
    /// Whether duplicates are refused.
    RefuseDuplicates(bool),
    /// Whether the PBX hears at once of what is registered.
    OnlineAtOnce(bool),
    /// The version of the PBX.
    Version(String),
    /// Calls at present.
    Calls(u64),
}

/// Listens for commands until it is dropped.
///
/// # Errors
/// Fails when the port fails.
pub async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(talk(stream, Arc::clone(&state)));
    }
}

async fn talk(mut stream: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        if (&mut read).take(MAX_LINE).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str::<Command>(&line) {
            Ok(command) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                obey(&mut state, command)
            }
            Err(error) => json!({"error": error.to_string()}),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

fn obey(state: &mut State, command: Command) -> Value {
    match command {
        Command::Show => {
            return json!({
                "servers": state.servers.iter().map(|(kind, all)| (kind.path(), all)).collect::<Vec<_>>(),
                "filters": state.filters,
                "violations": state.violations,
                "sign_ins": state.sign_ins,
            });
        }
        Command::Record => return json!(state.record),
        Command::Online { name, online } => {
            let mut found = 0;
            for server in state.named(&name) {
                server.online = online;
                found += 1;
            }
            return json!({"servers": found});
        }
        Command::Sessions { name, sessions } => {
            let mut found = 0;
            for server in state.named(&name) {
                server.sessions = sessions;
                found += 1;
            }
            return json!({"servers": found});
        }
        Command::Put { kind, fields } => return json!({"id": state.put(kind, fields)}),
        Command::Remove { name } => {
            for servers in state.servers.values_mut() {
                servers.retain(|_, server| server.internal || server.name() != name);
            }
        }
        Command::LetIn(fields) => return json!({"id": state.let_in(fields)}),
        Command::LockOut(cidr) => state.filters.retain(|_, filter| filter.cidr() != cidr),
        Command::Fault(fault) => state.faults.push(fault),
        Command::NoFaults => state.faults.clear(),
        Command::TwoFactor(on) => state.two_factor = on,
        Command::Forbidden(on) => state.forbidden = on,
        Command::Page(items) => state.page = items.max(1),
        Command::ExpireTokens(refresh_too) => state.expire_tokens(refresh_too),
        Command::TokenLife(seconds) => state.token_life = Duration::from_secs(seconds),
        Command::RefuseDuplicates(on) => state.refuse_duplicates = on,
        Command::OnlineAtOnce(on) => state.online_at_once = on,
        Command::Version(version) => state.version = version,
        Command::Calls(calls) => state.calls = calls,
    }
    json!({})
}
