//! Handing a submission over. The connection may break between the question and its answer; the
//! same request id is then sent again, and the controller answers with the same operation.

use extend_common::exit::Exit;
use extend_common::operation::{Operation, PlannedTarget};
use extend_proto::v1;
use tonic::Status;

use super::request::{Call, Errand};
use super::view;
use crate::cli::client::{Client, bounded};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, LOOK_AT_CONTROLLER, is_lost};
use crate::cli::output::text::span;
use crate::cli::patience::{Patience, Wait};
use crate::cli::reconnect::{Came, Lasting, Lost, over_connections};

/// The controller's answer.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// Server by server, what will happen or is already so.
    pub(crate) plan: Vec<PlannedTarget>,
    /// The stored operation; none for a plan and where nothing has to be done.
    pub(crate) operation: Option<Operation>,
}

/// Submits, again and again with the same id if the connection breaks, until there is an answer
/// or the patience is at its end.
pub(crate) async fn submit(
    context: &Context,
    client: Client,
    errand: &Errand,
) -> Result<(Submitted, Client), Failure> {
    let mut submitting = Submitting {
        context,
        errand,
        patience: Patience::new(context.connection.patience),
    };
    over_connections(context, client, &mut submitting).await
}

struct Submitting<'a> {
    context: &'a Context,
    errand: &'a Errand,
    patience: Patience,
}

impl Lasting for Submitting<'_> {
    type Done = (Submitted, Client);

    fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    async fn use_one(&mut self, mut client: Client) -> Came<(Submitted, Client)> {
        match send(&mut client, &self.errand.call).await {
            Ok(answer) => match read(answer) {
                Ok(submitted) => Came::Done((submitted, client)),
                Err(failure) => Came::Failed(failure),
            },
            Err(status) if is_lost(&status) => Came::Lost(Lost::Broken(status)),
            Err(status) => Came::Failed(Failure::from_status(&self.errand.what, &status)),
        }
    }

    async fn wait_for_another(&mut self, wait: Wait) -> Option<(Submitted, Client)> {
        if wait.first {
            let most = span(self.patience.most());
            self.context.output.say(&format!(
                "the connection to the controller was lost; sending the same request again for \
                 {most}"
            ));
        }
        None
    }

    fn given_up(&self, lost: Lost) -> Failure {
        let what = &self.errand.what;
        let last = match lost {
            Lost::Connect(error) if error.is_lasting() => return error.into(),
            Lost::Connect(error) => Failure::from(error),
            Lost::Broken(status) => Failure::lost(what, &status),
        };
        let mut failure = Failure::new(
            Exit::Unreachable,
            format!("the controller has not acknowledged: {what}"),
        );
        failure.causes = std::iter::once(last.sentence).chain(last.causes).collect();
        failure
            .cause(
                "if it had stored the operation before, it will carry it out: see extend op list",
            )
            .hint(LOOK_AT_CONTROLLER)
    }
}

async fn send(client: &mut Client, call: &Call) -> Result<v1::SubmitResponse, Status> {
    match call {
        Call::Submit(request) => bounded(client.rpc().submit(request.clone())).await,
        Call::Retry(request) => bounded(client.rpc().retry_operation(request.clone())).await,
    }
}

fn read(answer: v1::SubmitResponse) -> Result<Submitted, Failure> {
    Ok(Submitted {
        plan: view::plan::read(answer.plan)?,
        operation: answer.operation.map(view::operation::read).transpose()?,
    })
}
