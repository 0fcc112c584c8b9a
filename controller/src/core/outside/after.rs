//! What only a person can do once a server was added.

use extend_common::operation::{TargetState, Verb};

use super::super::fleet::Fleet;
use super::super::operation::OperationEntry;
use super::super::row::TargetRow;

impl Fleet {
    /// The steps after an operation that has added servers, a sentence each. The guide of the
    /// cluster has the resource load balancer restarted and the built-in servers disabled; its
    /// sources disagree on restarting anything else.
    pub(in crate::core) fn next_steps(&self, entry: &OperationEntry) -> Vec<String> {
        let was_added = |row: &&TargetRow| {
            entry.row.verb == Verb::Run
                && row.target.state == TargetState::Succeeded
                && row.target.stamp.is_some()
                && row.prior.is_none()
        };
        let mut steps = Vec::new();
        for row in entry.targets().iter().filter(was_added) {
            let target = &row.target;
            let Some(definition) = self.settings.roles.get(&target.role) else {
                continue;
            };
            let Some(resource) = definition.resource else {
                continue;
            };
            let (name, menu) = (&target.name, &definition.portal);
            if !self.settings.outside.portal {
                steps.push(format!(
                    "add {name} in the portal ({menu}), and its addresses to the IP whitelist"
                ));
            }
            steps.push(format!(
                "restart the resource load balancer of the PBX, so that it takes {name} into account"
            ));
            let built_in = self.sees_portal().ok().map(|(_, portal)| {
                let of_kind = portal.entries.iter();
                let mut of_kind = of_kind.filter(|e| e.internal && e.resource == resource);
                of_kind.any(|entry| entry.enabled)
            });
            if built_in != Some(false) {
                steps.push(format!(
                    "disable the built-in {} in the portal ({menu}), if it is not to take sessions \
                     beside {name}",
                    definition.title
                ));
            }
        }
        steps
    }
}
