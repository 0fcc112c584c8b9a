//! The process that systemd starts: configuration, runtime, signals, and the controller in between.
//!
//! Called by the command line. What it returns is printed there.

use std::path::Path;
use std::time::Duration;

use extend_common::telemetry;

use super::signals::Signals;
use super::{Daemon, DaemonError, DaemonOptions, notify};
use crate::config::Config;

/// A thread that hangs on a dead disk does not keep the process for longer.
const THREADS: Duration = Duration::from_millis(200);

/// Runs the controller until it is told to end. Makes its own runtime: it is not for an async
/// context.
///
/// # Errors
/// Says why it did not start, or what ended by itself; see [`DaemonError::exit`].
pub fn run(config: &Path) -> Result<(), DaemonError> {
    run_with(config, options())
}

/// The same with what a test has exchanged.
///
/// # Errors
/// As [`run`].
pub fn run_with(config: &Path, options: DaemonOptions) -> Result<(), DaemonError> {
    telemetry::start();
    let config = Config::load(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("controller")
        .build()
        .map_err(DaemonError::Runtime)?;
    let outcome = runtime.block_on(serve(config, options));
    runtime.shutdown_timeout(THREADS);
    outcome
}

async fn serve(config: Config, options: DaemonOptions) -> Result<(), DaemonError> {
    let mut signals = Signals::new().map_err(DaemonError::Runtime)?;
    let mut daemon = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "told to end before the start was complete");
            return Ok(());
        }
        daemon = Daemon::start(config, options) => daemon?,
    };
    notify::ready();
    let engine = daemon.engine().clone();
    let outcome = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "told to end");
            Ok(())
        }
        ended = daemon.engine_ended() => Err(ended),
        () = notify::feed_watchdog(engine) => Ok(()),
    };
    notify::stopping();
    daemon.shutdown().await;
    tracing::info!("the controller has ended");
    outcome
}

fn options() -> DaemonOptions {
    let options = DaemonOptions::default();
    #[cfg(feature = "failpoints")]
    if let Some(abort) = crate::engine::AbortAt::from_environment() {
        return DaemonOptions {
            crash: std::sync::Arc::new(abort),
            ..options
        };
    }
    options
}
