//! One stream, from hello to its end.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use extend_common::ids::RoleName;
use extend_common::roles::Digest;
use extend_common::wire::{MAX_CONTROLLERS, MAX_MESSAGE_BYTES, clipped, optional_ms, shown_text};
use extend_proto::v1;
use extend_proto::v1::agent_client::AgentClient;
use extend_proto::v1::agent_message::Kind as Said;
use extend_proto::v1::controller_message::Kind as Heard;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::questions::Questions;
use super::{About, Dial, Tells};
use crate::cloud::CloudNews;
use crate::core::accept::SessionFacts;
use crate::failure::Failure;
use crate::firewall::Firewall;
use crate::host::figures::Figures;
use crate::logs::{Desk, Sources};
use crate::preflight::Examiner;
use crate::reconciler::{AgentView, Command, Handle};
use crate::registry;
use crate::service::ServiceNews;
use crate::watchdog::Link;

/// Messages on their way out; a status waits when the controller reads slowly, and is then the
/// newest one.
const OUTBOUND: usize = 4;
/// Until the welcome names another.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(1);
/// Whatever a controller asks for, the agent does not flood it or fall silent.
const HEARTBEATS: std::ops::RangeInclusive<u64> = 50..=60_000;
/// A controller that has gone holds restarts up for no longer than this, in seconds.
const MAX_HOLD: u32 = 300;
/// Its reason is cut here, in bytes.
const MAX_REASON: usize = 512;
/// A controller that has not welcomed the agent by then does not speak our language.
const WELCOME_LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn talk(
    tells: &Tells,
    dial: &dyn Dial,
    channel: Channel,
    about: &About,
    welcomed: &mut bool,
) -> anyhow::Result<()> {
    let (handle, journal, link) = (&tells.handle, &tells.journal, &tells.link);
    let mut view = handle.view();
    let mut events = journal.changed();
    // Events that were there before the session are news to it.
    let mut news = true;
    let mut kept = true;
    let (to, outbound) = mpsc::channel(OUTBOUND);
    let mut desks = Desks::new(tells, channel.clone(), to.clone());
    let mut told = view.borrow_and_update().clone();
    let mut cloud = tells.examiner.cloud().news();
    let hello = hello(about, &told, &mut cloud);
    to.send(message(Said::Hello(hello))).await?;
    let mut client = AgentClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let mut inbound =
        tokio::time::timeout(WELCOME_LIMIT, client.session(ReceiverStream::new(outbound)))
            .await
            .context("the controller does not open the session")?
            .map_err(|status| Failure::refused(&status))?
            .into_inner();
    let mut facts: Option<SessionFacts> = None;
    let mut beat = interval_at(Instant::now() + FIRST_HEARTBEAT, FIRST_HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sequence = 0;
    let mut figures = about.figures.anew();
    let mut service = handle.service();
    let mut unsent = false;
    loop {
        tokio::select! {
            heard = inbound.message() => match heard.map_err(|status| Failure::refused(&status))? {
                None => return Ok(()),
                Some(message) => {
                    if let Some(Heard::EventsKept(until)) = &message.kind {
                        journal.kept(&until.journal, until.sequence);
                        (kept, news) = (true, true);
                        continue;
                    }
                    if let Some(Heard::Welcome(welcome)) = &message.kind {
                        if !welcome.ahead {
                            dial.welcomed(told_controllers(welcome)).await;
                        }
                        // Whoever did not know this node before may keep its events now.
                        (kept, news) = (true, true);
                    }
                    let period = take(handle, message, &mut facts, &mut desks).await?;
                    *welcomed = facts.is_some();
                    if *welcomed {
                        Link::Welcomed.tell(link);
                    }
                    if let Some(period) = period {
                        beat = interval_at(Instant::now() + period, period);
                        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    }
                }
            },
            changed = view.changed() => {
                changed.context("the reconciler has ended")?;
                unsent = true;
            }
            permit = to.reserve(), if unsent => {
                unsent = false;
                let now = view.borrow_and_update().clone();
                if let Some(status) = now.status.clone().filter(|_| now.status != told.status) {
                    permit.context("the stream is closed")?.send(message(Said::Status(status.into())));
                }
                told = now;
            }
            changed = events.changed() => {
                changed.context("the journal has ended")?;
                news = true;
            }
            // One part at a time: the next is sent when this one is kept.
            permit = to.reserve(), if news && kept && *welcomed => {
                news = false;
                if let Some(part) = journal.part() {
                    kept = false;
                    permit.context("the stream is closed")?.send(message(Said::Events(part.into())));
                }
            }
            _ = beat.tick() => {
                sequence += 1;
                // A full queue is proof of life enough; the next beat comes soon.
                if let Ok(permit) = to.try_reserve() {
                    let beat = heartbeat(sequence, &told, (&mut figures, &mut service), &mut cloud);
                    permit.send(message(Said::Heartbeat(beat)));
                }
            }
        }
    }
}

/// Where what is asked beside the records is taken.
struct Desks {
    logs: Desk,
    questions: Questions,
    firewall: Firewall,
    sources: Sources,
    examiner: Examiner,
}

impl Desks {
    fn new(tells: &Tells, channel: Channel, to: mpsc::Sender<v1::AgentMessage>) -> Self {
        Self {
            logs: Desk::new(tells.logs.clone(), channel),
            firewall: Firewall::new(tells.host.clone(), to.clone()),
            questions: Questions::new(to),
            sources: tells.logs.clone(),
            examiner: tells.examiner.clone(),
        }
    }

    fn image(&mut self, wanted: v1::ImageWanted) {
        let sources = &self.sources;
        let (docker, settings) = (Arc::clone(&sources.docker), Arc::clone(&sources.settings));
        let id = wanted.id.clone();
        self.questions.take(&id, async move {
            Said::ImageTold(registry::answer(docker.as_ref(), &settings, wanted).await)
        });
    }

    fn checkup(&mut self, wanted: v1::CheckupWanted) {
        let (id, examiner) = (wanted.id.clone(), self.examiner.clone());
        self.questions.take(&id, async move {
            Said::CheckupTold(examiner.answer(wanted).await)
        });
    }
}

fn message(kind: Said) -> v1::AgentMessage {
    v1::AgentMessage { kind: Some(kind) }
}

fn hello(about: &About, view: &AgentView, cloud: &mut CloudNews) -> v1::Hello {
    let digest = |(role, digest): &(RoleName, Digest)| v1::DefinitionDigest {
        role: role.to_string(),
        digest: digest.to_string(),
    };
    v1::Hello {
        node: about.node.to_string(),
        agent_version: about.version.clone(),
        abilities: extend_common::ability::ALL.map(str::to_owned).to_vec(),
        store_id: view.store.clone().unwrap_or_default(),
        epoch: view.epoch,
        record: view.record.clone().map(Into::into),
        definitions: about.definitions.iter().map(digest).collect(),
        status: view.status.clone().map(Into::into),
        unclaimed: view.unclaimed.iter().cloned().map(Into::into).collect(),
        looked: view.looked,
        cloud: cloud.take().map(Into::into),
    }
}

fn heartbeat(
    sequence: u64,
    view: &AgentView,
    (figures, service): (&mut Figures, &mut ServiceNews),
    cloud: &mut CloudNews,
) -> v1::Heartbeat {
    v1::Heartbeat {
        sequence,
        host: figures.take_news().map(Into::into),
        clock_ms: optional_ms(figures.wall_clock()),
        docker_trouble: view.docker_trouble.clone(),
        ledger_trouble: view.ledger_trouble.clone(),
        unclaimed: view.unclaimed.iter().cloned().map(Into::into).collect(),
        looked: view.looked,
        cloud: cloud.take().map(Into::into),
        service: service.take().map(Into::into),
    }
}

/// What cannot be read is passed over: the list is help, not a condition.
fn told_controllers(welcome: &v1::Welcome) -> Vec<SocketAddrV4> {
    let told = welcome.controllers.iter().take(MAX_CONTROLLERS);
    told.filter_map(|text| text.parse().ok()).collect()
}

/// Takes a message in; gives the heartbeat period when it names one.
async fn take(
    handle: &Handle,
    message: v1::ControllerMessage,
    facts: &mut Option<SessionFacts>,
    desks: &mut Desks,
) -> anyhow::Result<Option<Duration>> {
    match message.kind {
        Some(Heard::Welcome(welcome)) => {
            if welcome.ahead {
                tracing::warn!(
                    "this node follows records that the controller does not have; it waits for \
                     `extend controller recover`"
                );
            }
            let next = SessionFacts {
                store: welcome.store_id,
                epoch: welcome.epoch,
            };
            tracing::info!(epoch = next.epoch, session = welcome.session, "welcomed");
            handle.command(Command::Welcomed(next.clone())).await?;
            *facts = Some(next);
            let period = u64::from(welcome.heartbeat_interval_ms);
            let period = period.clamp(*HEARTBEATS.start(), *HEARTBEATS.end());
            Ok(Some(Duration::from_millis(period)))
        }
        Some(Heard::Assignment(assignment)) => {
            let Some(session) = facts.clone() else {
                bail!("the controller assigned a record before its welcome");
            };
            let record = assignment
                .record
                .context("an assignment without a record")?;
            let record = Box::new(record.try_into()?);
            let recovered = assignment.recovered;
            handle
                .command(Command::Assign {
                    session,
                    record,
                    recovered,
                })
                .await?;
            Ok(None)
        }
        Some(Heard::LogsWanted(wanted)) => {
            if facts.is_some() {
                desks.logs.take(wanted);
            }
            Ok(None)
        }
        Some(Heard::ImageWanted(wanted)) => {
            if facts.is_some() {
                desks.image(wanted);
            }
            Ok(None)
        }
        Some(Heard::CheckupWanted(wanted)) => {
            if facts.is_some() {
                desks.checkup(wanted);
            }
            Ok(None)
        }
        Some(Heard::FirewallWanted(wanted)) => {
            if facts.is_some() {
                desks.firewall.take(wanted);
            }
            Ok(None)
        }
        Some(Heard::RestartHold(hold)) => {
            let seconds = hold.seconds.min(MAX_HOLD);
            let reason = clipped(hold.reason, MAX_REASON);
            let hold = Command::Hold {
                lasts: Duration::from_secs(seconds.into()),
                reason: shown_text(reason),
            };
            handle.command(hold).await?;
            Ok(None)
        }
        // A newer controller may say more than this agent knows.
        // Events that are kept have been seen to before.
        Some(Heard::EventsKept(_)) | None => Ok(None),
    }
}
