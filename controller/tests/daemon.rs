//! A whole controller in this process, on loopback addresses of its own, met from outside: by
//! agents over TLS, by operators over the socket, by whoever is neither.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and tell their parent process by printing"
)]

#[path = "daemon/alerts.rs"]
mod alerts;
#[path = "daemon/backup.rs"]
mod backup;
#[path = "daemon/bounds.rs"]
mod bounds;
#[path = "daemon/door.rs"]
mod door;
#[path = "daemon/download.rs"]
mod download;
#[path = "daemon/enrolment.rs"]
mod enrolment;
#[path = "daemon/first_boot.rs"]
mod first_boot;
#[path = "daemon/logs.rs"]
mod logs;
#[path = "daemon/matrix.rs"]
mod matrix;
#[path = "daemon/metrics.rs"]
mod metrics;
#[path = "daemon/portal.rs"]
mod portal;
#[path = "daemon/process.rs"]
mod process;
#[path = "daemon/renewal.rs"]
mod renewal;
#[path = "daemon/session.rs"]
mod session;
#[path = "daemon/support.rs"]
mod support;
#[path = "daemon/whitelist.rs"]
mod whitelist;
