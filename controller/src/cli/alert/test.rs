//! `extend alert test`

use std::time::Duration;

use extend_common::exit::Exit;
use extend_proto::v1;

use crate::cli::client::ask_for;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// A receiver may be busy with another message, and a program may take five minutes.
const LIMIT: Duration = Duration::from_secs(360);

/// The options of `alert test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this receiver
    receiver: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let request = v1::TestAlertsRequest {
        receiver: args.receiver.unwrap_or_default(),
    };
    let answer = ask_for(
        "test the receivers of alerts",
        LIMIT,
        client.rpc().test_alerts(request),
    );
    let trials = answer.await?.trials;
    if trials.is_empty() {
        let sentence = "cannot test the receivers of alerts: there are none";
        let hint = "name who is told in [[alerts.receivers]] of /etc/extend/controller.toml";
        return Err(Failure::new(Exit::Refused, sentence).hint(hint));
    }
    let mut exit = Exit::Done;
    for trial in trials {
        let line = match trial.problem.is_empty() {
            true => format!("{}: taken", trial.receiver),
            false => {
                exit = Exit::SomeFailed;
                format!("{}: not taken: {}", trial.receiver, trial.problem)
            }
        };
        context.output.data(&line)?;
    }
    Ok(exit)
}
