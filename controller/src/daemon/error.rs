//! Why a controller does not run.
//!
//! Printed by the command line: the sentence, its causes, the hint, and the exit code.

use std::io;
use std::net::SocketAddr;

use extend_common::exit::Exit;
use extend_common::roles::RoleSetError;
use extend_common::tls::server::ServerTlsError;

use super::socket::SocketError;
use super::state::StateError;
use crate::ca::CaError;
use crate::config::ConfigError;
use crate::engine::{EngineFailure, StartError};
use crate::pbx::BaseUrlError;

/// Why a controller did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no PBX at such an address.
    #[error("`pbx.api` in the configuration")]
    Pbx(#[from] BaseUrlError),
    /// A role definition is wrong.
    #[error(transparent)]
    Roles(#[from] RoleSetError),
    /// The state directory, the authority's files or the store cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The controller has no certificate.
    #[error("issuing the controller's own certificate")]
    Certificate(#[from] CaError),
    /// TLS cannot be configured.
    #[error(transparent)]
    Tls(#[from] ServerTlsError),
    /// An address cannot be listened on.
    #[error("listening for {what} on {address}")]
    Listen {
        /// For whom.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The operators' socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The engine cannot load what is in the store.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// The engine had to give up.
    #[error(transparent)]
    EngineFailed(#[from] EngineFailure),
    /// The system gives no threads or no signals.
    #[error("starting the controller's runtime")]
    Runtime(#[source] io::Error),
    /// A part ended that should not have.
    #[error("{0} ended by itself; the reason stands above in the log")]
    Ended(&'static str),
}

impl DaemonError {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => Some(error.hint().to_owned()),
            Self::State(error) => error.hint(),
            Self::Certificate(error) => error.hint(),
            Self::Socket(error) => error.hint(),
            Self::Listen {
                address, source, ..
            } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(format!(
                    "who has it? ss -ltnp 'sport = :{}'",
                    address.port()
                )),
                io::ErrorKind::AddrNotAvailable => {
                    Some("which addresses has this host? ip -4 address".to_owned())
                }
                _ => None,
            },
            Self::Roles(error) => Some(error.hint().to_owned()),
            Self::Pbx(_) => Some("write it as in api = \"https://54.151.30.9:8887\"".to_owned()),
            Self::EngineFailed(EngineFailure::TakenOver) => {
                Some("is there a second controller, or a copy of the state directory?".to_owned())
            }
            Self::Tls(_)
            | Self::Engine(_)
            | Self::EngineFailed(_)
            | Self::Runtime(_)
            | Self::Ended(_) => None,
        }
    }

    /// What the process tells its caller. A wrong configuration stays wrong: systemd is told not to
    /// start again after that code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Roles(_) | Self::Pbx(_) => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}
