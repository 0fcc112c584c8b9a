//! The order in which targets begin: what the rules say of some scenes, and what holds in all.

mod always;
mod scenes;

use std::collections::BTreeMap;

use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::{Strategy, TargetState, Verb};

use crate::core::rollout::{Item, Role, Scene, Stand};

/// The roles by their letters, in the order of their definitions.
const ROLES: [(&str, &str); 4] = [
    ("m", "media-server-only"),
    ("q", "queue-server-only"),
    ("c", "meeting-server-only"),
    ("i", "vr-server-only"),
];

/// A server of a scene.
#[derive(Debug, Clone)]
struct Server {
    node: NodeAddr,
    name: ServerName,
    role: RoleName,
    rank: u32,
    /// None for a server that is no target.
    stand: Option<Stand>,
    healthy: bool,
    ill: bool,
    canary: bool,
    unchanged: bool,
}

impl Server {
    fn new(number: usize, letter: &str) -> Self {
        let rank = ROLES.iter().position(|(l, _)| *l == letter).unwrap();
        Self {
            node: format!("10.0.0.{}", number + 1).parse().unwrap(),
            name: format!("{letter}{}", number + 1).parse().unwrap(),
            role: ROLES[rank].1.parse().unwrap(),
            rank: u32::try_from(rank).unwrap(),
            stand: Some(Stand::Ready),
            healthy: true,
            ill: false,
            canary: false,
            unchanged: false,
        }
    }

    /// Whether its process is about to be ended, or was.
    fn is_taken(&self) -> bool {
        self.stand == Some(Stand::UnderWay) && !self.unchanged
    }

    fn is_available(&self) -> bool {
        self.healthy && !self.is_taken()
    }
}

fn scene<'a>(servers: &'a [Server], verb: Verb, strategy: Strategy, force: bool) -> Scene<'a> {
    let mut roles: BTreeMap<&RoleName, Role> = BTreeMap::new();
    for server in servers {
        let role = roles.entry(&server.role).or_insert_with(|| Role {
            rank: server.rank,
            title: "server".to_owned(),
            ..Role::default()
        });
        role.should += 1;
        role.available += usize::from(server.is_available());
        role.taken += usize::from(server.is_taken());
    }
    let targets = servers.iter().filter(|server| server.stand.is_some());
    let item = |server: &'a Server| Item {
        node: server.node,
        name: &server.name,
        role: &server.role,
        stand: server.stand.unwrap_or(Stand::Ended(TargetState::Skipped)),
        available: server.is_available(),
        spares: server.unchanged,
        canary: server.canary,
        ailment: server
            .ill
            .then(|| "unhealthy: port 8840 is silent".to_owned()),
    };
    Scene {
        verb,
        strategy,
        force,
        items: targets.map(item).collect(),
        roles,
        baking: None,
    }
}
