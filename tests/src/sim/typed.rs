//! The real command line, before a controller that serves operators.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// Where the programs are that were built beside the tests.
///
/// # Panics
/// When the test does not lie where Cargo puts tests.
pub fn programs() -> PathBuf {
    let own = std::env::current_exe().expect("this test's own program");
    let programs = own.parent().and_then(Path::parent);
    programs.expect("Cargo's directory").to_owned()
}

/// `extend` with these words, for the controller at a socket: nothing to read, no colours.
///
/// # Panics
/// When it is not built.
pub fn extend(socket: &Path, words: &str) -> Command {
    let program = programs().join("extend");
    assert!(
        program.exists(),
        "{} is not built: cargo build -p extend-controller",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .args(words.split_whitespace())
        .env("EXTEND_SOCKET", socket)
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
