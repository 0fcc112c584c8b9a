//! The helper's side: `extend-agent host`, which systemd starts as root for each connection, with
//! the connection as standard input and output.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use extend_common::exit::Exit;
use extend_common::roles::RoleSet;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use super::trust::require_roots;
use super::{Answer, MAX_REQUEST, Request, RoleRequest, read_line};
use crate::config::{Config, DEFAULT_PATH};
use crate::failure::Failure;
use crate::host::{Host as _, HostError, Places, RoleNeeds, SystemHost};

/// The request is sent with the connection.
const PATIENCE: Duration = Duration::from_secs(5);
const ROOT: u32 = 0;
/// So much of a request that is refused goes into the log.
const SHOWN: usize = 1024;
const FINDING: &str = "finding the role";

/// Serves the one request on standard input.
///
/// # Errors
/// When it was not called by its socket, or nobody could be answered.
pub fn serve_stdin(config: Option<&Path>) -> anyhow::Result<()> {
    let input = std::io::stdin();
    let input = input.as_fd();
    if peer(input).is_err() {
        let words = "this is for the socket extend-agent-host.socket to call";
        return Err(Failure::new(Exit::Usage, words, "extend-agent --help").into());
    }
    let stream = UnixStream::from(
        input
            .try_clone_to_owned()
            .context("taking the connection")?,
    );
    serve(&stream, &Helper::new(config))
}

/// What the helper works with.
pub(super) struct Helper {
    pub(super) config: Option<PathBuf>,
    pub(super) places: Places,
}

impl Helper {
    fn new(config: Option<&Path>) -> Self {
        Self {
            config: config.map(Path::to_owned),
            places: Places::default(),
        }
    }
}

/// Serves the one request of a connection.
pub(super) fn serve(stream: &UnixStream, helper: &Helper) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let user = peer(stream.as_fd()).context("asking who is there")?;
    let line = read_line(stream, MAX_REQUEST).context("reading the request")?;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(request) => answer(&request, user, helper),
        Err(error) => Err(HostError::new("reading the request", Path::new("-"), error)),
    };
    let answer = answer.unwrap_or_else(|error| {
        let request: String = line.trim_end().chars().take(SHOWN).collect();
        tracing::error!(%error, user, request, "refused");
        Answer::Failed(error)
    });
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    let mut stream = stream;
    stream.write_all(text.as_bytes()).context("answering")
}

fn answer(request: &Request, user: u32, helper: &Helper) -> Result<Answer, HostError> {
    let config = load(helper.config.as_deref())?;
    if user != ROOT && Some(user) != owner(&config.state_dir) {
        let cause = format!("user {user} is not the agent's");
        return Err(HostError::new("serving", &config.state_dir, cause));
    }
    let host = SystemHost::new(helper.places.clone(), config.host_changes);
    let host = host.keeping_firewall(config.firewall);
    match request {
        Request::Firewall(wanted) => host.firewall(&wanted.firewall).map(Answer::Told),
        Request::Role(RoleRequest { verb, role }) => {
            let roles = roles(&config.roles_dir)?;
            let known = roles.get(role).ok_or_else(|| {
                let cause = format!("this node has no definition of {role}");
                HostError::new(FINDING, &config.roles_dir, cause)
            })?;
            let needs = RoleNeeds::of(known, &config.data_dir);
            host.act(*verb, &needs).map(Answer::Done)
        }
    }
}

fn load(named: Option<&Path>) -> Result<Config, HostError> {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    require_roots(path)?;
    Config::load(named).map_err(|error| HostError::new("reading", path, error))
}

fn roles(directory: &Path) -> Result<RoleSet, HostError> {
    require_roots(directory)?;
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            require_roots(&path)?;
        }
    }
    RoleSet::load(directory).map_err(|error| HostError::new("reading", directory, error))
}

/// The agent's user: whose state directory it is.
fn owner(state: &Path) -> Option<u32> {
    Some(std::fs::metadata(state).ok()?.uid())
}

fn peer(socket: BorrowedFd<'_>) -> nix::Result<u32> {
    Ok(getsockopt(&socket, PeerCredentials)?.uid())
}
