//! `extend completion`: a script that lets a shell complete command lines. The script asks this
//! program at every press of the key, so that names and addresses are those of the moment.
//!
//! Whatever goes wrong while a line is completed, nothing is printed into it: there are fewer
//! completions then, or none.

pub(crate) mod live;

use std::ffi::OsString;
use std::io::Write;

use clap::ValueEnum;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
use extend_common::exit::Exit;

use super::context::Context;
use super::failure::Failure;
use super::usage;

/// Set by the scripts, and by nobody else; its value is the shell.
const VARIABLE: &str = "EXTEND_COMPLETE";
/// As the scripts call this program, and what they complete.
const PROGRAM: &str = "extend";

/// The options of `completion`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell; in its start-up file write, for bash: source <(extend completion bash)
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// A shell that can be completed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

impl Shell {
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
            Self::Elvish => &Elvish,
            Self::Powershell => &Powershell,
        }
    }
}

/// `extend completion`
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    args.shell
        .completer()
        .write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .map_err(|error| Failure::local("cannot write the script", &error))?;
    context
        .output
        .data(&silenced(&String::from_utf8_lossy(&script)))?;
    Ok(Exit::Done)
}

/// Not even that this program is gone is said into somebody's line.
fn silenced(script: &str) -> String {
    script
        .replace(r#"-- "${words[@]}" \"#, r#"-- "${words[@]}" 2>/dev/null \"#)
        .replace(
            "(commandline --current-token))",
            "(commandline --current-token) 2>/dev/null)",
        )
}

/// Completes a line if this is what the program was called for: `extend -- LINE…`, with the
/// variable that only the scripts set.
pub(super) fn complete(argv: &[OsString]) -> Option<Exit> {
    let shell = std::env::var(VARIABLE).ok()?;
    let (mark, line) = argv.get(1..)?.split_first()?;
    if mark != "--" || line.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    let shell = Shell::from_str(&shell, true).ok();
    let told = shell.map(|shell| {
        let (mut tree, line) = (usage::tree(), line.to_vec());
        let directory = std::env::current_dir().ok();
        shell
            .completer()
            .write_complete(&mut tree, line, directory.as_deref(), &mut found)
    });
    if let Some(Ok(())) = told {
        drop(std::io::stdout().write_all(&found));
    }
    Some(Exit::Done)
}
