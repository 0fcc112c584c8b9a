//! The client against the strict stand-in.

mod certificate;
mod change;
mod session;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use extend_common::backoff::Backoff;
use extend_common::roles::Resource;
use extend_pbx_standin::{Options, StandIn};
use tempfile::TempDir;

use super::{Pbx, PbxLimits, PbxSettings};
use crate::pbx::PasswordSource;
use crate::portal::{Limits, Registration};

/// A stand-in, and a client that knows it.
pub(crate) struct Rig {
    pub(crate) standin: StandIn,
    pub(crate) pbx: Pbx,
    directory: TempDir,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let standin = StandIn::start(options).await.unwrap();
        fs::write(directory.path().join("pbx.crt"), standin.pem()).unwrap();
        write_password(directory.path(), "correct horse\n");
        let pbx = Pbx::new(settings(&standin.url(), directory.path()));
        Self {
            standin,
            pbx,
            directory,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Nothing that the API does not have was asked.
    pub(crate) fn assert_by_the_book(&self) {
        assert_eq!(self.standin.state().violations, Vec::<String>::new());
    }
}

pub(crate) fn settings(url: &str, directory: &Path) -> PbxSettings {
    PbxSettings {
        api: url.parse().unwrap(),
        username: "extend".to_owned(),
        password: PasswordSource {
            file: directory.join("pbx.password"),
            credentials: None,
        },
        certificate: directory.join("pbx.crt"),
        limits: PbxLimits {
            answer: Duration::from_secs(10),
            tries: 3,
            backoff: Backoff {
                first: Duration::from_millis(1),
                most: Duration::from_millis(5),
            },
        },
    }
}

pub(crate) fn write_password(directory: &Path, text: &str) {
    let path = directory.join("pbx.password");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn registration(name: &str, resource: Resource) -> Registration {
    Registration {
        name: name.parse().unwrap(),
        resource,
        private: Ipv4Addr::new(172, 31, 16, 139),
        public: Some(Ipv4Addr::new(54, 215, 234, 52)),
        limits: Limits::default(),
        enabled: None,
    }
}
