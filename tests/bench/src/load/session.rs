//! The life of one simulated agent: sessions, one after the other, for as long as the load is up.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use extend_common::backoff::{Backoff, jitter};
use extend_common::wire::{MAX_HEADER_LIST_BYTES, MAX_MESSAGE_BYTES};
use extend_proto::v1;
use extend_proto::v1::agent_client::AgentClient;
use extend_proto::v1::agent_message::Kind as Said;
use extend_proto::v1::controller_message::Kind as Heard;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use super::board::Board;
use super::enrol::Identity;
use super::node::Node;

/// As the agent's own.
const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(250),
    most: Duration::from_secs(5),
};
const KEEPALIVE: Duration = Duration::from_secs(5);
const OUTBOUND: usize = 4;
const WELCOME_LIMIT: Duration = Duration::from_secs(10);
/// Until the welcome names another.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(1);

/// What an agent lives on.
pub(super) struct Life {
    pub(super) identity: Identity,
    pub(super) board: Arc<Board>,
    pub(super) about: Arc<[v1::DefinitionDigest]>,
    pub(super) up: watch::Receiver<bool>,
}

impl Life {
    /// Holds a session whenever the load is up; returns when the load is gone.
    pub(super) async fn live(mut self, mut node: Node) {
        let mut up = self.up.clone();
        let mut attempt = 0;
        while up.wait_for(|up| *up).await.is_ok() {
            let mut welcomed = false;
            let board = Arc::clone(&self.board);
            tokio::select! {
                // A session that fails is dialled again, as the agent does.
                _ = self.session(&mut node, &mut welcomed) => {}
                gone = up.wait_for(|up| !*up) => if gone.is_err() { return },
            }
            if welcomed {
                board.leave();
                attempt = 0;
            }
            let wait = AGAIN.wait(attempt, jitter());
            attempt = attempt.saturating_add(1);
            tokio::time::sleep(wait).await;
        }
    }

    async fn session(&mut self, node: &mut Node, welcomed: &mut bool) -> anyhow::Result<()> {
        let endpoint = Endpoint::from_static("https://controller.extend")
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(MAX_HEADER_LIST_BYTES);
        let channel = self.identity.connect(endpoint).await?;
        let (to, outbound) = mpsc::channel(OUTBOUND);
        to.send(message(Said::Hello(node.hello(&self.about))))
            .await?;
        let mut client = AgentClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let opening = client.session(ReceiverStream::new(outbound));
        let mut inbound = timeout(WELCOME_LIMIT, opening).await??.into_inner();
        let mut beat = beats(FIRST_HEARTBEAT);
        let mut sequence = 0;
        loop {
            tokio::select! {
                heard = inbound.message() => match heard?.context("the stream has ended")?.kind {
                    Some(Heard::Welcome(welcome)) => {
                        node.welcomed(&welcome);
                        beat = beats(Duration::from_millis(welcome.heartbeat_interval_ms.into()));
                        if !std::mem::replace(welcomed, true) {
                            self.board.welcome();
                        }
                    }
                    Some(Heard::Assignment(assignment)) => {
                        let record = assignment.record.context("an assignment of nothing")?;
                        let now = jiff::Timestamp::now().as_millisecond();
                        if let Some(status) = node.assigned(record, now) {
                            to.send(message(Said::Status(status))).await?;
                            self.board.answered();
                        }
                    }
                    // It says of itself that it can nothing beyond what every agent can.
                    Some(
                        Heard::EventsKept(_)
                        | Heard::LogsWanted(_)
                        | Heard::ImageWanted(_)
                        | Heard::FirewallWanted(_)
                        | Heard::CheckupWanted(_)
                        | Heard::RestartHold(_),
                    )
                    | None => {}
                },
                _ = beat.tick() => {
                    sequence += 1;
                    let heartbeat = v1::Heartbeat { sequence, ..v1::Heartbeat::default() };
                    if let Err(mpsc::error::TrySendError::Closed(_)) =
                        to.try_send(message(Said::Heartbeat(heartbeat)))
                    {
                        bail!("the stream is closed");
                    }
                }
            }
        }
    }
}

fn message(kind: Said) -> v1::AgentMessage {
    v1::AgentMessage { kind: Some(kind) }
}

fn beats(period: Duration) -> tokio::time::Interval {
    let period = period.max(Duration::from_millis(50));
    let mut beat = interval_at(Instant::now() + period, period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}
