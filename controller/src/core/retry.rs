//! An operation submitted again: the same verb, with the same options, on its servers or on those
//! of them that it did not come to the end with.

use std::collections::BTreeMap;

use jiff::Timestamp;

use extend_common::ids::{NodeAddr, OperationId};

use super::admit::ends_process;
use super::fleet::Fleet;
use super::refusal::{Refusal, Unfound};
use super::request::{DrainWish, Retry, SelectorWords, Submission, Submitted};
use super::turn::Turn;

impl Fleet {
    /// Admits an operation once more and begins it as another one, which gets `id` unless the
    /// request is known.
    pub fn retry(
        &mut self,
        retry: &Retry,
        id: OperationId,
        now: Timestamp,
    ) -> Turn<Result<Submitted, Refusal>> {
        // Known, it may have ended or not, and need not be the first one any more.
        if let Some(known) = self.known_request(retry.request) {
            return self.turn(Ok(known));
        }
        match self.again(retry) {
            Ok(submission) => self.submit(&submission, id, now),
            Err(refusal) => self.turn(Err(refusal)),
        }
    }

    /// What has to be submitted.
    pub(super) fn again(&self, retry: &Retry) -> Result<Submission, Refusal> {
        let first = self.find_operation(&retry.operation)?;
        let Some(entry) = self.operations.get(&first) else {
            let text = retry.operation.clone();
            return Err(Unfound::NoSuchOperation { text }.into());
        };
        let row = &entry.row;
        if row.ended.is_none() {
            return Err(Unfound::OperationOpen { operation: first }.into());
        }
        let nodes: Vec<NodeAddr> = entry
            .targets()
            .iter()
            .map(|row| &row.target)
            .filter(|target| !retry.failed_only || target.state.is_failure())
            .map(|target| target.node)
            .collect();
        if nodes.is_empty() {
            return Err(Unfound::NothingToRetry { operation: first }.into());
        }
        let role = row.selector.role.as_ref();
        let options = &row.options;
        Ok(Submission {
            limits: options.limits,
            // What was begun was said yes to.
            confirmed: true,
            request: retry.request,
            verb: row.verb,
            selector: SelectorWords {
                role: role.map(ToString::to_string).unwrap_or_default(),
                nodes,
                name: row.selector.name.clone(),
            },
            image: options.image.clone(),
            public_address: options.public_address,
            plan_only: retry.plan_only,
            timeout: retry.timeout.or(options.timeout),
            message: match retry.message.is_empty() {
                true => row.message.clone(),
                false => retry.message.clone(),
            },
            force: options.force,
            strategy: options.strategy,
            drain: match options.drain {
                Some(limit) => DrainWish::For(limit),
                None if ends_process(row.verb) && !options.disables => DrainWish::Not,
                None => DrainWish::Unsaid,
            },
            queue: retry.queue,
            to_previous: options.to_previous,
            retry_of: Some(first),
            pins: match retry.failed_only {
                true => row.pins.clone(),
                false => BTreeMap::new(),
            },
            by: retry.by.clone(),
            from: retry.from,
            leads: BTreeMap::new(),
            accepted: options.accepted.clone(),
            checkup: retry.checkup.clone(),
        })
    }
}
