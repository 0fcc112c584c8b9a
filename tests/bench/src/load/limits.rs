//! How many connections this process may have.

use anyhow::{Context as _, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process open so many files and sockets; the processes that it starts inherit it.
///
/// # Errors
/// When the hard limit is lower and this user may not raise it.
pub(super) fn allow_descriptors(wanted: u64) -> anyhow::Result<()> {
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).context("asking for the limit of files")?;
    if soft >= wanted {
        return Ok(());
    }
    let most = hard.max(wanted);
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, most).is_err() {
        bail!(
            "{wanted} open files are needed and this user may have {hard}: raise the hard limit \
             (ulimit -Hn {wanted}), or simulate fewer agents"
        );
    }
    Ok(())
}
