//! `extend-agent`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    extend_agent::cli::main()
}
