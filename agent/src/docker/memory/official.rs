//! A container as PortSIP's own script makes it, on a simulated Engine.

use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::record::Parameters;
use extend_common::roles::RestartPolicy;

use super::MemoryDocker;
use super::container::{Simulated, Status};
use super::history::EffectKind;
use crate::core::spec::{ContainerSpec, NodeFacts, render_given};
use crate::docker::{DockerError, LogSetup, MountKind, Setup};

/// Whoever ran the script.
const SCRIPT: &str = "script";

/// What the script was told, and what is there already.
#[derive(Debug, Clone)]
pub struct Official {
    /// `-s`
    pub role: RoleName,
    /// `-n`
    pub name: ServerName,
    /// The address that the binary gets as `-x`.
    pub node: NodeAddr,
    /// The address that the binary gets as `-a`.
    pub pbx_address: String,
    /// The image, by its tag. It must be there.
    pub image: String,
    /// Whether it runs.
    pub runs: bool,
}

impl Official {
    /// A media server that runs.
    ///
    /// # Panics
    /// Never: these are names.
    #[expect(clippy::expect_used, reason = "constants that are names")]
    pub fn media(node: NodeAddr, image: &str) -> Self {
        Self {
            role: "media-server-only".parse().expect("a role"),
            name: "media-server-1".parse().expect("a name"),
            node,
            pbx_address: "54.151.30.9".to_owned(),
            image: image.to_owned(),
            runs: true,
        }
    }
}

impl Setup {
    /// How the script sets a container up that we would make from `spec`.
    pub fn official(spec: &ContainerSpec, image: &str) -> Self {
        let mut setup = Self::from(spec);
        image.clone_into(&mut setup.image);
        setup.stop_timeout_seconds = None;
        setup.log = LogSetup {
            driver: "json-file".to_owned(),
            ..LogSetup::default()
        };
        setup.labels = vec!["com.docker.compose.project".to_owned()];
        if let Some(data) = setup.mounts.first_mut() {
            data.kind = MountKind::Volume("pbx-data".to_owned());
        }
        for mount in &mut setup.mounts {
            mount.read_only = false;
        }
        setup
    }
}

impl MemoryDocker {
    /// Adds a container as PortSIP's own script makes it, and gives its id.
    ///
    /// # Errors
    /// When the name is taken, or there is no such image or role.
    pub fn official(&self, facts: &NodeFacts, official: &Official) -> Result<String, DockerError> {
        self.change(|state, now| {
            let refuse = |message: &str| DockerError::Refused {
                status: 404,
                message: message.to_owned(),
            };
            let role = state.roles.get(&official.role);
            let role = role.ok_or_else(|| refuse("no such role"))?.clone();
            let image = state.images.find(&official.image);
            let image_id = image.ok_or_else(|| refuse("no such image"))?.id.clone();
            let parameters = Parameters {
                pbx_address: official.pbx_address.clone(),
                public_address: None,
            };
            let facts = NodeFacts {
                node: official.node,
                data: facts.data.clone(),
            };
            let given = (&official.name, &parameters);
            let spec = render_given(&role, &facts, given, &image_id);
            if state.named(&spec.name).is_some() {
                return Err(refuse("the name is taken"));
            }
            let id = state.next_id();
            let policy = RestartPolicy::UnlessStopped;
            let mut container = Simulated::new(id.clone(), spec.name.clone(), policy);
            container.setup = Setup::official(&spec, &official.image);
            container.image_id.clone_from(&image_id);
            container.serves = Some((official.node, official.role.clone()));
            state.containers.insert(id.clone(), container);
            state.events += 1;
            state.note(now, SCRIPT, &id, EffectKind::Created { image_id });
            state.launch(&id, now, SCRIPT, true)?;
            if !official.runs
                && let Some(container) = state.containers.get_mut(&id)
            {
                container.restarts.manually_stopped = true;
                container.status = Status::Exited;
                state.note(now, SCRIPT, &id, EffectKind::Exited { code: 0 });
            }
            Ok(id)
        })
    }
}
