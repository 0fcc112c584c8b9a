//! How many sessions two looks at the sockets show. Pure.

use std::collections::BTreeMap;

use extend_common::status::SessionCount;

use super::table::Socket;

/// So many counts in a row must find none: a call that begins or moves has no socket for a moment,
/// and the kernel's table is read while it changes.
pub const QUIET: u32 = 3;

/// Whether anybody has read media from the node's sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// Nobody can tell.
    #[default]
    Unknown,
    /// Nobody has.
    Still,
    /// Somebody has.
    Flows,
}

/// What is known of a server's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub count: SessionCount,
    /// How many counts in a row have found none.
    pub quiet: u32,
    /// How often it was counted, or tried.
    pub counted: u32,
    /// Whether media was read between the last two looks.
    pub flow: Flow,
    /// How many times in a row nobody has read any.
    pub still: u32,
}

impl Tally {
    /// Nobody has counted yet.
    pub fn begun() -> Self {
        Self {
            count: unknown("counting has just begun"),
            quiet: 0,
            counted: 0,
            flow: Flow::Unknown,
            still: 0,
        }
    }

    /// Nobody can ever tell.
    pub fn never(why: impl Into<String>) -> Self {
        Self {
            count: unknown(why),
            quiet: 0,
            counted: u32::MAX,
            flow: Flow::Unknown,
            still: 0,
        }
    }

    /// The tally after another count.
    #[must_use]
    pub fn after(&self, count: SessionCount) -> Self {
        let is_none_left = count.sessions == Some(0);
        Self {
            quiet: if is_none_left {
                self.quiet.saturating_add(1)
            } else {
                0
            },
            counted: self.counted.saturating_add(1),
            count,
            ..*self
        }
    }

    /// The same with what was seen of media.
    #[must_use]
    pub fn and_media(self, flow: Flow) -> Self {
        let still = match flow {
            Flow::Still => self.still.saturating_add(1),
            Flow::Unknown | Flow::Flows => 0,
        };
        Self {
            flow,
            still,
            ..self
        }
    }

    /// Whether nobody has read media for long enough to believe it: what is bound carries no calls.
    pub fn is_still(&self) -> bool {
        self.still >= QUIET
    }

    /// Whether calls are carried, as far as anybody can tell; none while that is being found out.
    /// What is not known is taken for calls.
    pub fn carries(&self) -> Option<bool> {
        if self.is_over() || self.is_still() {
            return Some(false);
        }
        let is_open = self.is_undecided() || (self.still > 0 && !self.is_still());
        (!is_open).then_some(true)
    }

    /// Whether there is none any more, as far as anybody can tell. What is not known is never none.
    pub fn is_over(&self) -> bool {
        self.quiet >= QUIET
    }

    /// Whether more counts would tell more: none has been found, and not often enough.
    pub fn is_undecided(&self) -> bool {
        self.counted < QUIET || (self.quiet > 0 && !self.is_over())
    }
}

/// Nobody can tell, and why.
pub fn unknown(why: impl Into<String>) -> SessionCount {
    SessionCount {
        sessions: None,
        note: why.into(),
    }
}

/// The sessions of a second look, with the first one to tell which sockets are read. A session has
/// so many sockets; what is left over is a session too.
pub fn sessions(before: &[Socket], now: &[Socket], per_session: u32) -> SessionCount {
    let before: BTreeMap<(u64, u16), &Socket> =
        before.iter().map(|s| ((s.inode, s.port), s)).collect();
    let is_dead = |socket: &&Socket| {
        let earlier = before.get(&(socket.inode, socket.port));
        earlier.is_some_and(|earlier| is_unread(earlier, socket))
    };
    let dead = now.iter().filter(is_dead).count();
    let live = now.len() - dead;
    let per_session = usize::try_from(per_session).unwrap_or(usize::MAX).max(1);
    let note = match dead {
        0 => String::new(),
        1 => "1 socket is not read by anybody".to_owned(),
        count => format!("{count} sockets are not read by anybody"),
    };
    SessionCount {
        sessions: u64::try_from(live.div_ceil(per_session)).ok(),
        note,
    }
}

/// Whether nobody reads a socket: what had waited there before still does, and more has come. A
/// socket whose queue was empty once in between is read, however much is in it at this moment.
fn is_unread(before: &Socket, now: &Socket) -> bool {
    let waits = before.queued > 0 && now.queued > 0;
    waits && (now.queued > before.queued || now.dropped > before.dropped)
}
