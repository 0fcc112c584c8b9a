//! One input through the core: a match over the commands, and nothing decided here.

use jiff::Timestamp;
use ulid::Ulid;

use extend_common::ids::OperationId;

use super::EngineError;
use super::batch::Gathering;
use super::command::Command;
use super::crash::InputKind;
use super::sessions::Sessions;
use crate::core::Fleet;
use crate::core::refusal::Refusal;

/// What an input may touch.
pub(super) struct Ground<'a> {
    pub(super) fleet: &'a mut Fleet,
    pub(super) sessions: &'a mut Sessions,
    pub(super) gathering: &'a mut Gathering,
}

impl Ground<'_> {
    /// Applies a command. `Recover` is not one of those: it needs the store in between.
    pub(super) fn apply(&mut self, command: Command, now: Timestamp) {
        let kind = command.kind();
        let Self { fleet, sessions, gathering } = self;
        match command {
            Command::Submit { submission, reply } => {
                let id = OperationId(Ulid::generate());
                let answer = gathering.add(kind, fleet.submit(&submission, id, now));
                gathering.answer(reply, refused(answer));
            }
            Command::Cancel { id, by, reply } => {
                let answer = gathering.add(kind, fleet.cancel(&id, &by, now));
                gathering.answer(reply, refused(answer));
            }
            Command::MintToken { node, ttl, hash, reply } => {
                let answer = gathering.add(kind, fleet.mint_token(node, ttl, hash, now));
                gathering.answer(reply, refused(answer));
            }
            Command::SpendToken { node, secret, facts, reply } => {
                let answer = gathering.add(kind, fleet.spend_token(node, &secret, facts, now));
                gathering.answer(reply, refused(answer));
            }
            Command::Renewed { node, facts, reply } => {
                let answer = gathering.add(kind, fleet.renewed(node, facts, now));
                gathering.answer(reply, refused(answer));
            }
            Command::Revoke { node, by, reply } => {
                let answer = gathering.add(kind, fleet.revoke(node, &by, now));
                gathering.answer(reply, refused(answer));
            }
            Command::Remove { node, force, by, reply } => {
                let answer = gathering.add(kind, fleet.remove(node, force, &by, now));
                gathering.answer(reply, refused(answer));
            }
            Command::SessionOpened { node, facts, hello, sender, reply } => {
                let answer = gathering.add(kind, fleet.hello(node, facts, *hello, now));
                if let Ok(number) = &answer {
                    sessions.open(node, *number, sender);
                }
                gathering.answer(reply, refused(answer));
            }
            Command::Report { session, node, status } => {
                gathering.add(kind, fleet.report(session, node, *status, now));
            }
            Command::Heartbeat { session, node, heartbeat } => {
                gathering.add(kind, fleet.heartbeat(session, node, heartbeat, now));
            }
            Command::SessionClosed { session, node } => {
                sessions.forget(node, session);
                gathering.add(kind, fleet.session_closed(session, node, now));
            }
            question => self.answer(question, now),
        }
    }

    /// Answers what changes nothing. The answers wait for the batch all the same: they may tell
    /// of what is not committed yet.
    fn answer(&mut self, question: Command, now: Timestamp) {
        let Self { fleet, gathering, .. } = self;
        gathering.kinds.insert(InputKind::Question);
        match question {
            Command::Operation { id, reply } => {
                gathering.answer(reply, refused(fleet.show_operation(&id)));
            }
            Command::Operations { limit, open_only, reply } => {
                gathering.answer(reply, Ok(fleet.newest(limit, open_only)));
            }
            Command::Watch { id, reply } => match fleet.find_operation(&id) {
                Ok(id) => gathering.subscribe((id, reply)),
                Err(refusal) => gathering.answer(reply, Err(refusal.into())),
            },
            Command::Servers { words, reply } => {
                gathering.answer(reply, refused(fleet.servers(&words)));
            }
            Command::Nodes { node, reply } => {
                gathering.answer(reply, refused(fleet.nodes(node, now)));
            }
            Command::RenewalAllowed { node, key, reply } => {
                gathering.answer(reply, refused(fleet.renewal_allowed(node, key, now)));
            }
            // `apply` takes every other one, and the task takes `Recover`.
            other => other.fail(EngineError::StoreFailed("the input was not expected".to_owned())),
        }
    }
}

fn refused<T>(answer: Result<T, Refusal>) -> Result<T, EngineError> {
    answer.map_err(EngineError::Refused)
}
