//! `extend controller`: the daemon. Everything it does is the daemon's own affair; here is only the
//! door to it.

use std::path::Path;

use extend_common::exit::Exit;

use crate::cli::failure::Failure;
use crate::daemon;

/// Runs until a signal asks it to stop. The daemon makes its own runtime.
pub(super) fn run(config: &Path) -> Result<Exit, Failure> {
    daemon::run(config).map(|()| Exit::Done).map_err(|error| {
        let hint = error.hint().unwrap_or_default();
        let exit = error.exit();
        Failure {
            exit,
            ..Failure::local("the controller does not run", &error).hint(hint)
        }
    })
}
