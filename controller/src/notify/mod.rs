//! Tells receivers of alerts, beside the engine.
//!
//! ```text
//! engine ── notices (watch) ──► a task for each receiver ──► webhook | e-mail | command
//!    ▲                                   │
//!    └────────── delivered ◄─────────────┘
//! ```
//!
//! Owns one delivery at a time for each receiver, its time-out, and the pauses after one that
//! failed. A notice is sent until its receiver has taken it; it bears the same id every time. A
//! dead receiver holds up neither another one nor the engine. Decides nothing about alerts.

mod email;
mod http;
mod message;
mod program;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::{Backoff, jitter};
use jiff::Timestamp;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::alerts::{Receiver, Way};
use crate::core::alerts::{Delivery, Notice};
use crate::engine::EngineHandle;

pub use email::check_mailbox;
pub use http::check_url;

/// The notices that wait, by receiver.
pub type Waiting = Arc<BTreeMap<String, Vec<Arc<Notice>>>>;

/// After a delivery that failed.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(300),
};
/// A refusal that will not change by itself is tried again so slowly from the start.
const SLOWLY: Duration = Duration::from_secs(300);
/// A delivery may take so long, whatever it consists of. Programs have their own.
const LIMIT: Duration = Duration::from_secs(30);

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Failed {
    /// What went wrong; no secret is in it.
    pub sentence: String,
    /// Trying again soon will not help.
    pub lasting: bool,
}

impl Failed {
    fn soon(sentence: impl Into<String>) -> Self {
        Self {
            sentence: extend_common::wire::shown_text(sentence.into()),
            lasting: false,
        }
    }

    fn lasting(sentence: impl Into<String>) -> Self {
        Self {
            lasting: true,
            ..Self::soon(sentence)
        }
    }
}

/// One receiver, and that it is told one thing at a time.
#[derive(Debug)]
struct Post {
    receiver: Receiver,
    busy: Mutex<email::Sent>,
    /// Somebody has found that it takes messages: no more waiting.
    again: Notify,
}

/// Every receiver. Held by the operators' face for messages on trial.
#[derive(Debug, Clone, Default)]
pub struct Posts {
    posts: Arc<Vec<Arc<Post>>>,
}

impl Posts {
    /// Of the receivers of a configuration.
    pub fn new(receivers: &[Receiver]) -> Self {
        let posts = receivers.iter().map(|receiver| {
            Arc::new(Post {
                receiver: receiver.clone(),
                busy: Mutex::default(),
                again: Notify::new(),
            })
        });
        Self {
            posts: Arc::new(posts.collect()),
        }
    }

    /// Starts a task for each; they go on until `end`.
    pub fn start(
        &self,
        engine: &EngineHandle,
        waiting: &watch::Receiver<Waiting>,
        end: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        for post in self.posts.iter() {
            let task = carry(Arc::clone(post), engine.clone(), waiting.clone());
            tasks.spawn(end.clone().run_until_cancelled_owned(task));
        }
    }

    /// The names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.posts.iter().map(|post| post.receiver.name.as_str())
    }

    /// Sends a message on trial to one of them, or to all, at once; answers what came of each.
    pub async fn test(
        &self,
        name: Option<&str>,
        by: &str,
        now: Timestamp,
    ) -> Vec<(String, Result<(), Failed>)> {
        let meant = self
            .posts
            .iter()
            .filter(|post| name.is_none_or(|name| post.receiver.name == name));
        let sent = meant.map(|post| async {
            let body = message::trial(&post.receiver.name, by, now);
            let result = post.send(&body).await;
            if result.is_ok() {
                post.again.notify_one();
            }
            (post.receiver.name.clone(), result)
        });
        futures_util::future::join_all(sent).await
    }
}

impl Post {
    async fn send(&self, message: &message::Message) -> Result<(), Failed> {
        let Ok(mut turn) = timeout(LIMIT, self.busy.lock()).await else {
            return Err(Failed::soon(
                "another message is on its way to it for too long",
            ));
        };
        match &self.receiver.way {
            Way::Command(program) => program::run(program, message).await,
            Way::Webhook(webhook) => within(http::post(webhook, message)).await,
            Way::Email(email) => within(email::send(email, message, &mut turn)).await,
        }
    }
}

async fn within(sent: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let late = || Failed::soon(format!("it did not take the message within {LIMIT:?}"));
    timeout(LIMIT, sent).await.unwrap_or_else(|_| Err(late()))
}

/// Brings a receiver its notices, the oldest first.
async fn carry(post: Arc<Post>, engine: EngineHandle, mut waiting: watch::Receiver<Waiting>) {
    let mut attempt = 0;
    let mut last_taken = None;
    loop {
        let next = {
            let all = waiting.borrow_and_update();
            let mine = all.get(&post.receiver.name).and_then(|mine| {
                // What was taken stays in the list until the engine has committed that.
                mine.iter().find(|notice| Some(notice.number) > last_taken)
            });
            mine.cloned()
        };
        let Some(notice) = next else {
            if waiting.changed().await.is_err() {
                return;
            }
            continue;
        };
        let result = post.send(&message::of(&notice)).await;
        let pause = match &result {
            Ok(()) => {
                (attempt, last_taken) = (0, Some(notice.number));
                None
            }
            Err(failed) => {
                let (receiver, notice) = (&post.receiver.name, &notice.id);
                tracing::warn!(receiver, notice, reason = %failed, "an alert was not taken");
                let pause = if failed.lasting {
                    SLOWLY
                } else {
                    BACKOFF.wait(attempt, jitter())
                };
                attempt += 1;
                Some(pause)
            }
        };
        let delivery = Delivery {
            receiver: post.receiver.name.clone(),
            notice: notice.number,
            result: result.map_err(|failed| failed.sentence),
        };
        // Lost with the controller, it is sent again after the next start, with the same id.
        if let Err(error) = engine.delivered(delivery).await {
            tracing::debug!(%error, "nobody was told of a delivery");
            return;
        }
        if let Some(pause) = pause {
            tokio::select! {
                () = sleep(pause) => {}
                () = post.again.notified() => attempt = 0,
            }
        }
    }
}

#[cfg(test)]
mod tests;
