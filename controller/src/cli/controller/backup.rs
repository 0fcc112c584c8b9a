//! `extend controller backup`: the archive comes over the socket and becomes a file only when it is
//! whole, so that no half of one can be mistaken for a backup.

use std::path::PathBuf;
use std::time::Duration;

use extend_common::exit::Exit;
use extend_proto::v1;
use tonic::Status;

use crate::cli::client::bounded;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupts;
use crate::cli::part::{Part, refuse_existing};

/// The controller copies its store before it sends the first byte, which takes a while on a slow
/// disk; after that a silence of this length means that it hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// The options of `controller backup`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The archive to write; it must not exist yet. It holds the key of the CA: keep it safe
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    refuse_existing(&args.file)?;
    let mut client = context.client().await?;
    let mut interrupts = Interrupts::catch()?;
    let answer = bounded(client.rpc().backup(v1::BackupRequest {})).await;
    let stream = answer.map_err(|status| Failure::from_status("make a backup", &status))?;
    let mut part = Part::create(&args.file)?;
    let bytes = tokio::select! {
        bytes = receive(stream, &mut part) => bytes?,
        () = interrupts.next() => {
            return Err(Failure::new(Exit::Failed, "stopped: no backup was made"));
        }
    };
    part.complete(&args.file)?;
    context.output.say(&format!(
        "wrote the backup {} ({bytes} bytes). It holds the key of the CA: keep it safe",
        args.file.display()
    ));
    Ok(Exit::Done)
}

async fn receive(
    mut stream: tonic::Streaming<v1::BackupChunk>,
    part: &mut Part,
) -> Result<u64, Failure> {
    let failed = |status: &Status| Failure::from_status("make a backup", status);
    let mut bytes = 0_u64;
    loop {
        let next = tokio::time::timeout(SILENCE, stream.message()).await;
        let next = next.unwrap_or_else(|_| {
            Err(Status::deadline_exceeded(
                "the controller sends nothing any more",
            ))
        });
        match next.map_err(|status| failed(&status))? {
            Some(chunk) => {
                part.add(&chunk.data)?;
                bytes = bytes.saturating_add(chunk.data.len().try_into().unwrap_or(u64::MAX));
            }
            None if bytes == 0 => {
                return Err(Failure::new(
                    Exit::Failed,
                    "the controller sent an empty backup",
                ));
            }
            None => return Ok(bytes),
        }
    }
}
