//! What the controller does not do unasked: it refuses, the operator is asked on a terminal, and it
//! is handed over again.

use extend_common::exit::Exit;

use super::{Request, carry_out};
use crate::cli::args::SubmitArgs;
use crate::cli::confirm::{self, Confirm};
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The controller's word for what it does not do unasked.
const UNCONFIRMED: &str = "unconfirmed";

/// Carries a request out, and asks where the controller wants that.
pub(super) async fn carry_out_asking(
    context: &Context,
    mut request: Request,
    args: &SubmitArgs,
) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let errand = request.errand(args);
    let refused = match carry_out(context, client, &errand, args).await {
        Err(refused) if refused.code == UNCONFIRMED => refused,
        done => return done,
    };
    if !confirm::is_terminal() {
        return Err(refused);
    }
    context.output.say(&refused.sentence);
    for cause in &refused.causes {
        context.output.say(&format!("  {cause}"));
    }
    let question = Confirm {
        question: "Is the PBX at least as new as the image?".to_owned(),
        expected: "yes".to_owned(),
        how: "Type yes to go on: ",
    };
    confirm::confirm(context, question).await?;
    request.confirmed = true;
    // The question may have stood there for an hour: a new connection.
    let client = context.client().await?;
    carry_out(context, client, &request.errand(args), args).await
}
