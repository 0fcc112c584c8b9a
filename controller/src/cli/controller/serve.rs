//! `extend controller`: the daemon. Everything it does is the daemon's own affair; here is only the
//! door to it.

use std::path::Path;

use extend_common::exit::Exit;

use crate::cli::failure::Failure;

/// Runs until a signal asks it to stop.
pub(super) fn run(config: &Path) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local("cannot start the controller", &error))?;
    runtime.block_on(crate::daemon::run(config))?;
    Ok(Exit::Done)
}
