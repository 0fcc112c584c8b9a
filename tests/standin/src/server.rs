//! The loop of a server: looks at the control file, asks [`Life`] what to be, and is it.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::args::{Args, DATA_DIR};
use crate::calls::Calls;
use crate::control::{FILE_NAME, Look, Watch};
use crate::doors::{Doors, NoDoor};
use crate::journal::Journal;
use crate::life::{Heard, Life, Mode};
use crate::load::Load;
use crate::role::Role;

/// How often the control file and the listeners are looked at. The kernel answers a connection
/// before we do, so a prober does not feel it.
const TICK: Duration = Duration::from_millis(20);

/// One running server.
pub(crate) struct Server {
    role: Role,
    args: Args,
    journal: Journal,
    signals: Receiver<()>,
    controls: Watch,
    life: Life,
    doors: Option<Doors>,
    calls: Calls,
    load: Load,
}

impl Server {
    /// A server of the image version `version`; `signals` carries one item for each SIGTERM.
    pub(crate) fn new(
        role: Role,
        args: Args,
        version: &str,
        mut journal: Journal,
        signals: Receiver<()>,
    ) -> Self {
        let Args { pbx, local, name } = &args;
        journal.say(&format!(
            "{} {version} (stand-in), server name {name}",
            role.binary()
        ));
        journal.say(&format!("pbx address {pbx}, local address {local}"));
        let controls = Watch::new(Path::new(DATA_DIR), version);
        Self {
            role,
            args,
            journal,
            signals,
            controls,
            life: Life::default(),
            doors: None,
            calls: Calls::default(),
            load: Load::new(Path::new(DATA_DIR)),
        }
    }

    /// Runs to the end and returns the exit code, or the port that could not be had.
    pub(crate) fn run(mut self) -> Result<u8, NoDoor> {
        let mut before = None;
        loop {
            self.look();
            let mode = self
                .life
                .step(self.journal.elapsed(), self.controls.current());
            if before != Some(mode) {
                self.enter(mode)?;
                before = Some(mode);
            }
            match mode {
                Mode::Stopped(code) | Mode::Crashed(code) => return Ok(code),
                // The signals stay in their queue, as they would with a process that is stopped.
                Mode::Hung => thread::park_timeout(TICK),
                Mode::Waiting | Mode::Serving | Mode::Deaf => {
                    let controls = self.controls.current();
                    let status = (!controls.sip_silent).then(|| controls.sip_status.unwrap_or(200));
                    if let Some(doors) = &mut self.doors {
                        doors.answer(status);
                    }
                    self.calls.read();
                    self.wait();
                }
            }
        }
    }

    fn look(&mut self) {
        match self.controls.look() {
            Look::Same => {}
            Look::Changed => {
                let line = format!("{FILE_NAME}: {}", self.controls.shown());
                self.journal.say(&line);
                let calls = self.controls.current().sessions;
                if let Err(error) = self.calls.set(self.args.local, calls) {
                    self.journal
                        .say(&format!("no ports for {calls} calls: {error}"));
                }
                let (leak, fill) = (self.controls.current().leak, self.controls.current().fill);
                self.load.leak(leak);
                if let Err(error) = self.load.fill(fill) {
                    self.journal.say(&format!("no file of {fill} MB: {error}"));
                }
            }
            Look::Refused(why) => self.journal.say(&format!("{FILE_NAME} REFUSED: {why}")),
        }
    }

    fn enter(&mut self, mode: Mode) -> Result<(), NoDoor> {
        match mode {
            Mode::Waiting => self.journal.say("waiting before listening"),
            Mode::Serving => {
                self.open()?.listen()?;
                let (ports, address) = (self.role.ports(), self.args.local);
                self.journal.say(&format!(
                    "listening on {address}, tcp and udp {}-{}",
                    ports.start(),
                    ports.end()
                ));
                self.journal.say("ready");
            }
            Mode::Deaf => {
                self.open()?.turn_deaf();
                self.journal.say("deaf: the tcp listeners are closed");
            }
            Mode::Hung => {
                self.journal.say("hangs");
                if let Some(doors) = &self.doors {
                    doors.jam();
                }
            }
            Mode::Stopped(code) => self.journal.say(&format!("stopped, exit code {code}")),
            Mode::Crashed(code) => {
                self.journal.say(&format!("crashes, exit code {code}"));
                self.leave_dump();
            }
        }
        Ok(())
    }

    /// As the kernel and crash handlers do before the process is gone.
    fn leave_dump(&mut self) {
        let text = &self.controls.current().dump;
        if text.is_empty() {
            return;
        }
        let path = Path::new(DATA_DIR).join("dump/core.1");
        if let Err(error) = std::fs::write(&path, text) {
            self.journal.say(&format!("no crash dump: {error}"));
        }
    }

    fn open(&mut self) -> Result<&mut Doors, NoDoor> {
        let doors = match self.doors.take() {
            Some(doors) => doors,
            None => Doors::open(self.args.local, self.role.ports(), self.role.sip())?,
        };
        Ok(self.doors.insert(doors))
    }

    /// Waits for the next tick or a SIGTERM, whichever comes first.
    fn wait(&mut self) {
        match self.signals.recv_timeout(TICK) {
            Ok(()) => {
                let heard = self
                    .life
                    .terminate(self.journal.elapsed(), self.controls.current());
                self.journal.say(match heard {
                    Heard::Stopping => "SIGTERM: stopping",
                    Heard::AlreadyStopping => "SIGTERM: already stopping",
                    Heard::Ignored => "SIGTERM: ignored",
                });
            }
            Err(RecvTimeoutError::Timeout) => {}
            // Without its signals a server still has its ticks.
            Err(RecvTimeoutError::Disconnected) => thread::park_timeout(TICK),
        }
    }
}
