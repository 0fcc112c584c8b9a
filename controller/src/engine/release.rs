//! What happens when a commit has returned: the world is told, in an order that can be relied on.

use std::sync::Arc;

use extend_common::event::StoredEvent;
use extend_common::ids::ServerName;
use tracing::field::display;

use super::batch::{Sealed, send};
use super::crash::{CrashPoint, InputKind, Moment};
use super::task::Task;
use crate::core::Effect;
use crate::core::request::SessionEnd;

/// Why a node is away whose agent is alive and was left.
const SLOW: &str = "its agent does not take its messages";

impl Task {
    /// Tells the world: first who may knock, then agents and watchers, then whoever asked.
    pub(super) async fn release(&mut self, mut sealed: Sealed) {
        self.hit(&sealed, Moment::AfterCommit).await;
        if let Some(sets) = sealed.door.take() {
            self.door.send_replace(Arc::new(sets));
        }
        if let Some(wanted) = sealed.outside.take() {
            self.outside.send_replace(wanted);
        }
        let now = self.clock().now();
        for effect in std::mem::take(&mut sealed.effects) {
            match effect {
                Effect::Send {
                    node,
                    session,
                    message,
                } => {
                    if !self.sessions.send(node, session, message) {
                        let end = SessionEnd::GivenUp(SLOW.to_owned());
                        let turn = self.fleet.session_closed(session, node, end, now);
                        self.gathering.add(InputKind::SessionClosed, turn);
                    }
                }
                Effect::Close {
                    node,
                    session,
                    reason,
                } => {
                    self.sessions.close(node, session, reason);
                }
                Effect::Changed(id) => {
                    if let Some(picture) = sealed.pictures.get(&id) {
                        self.watchers.publish(Arc::clone(picture));
                    }
                }
                // Opened or shut above, before anybody could try it; and published.
                Effect::Door | Effect::Outside => {}
                Effect::Counted(counted) => self.meter.count(counted),
                Effect::Events => {
                    self.log_events(sealed.last_event);
                    self.events.send_replace(sealed.last_event);
                }
            }
        }
        self.hit(&sealed, Moment::BeforeReplies).await;
        let kinds = self.answer(sealed);
        for kind in kinds {
            self.config
                .crash
                .at(CrashPoint::Input(Moment::AfterReplies, kind))
                .await;
        }
    }

    /// Puts the events that are kept now into the log, each with what it is about.
    fn log_events(&self, last: u64) {
        let told = *self.events.borrow();
        let stored = (told + 1..=last).filter_map(|sequence| self.fleet.event(sequence));
        for StoredEvent { event, .. } in stored {
            let node = event.node.as_ref().map(display);
            let server = event.name.as_ref().map(ServerName::as_str);
            let operation = event.operation.as_ref().map(display);
            let by = Some(event.by.as_str()).filter(|by| !by.is_empty());
            let text = event.text.as_str();
            tracing::info!(node, server, operation, kind = %event.kind, by, text, "event");
        }
    }

    fn answer(&mut self, sealed: Sealed) -> Vec<InputKind> {
        for (id, reply) in sealed.subscribers {
            if let Some(picture) = sealed.pictures.get(&id) {
                send(reply, Ok(self.watchers.subscribe(Arc::clone(picture))));
            }
        }
        for answer in sealed.answers {
            answer(None);
        }
        sealed.kinds.into_iter().collect()
    }

    pub(super) async fn hit(&self, sealed: &Sealed, moment: Moment) {
        for kind in &sealed.kinds {
            self.config.crash.at(CrashPoint::Input(moment, *kind)).await;
        }
    }
}
