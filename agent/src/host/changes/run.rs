//! Runs one of the host's commands with an end in sight.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::host::HostError;

/// More than any of the commands has to say.
const MAX_OUTPUT: u64 = 256 * 1024;

/// What a command said and how it ended.
pub(in crate::host) struct Said {
    pub(in crate::host) status: ExitStatus,
    pub(in crate::host) text: String,
}

/// Runs a command; it is killed when it takes longer than `limit`.
pub(in crate::host) fn run(
    program: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<Said, HostError> {
    let failed = |cause: &dyn std::fmt::Display| HostError::new("running", program, cause);
    let (mut output, to_us) = std::io::pipe().map_err(|error| failed(&error))?;
    let errors = to_us.try_clone().map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(to_us)
        .stderr(errors);
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    // Our own copies of the pipe's other end go with it.
    drop(command);
    let (to, all) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = output.by_ref().take(MAX_OUTPUT).read_to_end(&mut text);
        // Nobody waits any more when it took too long.
        drop(to.send(read.map(|_| String::from_utf8_lossy(&text).into_owned())));
    });
    let text = all.recv_timeout(limit);
    if text.is_err() {
        // It may have ended by itself just now.
        drop(child.kill());
    }
    let status = child.wait().map_err(|error| failed(&error))?;
    match text {
        Ok(Ok(text)) => Ok(Said { status, text }),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(failed(&format!(
            "`{}` has not ended within {limit:?}",
            arguments.join(" ")
        ))),
    }
}
