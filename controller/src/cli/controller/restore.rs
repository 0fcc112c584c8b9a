//! `extend controller restore`: puts an archive back, with no controller running.

use std::path::{Path, PathBuf};

use extend_common::exit::Exit;

use super::check_config::not_usable;
use crate::backup::{BackupError, RestoreOptions, restore};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::text::moment;
use crate::config::Config;

/// The options of `controller restore`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An archive that was written by `extend controller backup`
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Also when there is a state already: it is moved aside
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context, config: &Path, args: &Args) -> Result<Exit, Failure> {
    let config = Config::load(config).map_err(|error| not_usable(&error))?;
    let options = RestoreOptions {
        force: args.force,
        now: context.clock.now(),
    };
    let restored = restore(&args.file, &config.state_dir, options)
        .map_err(|error| not_restored(&args.file, &error))?;
    let output = &context.output;
    output.say(&format!(
        "restored store {} as it was at {} (epoch {})",
        restored.store,
        moment(restored.taken, options.now),
        restored.epoch
    ));
    if let Some(aside) = restored.moved_aside {
        output.say(&format!(
            "  what was there before is now in {}",
            aside.display()
        ));
    }
    output.say(
        "  nodes that were given records after that backup will be shown as ahead: take their \
         records back with extend controller recover",
    );
    output.hint("sudo systemctl start extend-controller");
    Ok(Exit::Done)
}

fn not_restored(file: &Path, error: &BackupError) -> Failure {
    let sentence = format!("cannot restore {}", file.display());
    let failure = Failure::local(sentence, error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
