//! `extend shim repair`: what `extend-shim@.service` does whenever something happens to `extend.sh`.
//!
//! ```text
//! look until it is at rest → note what will be told → put ours back → rest → tell the controller
//! ```
//!
//! What the controller cannot be told now stays noted; the unit is started again until it could.

use std::path::{Path, PathBuf};
use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::hash::encode;
use extend_proto::v1;

use super::{Deed, OursArgs, failed};
use crate::cli::client::{Client, ask};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::shim::record::{Mended, Record};
use crate::shim::{Found, Look, Place, ShimError, Wish};

const DEED: Deed = Deed {
    what: "keep our extend.sh in its place",
    command: "repair",
};
/// What has not changed for so long is at rest: nobody writes to it, and nobody is about to.
const REST: Duration = Duration::from_secs(1);
/// Something that never rests is dealt with all the same, so that ours is back within ten seconds.
/// Nothing is lost by that: who writes goes on into the file that is kept.
const MOST_LOOKS: usize = 6;

/// The options of `shim repair`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only in this directory; otherwise in every one that it was put into
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,

    #[command(flatten)]
    ours: OursArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let record = args.ours.open(DEED).await?;
    let known = record.directories().map_err(|error| failed(DEED, &error))?;
    let wanted = known
        .into_iter()
        .filter(|known| args.directory.as_ref().is_none_or(|only| only == known));
    for directory in wanted {
        // Unpacked again, it comes back with PortSIP's in it, and is seen then.
        if directory.is_dir() {
            mend(context, &args.ours, &record, &directory).await?;
        }
    }
    tell(context, &record).await
}

async fn mend(
    context: &Context,
    ours: &OursArgs,
    record: &Record,
    directory: &Path,
) -> Result<(), Failure> {
    let cannot = |error: &ShimError| failed(DEED, error);
    let place = ours.place(directory, DEED)?;
    // Ours has to have stayed: what happens while this runs starts no other run.
    for _ in 0..MOST_LOOKS {
        let look = at_rest(&place).await.map_err(|error| cannot(&error))?;
        if let Found::Theirs { sha256 } = look.script {
            let mended = Mended {
                directory: directory.to_owned(),
                seen: context.clock.now(),
                sha256: encode(&sha256),
            };
            record.note(&mended).map_err(|error| cannot(&error))?;
        }
        let steps = place
            .bring_about(Wish::Installed)
            .map_err(|error| cannot(&error))?;
        if steps.is_empty() {
            return Ok(());
        }
        for step in steps {
            context
                .output
                .say(&format!("{}: {step}", directory.display()));
        }
    }
    Err(cannot(&ShimError::Restless {
        path: directory.to_owned(),
    }))
}

/// Looks until two looks see the same.
async fn at_rest(place: &Place) -> Result<Look, ShimError> {
    let mut seen = place.look()?;
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(REST).await;
        let now = place.look()?;
        if now == seen {
            break;
        }
        seen = now;
    }
    Ok(seen)
}

/// Tells the controller what it has not been told; what was answered is forgotten.
async fn tell(context: &Context, record: &Record) -> Result<Exit, Failure> {
    let untold = record.untold().map_err(|error| failed(DEED, &error))?;
    if untold.is_empty() {
        return Ok(Exit::Done);
    }
    let mut client = Client::connect(&context.connection.socket).await?;
    for mended in untold {
        let request = v1::NoteShimRequest {
            directory: mended.directory.to_string_lossy().into_owned(),
            seen_ms: mended.seen.as_millisecond(),
            sha256: mended.sha256.clone(),
        };
        let call = client.rpc().note_shim(request);
        ask("tell the controller of the repair of extend.sh", call).await?;
        record.told(&mended).map_err(|error| failed(DEED, &error))?;
    }
    Ok(Exit::Done)
}
