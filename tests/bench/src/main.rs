//! `extend-bench`: measures the figures of `docs/benchmarks.md`, and simulates fleets.
//!
//! It speaks to the programs as they ship: a controller process, agent processes, the Docker
//! Engine, and simulated agents over real mTLS. It asserts nothing: a figure that misses its target
//! is a figure. `scripts/bench.sh` builds everything and calls it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program that reports"
)]

mod args;
mod controller;
mod docker;
mod figure;
mod fleet;
mod load;
mod machine;
mod measure;
mod operator;
mod part;
mod procfs;
mod program;
mod samples;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use args::{Arguments, Command};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            // Whatever was started is dropped with the future, and ends.
            _ = terminate.recv() => Ok(ExitCode::from(130)),
            _ = interrupt.recv() => Ok(ExitCode::from(130)),
            done = Box::pin(act(arguments)) => done,
        }
    })
}

async fn act(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Measure(args) => measure::run(&args).await,
        Command::Simulate(args) => load::simulate(&args).await.map(|()| ExitCode::SUCCESS),
    }
}
