//! `extend shim uninstall`

use std::path::Path;

use extend_common::exit::Exit;

use super::{Deed, WhereArgs, failed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::shim::record::Record;
use crate::shim::{Wish, unit};

const DEED: Deed = Deed {
    what: "put PortSIP's extend.sh back",
    command: "uninstall",
};

/// The options of `shim uninstall`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: WhereArgs,

    /// In every directory that it was put into
    #[arg(long, conflicts_with = "directory")]
    all: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let record = args.place.ours.open(DEED).await?;
    let directories = if args.all {
        record.directories().map_err(|error| failed(DEED, &error))?
    } else {
        vec![args.place.directory.clone()]
    };
    // One directory in disorder keeps none of the others from being put right.
    let tries = directories
        .iter()
        .map(|directory| uninstall(context, &args, &record, directory));
    let failed: Vec<_> = tries.filter_map(Result::err).collect();
    let mut failed = failed.into_iter();
    match failed.next() {
        None => Ok(Exit::Done),
        Some(first) => Err(failed.fold(first, |all, next| {
            next.causes
                .into_iter()
                .fold(all.cause(next.sentence), Failure::cause)
        })),
    }
}

fn uninstall(
    context: &Context,
    args: &Args,
    record: &Record,
    directory: &Path,
) -> Result<(), Failure> {
    let output = &context.output;
    // First: what watches would put it back.
    if unit::is_watched(directory) {
        unit::unwatch(directory).map_err(|error| {
            let sentence = format!("cannot stop watching {}", directory.display());
            Failure::local(sentence, &error)
        })?;
    }
    if args.all && !directory.is_dir() {
        output.say(&format!("there is no {} any more", directory.display()));
    } else {
        let place = args.place.ours.place(directory, DEED)?;
        let steps = place
            .bring_about(Wish::Uninstalled)
            .map_err(|error| failed(DEED, &error))?;
        for step in &steps {
            output.say(&step.to_string());
        }
        if steps.is_empty() {
            output.say(&format!("nothing of ours is in {}", directory.display()));
        }
    }
    record
        .forget(directory)
        .map_err(|error| failed(DEED, &error))
}
