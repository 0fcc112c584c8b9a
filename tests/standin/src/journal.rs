//! What the stand-in says: each line to standard output and to `log/<binary>.log`.
//!
//! Lines carry the seconds since the start of the process; Docker adds the time of day.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The two places a line goes to.
pub(crate) struct Journal {
    started: Instant,
    file: File,
}

impl Journal {
    /// Opens the log file, which lives on over restarts as a real server's does.
    pub(crate) fn open(data_dir: &Path, binary: &str, started: Instant) -> Result<Self, String> {
        let path = data_dir.join("log").join(format!("{binary}.log"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self { started, file })
    }

    /// The time since the start of the process.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Writes one line. A full disk or a closed pipe must not end a server, so neither is told.
    pub(crate) fn say(&mut self, line: &str) {
        let line = format!("[{:9.3}] {line}\n", self.elapsed().as_secs_f64());
        let _ = io::stdout().write_all(line.as_bytes());
        let _ = self.file.write_all(line.as_bytes());
    }
}
