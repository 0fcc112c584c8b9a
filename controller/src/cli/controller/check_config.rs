//! `extend controller --check-config`

use std::path::Path;

use extend_common::exit::Exit;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::config::{self, ConfigError};

pub(super) fn run(context: &Context, path: &Path) -> Result<Exit, Failure> {
    let config = config::check(path).map_err(|error| not_usable(&error))?;
    context
        .output
        .say(&format!("the configuration {} can be used", path.display()));
    if config.pbx.address.is_none() {
        context
            .output
            .say("  pbx.address is not set: it is needed before the first run");
    }
    Ok(Exit::Done)
}

/// A configuration that cannot be used is a mistake that is found without asking anybody.
pub(super) fn not_usable(error: &ConfigError) -> Failure {
    Failure::usage(error.to_string()).hint(error.hint())
}
