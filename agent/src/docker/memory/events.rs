//! The event stream of a simulated Engine.

use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{MemoryDocker, closed};
use crate::docker::{DockerError, Happening};

const DOING: &str = "listening to events";

enum Stage {
    Opening,
    Open { seen: u64, run: u64 },
    Over,
}

struct Listener {
    docker: MemoryDocker,
    wake: watch::Receiver<u64>,
    stage: Stage,
}

/// What the daemon tells: each end as it was, everything else as hints, several at once as one;
/// one error when it goes, and the end.
pub(super) fn happenings(
    docker: MemoryDocker,
) -> BoxStream<'static, Result<Happening, DockerError>> {
    let wake = docker.shared.wake.subscribe();
    let listener = Listener {
        docker,
        wake,
        stage: Stage::Opening,
    };
    Box::pin(stream::unfold(listener, |mut listener| async move {
        let item = listener.next().await?;
        if item.is_err() {
            listener.stage = Stage::Over;
        }
        Some((item, listener))
    }))
}

impl Listener {
    async fn next(&mut self) -> Option<Result<Happening, DockerError>> {
        loop {
            self.wake.mark_unchanged();
            let (events, run, next) = self
                .docker
                .look(|state, _| (state.events, state.run, state.next_at()));
            match &mut self.stage {
                Stage::Over => return None,
                Stage::Opening => {
                    let limit = self.docker.shared.timeouts.read;
                    if let Err(error) = self.docker.until_up(limit, DOING).await {
                        return Some(Err(error));
                    }
                    let (seen, run) = self.docker.look(|state, _| (state.events, state.run));
                    self.stage = Stage::Open { seen, run };
                    continue;
                }
                Stage::Open { run: own, .. } if *own != run => {
                    return Some(Err(closed(DOING)));
                }
                Stage::Open { seen, .. } if *seen != events => {
                    let death = self.docker.look(|state, _| state.death_after(*seen));
                    let (upto, happening) = match death {
                        Some((number, death)) => (number, Happening::Died(death)),
                        None => (events, Happening::Changed),
                    };
                    *seen = upto;
                    return Some(Ok(happening));
                }
                Stage::Open { .. } => {}
            }
            self.wait(next).await;
        }
    }

    /// Until something was changed, or something is due by itself.
    async fn wait(&mut self, next: Option<Instant>) {
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives as long as the handle that we hold.
            _ = self.wake.changed() => {}
            () = due => {}
        }
    }
}
