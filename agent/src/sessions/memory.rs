//! Sessions that exist in memory only: for tests and simulations.

use std::sync::{Arc, Mutex, PoisonError};

use extend_common::roles::SessionsDefinition;

use super::SessionSource;
use super::table::Socket;

/// A server's sessions, as a test wants them. Clones are handles to the same ones.
#[derive(Debug, Clone, Default)]
pub struct MemorySessions(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sessions: u64,
    trouble: Option<String>,
    looks: u64,
    read: u64,
    frozen: bool,
}

impl MemorySessions {
    /// No sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many from now on.
    pub fn set(&self, sessions: u64) {
        self.change(|state| {
            state.sessions = sessions;
            state.trouble = None;
        });
    }

    /// Nobody can tell from now on, for this reason.
    pub fn set_unknown(&self, why: &str) {
        self.change(|state| state.trouble = Some(why.to_owned()));
    }

    /// Whether nobody reads from their sockets from now on.
    pub fn set_frozen(&self, frozen: bool) {
        self.change(|state| state.frozen = frozen);
    }

    /// How often anybody has looked.
    pub fn looks(&self) -> u64 {
        self.change(|state| state.looks)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SessionSource for MemorySessions {
    fn look(&self, how: &SessionsDefinition) -> Result<Vec<Socket>, String> {
        self.change(|state| {
            state.looks += 1;
            if let Some(why) = &state.trouble {
                return Err(why.clone());
            }
            let sockets = state.sessions.saturating_mul(how.sockets.into());
            let ports = how.udp.ports().cycle();
            let each = (1..=sockets).zip(ports).map(|(inode, port)| Socket {
                port,
                inode,
                queued: 0,
                dropped: 0,
            });
            Ok(each.collect())
        })
    }

    fn read(&self) -> Result<u64, String> {
        /// More than a stream has between two looks, however far apart they are.
        const MEDIA: u64 = 10_000;
        self.change(|state| {
            if let Some(why) = &state.trouble {
                return Err(why.clone());
            }
            if !state.frozen {
                state.read += state.sessions.min(1) * MEDIA;
            }
            Ok(state.read)
        })
    }
}
