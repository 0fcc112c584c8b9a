//! One input through the core: a match over the commands, and nothing decided here.

use jiff::Timestamp;
use ulid::Ulid;

use super::EngineError;
use super::batch::Gathering;
use super::command::{
    AgentQuestion, AlertCommand, NodeCommand, Opening, OperationCommand, OutsideCommand, Question,
    Reply, SessionCommand,
};
use super::crash::InputKind;
use super::sessions::Sessions;
use crate::core::Fleet;
use crate::core::archive::operation_id;
use crate::core::figures::FleetFigures;
use crate::core::refusal::Refusal;
use crate::core::request::Submitted;

/// What an input may touch.
pub(super) struct Ground<'a> {
    pub(super) fleet: &'a mut Fleet,
    pub(super) sessions: &'a mut Sessions,
    pub(super) gathering: &'a mut Gathering,
}

impl Ground<'_> {
    pub(super) fn operation(&mut self, command: OperationCommand, now: Timestamp) {
        let Self {
            fleet, gathering, ..
        } = self;
        let kind = command.kind();
        match command {
            OperationCommand::Submit { submission, reply } => {
                let id = operation_id(now, Ulid::generate().random());
                let answer = gathering.add(kind, fleet.submit(&submission, id, now));
                tell_submitted(&answer);
                gathering.answer(reply, refused(answer));
            }
            OperationCommand::Retry { retry, reply } => {
                let id = operation_id(now, Ulid::generate().random());
                let answer = gathering.add(kind, fleet.retry(&retry, id, now));
                tell_submitted(&answer);
                gathering.answer(reply, refused(answer));
            }
            OperationCommand::Cancel { id, by, reply } => {
                let answer = gathering.add(kind, fleet.cancel(&id, &by, now));
                tracing::info!(operation = id, by, refused = answer.is_err(), "cancelled");
                gathering.answer(reply, refused(answer));
            }
            OperationCommand::NoteShim { mended, reply } => {
                gathering.add(kind, fleet.note_shim(&mended, now));
                gathering.answer(reply, Ok(()));
            }
        }
    }

    pub(super) fn node(&mut self, command: NodeCommand, now: Timestamp) {
        let Self {
            fleet, gathering, ..
        } = self;
        let kind = command.kind();
        match command {
            NodeCommand::MintToken {
                node,
                ttl,
                hash,
                by,
                reply,
            } => {
                let answer = gathering.add(kind, fleet.mint_token(node, ttl, hash, &by, now));
                gathering.answer(reply, refused(answer));
            }
            NodeCommand::SpendToken {
                node,
                secret,
                facts,
                reply,
            } => {
                let answer = gathering.add(kind, fleet.spend_token(node, &secret, facts, now));
                tracing::info!(%node, refused = answer.is_err(), "token shown");
                gathering.answer(reply, refused(answer));
            }
            NodeCommand::Renewed { node, facts, reply } => {
                let answer = gathering.add(kind, fleet.renewed(node, facts, now));
                gathering.answer(reply, refused(answer));
            }
            NodeCommand::Revoke { node, by, reply } => {
                let answer = gathering.add(kind, fleet.revoke(node, &by, now));
                tracing::info!(%node, by, refused = answer.is_err(), "node revoked");
                gathering.answer(reply, refused(answer));
            }
            NodeCommand::Remove {
                node,
                force,
                by,
                reply,
            } => {
                let answer = gathering.add(kind, fleet.remove(node, force, &by, now));
                tracing::info!(%node, force, by, refused = answer.is_err(), "node removed");
                gathering.answer(reply, refused(answer));
            }
        }
    }

    pub(super) fn session(&mut self, command: SessionCommand, now: Timestamp) {
        let Self {
            fleet,
            sessions,
            gathering,
        } = self;
        let kind = command.kind();
        match command {
            SessionCommand::Opened(opening) => {
                let Opening {
                    node,
                    facts,
                    hello,
                    sender,
                    reply,
                } = *opening;
                let answer = gathering.add(kind, fleet.hello(node, facts, hello, now));
                match &answer {
                    Ok(number) => {
                        tracing::info!(%node, session = %number, "session opened");
                        sessions.open(node, *number, sender);
                    }
                    Err(refusal) => tracing::warn!(%node, %refusal, "session refused"),
                }
                gathering.answer(reply, refused(answer));
            }
            SessionCommand::Report {
                session,
                node,
                status,
            } => {
                gathering.add(kind, fleet.report(session, node, *status, now));
            }
            SessionCommand::Heartbeat {
                session,
                node,
                heartbeat,
            } => {
                gathering.add(kind, fleet.heartbeat(session, node, heartbeat, now));
            }
            SessionCommand::Events {
                session,
                node,
                part,
            } => {
                gathering.add(kind, fleet.journal(session, node, part, now));
            }
            SessionCommand::Closed { session, node, end } => {
                sessions.forget(node, session);
                gathering.add(kind, fleet.session_closed(session, node, end, now));
            }
        }
    }

    pub(super) fn outside(&mut self, command: OutsideCommand, now: Timestamp) {
        let Self {
            fleet, gathering, ..
        } = self;
        match command {
            OutsideCommand::Portal(seen) => {
                gathering.add(InputKind::PortalSeen, fleet.portal_seen(*seen, now));
            }
            OutsideCommand::Enforced(round) => {
                gathering.add(InputKind::Enforced, fleet.enforced(*round, now));
            }
        }
    }

    /// Answers with the fleet in numbers.
    pub(super) fn figures(&mut self, reply: Reply<Box<FleetFigures>>, now: Timestamp) {
        self.gathering.kinds.insert(InputKind::Question);
        let figures = Box::new(self.fleet.figures(now));
        self.gathering.answer(reply, Ok(figures));
    }

    pub(super) fn alert(&mut self, command: AlertCommand, now: Timestamp) {
        let Self {
            fleet, gathering, ..
        } = self;
        match command {
            AlertCommand::Delivered { delivery, reply } => {
                gathering.add(InputKind::Delivered, fleet.delivered(&delivery, now));
                gathering.answer(reply, Ok(()));
            }
            AlertCommand::List { reply } => {
                gathering.kinds.insert(InputKind::Question);
                gathering.answer(reply, Ok(fleet.alerts(now)));
            }
            AlertCommand::Acknowledge {
                id,
                note,
                by,
                reply,
            } => {
                let turn = fleet.acknowledge(id, &note, &by, now);
                let answer = gathering.add(InputKind::Alerts, turn);
                gathering.answer(reply, refused(answer));
            }
            AlertCommand::Silence {
                words,
                lasts,
                note,
                by,
                reply,
            } => {
                let turn = fleet.silence(&words, lasts, (&note, &by), now);
                let answer = gathering.add(InputKind::Alerts, turn);
                gathering.answer(reply, refused(answer));
            }
            AlertCommand::Unsilence { id, by, reply } => {
                let answer = gathering.add(InputKind::Alerts, fleet.unsilence(id, &by, now));
                gathering.answer(reply, refused(answer));
            }
        }
    }

    /// Answers what changes nothing. The answers wait for the batch all the same: they may tell
    /// of what is not committed yet.
    pub(super) fn answer(&mut self, question: Question, now: Timestamp) {
        let Self {
            fleet, gathering, ..
        } = self;
        gathering.kinds.insert(InputKind::Question);
        match question {
            Question::Operation { id, reply } => {
                gathering.answer(reply, refused(fleet.show_operation(&id)));
            }
            Question::Operations { filter, reply } => {
                gathering.answer(reply, Ok(fleet.list(&filter)));
            }
            Question::Watch { id, reply } => match fleet.find_operation(&id) {
                Ok(id) => gathering.subscribe((id, reply)),
                Err(refusal) => gathering.answer(reply, Err(refusal.into())),
            },
            Question::Servers {
                words,
                recent,
                reply,
            } => {
                let mut answer = fleet.servers(&words, now);
                if let (true, Ok(view)) = (recent, &mut answer) {
                    fleet.recall(view, now);
                }
                gathering.answer(reply, refused(answer));
            }
            Question::Health { words, reply } => {
                gathering.answer(reply, refused(fleet.health(&words, now)));
            }
            Question::Nodes { node, reply } => {
                gathering.answer(reply, refused(fleet.nodes(node, now)));
            }
            Question::Whitelist { reply } => {
                gathering.answer(reply, Ok(fleet.whitelist(now)));
            }
            Question::BeginEvents { wanted, reply } => {
                gathering.answer(reply, refused(fleet.begin_events(&wanted)));
            }
            Question::EventsAfter {
                filter,
                after,
                reply,
            } => {
                gathering.answer(reply, Ok(fleet.events_after(&filter, after)));
            }
            Question::RenewalAllowed { node, key, reply } => {
                gathering.answer(reply, refused(fleet.renewal_allowed(node, key, now)));
            }
            Question::LeadsWanted { submission, reply } => {
                gathering.answer(reply, Ok(fleet.leads_wanted(&submission)));
            }
            Question::Checkups { words, reply } => {
                gathering.answer(reply, refused(fleet.checkups(&words)));
            }
            Question::CheckupWanted { submission, reply } => {
                gathering.answer(reply, Ok(fleet.checkup_wanted(&submission)));
            }
            Question::CheckupOfRetry { retry, reply } => {
                gathering.answer(reply, Ok(fleet.checkup_of_retry(&retry)));
            }
            Question::LogsOf { words, reply } => {
                gathering.answer(reply, refused(fleet.logs_of(&words)));
            }
            Question::ToAgent(question) => self.pass_on(question),
        }
    }

    /// Passes a question on to an agent; its answer comes past the engine.
    fn pass_on(&mut self, question: AgentQuestion) {
        let Self {
            fleet, gathering, ..
        } = self;
        match question {
            AgentQuestion::Image {
                node,
                id,
                reference,
                reply,
            } => {
                let turn = fleet.want_image(node, id, reference);
                gathering.add(InputKind::Question, turn);
                gathering.answer(reply, Ok(()));
            }
            AgentQuestion::Firewall {
                node,
                id,
                change,
                reply,
            } => {
                let turn = fleet.want_firewall(node, id, *change);
                let reach = gathering.add(InputKind::Question, turn);
                gathering.answer(reply, Ok(reach));
            }
            AgentQuestion::Checkup {
                node,
                id,
                role,
                reply,
            } => {
                gathering.add(InputKind::Question, fleet.want_checkup(node, id, role));
                gathering.answer(reply, Ok(()));
            }
            AgentQuestion::Logs {
                node,
                wanted,
                reply,
            } => {
                gathering.add(InputKind::Question, fleet.want_logs(node, *wanted));
                gathering.answer(reply, Ok(()));
            }
        }
    }
}

fn refused<T>(answer: Result<T, Refusal>) -> Result<T, EngineError> {
    answer.map_err(EngineError::Refused)
}

fn tell_submitted(answer: &Result<Submitted, Refusal>) {
    if let Ok(Submitted {
        operation: Some(begun),
        ..
    }) = answer
    {
        let (verb, selector, by) = (begun.verb, &begun.selector, &begun.by);
        let servers = begun.targets.len();
        tracing::info!(operation = %begun.id, %verb, %selector, servers, by, "submitted");
    }
}
