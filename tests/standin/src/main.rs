//! A stand-in for the server binaries of the PortSIP PBX image, for tests on a real Docker
//! Engine.
//!
//! One program under five names. As `mediaserver`, `callqueue`, `conf` or `vr` it is that server:
//! it insists on the official command line, user and directories, takes the official ports, writes
//! a log file, and ends in an orderly way on SIGTERM. As `entrypoint` it becomes the command that
//! follows it, so that the server is process 1 of its container, for which the kernel ignores
//! signals without a handler, SIGSTOP from within included. What a server is to suffer from says
//! a file in its data directory: see [`control`].
//!
//! Exit codes: 0 stopped · 2 usage · 3 wrong user · 4 data directory · 5 a port is busy · 6 a port
//! cannot be bound for another reason · 70 `crash-after-ms` · 126, 127 as the shell's, from
//! `entrypoint` · any, by the control file.

mod args;
mod calls;
mod control;
mod doors;
mod journal;
mod life;
mod load;
mod preflight;
mod role;
mod server;
mod sip;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args::{Args, DATA_DIR};
use crate::journal::Journal;
use crate::role::{Program, Role};
use crate::server::Server;

/// Written into the image by whoever builds it; the labels cannot be seen from within.
const VERSION_FILE: &str = "/etc/pbx-version";
/// SIGTERMs that may wait while the server hangs; more of them say nothing new.
const SIGNAL_QUEUE: usize = 16;

/// Why a program ended before it had begun: the exit code and a sentence for people.
struct Failure(u8, String);

fn main() -> ExitCode {
    let mut words = env::args_os();
    let argv0 = words.next().unwrap_or_default();
    let outcome = match Program::from_argv0(&argv0) {
        Some(Program::Entrypoint) => Err(become_command(words.collect())),
        Some(Program::Server(role)) => serve(role, words.collect()),
        None => Err(Failure(
            2,
            format!("{} is none of the image's programs", argv0.display()),
        )),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(Failure(code, why)) => {
            let name = Path::new(&argv0)
                .file_name()
                .unwrap_or_default()
                .display()
                .to_string();
            // Nobody is left to be told when standard error is gone.
            let _ = writeln!(io::stderr(), "{name}: {why}");
            ExitCode::from(code)
        }
    }
}

/// Replaces this process by the command; returns only when it cannot.
fn become_command(words: Vec<OsString>) -> Failure {
    let Some((program, arguments)) = words.split_first() else {
        return Failure(2, "usage: entrypoint COMMAND [ARGUMENT...]".to_owned());
    };
    let error = Command::new(program).args(arguments).exec();
    let code = if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    Failure(code, format!("cannot run {}: {error}", program.display()))
}

fn serve(role: Role, words: Vec<OsString>) -> Result<u8, Failure> {
    let started = Instant::now();
    // Before anything else: process 1 has no default action to fall back on.
    let signals = watch_signals().map_err(|error| Failure(1, format!("no signals: {error}")))?;
    // An argument that is not UTF-8 is no official one, whatever it turns into here.
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let args = Args::parse(&words)
        .map_err(|why| Failure(2, format!("{why}\n{}", Args::usage(role.binary()))))?;
    preflight::check_user().map_err(|why| Failure(3, why))?;
    let data_dir = Path::new(DATA_DIR);
    preflight::check_directories(data_dir).map_err(|why| Failure(4, why))?;
    let journal = Journal::open(data_dir, role.binary(), started).map_err(|why| Failure(4, why))?;
    let version = fs::read_to_string(VERSION_FILE).unwrap_or_else(|_| "unversioned".to_owned());
    Server::new(role, args, version.trim(), journal, signals)
        .run()
        .map_err(|no_door| Failure(if no_door.is_busy() { 5 } else { 6 }, no_door.to_string()))
}

/// Catches the signals that ask for an orderly end; the receiver gets one item for each.
fn watch_signals() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (sender, receiver) = mpsc::sync_channel(SIGNAL_QUEUE);
    thread::spawn(move || {
        for _ in signals.forever() {
            // A full queue holds enough of the same already.
            let _ = sender.try_send(());
        }
    });
    Ok(receiver)
}
