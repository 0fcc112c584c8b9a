//! `make contract PBX_OPENAPI=FILE`: what the client of the PBX's REST API and its stand-in say to
//! each other, held against the API's own description, so that neither can drift from it.
//!
//! The client's whole vocabulary is spoken to the stand-in ([`vocabulary`]); every call in the
//! record is then judged by the file ([`openapi`], [`schema`]): path, method, query, the fields of
//! bodies, the status and the fields of answers. What the file does not document is a breach.

mod openapi;
mod schema;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use anyhow::{Context, bail};

use openapi::OpenApi;

fn main() -> ExitCode {
    match run() {
        Ok(summary) => {
            say(&summary);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!(
                "error: {error:#}\nhint: make contract PBX_OPENAPI=FILE, with the description of \
                 the API as JSON"
            ));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a program that says what it found")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn run() -> anyhow::Result<String> {
    let mut words = std::env::args_os().skip(1);
    let (Some(file), None) = (words.next(), words.next()) else {
        bail!("one file is wanted");
    };
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let openapi: OpenApi = OpenApi::parse(&text)
        .with_context(|| format!("{} is no description of an API", file.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let record = runtime.block_on(vocabulary::speak())?;
    let breaches = openapi.judge(&record);
    if !breaches.is_empty() {
        bail!(
            "{} of {} calls are not as the API has them:\n  {}",
            breaches.len(),
            record.len(),
            breaches.join("\n  ")
        );
    }
    let unused = openapi.unspoken(&record);
    if !unused.is_empty() {
        bail!("the client never asked: {}", unused.join(", "));
    }
    Ok(format!(
        "{} calls and their answers are as the API has them",
        record.len()
    ))
}
