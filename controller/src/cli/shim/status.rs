//! `extend shim status`

use std::path::PathBuf;

use extend_common::exit::Exit;
use serde::Serialize;

use super::{Deed, WhereArgs, failed};
use crate::cli::args::FormatArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::shim::{Found, record, unit};

const DEED: Deed = Deed {
    what: "look at extend.sh",
    command: "status",
};

/// The options of `shim status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: WhereArgs,

    #[command(flatten)]
    output: FormatArgs,
}

/// What is in a directory of the guide.
#[derive(Debug, Serialize)]
struct Status {
    /// Where.
    directory: PathBuf,
    /// What `extend.sh` is: ours, ours-of-old, ours-edited, theirs, empty, missing or odd.
    script: &'static str,
    /// Whether PortSIP's is kept as `extend.sh.portsip`.
    portsip_kept: bool,
    /// Whether it was put there to stay; null where only root may know.
    installed: Option<bool>,
    /// Whether systemd sees to it.
    watched: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let directory = &args.place.directory;
    let place = args.place.ours.place(directory, DEED)?;
    let look = place.look().map_err(|error| failed(DEED, &error))?;
    let installed = record::directories(&args.place.ours.record).ok();
    let status = Status {
        directory: directory.clone(),
        script: word(&look.script),
        portsip_kept: matches!(look.kept, Found::Theirs { .. }),
        installed: installed.map(|known| known.contains(directory)),
        watched: unit::is_watched(directory),
    };
    match document::render(args.output.format, &status)? {
        Some(text) => context.output.data(&text)?,
        None => context.output.data(&status.text())?,
    }
    Ok(Exit::Done)
}

fn word(found: &Found) -> &'static str {
    match found {
        Found::Nothing => "missing",
        Found::Empty => "empty",
        Found::Ours => "ours",
        Found::OursOfOld => "ours-of-old",
        Found::OursEdited => "ours-edited",
        Found::Theirs { .. } => "theirs",
        Found::Odd => "odd",
    }
}

impl Status {
    fn text(&self) -> String {
        let directory = self.directory.display();
        let script = match self.script {
            "missing" => "there is no extend.sh",
            "empty" => "extend.sh is empty: it is being written, or was left so",
            "ours" => "extend.sh is ours",
            "ours-of-old" => "extend.sh is ours, of another release or copied by hand",
            "ours-edited" => "extend.sh is ours, changed by hand",
            "theirs" => "extend.sh is PortSIP's",
            _ => "extend.sh is no file",
        };
        let kept = if self.portsip_kept {
            "PortSIP's is kept as extend.sh.portsip"
        } else {
            "no extend.sh.portsip is kept"
        };
        let watched = match (self.watched, self.installed) {
            (true, _) => "watched: it is put back when PortSIP's is unpacked over it",
            (false, Some(true)) => "not watched",
            (false, Some(false)) => "not installed (sudo extend shim install)",
            (false, None) => "not watched, or not installed: only root may know",
        };
        format!("{directory}\n  {script}\n  {kept}\n  {watched}\n")
    }
}
