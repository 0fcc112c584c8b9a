//! The output of a simulated container, read along.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::container::Simulated;
use super::state::State;
use super::{MemoryDocker, closed};
use crate::docker::{DockerError, OutputPart, OutputQuery};

enum Stage {
    Opening,
    /// Of this run of the daemon, and this run of the container.
    Open {
        run: u64,
        started_at: String,
    },
    Over,
}

struct Reader {
    docker: MemoryDocker,
    wake: watch::Receiver<u64>,
    id: String,
    query: OutputQuery,
    /// The last line that was taken.
    last: Option<Timestamp>,
    ready: VecDeque<OutputPart>,
    stage: Stage,
}

/// What a look at an open output shows.
enum Look {
    Lines(Vec<OutputPart>),
    /// With what was left to read.
    Ended(Vec<OutputPart>),
    Broken,
    /// The daemon does nothing.
    Frozen,
}

/// Reads as the Engine does: to the end of what is there, or of the process.
pub(super) fn read(
    docker: MemoryDocker,
    id: String,
    query: OutputQuery,
) -> BoxStream<'static, Result<OutputPart, DockerError>> {
    let wake = docker.shared.wake.subscribe();
    let reader = Reader {
        docker,
        wake,
        id,
        query,
        last: query.since,
        ready: VecDeque::new(),
        stage: Stage::Opening,
    };
    Box::pin(stream::unfold(reader, |mut reader| async move {
        let item = reader.next().await?;
        if item.is_err() {
            reader.stage = Stage::Over;
        }
        Some((item, reader))
    }))
}

impl Reader {
    async fn next(&mut self) -> Option<Result<OutputPart, DockerError>> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Some(Ok(part));
            }
            self.wake.mark_unchanged();
            match &self.stage {
                Stage::Over => return None,
                Stage::Opening => {
                    if let Err(error) = self.open().await {
                        return Some(Err(error));
                    }
                }
                Stage::Open { run, started_at } => {
                    let (look, due) = self.docker.look(|state, _| {
                        let look = look(state, &self.id, (*run, started_at), self.last);
                        (look, state.next_at())
                    });
                    match look {
                        Look::Broken => return Some(Err(closed(&doing(&self.id)))),
                        Look::Ended(lines) => {
                            self.ready.extend(lines);
                            self.stage = Stage::Over;
                        }
                        Look::Lines(lines) if !lines.is_empty() => {
                            self.last = lines.last().and_then(|part| part.at);
                            self.ready.extend(lines);
                        }
                        Look::Lines(_) | Look::Frozen => self.wait(due).await,
                    }
                }
            }
        }
    }

    async fn open(&mut self) -> Result<(), DockerError> {
        let limit = self.docker.shared.timeouts.read;
        self.docker.until_up(limit, &doing(&self.id)).await?;
        let (lines, stage) = self.docker.look(|state, _| {
            let container = state.resolve(&self.id)?;
            let lines = after(container, self.last);
            let tail = usize::try_from(self.query.tail).unwrap_or(usize::MAX);
            let lines = lines.iter().skip(lines.len().saturating_sub(tail)).cloned();
            let stage = if self.query.follow && is_alive(container) {
                let started_at = container.started_at.clone();
                Stage::Open {
                    run: state.run,
                    started_at,
                }
            } else {
                Stage::Over
            };
            // Whatever was not in the tail is never read.
            let last = container.output.back().map(|line| line.at);
            Ok::<_, DockerError>(((lines.collect::<Vec<_>>(), last), stage))
        })?;
        self.ready.extend(lines.0);
        self.last = lines.1.max(self.last);
        self.stage = stage;
        Ok(())
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

fn doing(id: &str) -> String {
    format!("reading the output of {id}")
}

fn look(state: &State, id: &str, (run, started_at): (u64, &str), last: Option<Timestamp>) -> Look {
    if state.run != run {
        return Look::Broken;
    }
    if !state.daemon.is_up() {
        return Look::Frozen;
    }
    match state.resolve(id) {
        // What a next run writes is a next reader's.
        Ok(container) if container.started_at != started_at => Look::Ended(Vec::new()),
        Ok(container) if is_alive(container) => Look::Lines(after(container, last)),
        Ok(container) => Look::Ended(after(container, last)),
        Err(_) => Look::Ended(Vec::new()),
    }
}

fn is_alive(container: &Simulated) -> bool {
    container.process().is_some()
}

fn after(container: &Simulated, last: Option<Timestamp>) -> Vec<OutputPart> {
    let lines = container.output.iter();
    let new = lines.filter(|line| last.is_none_or(|last| line.at > last));
    let part = |line: &super::container::Line| OutputPart {
        at: Some(line.at),
        bytes: format!("{}\n", line.text).into_bytes(),
    };
    new.map(part).collect()
}
