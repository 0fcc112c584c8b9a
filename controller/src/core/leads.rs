//! Where the references of an upgrade lead, asked before its plan: which node is asked for which.
//! Changes nothing.

use std::collections::BTreeMap;

use extend_common::ids::NodeAddr;
use extend_common::operation::Verb;
use ulid::Ulid;

use super::admit::{resolve, select};
use super::fleet::Fleet;
use super::refusal::Asked;
use super::request::{ImageWanted, Submission, ToAgent};
use super::turn::Turn;

impl Fleet {
    /// The references of an upgrade that only a registry can follow, each with a node that has such
    /// a server and can be asked; none where all of them are away. Empty for everything else, and
    /// for what is refused anyway.
    pub fn leads_wanted(&self, submission: &Submission) -> BTreeMap<String, Option<NodeAddr>> {
        let mut wanted = BTreeMap::new();
        let asks = submission.plan_only && submission.verb == Verb::Upgrade;
        if !asks || submission.to_previous {
            return wanted;
        }
        let asked = Asked::submission(submission);
        let selected = resolve(self, &submission.selector, &asked)
            .and_then(|selector| select(self, submission.verb, &asked, &selector));
        for node in selected.unwrap_or_default() {
            let Some(entry) = self.nodes.get(&node) else {
                continue;
            };
            let Some(server) = entry.server() else {
                continue;
            };
            let reference = submission.image.as_ref();
            let reference = reference.unwrap_or(&server.image.reference).clone();
            let known = wanted.entry(reference).or_insert(None);
            if known.is_none() && entry.session.is_some() {
                *known = Some(node);
            }
        }
        wanted
    }

    /// Passes a question on to the agent of a node. One whose agent has gone meanwhile is lost:
    /// whoever waits for the answer does not wait for ever.
    pub fn want_image(&mut self, node: NodeAddr, id: Ulid, reference: String) -> Turn<()> {
        let wanted = ImageWanted {
            id,
            reference,
            pull: self.settings.pull,
        };
        self.send(node, ToAgent::ImageWanted(wanted));
        self.turn(())
    }
}
