//! The way to the controller: its Unix socket, with gRPC on it.
//!
//! One `Client` is one connection. When it breaks the caller decides whether to make another, so
//! that nothing is ever sent twice without somebody having meant it.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use extend_common::exit::Exit;
use extend_proto::v1::operator_client::OperatorClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use super::failure::{Failure, LOOK_AT_CONTROLLER};

/// Who called sudo. The controller believes it of root only, and only as hearsay.
const SUDO_USER: &str = "extend-sudo-user";
/// From where the operator came. Hearsay as well.
const SSH_CLIENT: &str = "extend-ssh-client";
/// What the SSH server tells the sessions that it begins.
const SSH_CONNECTION: &str = "SSH_CONNECTION";
/// Longer user names do not exist on Linux.
const MAX_USER: usize = 256;
/// The controller answers within a few disk writes; one that is silent for so long hangs.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The controller is asked for a sign of life so often while an operation is watched,
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// and is given up when none comes for so long.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The status of a fleet of 10,000 servers has about 10 MiB.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The command line then looks where the controller listens by default.
const WITHOUT_SOCKET: &str = "unset EXTEND_SOCKET    (and leave --socket out)";

/// The generated client, with the operator's name on every call.
pub(crate) type Rpc = OperatorClient<InterceptedService<Channel, Caller>>;

/// A connection to the controller.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    rpc: Rpc,
}

impl Client {
    /// Connects to the socket.
    pub(crate) async fn connect(socket: &Path) -> Result<Self, ConnectError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|source| ConnectError {
                socket: socket.to_owned(),
                is_other: is_something_else(socket),
                source,
            })?;
        let mut stream = Some(TokioIo::new(stream));
        // The name is never looked up: the connector hands out the stream, once.
        let channel = Endpoint::from_static("http://controller.extend")
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .connect_with_connector_lazy(tower::service_fn(move |_| {
                let next = stream.take();
                async move { next.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
            }));
        let rpc = OperatorClient::with_interceptor(channel, Caller::from_environment())
            .max_decoding_message_size(MAX_ANSWER);
        Ok(Self { rpc })
    }

    /// The methods of the controller.
    pub(crate) fn rpc(&mut self) -> &mut Rpc {
        &mut self.rpc
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn bounded<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    within(CALL_TIMEOUT, call).await
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!(
            "the controller did not answer for {}s",
            limit.as_secs()
        ))),
    }
}

/// Asks once for what takes the controller a while.
pub(crate) async fn ask_for<T>(
    what: &str,
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    within(limit, call)
        .await
        .map_err(|status| Failure::from_status(what, &status))
}

/// Asks once. `what` is the operation and its object, as in "cannot `what`".
pub(crate) async fn ask<T>(
    what: &str,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    bounded(call)
        .await
        .map_err(|status| Failure::from_status(what, &status))
}

/// Names who called sudo, and from where they came, on every request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    sudo_user: Option<MetadataValue<Ascii>>,
    ssh_client: Option<MetadataValue<Ascii>>,
}

impl Caller {
    fn from_environment() -> Self {
        let name = std::env::var("SUDO_USER").ok();
        let usable = |name: &String| !name.is_empty() && name.len() <= MAX_USER;
        Self {
            sudo_user: name.filter(usable).and_then(|name| name.parse().ok()),
            ssh_client: ssh_client().and_then(|from| from.to_string().parse().ok()),
        }
    }
}

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(user) = &self.sudo_user {
            request.metadata_mut().insert(SUDO_USER, user.clone());
        }
        if let Some(from) = &self.ssh_client {
            request.metadata_mut().insert(SSH_CLIENT, from.clone());
        }
        Ok(request)
    }
}

/// Where the SSH server says that its client is: of this process, or of sudo, which hides it from
/// what it starts.
fn ssh_client() -> Option<IpAddr> {
    if let Ok(connection) = std::env::var(SSH_CONNECTION) {
        return client_of(&connection);
    }
    std::env::var_os("SUDO_USER")?;
    let sudo = std::os::unix::process::parent_id();
    let environment = std::fs::read(format!("/proc/{sudo}/environ")).ok()?;
    let name = format!("{SSH_CONNECTION}=");
    let mut variables = environment.split(|byte| *byte == 0);
    let connection = variables.find_map(|variable| variable.strip_prefix(name.as_bytes()))?;
    client_of(std::str::from_utf8(connection).ok()?)
}

/// The client's address is the first word.
fn client_of(connection: &str) -> Option<IpAddr> {
    connection.split_whitespace().next()?.parse().ok()
}

/// Nothing listens, or we may not talk to it.
#[derive(Debug, thiserror::Error)]
#[error("connect to {}", socket.display())]
pub(crate) struct ConnectError {
    socket: PathBuf,
    /// There is something at the path, and it is no socket.
    is_other: bool,
    source: io::Error,
}

/// The system says of a file at which nobody listens the same as of a socket.
fn is_something_else(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.file_type().is_socket())
}

impl ConnectError {
    /// Whether trying again is of no use.
    pub(crate) fn is_lasting(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied || self.is_other
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let socket = error.socket.display();
        let unreachable = |why: &str| {
            Self::new(
                Exit::Unreachable,
                format!("cannot reach the controller: {why}"),
            )
        };
        if error.is_other {
            return unreachable(&format!("{socket} is no socket"))
                .cause("--socket or EXTEND_SOCKET names something else")
                .hint(WITHOUT_SOCKET);
        }
        match error.source.kind() {
            io::ErrorKind::PermissionDenied => {
                unreachable(&format!("you may not use its socket {socket}"))
                    .cause("the socket is for root and for members of the group extend")
                    .hint("sudo usermod -aG extend $USER    (then log in again)")
            }
            io::ErrorKind::NotFound => unreachable(&format!("there is no socket {socket}"))
                .cause("it does not run, or this is not the node it runs on")
                .hint(LOOK_AT_CONTROLLER),
            io::ErrorKind::ConnectionRefused => {
                unreachable(&format!("nobody answers at its socket {socket}"))
                    .cause("it does not run")
                    .hint(LOOK_AT_CONTROLLER)
            }
            _ => unreachable(&format!("its socket {socket} does not work"))
                .cause(error.source.to_string())
                .hint(LOOK_AT_CONTROLLER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ssh_server_names_its_client_first() {
        let client = client_of("203.0.113.7 50122 172.31.16.133 22").unwrap();
        assert_eq!(client.to_string(), "203.0.113.7");
        assert_eq!(
            client_of("2001:db8::7 1 ::1 22").unwrap().to_string(),
            "2001:db8::7"
        );
        assert!(client_of("").is_none() && client_of("somewhere 1 2 3").is_none());
    }

    #[test]
    fn no_permission_leads_to_the_group() {
        let error = ConnectError {
            socket: PathBuf::from("/run/extend/controller.sock"),
            is_other: false,
            source: io::ErrorKind::PermissionDenied.into(),
        };
        assert!(error.is_lasting());
        let failure = Failure::from(error);
        assert_eq!(failure.exit, Exit::Unreachable);
        assert_eq!(
            failure.sentence,
            "cannot reach the controller: you may not use its socket /run/extend/controller.sock"
        );
        assert!(failure.hint.starts_with("sudo usermod -aG extend $USER"));
    }
}
