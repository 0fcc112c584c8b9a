//! The engine on a store in memory and a paused clock, with agents at the ends of its sessions.

mod alerts;
mod archive;
mod counting;
mod crashes;
mod door;
mod events;
mod failures;
mod fanout;
mod flow;
mod leads;
mod recovery;
mod rig;
