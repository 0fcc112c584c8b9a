//! The client's side alone: what it asks, what it makes of answers, and that it never waits for
//! ever. What a real Engine does is in the system tests.

mod calls;
mod fake;
mod output;
mod streams;
