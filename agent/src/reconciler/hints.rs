//! Listens to Docker's events, which say only that it is time to look again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::docker::Docker;

/// Between tries to listen while Docker is away.
const AGAIN: Duration = Duration::from_secs(1);

/// One hint in waiting says all there is to say.
pub(super) fn listen(docker: Arc<dyn Docker>, stop: CancellationToken) -> mpsc::Receiver<()> {
    let (hint, hints) = mpsc::channel(1);
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            let mut events = docker.events();
            while let Some(Ok(())) = next(&mut events, &stop).await {
                if let Err(mpsc::error::TrySendError::Closed(())) = hint.try_send(()) {
                    return;
                }
            }
            // Whatever happened while nobody listened is found by a look.
            tokio::time::sleep(AGAIN).await;
            if let Err(mpsc::error::TrySendError::Closed(())) = hint.try_send(()) {
                return;
            }
        }
    });
    hints
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
