//! The engine: the one task that owns the fleet's state in memory.

mod command;
mod crash;
mod handle;
pub mod session;

pub use crash::{CrashHook, CrashPoint, InputKind, Moment, NoCrash};
pub use handle::{EngineError, EngineHandle};
pub use session::{SessionReceiver, SessionSender};
