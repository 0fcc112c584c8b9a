//! The binary `extend`: the controller as a daemon, and the operator's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    extend_controller::cli::main()
}
