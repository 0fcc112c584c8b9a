//! `extend shim`: our `extend.sh` where the lines of PortSIP's guide look for it.
//!
//! Works on the primary itself, as root; the controller is only told what the repair found. What is
//! done to the directory is [`crate::shim`]'s.

mod install;
mod repair;
mod status;
mod uninstall;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use clap::builder::TypedValueParser as _;
use extend_common::exit::Exit;

use super::context::Context;
use super::failure::Failure;
use crate::shim::record::{DEFAULT_RECORD, Record};
use crate::shim::{DEFAULT_DIRECTORY, DEFAULT_SOURCE, Place, ShimError};

/// A repair that is under way is waited for so long,
const PATIENCE: u32 = 100;
/// looking so often.
const PAUSE: Duration = Duration::from_millis(100);

/// `extend shim …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put ours at extend.sh, keep PortSIP's as extend.sh.portsip, and see to it that it stays so
    Install(install::Args),
    /// Put PortSIP's back as it was
    Uninstall(uninstall::Args),
    /// Show what is where
    Status(status::Args),
    /// Put ours back if PortSIP's was unpacked over it, and tell the controller
    #[command(hide = true)]
    Repair(repair::Args),
}

/// Where all this is.
#[derive(Debug, Clone, clap::Args)]
struct WhereArgs {
    /// The directory of PortSIP's scripts
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_DIRECTORY,
        value_parser = clap::builder::OsStringValueParser::new().try_map(parse_directory))]
    directory: PathBuf,

    #[command(flatten)]
    ours: OursArgs,
}

/// Where ours comes from, and what is remembered: for tests.
#[derive(Debug, Clone, clap::Args)]
struct OursArgs {
    /// Our script
    #[arg(long, value_name = "FILE", default_value = DEFAULT_SOURCE, hide = true)]
    source: PathBuf,

    /// The directory of the record
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_RECORD, hide = true)]
    record: PathBuf,
}

impl OursArgs {
    /// The record, once nobody else has it.
    async fn open(&self, deed: Deed) -> Result<Record, Failure> {
        for _ in 0..PATIENCE {
            let opened = Record::open(&self.record).map_err(|e| failed(deed, &e))?;
            match opened {
                Some(record) => return Ok(record),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(Failure::new(
            Exit::Failed,
            format!("cannot {}: another extend shim is at work", deed.what),
        )
        .hint("pgrep -af 'extend shim'"))
    }

    fn place(&self, directory: &Path, deed: Deed) -> Result<Place, Failure> {
        Place::new(directory, &self.source).map_err(|error| {
            let mut failure = failed(deed, &error);
            if !error.is_permission() {
                failure.hint = "is the package extend installed? dpkg -s extend".to_owned();
            }
            failure
        })
    }
}

/// Runs a subcommand.
pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Install(args) => install::run(context, args).await,
        Command::Uninstall(args) => uninstall::run(context, args).await,
        Command::Status(args) => status::run(context, &args),
        Command::Repair(args) => repair::run(context, args).await,
    }
}

/// The name of a unit and the record need a whole path; a shell's tilde was not expanded here.
fn parse_directory(directory: std::ffi::OsString) -> Result<PathBuf, &'static str> {
    let directory = PathBuf::from(directory);
    let is_plain = |part| {
        use std::path::Component::{Normal, RootDir};
        matches!(part, RootDir | Normal(_))
    };
    if !directory.is_absolute() || !directory.components().all(is_plain) {
        return Err("write the whole path, like /opt/portsip-pbx-ha-guide");
    }
    Ok(directory.components().collect())
}

/// What is being done, as in "cannot `what`", and the words that it was asked for with.
#[derive(Debug, Clone, Copy)]
struct Deed {
    what: &'static str,
    command: &'static str,
}

fn failed(deed: Deed, error: &ShimError) -> Failure {
    let failure = Failure::local(format!("cannot {}", deed.what), error);
    if error.is_permission() {
        return failure
            .cause("the directory is root's")
            .hint(format!("sudo extend shim {}", deed.command));
    }
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
