//! Handing a submission over. The connection may break between the question and its answer; the
//! same request id is then sent again, and the controller answers with the same operation.

use extend_common::backoff::jitter;
use extend_common::exit::Exit;
use extend_common::operation::{Operation, PlannedTarget};
use extend_proto::v1;
use tokio::time::Instant;

use super::view;
use crate::cli::client::{Client, bounded};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, LOOK_AT_CONTROLLER, is_lost};
use crate::cli::output::text::span;
use crate::cli::patience::Patience;

/// The controller's answer.
#[derive(Debug)]
pub(super) struct Submitted {
    /// Server by server, what will happen or is already so.
    pub(super) plan: Vec<PlannedTarget>,
    /// The stored operation; none for a plan and where nothing has to be done.
    pub(super) operation: Option<Operation>,
}

/// Submits, again and again with the same id if the connection breaks, until there is an answer
/// or the patience is at its end.
pub(super) async fn submit(
    context: &Context,
    client: Client,
    request: &v1::SubmitRequest,
    what: &str,
) -> Result<(Submitted, Client), Failure> {
    let mut patience = Patience::new(context.connection.patience);
    let mut connection = Some(client);
    loop {
        let client = match connection.take() {
            Some(client) => Ok(client),
            None => Client::connect(&context.connection.socket).await,
        };
        let failure = match client {
            Ok(mut client) => match bounded(client.rpc().submit(request.clone())).await {
                Ok(answer) => return Ok((read(answer)?, client)),
                Err(status) if is_lost(&status) => Failure::lost(what, &status),
                Err(status) => return Err(Failure::from_status(what, &status)),
            },
            Err(error) if error.is_lasting() => return Err(error.into()),
            Err(error) => Failure::from(error),
        };
        let Some(wait) = patience.next(Instant::now(), jitter()) else {
            return Err(not_acknowledged(what, failure));
        };
        if wait.first {
            let most = span(patience.most());
            context.output.say(&format!(
                "the connection to the controller was lost; sending the same request again for \
                 {most}"
            ));
        }
        tokio::time::sleep(wait.wait).await;
    }
}

fn read(answer: v1::SubmitResponse) -> Result<Submitted, Failure> {
    Ok(Submitted {
        plan: view::plan::read(answer.plan)?,
        operation: answer.operation.map(view::operation::read).transpose()?,
    })
}

fn not_acknowledged(what: &str, last: Failure) -> Failure {
    let mut failure = Failure::new(
        Exit::Unreachable,
        format!("the controller has not acknowledged: {what}"),
    );
    failure.causes = std::iter::once(last.sentence).chain(last.causes).collect();
    failure
        .cause("if it had stored the operation before, it will carry it out: see extend op list")
        .hint(LOOK_AT_CONTROLLER)
}
