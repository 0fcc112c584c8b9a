//! The agent's decisions: synchronous, without clocks, Docker or network. Whatever they need to
//! know comes as a parameter; what they decide is a value that can be compared and printed.

pub mod accept;
pub mod adopt;
mod course;
pub mod entry;
pub mod health;
pub mod image;
pub mod kept;
pub mod news;
pub mod observed;
pub mod plan;
pub mod pulse;
pub mod restart;
pub mod spec;
pub mod status;
pub mod step;
pub mod waking;
