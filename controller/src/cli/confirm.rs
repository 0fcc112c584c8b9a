//! Questions that stand before what cannot be undone by another command.
//!
//! Only a person at the terminal may answer, and only to a question that he has seen: whatever was
//! typed or pasted before the question stood there is thrown away.

use std::io::{self, BufRead, IsTerminal};
use std::time::Duration;

use extend_common::exit::Exit;
use nix::sys::termios::{FlushArg, tcflush};

use super::context::Context;
use super::failure::Failure;

/// Lines that are pasted together may arrive one after the other, over a slow connection for
/// example. Nobody reads and answers a question as fast as this.
const SETTLE: Duration = Duration::from_millis(400);
/// No expected answer is longer; a longer line is another answer.
const MAX_ANSWER: u64 = 256;

/// What is asked, and what has to be typed.
#[derive(Debug)]
pub(crate) struct Confirm {
    /// What would be done.
    pub(crate) question: String,
    /// The text that confirms.
    pub(crate) expected: String,
    /// How to confirm, in words.
    pub(crate) how: &'static str,
}

/// Whether there is somebody who can be asked.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Refuses to go on where nobody can be asked.
pub(crate) fn terminal_or_refuse(context: &Context, what: &str) -> Result<(), Failure> {
    if is_terminal() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "cannot {what} without --yes: there is no terminal to ask on"
    ))
    .hint(context.again_with("--yes")))
}

/// Asks. Anything but the expected answer is a no.
pub(crate) async fn confirm(context: &Context, confirm: Confirm) -> Result<(), Failure> {
    discard_typed_ahead()?;
    context.output.say(&confirm.question);
    context.output.ask(confirm.how);
    discard_typed_ahead()?;
    tokio::time::sleep(SETTLE).await;
    discard_typed_ahead()?;
    let answer = read_line().map_err(|e| Failure::local("cannot read the answer", &e))?;
    if answer.trim() == confirm.expected {
        return Ok(());
    }
    if !answer.ends_with('\n') {
        // The end of input: the cursor still stands behind the question.
        context.output.say("\n");
    }
    Err(Failure::new(
        Exit::Failed,
        "not confirmed: nothing was changed",
    ))
}

fn discard_typed_ahead() -> Result<(), Failure> {
    tcflush(io::stdin(), FlushArg::TCIFLUSH)
        .map_err(|error| Failure::local("cannot discard what was typed before", &error))
}

fn read_line() -> io::Result<String> {
    let mut answer = Vec::new();
    io::Read::take(io::stdin().lock(), MAX_ANSWER).read_until(b'\n', &mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
