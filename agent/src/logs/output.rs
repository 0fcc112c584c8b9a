//! The output of a container, followed across its runs.
//!
//! ```text
//! look ── ours? ── read to the end of the run ──► followed: look again every second
//!   ▲                                               │ another run, another container, or the
//!   └───────────────────────────────────────────────┘ same one that runs: from the last line on
//! ```
//!
//! Docker's own follow ends with the process. Where to go on is told by Docker's times, which all
//! containers of a node share.

use std::time::Duration;

use extend_common::logs::{
    LogFault, LogFaultKind, LogNote, LogPosition, LogQuery, MAX_PIECE_BYTES, MAX_TAIL,
};
use extend_common::record::Instance;
use extend_common::status::ContainerState;
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};

use super::out::{Out, Stop};
use crate::core::observed::Owner;
use crate::docker::{Container, Docker, DockerError, OutputPart, OutputQuery};

/// How often is looked for the next run.
const LOOK: Duration = Duration::from_secs(1);
/// So many lines that have come at once are sent together.
const TOGETHER: usize = 256;
/// Docker notes the start of a process a moment after it has begun to write.
const EARLIER: SignedDuration = SignedDuration::from_secs(1);

/// A container by its name.
pub(super) struct Named<'a> {
    pub(super) docker: &'a dyn Docker,
    pub(super) name: String,
    pub(super) owner: Owner,
}

/// How far it was read.
#[derive(Default)]
struct Progress {
    /// The last line.
    last: Option<Timestamp>,
    /// The run that was read.
    run: Option<Instance>,
    /// What the reader was told last, so that it is told once.
    told: Option<LogNote>,
}

impl Progress {
    async fn tell(&mut self, note: LogNote, out: &Out) -> Result<(), Stop> {
        if self.told.replace(note) == Some(note) {
            return Ok(());
        }
        out.note(note).await
    }
}

impl Named<'_> {
    /// Reads what is asked for.
    pub(super) async fn read(&self, query: &LogQuery, out: &Out) -> Result<(), Stop> {
        let mut progress = Progress {
            last: match query.after {
                Some(LogPosition::Time(at)) => Some(at),
                _ => None,
            },
            ..Progress::default()
        };
        let mut tail = progress.last.map_or(query.tail, |_| MAX_TAIL);
        loop {
            let found = self.docker.container(&self.name).await;
            let read = match found {
                Ok(found) => {
                    self.look(found, (tail, query.follow), &mut progress, out)
                        .await?
                }
                Err(error) => Err(error),
            };
            // Whoever has read something goes on after an outage of Docker; others are told.
            match read {
                Err(error) if progress.run.is_none() || !query.follow => {
                    return Err(fault(error).into());
                }
                Err(_) => progress.tell(LogNote::DockerSilent, out).await?,
                Ok(()) => {}
            }
            if !query.follow {
                return Ok(());
            }
            tail = MAX_TAIL;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reads the container as it is now, if there is anything new to read.
    async fn look(
        &self,
        found: Option<Container>,
        (tail, follow): (u32, bool),
        progress: &mut Progress,
        out: &Out,
    ) -> Result<Result<(), DockerError>, Stop> {
        let Some(container) = found.filter(|container| self.owner.owns(container)) else {
            if progress.run.is_none() {
                let words = format!("there is no container {} of ours", self.name);
                return Err(LogFault::new(LogFaultKind::NoContainer, words).into());
            }
            progress.tell(LogNote::Ended, out).await?;
            return Ok(Ok(()));
        };
        let run = container.instance();
        let runs = matches!(
            container.state,
            ContainerState::Running | ContainerState::Paused
        );
        if let Some(before) = progress.run.as_ref().filter(|before| **before != run) {
            let note = if before.container_id == run.container_id {
                LogNote::RunsAgain
            } else {
                LogNote::Replaced
            };
            progress.last = progress.last.or_else(|| just_before(&run));
            progress.tell(note, out).await?;
        } else if progress.run.is_some() && !runs {
            progress.tell(LogNote::Ended, out).await?;
            return Ok(Ok(()));
        }
        let wanted = OutputQuery {
            tail,
            since: progress.last,
            follow,
        };
        let read = self
            .read_run(&run.container_id, wanted, progress, out)
            .await?;
        if read.is_ok() || progress.last.is_some() {
            progress.run = Some(run);
        }
        Ok(read)
    }

    /// One run, or what is left of it.
    async fn read_run(
        &self,
        id: &str,
        query: OutputQuery,
        progress: &mut Progress,
        out: &Out,
    ) -> Result<Result<(), DockerError>, Stop> {
        let mut ready = self.docker.output(id, query).ready_chunks(TOGETHER);
        while let Some(parts) = ready.next().await {
            let mut together = Vec::new();
            for part in parts {
                let OutputPart { at, bytes } = match part {
                    Ok(part) => part,
                    Err(error) => {
                        send(&mut together, progress, out).await?;
                        return Ok(Err(error));
                    }
                };
                if together.len() + bytes.len() > MAX_PIECE_BYTES {
                    send(&mut together, progress, out).await?;
                }
                // Within a line nobody can go on: its parts share one time.
                let ends = bytes.ends_with(b"\n");
                together.extend(bytes);
                if ends {
                    progress.last = at.or(progress.last);
                    progress.told = None;
                }
            }
            send(&mut together, progress, out).await?;
        }
        Ok(Ok(()))
    }
}

async fn send(bytes: &mut Vec<u8>, progress: &Progress, out: &Out) -> Result<(), Stop> {
    let position = progress.last.map(LogPosition::Time);
    let length = bytes.len();
    let whole = bytes.ends_with(b"\n");
    out.data(bytes, |taken| position.filter(|_| whole && taken == length))
        .await?;
    bytes.clear();
    Ok(())
}

/// Nothing had been written before: what the new run writes comes after this.
fn just_before(run: &Instance) -> Option<Timestamp> {
    let started: Timestamp = run.started_at.parse().ok()?;
    started.checked_sub(EARLIER).ok()
}

fn fault(error: DockerError) -> LogFault {
    let kind = if error.is_missing() {
        LogFaultKind::NoContainer
    } else {
        LogFaultKind::Docker
    };
    LogFault::new(kind, error.to_string())
}
