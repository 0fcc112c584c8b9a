//! Runs the binary and the shim, with and without a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::pty::{OpenptyResult, Winsize, openpty};
use tempfile::TempDir;

use crate::stub::{Script, Stub};

/// Longer than anything here takes.
pub(crate) const ENOUGH: Duration = Duration::from_secs(20);

/// A directory with a socket in it, and a stand-in that listens there.
pub(crate) struct Place {
    stub: Option<Stub>,
    pub(crate) script: Arc<Script>,
    pub(crate) directory: TempDir,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// With a stand-in.
    pub(crate) fn new() -> Self {
        let mut place = Self::empty();
        place.start();
        place
    }

    /// With nobody listening.
    pub(crate) fn empty() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            script: Script::new(),
            stub: None,
        }
    }

    pub(crate) fn start(&mut self) {
        self.stub = Some(Stub::start(&self.socket(), Arc::clone(&self.script)));
    }

    pub(crate) fn kill(&mut self) {
        self.stub.take().unwrap().kill();
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("controller.sock")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `extend` with these words; none of them holds a space.
    pub(crate) fn run(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.run_words(&words)
    }

    pub(crate) fn run_words(&self, words: &[&str]) -> Ran {
        ran(self
            .command(Path::new(env!("CARGO_BIN_EXE_extend")))
            .args(words))
    }

    /// Runs the shim as the guide does.
    pub(crate) fn shim(&self, words: &str) -> Ran {
        let mut command = self.command(Path::new("/bin/bash"));
        command
            .env("EXTEND_BIN", env!("CARGO_BIN_EXE_extend"))
            .arg(shim_file());
        ran(command.args(words.split_whitespace()))
    }

    /// A command in an environment in which only the test decides.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "UTC")
            .env("TERM", "xterm")
            .env("EXTEND_SOCKET", self.socket())
            .stdin(Stdio::null());
        command
    }

    /// Starts `extend` without waiting for it.
    pub(crate) fn spawn(&self, words: &str) -> Child {
        self.command(Path::new(env!("CARGO_BIN_EXE_extend")))
            .args(words.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Starts `extend` on a terminal, 100 columns wide.
    pub(crate) fn on_terminal(&self, words: &str) -> Terminal {
        self.on_narrow_terminal(100, words)
    }

    /// Starts `extend` on a terminal of so many columns.
    pub(crate) fn on_narrow_terminal(&self, columns: u16, words: &str) -> Terminal {
        let size = Winsize {
            ws_row: 40,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        let stdio = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let child = self
            .command(Path::new(env!("CARGO_BIN_EXE_extend")))
            .args(words.split_whitespace())
            .env("NO_COLOR", "1")
            .stdin(stdio(&slave))
            .stdout(stdio(&slave))
            .stderr(stdio(&slave))
            .spawn()
            .unwrap();
        drop(slave);
        Terminal::new(master, child)
    }
}

pub(crate) fn shim_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/extend.sh")
}

/// Waits for a command that was started, and ends it if it never ends.
pub(crate) fn finish(mut child: Child) -> Ran {
    let start = Instant::now();
    let ended = loop {
        if child.try_wait().unwrap().is_some() {
            break true;
        }
        if start.elapsed() > ENOUGH {
            child.kill().unwrap();
            break false;
        }
        pause(Duration::from_millis(2));
    };
    let output = child.wait_with_output().unwrap();
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(ended, "the command never ended: {ran:?}");
    ran
}

/// The lines that a running command prints, as they come.
pub(crate) struct Lines {
    coming: std::sync::mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    /// Waits until so many lines have been printed.
    pub(crate) fn wait_for(&mut self, count: usize) {
        while self.seen.len() < count {
            match self.coming.recv_timeout(ENOUGH) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no line {count}: {:#?}", self.seen),
            }
        }
    }
}

/// Reads what a command prints while it runs; `meanwhile` gets the lines and the process's id.
/// Waits for the end.
pub(crate) fn lines(mut child: Child, meanwhile: impl FnOnce(&mut Lines, u32)) -> Ran {
    let out = child.stdout.take().unwrap();
    let (send, coming) = std::sync::mpsc::sync_channel(1024);
    // Ends with the process, when its end of the pipe is closed.
    std::thread::spawn(move || {
        use std::io::BufRead;
        for line in std::io::BufReader::new(out).lines() {
            if line.is_err() || send.send(line.unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    let mut lines = Lines {
        coming,
        seen: Vec::new(),
    };
    let process = child.id();
    let met = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        meanwhile(&mut lines, process);
    }));
    if let Err(panic) = met {
        child.kill().unwrap();
        std::panic::resume_unwind(panic);
    }
    let mut ran = finish(child);
    while let Ok(line) = lines.coming.recv_timeout(Duration::from_secs(2)) {
        lines.seen.push(line);
    }
    ran.out = lines.seen.iter().map(|line| format!("{line}\n")).collect();
    ran
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    finish(
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < ENOUGH, "it never came to this: {what}");
        pause(Duration::from_millis(5));
    }
}

/// Blocks the test's own thread, which has nothing else to do.
pub(crate) fn pause(time: Duration) {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// A process on a pseudo-terminal, and the person in front of it.
pub(crate) struct Terminal {
    keyboard: File,
    screen: std::sync::mpsc::Receiver<String>,
    seen: String,
    pub(crate) child: Child,
}

impl Terminal {
    fn new(master: OwnedFd, child: Child) -> Self {
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().unwrap();
        let (send, screen) = std::sync::mpsc::sync_channel(1024);
        // Ends with the process, when the last end of the terminal is closed.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                if send.send(text).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard,
            screen,
            seen: String::new(),
            child,
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Answers a question, and again if the answer was thrown away as typed ahead: a slow machine
    /// may take its time until it listens. Comes back when the process has ended.
    pub(crate) fn answers(&mut self, text: &str) {
        for _ in 0..ENOUGH.as_secs() {
            self.types(text);
            let typed = Instant::now();
            while typed.elapsed() < Duration::from_secs(1) {
                if self.child.try_wait().unwrap().is_some() {
                    return;
                }
                pause(Duration::from_millis(5));
            }
        }
    }

    /// Waits until a text has been shown.
    pub(crate) fn shows(&mut self, text: &str) {
        let start = Instant::now();
        while !self.seen.contains(text) {
            let left = ENOUGH.checked_sub(start.elapsed());
            let next = left.and_then(|left| self.screen.recv_timeout(left).ok());
            let Some(next) = next else {
                panic!("never shown: {text}\nshown:\n{}", self.seen)
            };
            self.seen.push_str(&next);
        }
    }

    /// Waits for the end; gives the exit code and all that was shown.
    pub(crate) fn ends(mut self) -> (i32, String) {
        let start = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code().unwrap_or(-1);
            }
            if start.elapsed() > ENOUGH {
                self.child.kill().unwrap();
            }
            pause(Duration::from_millis(2));
        };
        while let Ok(text) = self.screen.recv_timeout(Duration::from_secs(2)) {
            self.seen.push_str(&text);
        }
        (code, self.seen.replace('\r', ""))
    }
}
