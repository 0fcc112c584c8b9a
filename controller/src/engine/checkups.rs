//! Checkups by the handle: who is to be asked the engine says, the agents are asked a few at a time,
//! and what they do not tell is unknown.

use std::time::Duration;

use extend_common::checkup::Check;
use extend_common::ids::NodeAddr;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::Instant;
use ulid::Ulid;

use super::command::{AgentQuestion, Question};
use super::{EngineError, EngineHandle};
use crate::core::checkup::Subject;
use crate::core::request::{Retry, SelectorWords, Submission};

/// An agent that is connected answers within eight seconds, whatever hangs on its node.
const LIMIT: Duration = Duration::from_secs(10);
/// Nodes that are asked at a time.
const AT_ONCE: usize = 32;
/// After this nobody is asked any more: the command line waits for twenty seconds, and whoever was
/// asked last answers within ten.
const PATIENCE: Duration = Duration::from_secs(8);

/// A node, and what its checkup came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkup {
    /// Which.
    pub subject: Subject,
    /// Every check, once.
    pub checks: Vec<Check>,
}

impl EngineHandle {
    /// Checks nodes: those that are named, or all of them, as for a role where they have no server.
    pub async fn checkup(&self, words: SelectorWords) -> Result<Vec<Checkup>, EngineError> {
        let subjects = self.ask(|reply| Question::Checkups { words, reply });
        let subjects = subjects.await?;
        let until = Instant::now() + PATIENCE;
        let checking = stream::iter(subjects).map(|subject| async move {
            let checks = match Instant::now() < until {
                true => self.check(subject.clone()).await?,
                false => {
                    let why = "others took too long: name it with -a".to_owned();
                    subject.clone().complete(Err(why))
                }
            };
            Ok(Checkup { subject, checks })
        });
        let all: Vec<Result<_, EngineError>> = checking.buffered(AT_ONCE).collect().await;
        all.into_iter().collect()
    }

    /// Hands over what an agent tells of its host. Nothing is waited for.
    pub fn checkup_told(&self, node: NodeAddr, id: Ulid, checks: Vec<Check>) {
        self.checkups.told(node, id, checks);
    }

    /// The checkup that a `run` needs; none when it needs none.
    pub(super) async fn checkup_before(
        &self,
        submission: &Submission,
    ) -> Result<Option<Vec<Check>>, EngineError> {
        let submission = Box::new(submission.clone());
        let subject = self.ask(|reply| Question::CheckupWanted { submission, reply });
        match subject.await? {
            Some(subject) => self.check(subject).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same for one that is tried again.
    pub(super) async fn checkup_again(
        &self,
        retry: &Retry,
    ) -> Result<Option<Vec<Check>>, EngineError> {
        let retry = Box::new(retry.clone());
        let subject = self.ask(|reply| Question::CheckupOfRetry { retry, reply });
        match subject.await? {
            Some(subject) => self.check(subject).await.map(Some),
            None => Ok(None),
        }
    }

    async fn check(&self, subject: Subject) -> Result<Vec<Check>, EngineError> {
        if let Some(why) = subject.unasked.clone() {
            return Ok(subject.complete(Err(why)));
        }
        let node = subject.node;
        let Some(question) = self.checkups.open(node) else {
            return Ok(subject.complete(Err("too many others ask".to_owned())));
        };
        self.ask(|reply| {
            Question::ToAgent(AgentQuestion::Checkup {
                node,
                id: question.id(),
                role: subject.role.clone(),
                reply,
            })
        })
        .await?;
        let told = question.answer(LIMIT).await;
        let told = told.ok_or_else(|| {
            let seconds = LIMIT.as_secs();
            format!("its agent did not answer within {seconds}s")
        });
        Ok(subject.complete(told))
    }
}
