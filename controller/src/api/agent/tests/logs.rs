//! Logs that an agent sends, and operators who go, are slow, or never were.

use extend_common::logs::{LogPiece, MAX_PIECE_BYTES};
use ulid::Ulid;

use super::*;
use crate::logs::{Passed, Reader};

/// A call that sends logs, from an agent that answers to `id`.
struct Sending {
    to: mpsc::Sender<v1::LogPiece>,
    heard: Result<Streaming<v1::SendLogsResponse>, Status>,
}

impl Sending {
    async fn begin(world: &World, first: v1::log_piece::Kind) -> Self {
        let (to, outbound) = mpsc::channel(1);
        let first = v1::LogPiece { kind: Some(first) };
        to.send(first).await.unwrap();
        let mut client = world.connect(Timestamp::MAX).await;
        let heard = client.send_logs(ReceiverStream::new(outbound)).await;
        let heard = heard.map(tonic::Response::into_inner);
        Self { to, heard }
    }

    async fn of(world: &World, id: Ulid) -> Self {
        Self::begin(world, v1::log_piece::Kind::Id(id.to_string())).await
    }

    async fn say(&self, bytes: &[u8]) -> bool {
        let data = v1::LogData {
            data: bytes.to_vec(),
            position: None,
        };
        let kind = Some(v1::log_piece::Kind::Data(data));
        self.to.send(v1::LogPiece { kind }).await.is_ok()
    }

    /// How the answer ends.
    async fn end(self) -> Result<(), Status> {
        let mut heard = self.heard?;
        let end = tokio::time::timeout(SECOND * 5, heard.message()).await;
        end.expect("it goes on")
            .map(|message| assert!(message.is_none()))
    }

    fn refused(self) -> Code {
        self.heard.unwrap_err().code()
    }
}

async fn piece(reader: &mut Reader) -> Option<Passed> {
    std::future::poll_fn(|cx| reader.poll_next(cx)).await
}

fn data(bytes: &[u8]) -> Option<Passed> {
    Some(Passed::Piece(LogPiece::Data {
        bytes: bytes.to_vec(),
        position: None,
    }))
}

#[tokio::test(start_paused = true)]
async fn logs_are_passed_on_while_the_answer_is_open_and_to_the_end() {
    let world = World::new().await;
    let mut reader = world.settings.logs.open(world.node).unwrap();
    let sending = Sending::of(&world, reader.id()).await;
    assert!(sending.heard.is_ok(), "it is answered before it has ended");
    reader.answered().await.unwrap();
    // Longer than a call may take.
    tokio::time::sleep(SECOND * 3600).await;
    assert!(sending.say(b"one").await && sending.say(b"two").await);
    assert_eq!(piece(&mut reader).await, data(b"one"));
    assert_eq!(piece(&mut reader).await, data(b"two"));
    let Sending { to, heard } = sending;
    drop(to);
    assert_eq!(piece(&mut reader).await, Some(Passed::End));
    assert!(heard.unwrap().message().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_goes_ends_the_agents_call_though_nothing_is_sent() {
    let world = World::new().await;
    let reader = world.settings.logs.open(world.node).unwrap();
    let sending = Sending::of(&world, reader.id()).await;
    tokio::time::sleep(SECOND).await;
    drop(reader);
    sending.end().await.unwrap();
    assert_eq!(world.settings.logs.readers(), 0);
}

#[tokio::test(start_paused = true)]
async fn logs_that_nobody_or_another_waits_for_are_not_taken() {
    let world = World::new().await;
    let mut reader = world.settings.logs.open(world.node).unwrap();
    let other = world
        .settings
        .logs
        .open("172.31.16.138".parse().unwrap())
        .unwrap();
    assert_eq!(
        Sending::of(&world, other.id()).await.refused(),
        Code::NotFound
    );
    assert_eq!(
        Sending::of(&world, Ulid::generate()).await.refused(),
        Code::NotFound
    );
    let first = Sending::of(&world, reader.id()).await;
    assert!(first.heard.is_ok());
    let again = Sending::of(&world, reader.id()).await;
    assert_eq!(again.refused(), Code::NotFound, "a second time");
    let note = v1::log_piece::Kind::Note(1);
    let silent = Sending::begin(&world, note).await;
    assert_eq!(silent.refused(), Code::InvalidArgument);
    // None of it has hurt the one that is read.
    assert!(first.say(b"fine").await);
    assert_eq!(piece(&mut reader).await, data(b"fine"));
    assert!(!reader_is_open(other).await, "it waits in vain");
}

async fn reader_is_open(mut reader: Reader) -> bool {
    reader.answered().await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn pieces_above_the_bound_and_broken_connections_are_no_good_end() {
    let world = World::new().await;
    let mut reader = world.settings.logs.open(world.node).unwrap();
    let sending = Sending::of(&world, reader.id()).await;
    assert!(sending.say(&vec![0; MAX_PIECE_BYTES + 1]).await);
    assert_eq!(piece(&mut reader).await, None, "without an end");
    assert_eq!(
        sending.end().await.unwrap_err().code(),
        Code::InvalidArgument
    );

    let mut reader = world.settings.logs.open(world.node).unwrap();
    let sending = Sending::of(&world, reader.id()).await;
    world.settings.shutdown.cancel();
    assert_eq!(sending.end().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(piece(&mut reader).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_slow_operator_slows_the_agent_down() {
    let world = World::new().await;
    let reader = world.settings.logs.open(world.node).unwrap();
    let sending = Sending::of(&world, reader.id()).await;
    let piece = vec![0; MAX_PIECE_BYTES];
    let mut sent = 0;
    while tokio::time::timeout(SECOND, sending.say(&piece))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 1_000, "nothing holds it");
    }
    drop(reader);
    sending.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_calls_that_nobody_waits_for_have_a_pace() {
    let world = World::new().await;
    let mut client = world.connect(Timestamp::MAX).await;
    let only_id = |id: Ulid| {
        let kind = Some(v1::log_piece::Kind::Id(id.to_string()));
        tokio_stream::once(v1::LogPiece { kind })
    };
    // As many as a diagnosis of a server with many files, and no time between them.
    for part in 0..100 {
        let mut reader = world.settings.logs.open(world.node).unwrap();
        let heard = client.send_logs(only_id(reader.id())).await;
        assert!(heard.is_ok(), "{part}: {heard:?}");
        assert_eq!(piece(&mut reader).await, Some(Passed::End));
    }
    let mut told = Vec::new();
    for _ in 0..30 {
        let heard = client.send_logs(only_id(Ulid::generate())).await;
        told.push(heard.unwrap_err().code());
    }
    assert_eq!(told[..20], [Code::NotFound; 20]);
    assert_eq!(told[20..], [Code::ResourceExhausted; 10]);
}
