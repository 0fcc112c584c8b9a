//! Listens to Docker's events: most of them say only that it is time to look again; the end of a
//! process is told as it was, since no look shows it once Docker has started it again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::docker::{Death, Docker, Happening};

/// Between tries to listen while Docker is away.
const AGAIN: Duration = Duration::from_secs(1);

/// What was heard so far. One hint in waiting says all there is to say.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// How many ends.
    pub(super) deaths: u64,
    /// The last of them.
    pub(super) last: Option<Death>,
}

/// Tells whenever something may have happened.
pub(super) fn listen(docker: Arc<dyn Docker>, stop: CancellationToken) -> watch::Receiver<Heard> {
    let (hint, hints) = watch::channel(Heard::default());
    tokio::spawn(async move {
        let mut killed_for_memory = None;
        while !stop.is_cancelled() && !hint.is_closed() {
            let mut events = docker.events();
            while let Some(Ok(happening)) = next(&mut events, &stop).await {
                take(&hint, happening, &mut killed_for_memory);
            }
            // Whatever happened while nobody listened is found by a look.
            tokio::time::sleep(AGAIN).await;
            hint.send_modify(|_| {});
        }
    });
    hints
}

fn take(hint: &watch::Sender<Heard>, happening: Happening, killed: &mut Option<String>) {
    match happening {
        Happening::Changed => hint.send_modify(|_| {}),
        Happening::OutOfMemory(id) => {
            *killed = Some(id);
            hint.send_modify(|_| {});
        }
        Happening::Died(mut death) => {
            death.oom_killed |= killed.take().is_some_and(|id| id == death.container_id);
            hint.send_modify(|heard| {
                heard.deaths += 1;
                heard.last = Some(death);
            });
        }
    }
}

async fn next<S: futures_util::Stream + Unpin>(
    events: &mut S,
    stop: &CancellationToken,
) -> Option<S::Item> {
    tokio::select! {
        () = stop.cancelled() => None,
        item = events.next() => item,
    }
}
