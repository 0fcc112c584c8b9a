//! What the agents of a load count together: who is welcomed, and who has answered the present
//! round. Written by the sessions, read by the measurement.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Board {
    welcomed: watch::Sender<u32>,
    round: Mutex<Round>,
    complete: Notify,
}

#[derive(Debug, Default)]
struct Round {
    missing: u32,
    last: Option<Instant>,
}

impl Board {
    pub(super) fn welcome(&self) {
        self.welcomed
            .send_modify(|count| *count = count.saturating_add(1));
    }

    pub(super) fn leave(&self) {
        self.welcomed
            .send_modify(|count| *count = count.saturating_sub(1));
    }

    /// Waits until exactly so many agents are welcomed.
    pub(super) async fn await_welcomed(&self, count: u32, bound: Duration) -> anyhow::Result<()> {
        let mut welcomed = self.welcomed.subscribe();
        let reached = timeout(bound, welcomed.wait_for(|present| *present == count)).await;
        match reached {
            Ok(seen) => drop(seen?),
            Err(_) => {
                let present = *self.welcomed.borrow();
                anyhow::bail!("{present} agents are welcomed after {bound:?}, and not {count}")
            }
        }
        Ok(())
    }

    /// Begins a round in which so many agents are to answer an assignment.
    pub(crate) fn begin(&self, agents: u32) {
        *self.lock() = Round {
            missing: agents,
            last: None,
        };
    }

    /// An agent has given its answer to the connection.
    pub(super) fn answered(&self) {
        let mut round = self.lock();
        round.missing = round.missing.saturating_sub(1);
        if round.missing == 0 && round.last.is_none() {
            round.last = Some(Instant::now());
            self.complete.notify_one();
        }
    }

    /// When the last of the round has answered.
    pub(crate) async fn complete(&self, bound: Duration) -> anyhow::Result<Instant> {
        let waiting = async {
            loop {
                if let Some(at) = self.lock().last {
                    return at;
                }
                self.complete.notified().await;
            }
        };
        let answered = timeout(bound, waiting).await;
        answered.with_context(|| format!("{} agents do not answer", self.lock().missing))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_is_complete_with_its_last_answer() {
        let (board, bound) = (Board::default(), Duration::from_secs(5));
        board.begin(2);
        board.answered();
        assert!(board.complete(Duration::ZERO).await.is_err());
        board.answered();
        let first = board.complete(bound).await.unwrap();
        board.begin(1);
        board.answered();
        assert!(board.complete(bound).await.unwrap() >= first);
    }
}
