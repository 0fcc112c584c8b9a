//! Programs that are started and ended here.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Between two looks at something that will come.
const PACE: Duration = Duration::from_millis(5);

/// A program that runs until it is ended, at the latest when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    name: String,
    note: PathBuf,
}

impl Daemon {
    /// Starts it. Its output goes to `DIR/NAME.log`, its process id to `DIR/NAME.pid`, so that a
    /// script can end it when this process could not.
    pub(crate) fn start(name: &str, dir: &Path, mut command: Command) -> anyhow::Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.join(format!("{name}.log")))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let note = dir.join(format!("{name}.pid"));
        fs::write(&note, child.id().to_string())?;
        Ok(Self {
            child,
            name: name.to_owned(),
            note,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error when it has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        send(self.child.id(), signal)
    }

    /// SIGTERM, and its end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)?;
        let name = self.name.clone();
        until(&format!("{name} ends"), Duration::from_secs(20), || {
            Ok(self.child.try_wait()?.map(drop))
        })
        .await
    }

    /// `kill -9`, and its end.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ours and not waited for: the id cannot be somebody else's by now.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_file(&self.note));
    }
}

/// Sends a signal to a process.
pub(crate) fn send(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let target = Pid::from_raw(i32::try_from(pid)?);
    kill(target, signal).with_context(|| format!("sending {signal} to {pid}"))
}

/// Runs a command to its end; its standard output. `input` is given to it.
pub(crate) fn output(command: &mut Command, input: &str) -> anyhow::Result<String> {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Looks again and again until there is an answer.
pub(crate) async fn until<T>(
    what: &str,
    bound: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = tokio::time::Instant::now() + bound;
    loop {
        if let Some(found) = look().with_context(|| what.to_owned())? {
            return Ok(found);
        }
        if tokio::time::Instant::now() > deadline {
            bail!("waited {bound:?} in vain: {what}");
        }
        tokio::time::sleep(PACE).await;
    }
}
