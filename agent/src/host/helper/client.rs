//! The agent's side: asks the helper, and where there is none does what it can by itself.

use std::io::{ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::roles::PortRange;

use super::{Answer, MAX_ANSWER, Request, read_line};
use crate::host::{BusyPort, Host, HostAnswer, HostError, HostVerb, Places, RoleNeeds, SystemHost};

/// The helper's own limits end before this.
const PATIENCE: Duration = Duration::from_secs(130);
/// A request fits into the socket's buffer.
const WRITING: Duration = Duration::from_secs(5);
const ASKING: &str = "asking the root helper at";

/// The host of an agent that is not root.
#[derive(Debug, Clone)]
pub struct HelperHost {
    socket: PathBuf,
    own: SystemHost,
}

impl HelperHost {
    /// A host whose helper listens on `socket`; `makes_changes` as for [`SystemHost`].
    pub fn new(socket: impl Into<PathBuf>, makes_changes: bool) -> Self {
        Self {
            socket: socket.into(),
            own: SystemHost::new(Places::default(), makes_changes),
        }
    }

    fn ask(
        &self,
        stream: UnixStream,
        verb: HostVerb,
        needs: &RoleNeeds,
    ) -> Result<HostAnswer, HostError> {
        let failed = |error: std::io::Error| {
            let hint = "journalctl -t extend-agent -u 'extend-agent-host@*'";
            HostError {
                hint: Some(hint.to_owned()),
                ..HostError::new(ASKING, &self.socket, error)
            }
        };
        let request = Request {
            verb,
            role: needs.role.clone(),
        };
        let mut line = serde_json::to_string(&request).map_err(|error| failed(error.into()))?;
        line.push('\n');
        stream.set_write_timeout(Some(WRITING)).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        (&stream).write_all(line.as_bytes()).map_err(failed)?;
        let answer = read_line(&stream, MAX_ANSWER).map_err(failed)?;
        match serde_json::from_str(&answer).map_err(|error| failed(error.into()))? {
            Answer::Done(answer) => Ok(answer),
            Answer::Failed(error) => Err(error),
        }
    }
}

/// Without the helper what is right already is enough; what is not needs it.
fn without_helper(error: HostError, socket: &Path) -> HostError {
    let cause = format!(
        "{}, and there is no root helper at {}",
        error.cause,
        socket.display()
    );
    HostError {
        cause,
        hint: Some("systemctl enable --now extend-agent-host.socket".to_owned()),
        ..error
    }
}

impl Host for HelperHost {
    fn act(&self, verb: HostVerb, needs: &RoleNeeds) -> Result<HostAnswer, HostError> {
        match UnixStream::connect(&self.socket) {
            Ok(stream) => self.ask(stream, verb, needs),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                let done = self.own.act(verb, needs);
                done.map_err(|error| without_helper(error, &self.socket))
            }
            Err(error) => Err(HostError::new(ASKING, &self.socket, error)),
        }
    }

    fn free_space(&self, path: &Path) -> Option<u64> {
        self.own.free_space(path)
    }

    fn busy_port(&self, tcp: &[PortRange], node: NodeAddr) -> Result<Option<BusyPort>, HostError> {
        self.own.busy_port(tcp, node)
    }
}
