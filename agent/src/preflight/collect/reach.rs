//! Whether a port takes connections from here.

use std::io::ErrorKind;
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use super::super::facts::NotReached;

/// Connects, and hangs up.
///
/// # Errors
/// When it does not come to a connection.
pub fn reach(to: SocketAddrV4, limit: Duration) -> Result<(), NotReached> {
    match TcpStream::connect_timeout(&SocketAddr::V4(to), limit) {
        Ok(_) => Ok(()),
        // A filter of this host's own, such as the unit's IPAddressDeny=.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(NotReached::Forbidden),
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            Err(NotReached::Failed(format!("no answer within {limit:?}")))
        }
        Err(error) => Err(NotReached::Failed(error.to_string())),
    }
}
