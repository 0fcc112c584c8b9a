//! The agent's side: asks the helper, and where there is none does what it can by itself.

use std::io::{ErrorKind, Write as _};
use std::net::SocketAddrV4;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use extend_common::firewall::{FirewallChange, FirewallTold};
use extend_common::ids::NodeAddr;
use extend_common::roles::PortRange;

use super::{Answer, FirewallRequest, MAX_ANSWER, Request, RoleRequest, read_line};
use crate::host::{BusyPort, Host, HostAnswer, HostError, HostVerb, Places, RoleNeeds, SystemHost};
use crate::preflight::{Facts, Look, NotReached};

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

    /// What the helper answers; none where there is no helper.
    fn ask(&self, request: &Request) -> Result<Option<Answer>, HostError> {
        match UnixStream::connect(&self.socket) {
            Ok(stream) => self.ask_over(&stream, request).map(Some),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(HostError::new(ASKING, &self.socket, error)),
        }
    }

    fn ask_over(&self, stream: &UnixStream, request: &Request) -> Result<Answer, HostError> {
        let failed = |error: std::io::Error| {
            let hint = "journalctl -t extend-agent -u 'extend-agent-host@*'";
            HostError {
                hint: Some(hint.to_owned()),
                ..HostError::new(ASKING, &self.socket, error)
            }
        };
        let mut line = serde_json::to_string(request).map_err(|error| failed(error.into()))?;
        line.push('\n');
        stream.set_write_timeout(Some(WRITING)).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut writer = stream;
        writer.write_all(line.as_bytes()).map_err(failed)?;
        let answer = read_line(stream, MAX_ANSWER).map_err(failed)?;
        match serde_json::from_str(&answer).map_err(|error| failed(error.into()))? {
            Answer::Failed(error) => Err(error),
            answer => Ok(answer),
        }
    }

    /// An answer to another question.
    fn odd(&self) -> HostError {
        HostError::new(ASKING, &self.socket, "it has answered something else")
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
        let role = needs.role.clone();
        match self.ask(&Request::Role(RoleRequest { verb, role }))? {
            Some(Answer::Done(answer)) => Ok(answer),
            Some(_) => Err(self.odd()),
            None => {
                let done = self.own.act(verb, needs);
                done.map_err(|error| without_helper(error, &self.socket))
            }
        }
    }

    fn firewall(&self, change: &FirewallChange) -> Result<FirewallTold, HostError> {
        let firewall = change.clone();
        match self.ask(&Request::Firewall(FirewallRequest { firewall }))? {
            Some(Answer::Told(told)) => Ok(told),
            Some(_) => Err(self.odd()),
            None => {
                let nobody = HostError::new("keeping firewalld through", &self.socket, "refused");
                Err(without_helper(nobody, &self.socket))
            }
        }
    }

    fn examine(&self, look: &Look, found: &Mutex<Facts>) {
        self.own.examine(look, found);
    }

    fn reach(&self, to: SocketAddrV4, limit: Duration) -> Result<(), NotReached> {
        self.own.reach(to, limit)
    }

    fn free_space(&self, path: &Path) -> Option<u64> {
        self.own.free_space(path)
    }

    fn busy_port(&self, tcp: &[PortRange], node: NodeAddr) -> Result<Option<BusyPort>, HostError> {
        self.own.busy_port(tcp, node)
    }
}
