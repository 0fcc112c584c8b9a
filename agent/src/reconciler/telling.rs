//! Tells how the server is: publishes the view that sessions read, and puts what is worth telling
//! people into the journal.

use extend_common::ids::{OperationId, ServerName};
use extend_common::status::ServerStatus;
use jiff::Timestamp;
use tracing::field::{DisplayValue, display};

use super::{AgentView, Reconciler, Running};
use crate::core::news::{Known, news};
use crate::core::plan::Decision;
use crate::core::status::{Condition, condition, status, undefined};

/// What a line in the log is about.
pub(super) struct Concern<'a> {
    pub(super) server: Option<&'a str>,
    pub(super) operation: Option<DisplayValue<&'a OperationId>>,
}

impl Reconciler {
    /// The server, and the operation that its record came with.
    pub(super) fn concern(&self) -> Concern<'_> {
        let server = self.parts.ledger.server.as_ref();
        let desired = server.map(|entry| &entry.record.desired);
        Concern {
            server: desired.map(|desired| desired.name.as_str()),
            operation: desired
                .and_then(|desired| desired.operation.as_ref())
                .map(display),
        }
    }

    pub(super) fn publish(&mut self, decision: Option<&Decision>, now: Timestamp) {
        let told = decision.and_then(|decision| {
            self.with_view(|view| (condition(view, decision, now), decision.clone()))
        });
        self.tell(told.as_ref().map(|(condition, _)| condition), now);
        let mut next = AgentView::of(&self.parts.ledger);
        match told {
            Some((condition, decision)) => {
                let since = self.since(&condition, now);
                let data = self.data_directory();
                next.status = self.with_view(|view| {
                    status(
                        view,
                        &decision,
                        condition.clone(),
                        (since, now),
                        data.clone(),
                    )
                });
            }
            None if self.is_undefined() => {
                let since = self.since(&Condition::unknown(""), now);
                let entry = self.parts.ledger.server.as_ref();
                next.status = entry.map(|entry| undefined(entry, since));
            }
            None => {
                next.status = self
                    .view
                    .borrow()
                    .status
                    .clone()
                    .map(|status| self.stale(status));
            }
        }
        if self.service.is_due() {
            self.service.tell(self.figures());
        }
        next.unclaimed.clone_from(&self.unclaimed);
        next.looked = self.looked;
        next.docker_trouble.clone_from(&self.docker_trouble);
        next.ledger_trouble.clone_from(&self.ledger_trouble);
        self.view.send_if_modified(|held| {
            let changed = *held != next;
            *held = next;
            changed
        });
    }

    /// Whether there is a record of a role that this node does not know.
    fn is_undefined(&self) -> bool {
        self.parts.ledger.server.is_some() && self.definition().is_none()
    }

    /// Puts into the journal what has not been told yet.
    fn tell(&self, condition: Option<&Condition>, now: Timestamp) {
        let warnings = self
            .with_view(|view| view.warnings(now))
            .unwrap_or_default();
        let known = Known {
            node: self.parts.settings.facts.node,
            entry: self.parts.ledger.server.as_ref(),
            condition,
            warnings: &warnings,
            docker_trouble: &self.docker_trouble,
            agent_trouble: &self.ledger_trouble,
        };
        let before = self.parts.journal.mark();
        let (mark, events) = news(&before, &known, now);
        if mark == before && events.is_empty() {
            return;
        }
        for event in &events {
            let server = event.name.as_ref().map(ServerName::as_str);
            let operation = event.operation.as_ref().map(display);
            tracing::info!(server, operation, kind = %event.kind, text = event.text, "event");
        }
        self.parts.journal.note(events, mark);
        let journal = self.parts.journal.clone();
        tokio::task::spawn_blocking(move || journal.flush());
    }

    /// The last status while a job is in flight, or while Docker is silent.
    fn stale(&self, mut status: ServerStatus) -> ServerStatus {
        if let Some(words) = self.job.as_ref().and_then(Running::progress) {
            status.detail = words;
        }
        if !self.docker_trouble.is_empty() {
            let unknown = Condition::unknown(self.docker_trouble.clone());
            status.health = unknown.health;
            status.reason = unknown.reason;
        }
        status
    }

    fn since(&mut self, condition: &Condition, now: Timestamp) -> Timestamp {
        match &self.condition {
            Some((held, since)) if held.health == condition.health => *since,
            _ => {
                self.condition = Some((condition.clone(), now));
                now
            }
        }
    }

    fn data_directory(&self) -> String {
        let entry = self.parts.ledger.server.as_ref();
        let facts = &self.parts.settings.facts;
        match (self.definition(), entry) {
            (Some(role), Some(entry)) => facts.data_directory(role, &entry.record.desired),
            _ => String::new(),
        }
    }
}
