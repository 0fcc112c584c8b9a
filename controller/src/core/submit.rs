//! Submissions and the questions about operations.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, since};
use extend_common::ids::{OperationId, RequestId};
use extend_common::operation::{Operation, PhaseEntry, PlannedTarget, Target, TargetState, Verb};
use extend_common::status::Phase;

use super::admit::{Admission, Plan, admit, with_told_address};
use super::counted::Counted;
use super::event::words;
use super::fleet::Fleet;
use super::key::Key;
use super::operation::OperationEntry;
use super::refusal::Refusal;
use super::request::{Submission, Submitted};
use super::row::{OperationRow, Options, TargetRow};
use super::turn::Turn;

impl Fleet {
    /// Admits a submission and begins its operation, which gets `id` unless the request is known.
    pub fn submit(
        &mut self,
        submission: &Submission,
        id: OperationId,
        now: Timestamp,
    ) -> Turn<Result<Submitted, Refusal>> {
        if let Some(known) = self.known_request(submission.request) {
            return self.turn(Ok(known));
        }
        let plan = match admit(self, submission) {
            Admission::Refuse(refusal) => return self.turn(Err(refusal)),
            Admission::AlreadySo(plan) => {
                return self.turn(Ok(Submitted {
                    plan: plan.targets,
                    operation: None,
                }));
            }
            Admission::Accept(plan) => plan,
        };
        if submission.plan_only {
            return self.turn(Ok(Submitted {
                plan: plan.targets,
                operation: None,
            }));
        }
        let targets = plan.targets.clone();
        self.open(submission, plan, id, now);
        let operation = self.operation(id);
        self.turn(Ok(Submitted {
            plan: targets,
            operation,
        }))
    }

    /// How long the operations that hold servers of a plan may take from now on.
    fn longest_hold(&self, plan: &Plan, now: Timestamp) -> Duration {
        let holders = plan.targets.iter().flat_map(|target| {
            let node = self.nodes.get(&target.node);
            node.map(|node| node.wanted_by.as_slice())
                .unwrap_or_default()
        });
        let ends = holders.filter_map(|id| Some(self.operations.get(id)?.row.deadline));
        ends.max().map_or(Duration::ZERO, |end| since(now, end))
    }

    /// What a request was answered that is known already: said again, it does nothing again.
    pub(super) fn known_request(&self, request: RequestId) -> Option<Submitted> {
        let entry = self.operations.get(self.requests.get(&request)?)?;
        let operation = entry.operation();
        let plan = operation.targets.iter().map(planned_again).collect();
        Some(Submitted {
            plan,
            operation: Some(operation),
        })
    }

    /// Stores the operation and lets begin what may begin.
    fn open(&mut self, submission: &Submission, plan: Plan, id: OperationId, now: Timestamp) {
        // What it waits for is not counted against it.
        let waits = match submission.timeout {
            None if submission.queue => self.longest_hold(&plan, now),
            _ => Duration::ZERO,
        };
        let mut options = Options {
            image: submission.image.clone(),
            public_address: submission.public_address,
            force: submission.force,
            strategy: submission.strategy,
            drain: plan.drain,
            disables: plan.disables,
            limits: submission.limits,
            to_previous: submission.to_previous,
            timeout: submission.timeout,
            accepted: submission.accepted.clone(),
        };
        if let (Verb::Run, [target]) = (submission.verb, plan.targets.as_slice()) {
            // As it is told now: the plan says so.
            options = with_told_address(self, target.node, options);
        }
        let row = OperationRow {
            id,
            request: submission.request,
            verb: submission.verb,
            selector: plan.selector,
            options,
            by: submission.by.clone(),
            from: submission.from,
            message: submission.message.clone(),
            begun: now,
            ended: None,
            deadline: after(now, plan.timeout + waits),
            pins: submission.pins.clone(),
            next_steps: Vec::new(),
            retry_of: submission.retry_of,
        };
        for planned in &plan.targets {
            self.note_reach(planned.node, &planned.checks);
        }
        let targets = plan
            .targets
            .into_iter()
            .map(|planned| target(planned, now))
            .collect();
        let entry = OperationEntry::new(row, targets);
        self.write(Key::Operation(id));
        for row in entry.targets() {
            self.draft.writes.insert(Key::Target(id, row.target.node));
            if let Some(node) = self.nodes.get_mut(&row.target.node)
                && !row.target.state.has_ended()
            {
                node.wanted_by.push(id);
            }
        }
        self.requests.insert(submission.request, id);
        let begun = words::begun(&entry);
        self.draft.count(Counted::Begun(entry.row.verb));
        self.operations.insert(id, entry);
        self.draft.changed(id);
        self.note(begun);
        self.advance(id, now);
    }
}

/// A target before its turn; one that is already so is a target all the same, so that the
/// operation tells about every server that was meant.
fn target(planned: PlannedTarget, now: Timestamp) -> TargetRow {
    let at = planned.already_so.then_some(now);
    let state = if planned.already_so {
        TargetState::Succeeded
    } else {
        TargetState::Queued
    };
    let phases = at
        .map(|at| PhaseEntry {
            phase: Phase::Settled,
            at,
        })
        .into_iter()
        .collect();
    let target = Target {
        node: planned.node,
        name: planned.name,
        role: planned.role,
        state,
        detail: String::new(),
        reason: if planned.already_so {
            planned.summary.clone()
        } else {
            String::new()
        },
        evidence: None,
        stamp: None,
        begun: at,
        ended: at,
        phases,
        summary: planned.summary,
        image_before: planned.image_before,
        image_after: planned.image_after,
        warning: planned.warning,
        identity_before: planned.identity_before,
        identity_after: planned.identity_after,
        wave: planned.wave,
        late: String::new(),
    };
    TargetRow::new(target)
}

/// The plan of an operation that is known already, as it was.
fn planned_again(target: &Target) -> PlannedTarget {
    PlannedTarget {
        node: target.node,
        name: target.name.clone(),
        role: target.role.clone(),
        already_so: target.stamp.is_none() && target.state == TargetState::Succeeded,
        summary: target.summary.clone(),
        image_before: target.image_before.clone(),
        image_after: target.image_after.clone(),
        identity_before: target.identity_before.clone(),
        identity_after: target.identity_after.clone(),
        warning: target.warning.clone(),
        wave: target.wave,
        canary: false,
        host_changes: Vec::new(),
        // The summary counts them; the list was told with the first answer.
        differences: Vec::new(),
        checks: Vec::new(),
    }
}

impl Fleet {
    /// The operation a text means, as operators see it.
    ///
    /// # Errors
    /// When the text means none, or more than one.
    pub fn show_operation(&self, text: &str) -> Result<Operation, Refusal> {
        let id = self.find_operation(text)?;
        self.operation(id).ok_or_else(|| {
            super::refusal::Unfound::NoSuchOperation {
                text: text.to_owned(),
            }
            .into()
        })
    }
}
