//! A fleet in one process and in virtual time: the real engine and API on a store in memory, real
//! agents on Docker Engines in memory, and a network that can be cut. What is killed leaves behind
//! just what a killed process would: the store, the ledgers, the Engines.

pub mod alone;
pub mod faults;
pub mod fleet;
pub mod invariants;
pub mod net;
pub mod node;
pub mod operators;
pub mod typed;

pub use alone::Alone;
pub use faults::Trap;
pub use fleet::Fleet;
