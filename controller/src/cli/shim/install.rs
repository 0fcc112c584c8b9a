//! `extend shim install`

use extend_common::exit::Exit;

use super::{Deed, WhereArgs, failed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::shim::{Wish, unit};

const DEED: Deed = Deed {
    what: "put our extend.sh into its place",
    command: "install",
};

/// The options of `shim install`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: WhereArgs,

    /// Put it there once, and do not look after it
    #[arg(long)]
    no_watch: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let directory = &args.place.directory;
    let output = &context.output;
    let place = args.place.ours.place(directory, DEED)?;
    let record = args.place.ours.open(DEED).await?;
    let steps = place
        .bring_about(Wish::Installed)
        .map_err(|error| failed(DEED, &error))?;
    for step in &steps {
        output.say(&step.to_string());
    }
    if steps.is_empty() {
        output.say(&format!(
            "ours is already extend.sh in {}",
            directory.display()
        ));
    }
    record
        .add(directory)
        .map_err(|error| failed(DEED, &error))?;
    drop(record);
    if args.no_watch {
        return Ok(Exit::Done);
    }
    if !unit::can_watch() {
        output.say(
            "  there is no systemd with our units here: when PortSIP's package is unpacked again, \
             run this again",
        );
        return Ok(Exit::Done);
    }
    unit::watch(directory).map_err(|error| {
        let sentence = format!("cannot watch {}: ours is there, once", directory.display());
        let status = format!("systemctl status '{}'", unit::name(directory, "path"));
        Failure::local(sentence, &error).hint(status)
    })?;
    output.say("  it is put back within seconds when PortSIP's package is unpacked over it");
    Ok(Exit::Done)
}
