//! A message to a program on the primary: JSON on its input, and a few variables.
//!
//! It runs in a process group of its own, which is killed as a whole when it ends or its time is
//! over: a grandchild that hangs holds nothing up and is not left behind.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::Failed;
use super::message::Message;
use crate::config::alerts::Program;

/// Of what it writes so much goes to the log.
const OUTPUT: u64 = 4 * 1024;
/// What it has written is there when it has ended; who else holds its output is not waited for, and
/// writes to nobody from then on.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Kills the group of a process when it goes, whatever the reason.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // None of it is left: as it should be.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Runs it. Taken is what it has ended with 0 for.
pub(super) async fn run(program: &Program, message: &Message) -> Result<(), Failed> {
    let Some((path, arguments)) = program.command.split_first() else {
        return Err(Failed::lasting("no command is configured"));
    };
    let spawned = Command::new(path)
        .args(arguments)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("EXTEND_ALERT_ID", &message.id)
        .env("EXTEND_ALERT_STATUS", message.status)
        .env("EXTEND_ALERT_SUBJECT", &message.subject)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child =
        spawned.map_err(|error| Failed::lasting(format!("cannot run {path}: {error}")))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let _group = Group(pid.map(Pid::from_raw));
    let (input, out, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let output = tokio::spawn(async move { tokio::join!(heard(out), heard(errors)) });
    let output = AbortOnDropHandle::new(output);
    let body = message.json.to_string();
    let done = timeout(program.timeout, async {
        if let Some(mut input) = input {
            // A program that does not read may do well all the same.
            let _ = input.write_all(body.as_bytes()).await;
        }
        child.wait().await
    });
    let ended = match done.await {
        Err(_) => Err(Failed::soon(format!(
            "{path} has not ended within {:?}",
            program.timeout
        ))),
        Ok(Err(error)) => Err(Failed::soon(format!("{path}: {error}"))),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(Failed::soon(format!("{path} ended with {status}"))),
    };
    drop(_group);
    if let Ok(Ok((out, errors))) = timeout(LAST_WORDS, output).await {
        for (stream, text) in [("output", out), ("errors", errors)] {
            if !text.is_empty() {
                let text = extend_common::wire::shown_text(text);
                tracing::info!(command = path, stream, text, "a receiver has written");
            }
        }
    }
    ended
}

/// The beginning of what is written; the rest is read and let go, so that nobody waits.
async fn heard(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let mut bytes = Vec::new();
    // As much as came before an error is what there is.
    let _ = (&mut from).take(OUTPUT).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
