//! `extend man`: writes the manual pages, for the package.

use std::path::PathBuf;

use extend_common::exit::Exit;
use extend_common::man::{self, Extra};

use super::failure::Failure;
use super::usage;

/// What the manual page tells beside the commands.
const EXTRA: Extra = Extra {
    files: &[
        (
            "/etc/extend/controller.toml",
            "The controller's configuration; every key stands in it.",
        ),
        (
            "/etc/extend/roles.d/",
            "Role definitions; the nodes need the same files.",
        ),
        (
            "/var/lib/extend/",
            "The store and the key of the CA; extend controller backup copies both.",
        ),
        (
            "/run/extend/controller.sock",
            "The operators' socket, for root and the members of the group extend.",
        ),
    ],
    see_also: "extend-agent(1), systemctl(1), journalctl(1)",
};

/// The options of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory
    directory: PathBuf,
}

/// `extend man`
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let directory = &args.directory;
    man::write(usage::tree(), EXTRA, directory).map_err(|error| {
        let what = format!("cannot write the manual pages into {}", directory.display());
        Failure::local(what, &error)
    })?;
    Ok(Exit::Done)
}
