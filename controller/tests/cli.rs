//! The command line as operators have it: the real binary, and the shim in front of it, against a
//! stand-in for the controller on a Unix socket.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "cli/adopt.rs"]
mod adopt;
#[path = "cli/archive.rs"]
mod archive;
#[path = "cli/backup.rs"]
mod backup;
#[path = "cli/bootstrap.rs"]
mod bootstrap;
#[path = "cli/completion.rs"]
mod completion;
#[path = "cli/connection.rs"]
mod connection;
#[path = "cli/diagnose.rs"]
mod diagnose;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/events.rs"]
mod events;
#[path = "cli/exits.rs"]
mod exits;
#[path = "cli/fixtures.rs"]
mod fixtures;
#[path = "cli/grammar.rs"]
mod grammar;
#[path = "cli/guide.rs"]
mod guide;
#[path = "cli/harness.rs"]
mod harness;
#[path = "cli/health.rs"]
mod health;
#[path = "cli/hosts.rs"]
mod hosts;
#[path = "cli/logs.rs"]
mod logs;
#[path = "cli/nodes.rs"]
mod nodes;
#[path = "cli/plans.rs"]
mod plans;
#[path = "cli/progress.rs"]
mod progress;
#[path = "cli/retry.rs"]
mod retry;
#[path = "cli/rollout.rs"]
mod rollout;
#[path = "cli/shim.rs"]
mod shim;
#[path = "cli/stub.rs"]
mod stub;
#[path = "cli/tables.rs"]
mod tables;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/trust.rs"]
mod trust;
#[path = "cli/whitelist.rs"]
mod whitelist;
