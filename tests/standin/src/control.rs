//! The control file: how a test tells a running stand-in what to suffer from.
//!
//! `standin.control` lies in the data directory. One `key=value` a line; blank lines and lines
//! that begin with `#` are skipped; of a repeated key the last one counts. A key may be prefixed
//! by a version and a slash (`22.4.0/crash-at-start=1`): it then applies to an image of exactly
//! that version only, and there it wins over the same key without a prefix. What each key does
//! is written on the fields of [`Controls`]. The file is read at the start and every 20 ms; an
//! absent one is empty. Whoever cannot have it empty for an instant writes aside and renames.
//!
//! A file with anything else in it is refused as a whole and the controls before it stay: half
//! of an instruction is worse than none. Parsing is pure; [`Watch`] is what reads the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the control file within the data directory.
pub(crate) const FILE_NAME: &str = "standin.control";

/// What the stand-in is to suffer from; the default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Controls {
    /// `start-delay-ms=N`: wait so long, from the start of the process, before listening.
    pub(crate) start_delay: Duration,
    /// `crash-at-start=CODE`: end with this code before anything is listened on.
    pub(crate) crash_at_start: Option<u8>,
    /// `crash-after-ms=N`: end with code 70 so long after the start of the process.
    pub(crate) crash_after: Option<Duration>,
    /// `crash=CODE`: end with this code now.
    pub(crate) crash: Option<u8>,
    /// `hang=true`: be alive and do nothing at all, until it turns false.
    pub(crate) hang: bool,
    /// `deaf=true`: run on with the TCP listeners closed and nothing answered, until it turns false.
    pub(crate) deaf: bool,
    /// `ignore-sigterm=true`: a SIGTERM that comes in the meantime is logged and forgotten.
    pub(crate) ignore_sigterm: bool,
    /// `stop-delay-ms=N`: take so long from SIGTERM to the end, ports bound all the while.
    pub(crate) stop_delay: Duration,
    /// `sigterm-exit=CODE`: the code of an orderly end, 0 otherwise.
    pub(crate) sigterm_exit: u8,
    /// `sessions=N`: have so many calls, with the RTP ports that belong to them.
    pub(crate) sessions: u8,
    /// `sip-silent=true`: take connections and datagrams, and answer no SIP, until it turns false.
    pub(crate) sip_silent: bool,
    /// `sip-status=N`: answer SIP with this, 200 otherwise.
    pub(crate) sip_status: Option<u16>,
    /// `leak-mb=N`: have so many megabytes of memory more, for the rest of its life.
    pub(crate) leak: u16,
    /// `dump=TEXT`: leave a crash dump with this in it when it crashes.
    pub(crate) dump: String,
    /// `fill-mb=N`: have a file of so many megabytes in the data directory.
    pub(crate) fill: u16,
}

impl Controls {
    /// Reads a whole file for an image of `version`. Lines for other versions are checked too,
    /// so that a slip shows up before the upgrade it was written for.
    pub(crate) fn parse(text: &str, version: &str) -> Result<Self, String> {
        let mut everywhere = Self::default();
        let mut here = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refused = |why: String| format!("line {}: {why}", index + 1);
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| refused(format!("{line:?} is not key=value")))?;
            match key.split_once('/') {
                None => everywhere.set(key, value).map_err(refused)?,
                Some((prefix, key)) => {
                    Self::default().set(key, value).map_err(refused)?;
                    if prefix == version {
                        here.push((key, value));
                    }
                }
            }
        }
        for (key, value) in here {
            everywhere.set(key, value)?;
        }
        Ok(everywhere)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "start-delay-ms" => self.start_delay = millis(key, value)?,
            "crash-at-start" => self.crash_at_start = Some(code(key, value)?),
            "crash-after-ms" => self.crash_after = Some(millis(key, value)?),
            "crash" => self.crash = Some(code(key, value)?),
            "hang" => self.hang = flag(key, value)?,
            "deaf" => self.deaf = flag(key, value)?,
            "ignore-sigterm" => self.ignore_sigterm = flag(key, value)?,
            "stop-delay-ms" => self.stop_delay = millis(key, value)?,
            "sigterm-exit" => self.sigterm_exit = code(key, value)?,
            "sessions" => self.sessions = calls(key, value)?,
            "sip-silent" => self.sip_silent = flag(key, value)?,
            "sip-status" => self.sip_status = Some(status(key, value)?),
            "leak-mb" => self.leak = megabytes(key, value)?,
            "dump" => value.clone_into(&mut self.dump),
            "fill-mb" => self.fill = megabytes(key, value)?,
            _ => return Err(format!("unknown key {key:?}")),
        }
        Ok(())
    }
}

fn millis(key: &str, value: &str) -> Result<Duration, String> {
    value
        .parse()
        .map(Duration::from_millis)
        .map_err(|_| format!("{key} wants milliseconds, not {value:?}"))
}

fn code(key: &str, value: &str) -> Result<u8, String> {
    value
        .parse()
        .map_err(|_| format!("{key} wants an exit code of 0 to 255, not {value:?}"))
}

fn calls(key: &str, value: &str) -> Result<u8, String> {
    value
        .parse()
        .map_err(|_| format!("{key} wants a number of calls, at most 255, not {value:?}"))
}

fn status(key: &str, value: &str) -> Result<u16, String> {
    let status = value.parse().ok();
    let status = status.filter(|status| (200..700).contains(status));
    status.ok_or_else(|| format!("{key} wants a final status of SIP, not {value:?}"))
}

fn megabytes(key: &str, value: &str) -> Result<u16, String> {
    value
        .parse()
        .map_err(|_| format!("{key} wants megabytes, at most 65535, not {value:?}"))
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    value
        .parse()
        .map_err(|_| format!("{key} wants true or false, not {value:?}"))
}

/// The control file of one data directory, read again at every look.
pub(crate) struct Watch {
    path: PathBuf,
    version: String,
    seen: Option<String>,
    current: Controls,
}

/// What a look at the control file found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing new; a file that was refused before is not refused again.
    Same,
    /// The controls are other ones now.
    Changed,
    /// The file cannot be followed, for this reason; the controls before it stay.
    Refused(String),
}

impl Watch {
    pub(crate) fn new(data_dir: &Path, version: &str) -> Self {
        Self {
            path: data_dir.join(FILE_NAME),
            version: version.to_owned(),
            seen: None,
            current: Controls::default(),
        }
    }

    pub(crate) fn current(&self) -> &Controls {
        &self.current
    }

    /// The file in one line, for people; the lines of other versions are part of it.
    pub(crate) fn shown(&self) -> String {
        let lines = self
            .seen
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim);
        let told: Vec<&str> = lines
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
            .collect();
        if told.is_empty() {
            "empty".to_owned()
        } else {
            told.join(", ")
        }
    }

    /// Reads the file again. A file that is not there is an empty one.
    pub(crate) fn look(&mut self) -> Look {
        let read = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read.map_err(|error| error.to_string()),
        };
        // A file that cannot be read is told apart from its text by a byte no text file has.
        let seen = read.clone().unwrap_or_else(|error| format!("\0{error}"));
        if self.seen.as_ref() == Some(&seen) {
            return Look::Same;
        }
        self.seen = Some(seen);
        match read.and_then(|text| Controls::parse(&text, &self.version)) {
            Ok(controls) if controls == self.current => Look::Same,
            Ok(controls) => {
                self.current = controls;
                Look::Changed
            }
            Err(why) => Look::Refused(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Controls, String> {
        Controls::parse(text, "22.3.0")
    }

    #[test]
    fn every_key_is_understood() {
        let text = "# all of them\n\nstart-delay-ms=1\ncrash-at-start=2\n crash-after-ms=3 \ncrash=4\n\
                    hang=true\ndeaf=true\nignore-sigterm=true\nstop-delay-ms=5\nsigterm-exit=6\n\
                    sessions=7\nsip-silent=true\nsip-status=503\nleak-mb=8\nfill-mb=9\ndump=x";
        let expected = Controls {
            start_delay: Duration::from_millis(1),
            crash_at_start: Some(2),
            crash_after: Some(Duration::from_millis(3)),
            crash: Some(4),
            hang: true,
            deaf: true,
            ignore_sigterm: true,
            stop_delay: Duration::from_millis(5),
            sigterm_exit: 6,
            sessions: 7,
            sip_silent: true,
            sip_status: Some(503),
            leak: 8,
            fill: 9,
            dump: "x".to_owned(),
        };
        assert_eq!(parse(text), Ok(expected));
        assert_eq!(parse(""), Ok(Controls::default()));
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        assert_eq!(parse("hang=true\nhang=false"), Ok(Controls::default()));
    }

    #[test]
    fn a_version_prefix_narrows_and_wins() {
        let crash = |code| Controls {
            crash: Some(code),
            ..Controls::default()
        };
        assert_eq!(parse("22.3.0/crash=1\ncrash=2"), Ok(crash(1)));
        assert_eq!(parse("22.4.0/crash=1\ncrash=2"), Ok(crash(2)));
        assert_eq!(parse("22.4.0/crash=1"), Ok(Controls::default()));
        assert_eq!(parse("22.3/crash=1"), Ok(Controls::default()));
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        let cases = [
            ("\nhagn=true", "line 2: unknown key \"hagn\""),
            ("hang", "line 1: \"hang\" is not key=value"),
            ("hang=yes", "line 1: hang wants true or false, not \"yes\""),
            (
                "crash=256",
                "line 1: crash wants an exit code of 0 to 255, not \"256\"",
            ),
            (
                "stop-delay-ms=-1",
                "line 1: stop-delay-ms wants milliseconds, not \"-1\"",
            ),
            (
                "sessions=300",
                "line 1: sessions wants a number of calls, at most 255, not \"300\"",
            ),
            (
                "sip-status=100",
                "line 1: sip-status wants a final status of SIP, not \"100\"",
            ),
            (
                "leak-mb=-1",
                "line 1: leak-mb wants megabytes, at most 65535, not \"-1\"",
            ),
            ("99.0.0/hagn=true", "line 1: unknown key \"hagn\""),
        ];
        for (text, why) in cases {
            assert_eq!(parse(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_refused_file_leaves_the_controls_and_is_told_once() {
        let dir = std::env::temp_dir().join(format!("pbx-standin-watch-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join(FILE_NAME);
        let mut watch = Watch::new(&dir, "22.3.0");
        assert_eq!(watch.look(), Look::Same);
        fs::write(&file, "deaf=true\n").unwrap();
        assert_eq!(watch.look(), Look::Changed);
        assert_eq!(watch.shown(), "deaf=true");
        fs::write(&file, "deaf=maybe\n").unwrap();
        assert!(matches!(watch.look(), Look::Refused(_)));
        assert_eq!(watch.look(), Look::Same);
        assert!(watch.current().deaf);
        fs::remove_file(&file).unwrap();
        assert_eq!(watch.look(), Look::Changed);
        assert!(!watch.current().deaf);
        assert_eq!(watch.shown(), "empty");
        fs::remove_dir(&dir).unwrap();
    }
}
