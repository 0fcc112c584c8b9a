//! Programs: those that run on, and those that are waited for, never without a bound.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::wait::{pace, until};

/// A command that takes longer hangs.
pub const BOUND: Duration = Duration::from_secs(90);
/// A daemon that was told to end has ended after this.
const ENDS: Duration = Duration::from_secs(10);

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The output, if the command ended with `code`.
    ///
    /// # Panics
    /// When it ended otherwise: with `story` and everything it said.
    #[track_caller]
    pub fn expect(self, code: i32, story: &str) -> Self {
        assert_eq!(self.code, code, "{story}\n{self}");
        self
    }

    /// Both outputs have to say `words`.
    ///
    /// # Panics
    /// When neither does.
    #[track_caller]
    pub fn says(self, words: &str, story: &str) -> Self {
        let said = self.stdout.contains(words) || self.stderr.contains(words);
        assert!(said, "{story}: it should say `{words}`\n{self}");
        self
    }

    /// The document on its standard output.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|why| panic!("no document: {why}\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(f, "exit code {code}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}

/// A command that is under way.
#[derive(Debug)]
pub struct Running {
    child: Child,
    words: String,
    stdout: File,
    stderr: File,
}

impl Running {
    /// Starts a command.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: Command, input: &str) -> Self {
        let mut running = Self::spawn(command);
        // Whoever reads nothing may have gone already.
        if let Some(mut stdin) = running.child.stdin.take() {
            drop(stdin.write_all(input.as_bytes()));
        }
        running
    }

    fn spawn(mut command: Command) -> Self {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command
            .stdin(Stdio::piped())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap());
        let words = format!("{command:?}");
        let child = command
            .spawn()
            .unwrap_or_else(|why| panic!("cannot run {words}: {why}"));
        Self {
            child,
            words,
            stdout,
            stderr,
        }
    }

    /// What it has written until now, to both.
    ///
    /// # Panics
    /// When that cannot be read.
    #[must_use]
    pub fn so_far(&self) -> String {
        // Not by the place where the command writes, which the files share with it.
        let read = |file: &File| {
            let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        format!("{}{}", read(&self.stdout), read(&self.stderr))
    }

    /// Ctrl-C.
    ///
    /// # Panics
    /// When it has ended.
    pub fn interrupt(&self) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(id, Signal::SIGINT).unwrap();
    }

    /// Starts a command that goes on reading what is typed.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn open(command: Command) -> Self {
        Self::spawn(command)
    }

    /// Types something, to a command that was [opened](Self::open).
    ///
    /// # Panics
    /// When it reads nothing any more.
    pub fn types(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("it was opened");
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end(self) -> Output {
        self.end_within(BOUND)
    }

    /// Waits for the end of a command that may take a while.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end_within(mut self, bound: Duration) -> Output {
        drop(self.child.stdin.take());
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break Some(status);
            }
            if began.elapsed() > bound {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                break None;
            }
            pace();
        };
        let output = Output {
            code: status.and_then(|status| status.code()).unwrap_or(-1),
            stdout: content(&mut self.stdout),
            stderr: content(&mut self.stderr),
        };
        let words = &self.words;
        assert!(status.is_some(), "{words} hangs for {bound:?}\n{output}");
        output
    }
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A program that runs until it is ended.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program whose output is added to a log.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let child = command
            .spawn()
            .unwrap_or_else(|why| panic!("cannot run {command:?}: {why}"));
        Self {
            child,
            name: name.to_owned(),
            log: log.to_owned(),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// Never in practice: it is our child.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it had ended by itself before.
    pub fn kill(mut self) {
        let early = self.ended();
        assert_eq!(
            early,
            None,
            "{} ended before it was killed\n{}",
            self.name,
            self.tail()
        );
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap());
        kill(pid, signal).unwrap();
    }

    /// SIGTERM, and its end.
    ///
    /// # Panics
    /// When it does not end, or not well.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait("end after SIGTERM", ENDS);
        assert!(
            status.success(),
            "{} ended with {status}\n{}",
            self.name,
            self.tail()
        );
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it has not within `bound`.
    pub fn wait(&mut self, why: &str, bound: Duration) -> ExitStatus {
        let (name, log) = (self.name.clone(), self.log.clone());
        until(&format!("{name} should {why}"), bound, || {
            self.ended()
                .ok_or_else(|| format!("it runs\n{}", tail(&log)))
        })
    }

    /// The end of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ours and not waited for: the id cannot be somebody else's by now.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The last lines of a file.
pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(25);
    format!("-- {}:\n{}\n", log.display(), lines[from..].join("\n"))
}
