//! Logging of the daemons: one line an event on stderr, for the journal.

use tracing_subscriber::EnvFilter;

/// Starts logging at `info`, or as the variable `EXTEND_LOG` says. Colours only on a terminal,
/// and not where `NO_COLOR` is set; no time under systemd, which adds its own.
pub fn start() {
    let filter = EnvFilter::try_from_env("EXTEND_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let to_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let colour = to_terminal && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false);
    // A second start (tests in one process) keeps the first subscriber.
    let started = if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.without_time().try_init()
    } else {
        builder.try_init()
    };
    drop(started);
}
