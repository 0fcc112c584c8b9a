//! Who gave a command, for the record.
//!
//! The kernel says which user it is. Behind root there may be a person who used sudo; what sudo left
//! in the environment is hearsay, and written down as such. Called for every method that changes
//! something.

use std::net::IpAddr;
use std::time::Duration;

use nix::unistd::{Uid, User};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use crate::api::connection::OperatorPeer;
use crate::core::view::says;

/// Where the command line puts what the SSH server says.
const SSH_CLIENT: &str = "extend-ssh-client";
/// Where the command line puts what sudo says.
const SUDO_USER: &str = "extend-sudo-user";
/// Names longer than this do not exist on Linux.
const MAX_NAME: usize = 64;
/// Names may come over a network. A command is not held up by that: the number does as well.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// The name of the caller.
pub(super) async fn name<T>(request: &Request<T>) -> Result<String, Status> {
    let peer = request
        .extensions()
        .get::<OperatorPeer>()
        .and_then(|peer| peer.uid);
    let uid = peer.ok_or_else(|| Status::permission_denied("nobody knows who is calling"))?;
    if uid == 0 {
        return Ok(root(request.metadata()));
    }
    let look_up = tokio::task::spawn_blocking(move || {
        User::from_uid(Uid::from_raw(uid))
            .ok()
            .flatten()
            .map(|user| user.name)
    });
    let found = tokio::time::timeout(LOOKUP_TIMEOUT, look_up).await;
    let name = found
        .ok()
        .and_then(Result::ok)
        .flatten()
        .filter(|name| is_name(name));
    Ok(name.unwrap_or_else(|| format!("user {uid}")))
}

/// From where the caller came over SSH, as the caller says: nothing proves it. What is no address
/// is as good as unsaid.
pub(super) fn from<T>(request: &Request<T>) -> Option<IpAddr> {
    let said = request.metadata().get(SSH_CLIENT)?;
    said.to_str().ok()?.parse().ok()
}

fn root(metadata: &MetadataMap) -> String {
    let said = metadata
        .get(SUDO_USER)
        .and_then(|value| value.to_str().ok());
    match said.filter(|name| is_name(name) && *name != "root") {
        Some(name) => says(name),
        None => "root".to_owned(),
    }
}

/// Fit to be written down: no spaces, no brackets, nothing that could pass for more than a name.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.@+\\$".contains(c);
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uid: Option<u32>, says: Option<&str>) -> Request<()> {
        let mut request = Request::new(());
        request.extensions_mut().insert(OperatorPeer { uid });
        if let Some(says) = says {
            request
                .metadata_mut()
                .insert(SUDO_USER, says.parse().unwrap());
        }
        request
    }

    #[tokio::test]
    async fn the_kernel_names_the_caller_and_sudo_is_hearsay() {
        let nobody = User::from_name("nobody").unwrap().unwrap().uid.as_raw();
        for (uid, says, expected) in [
            (0, None, "root"),
            (0, Some("anna"), "root (says anna)"),
            (0, Some("root"), "root"),
            (0, Some("anna) and (says bert"), "root"),
            (0, Some(""), "root"),
            (nobody, None, "nobody"),
            (nobody, Some("anna"), "nobody"),
            (4_000_000_000, Some("root"), "user 4000000000"),
        ] {
            assert_eq!(
                name(&request(Some(uid), says)).await.unwrap(),
                expected,
                "{uid} {says:?}"
            );
        }
        let long = "x".repeat(MAX_NAME + 1);
        assert_eq!(name(&request(Some(0), Some(&long))).await.unwrap(), "root");
    }

    #[test]
    fn where_somebody_comes_from_is_an_address_or_nothing() {
        for (said, expected) in [
            (None, None),
            (Some("203.0.113.7"), Some("203.0.113.7")),
            (Some("2001:db8::7"), Some("2001:db8::7")),
            (Some("203.0.113.7 50122 172.31.16.133 22"), None),
            (Some("my laptop"), None),
            (Some(""), None),
        ] {
            let mut request = Request::new(());
            if let Some(said) = said {
                let value = said.parse().unwrap();
                request.metadata_mut().insert(SSH_CLIENT, value);
            }
            let expected = expected.map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(from(&request), expected, "{said:?}");
        }
    }

    #[tokio::test]
    async fn without_credentials_there_is_no_caller() {
        let refused = [
            name(&request(None, Some("anna"))).await,
            name(&Request::new(())).await,
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
        }
    }
}
