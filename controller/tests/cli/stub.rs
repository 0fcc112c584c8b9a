//! A stand-in for the controller's operators' face. It remembers what it was asked, answers as the
//! test has scripted it, and can die in the middle of anything.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use extend_proto::v1;
use extend_proto::v1::operator_server::{Operator, OperatorServer};
use futures_util::StreamExt;
use prost::Message;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tonic::{Code, Request, Response, Status};

use crate::fixtures;

/// What the stand-in does with a submission.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "a handful of them exists in each test"
)]
pub(crate) enum OnSubmit {
    Answer(v1::SubmitResponse),
    Refuse(Status),
    /// Takes the request and never answers.
    Hang,
}

/// What the stand-in does with a request for logs.
#[derive(Debug, Clone)]
pub(crate) struct OnLogs {
    pieces: Vec<v1::LogPiece>,
    /// How the stream ends; none when it stays open.
    end: Option<Result<(), Status>>,
    /// The request itself is refused.
    refused: bool,
}

impl OnLogs {
    /// Everything there is, and the end.
    pub(crate) fn all(pieces: impl IntoIterator<Item = v1::LogPiece>) -> Self {
        Self {
            end: Some(Ok(())),
            ..Self::open(pieces)
        }
    }

    /// No end.
    pub(crate) fn open(pieces: impl IntoIterator<Item = v1::LogPiece>) -> Self {
        Self {
            pieces: pieces.into_iter().collect(),
            end: None,
            refused: false,
        }
    }

    /// An end that is none.
    pub(crate) fn ending(pieces: impl IntoIterator<Item = v1::LogPiece>, status: Status) -> Self {
        Self {
            end: Some(Err(status)),
            ..Self::open(pieces)
        }
    }

    pub(crate) fn refuse(status: Status) -> Self {
        Self {
            refused: true,
            ..Self::ending([], status)
        }
    }
}

/// What a stand-in is told and what it has been asked; survives its deaths.
#[derive(Debug)]
pub(crate) struct Script {
    /// Every submission, in order.
    pub(crate) submits: Mutex<Vec<v1::SubmitRequest>>,
    pub(crate) retries: Mutex<Vec<v1::RetryRequest>>,
    /// Every other question, by its words.
    pub(crate) asked: Mutex<Vec<String>>,
    /// Who called sudo, as each submission said.
    pub(crate) sudo_users: Mutex<Vec<Option<String>>>,
    /// From where whoever had an operation shown said to come.
    pub(crate) ssh_clients: Mutex<Vec<Option<String>>>,
    /// Answers to submissions; the last one is repeated.
    pub(crate) on_submit: Mutex<VecDeque<OnSubmit>>,
    /// Answers to everything else, if it is not what the fixtures say.
    pub(crate) refuse: Mutex<Option<Status>>,
    /// The servers, nodes and operations there are.
    pub(crate) servers: Mutex<v1::ListServersResponse>,
    pub(crate) health: Mutex<v1::HealthResponse>,
    pub(crate) nodes: Mutex<Vec<v1::NodeView>>,
    /// What a checkup comes to.
    pub(crate) checkup: Mutex<v1::CheckupResponse>,
    /// In place of them: a node is online when there is a file `IP/online` below this directory.
    pub(crate) nodes_in: Mutex<Option<PathBuf>>,
    /// How nodes join.
    pub(crate) enrolment: Mutex<v1::EnrolmentView>,
    /// What revoking a node is answered, if it is not what the fixtures say.
    pub(crate) revoked: Mutex<Option<v1::NodeResponse>>,
    /// Every request for logs, in order.
    pub(crate) reads: Mutex<Vec<v1::ReadLogsRequest>>,
    /// Answers to them; the last one is repeated.
    pub(crate) on_logs: Mutex<VecDeque<OnLogs>>,
    /// The whitelist there is, before and after a sync.
    pub(crate) whitelist: Mutex<v1::WhitelistView>,
    pub(crate) alerts: Mutex<v1::AlertsView>,
    pub(crate) synced: Mutex<Option<v1::WhitelistView>>,
    /// Every sync, in order.
    pub(crate) syncs: Mutex<Vec<v1::SyncWhitelistRequest>>,
    /// The chunks of a backup, and how the stream ends.
    pub(crate) backup: Mutex<(Vec<Vec<u8>>, Option<Status>)>,
    pub(crate) operation: watch::Sender<v1::Operation>,
    /// The operations that are listed.
    pub(crate) listed: Mutex<Vec<v1::Operation>>,
    /// Where a list was ended early.
    pub(crate) cut_ms: AtomicI64,
    /// Requests for lists and events, in order.
    pub(crate) lists: Mutex<Vec<v1::ListOperationsRequest>>,
    pub(crate) readings: Mutex<Vec<v1::WatchEventsRequest>>,
    /// The events there are; their numbers have no gaps.
    pub(crate) events: watch::Sender<Vec<v1::StoredEvent>>,
    pub(crate) watches: AtomicUsize,
}

impl Script {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            submits: Mutex::default(),
            retries: Mutex::default(),
            asked: Mutex::default(),
            sudo_users: Mutex::default(),
            ssh_clients: Mutex::default(),
            on_submit: Mutex::default(),
            refuse: Mutex::default(),
            servers: Mutex::new(fixtures::fleet()),
            health: Mutex::new(fixtures::health()),
            nodes: Mutex::new(fixtures::nodes()),
            checkup: Mutex::default(),
            nodes_in: Mutex::default(),
            enrolment: Mutex::default(),
            revoked: Mutex::default(),
            reads: Mutex::default(),
            on_logs: Mutex::default(),
            whitelist: Mutex::new(fixtures::whitelist()),
            alerts: Mutex::default(),
            synced: Mutex::default(),
            syncs: Mutex::default(),
            backup: Mutex::new((vec![b"archive".to_vec()], None)),
            operation: watch::Sender::new(fixtures::succeeded()),
            listed: Mutex::new(fixtures::operations()),
            cut_ms: AtomicI64::new(0),
            lists: Mutex::default(),
            readings: Mutex::default(),
            events: watch::Sender::new(fixtures::events()),
            watches: AtomicUsize::new(0),
        })
    }

    /// What happens to the next submissions.
    pub(crate) fn on_submit(&self, answers: impl IntoIterator<Item = OnSubmit>) {
        *self.on_submit.lock().unwrap() = answers.into_iter().collect();
    }

    /// What happens to the next requests for logs.
    pub(crate) fn on_logs(&self, answers: impl IntoIterator<Item = OnLogs>) {
        *self.on_logs.lock().unwrap() = answers.into_iter().collect();
    }

    /// The submissions so far.
    pub(crate) fn submits(&self) -> Vec<v1::SubmitRequest> {
        self.submits.lock().unwrap().clone()
    }

    /// The one submission there was.
    pub(crate) fn only_submit(&self) -> v1::SubmitRequest {
        let submits = self.submits();
        assert_eq!(submits.len(), 1, "{submits:?}");
        submits[0].clone()
    }

    fn next_answer(&self) -> OnSubmit {
        let mut answers = self.on_submit.lock().unwrap();
        let answer = answers.pop_front().unwrap_or_else(|| {
            OnSubmit::Answer(v1::SubmitResponse {
                plan: fixtures::plan(),
                operation: Some(self.operation.borrow().clone()),
            })
        });
        if answers.is_empty() {
            answers.push_back(answer.clone());
        }
        answer
    }

    fn ask(&self, question: String) -> Result<(), Status> {
        self.asked.lock().unwrap().push(question);
        self.refuse.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

/// A refusal as the controller words it.
pub(crate) fn refusal(code: Code, sentence: &str, causes: &[&str], hint: &str) -> Status {
    let refusal = v1::Refusal {
        code: "a-code".to_owned(),
        sentence: sentence.to_owned(),
        causes: causes.iter().map(ToString::to_string).collect(),
        hint: hint.to_owned(),
    };
    Status::with_details(code, sentence, refusal.encode_to_vec().into())
}

/// A refusal under a rule's own word.
pub(crate) fn refusal_as(word: &str, sentence: &str, hint: &str) -> Status {
    let refusal = v1::Refusal {
        code: word.to_owned(),
        sentence: sentence.to_owned(),
        causes: Vec::new(),
        hint: hint.to_owned(),
    };
    let details = refusal.encode_to_vec().into();
    Status::with_details(Code::FailedPrecondition, sentence, details)
}

/// One life of the stand-in.
pub(crate) struct Stub {
    runtime: Option<Runtime>,
    socket: PathBuf,
}

impl Stub {
    /// Listens on a socket.
    pub(crate) fn start(socket: &Path, script: Arc<Script>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(socket).unwrap()
        };
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(OperatorServer::new(Face(script)))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        Self {
            runtime: Some(runtime),
            socket: socket.to_owned(),
        }
    }

    /// Dies at once, with every connection, as a killed process does.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The test's directory may be gone already.
            drop(std::fs::remove_file(&self.socket));
            // Not in the background: what happens afterwards must reach nobody any more.
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.end();
    }
}

struct Face(Arc<Script>);

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Operator for Face {
    type WatchOperationStream = Streamed<v1::Operation>;
    type WatchEventsStream = Streamed<v1::StoredEvent>;
    type BackupStream = Streamed<v1::BackupChunk>;
    type ReadLogsStream = Streamed<v1::LogPiece>;

    async fn list_alerts(
        &self,
        _: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::AlertsView>, Status> {
        self.0.ask("alerts".to_owned())?;
        Ok(Response::new(self.0.alerts.lock().unwrap().clone()))
    }

    async fn ack_alerts(
        &self,
        request: Request<v1::AckAlertsRequest>,
    ) -> Result<Response<v1::AckAlertsResponse>, Status> {
        let v1::AckAlertsRequest { id, note } = request.into_inner();
        self.0.ask(format!("ack {id} {note}"))?;
        Ok(Response::new(v1::AckAlertsResponse { acknowledged: 1 }))
    }

    async fn test_alerts(
        &self,
        request: Request<v1::TestAlertsRequest>,
    ) -> Result<Response<v1::TestAlertsResponse>, Status> {
        let receiver = request.into_inner().receiver;
        self.0.ask(format!("test {receiver}"))?;
        let trial = |receiver: &str, problem: &str| v1::AlertTrial {
            receiver: receiver.to_owned(),
            problem: problem.to_owned(),
        };
        let trials = vec![trial("mail", ""), trial("slack", "hooks:443 answered 404")];
        let meant = |one: &v1::AlertTrial| receiver.is_empty() || one.receiver == receiver;
        let trials = trials.into_iter().filter(meant).collect();
        Ok(Response::new(v1::TestAlertsResponse { trials }))
    }

    async fn silence_alerts(
        &self,
        request: Request<v1::SilenceAlertsRequest>,
    ) -> Result<Response<v1::AlertSilence>, Status> {
        let request = request.into_inner();
        self.0
            .ask(format!("silence {} {}", request.seconds, request.note))?;
        Ok(Response::new(v1::AlertSilence {
            id: 7,
            selector: "-s queue-server-only".to_owned(),
            since_ms: 1,
            until_ms: 1_764_600_000_000,
            by: "root".to_owned(),
            note: request.note,
        }))
    }

    async fn unsilence_alerts(
        &self,
        request: Request<v1::UnsilenceAlertsRequest>,
    ) -> Result<Response<v1::UnsilenceAlertsResponse>, Status> {
        self.0
            .ask(format!("unsilence {}", request.into_inner().id))?;
        Ok(Response::new(v1::UnsilenceAlertsResponse {}))
    }

    async fn list_whitelist(
        &self,
        _: Request<v1::ListWhitelistRequest>,
    ) -> Result<Response<v1::WhitelistView>, Status> {
        self.0.ask("whitelist".to_owned())?;
        Ok(Response::new(self.0.whitelist.lock().unwrap().clone()))
    }

    async fn sync_whitelist(
        &self,
        request: Request<v1::SyncWhitelistRequest>,
    ) -> Result<Response<v1::WhitelistView>, Status> {
        self.0.ask("sync".to_owned())?;
        self.0.syncs.lock().unwrap().push(request.into_inner());
        let synced = self.0.synced.lock().unwrap().clone();
        let whitelist = || self.0.whitelist.lock().unwrap().clone();
        Ok(Response::new(synced.unwrap_or_else(whitelist)))
    }

    async fn read_logs(
        &self,
        request: Request<v1::ReadLogsRequest>,
    ) -> Result<Response<Self::ReadLogsStream>, Status> {
        self.0.reads.lock().unwrap().push(request.into_inner());
        let answer = {
            let mut answers = self.0.on_logs.lock().unwrap();
            let answer = answers.pop_front().unwrap();
            if answers.is_empty() {
                answers.push_back(answer.clone());
            }
            answer
        };
        let OnLogs {
            pieces,
            end,
            refused,
        } = answer;
        if refused {
            return Err(end.and_then(Result::err).unwrap());
        }
        let pieces = tokio_stream::iter(pieces).map(Ok);
        let end: Streamed<v1::LogPiece> = match end {
            None => Box::pin(tokio_stream::pending()),
            Some(Ok(())) => Box::pin(tokio_stream::empty()),
            Some(Err(status)) => Box::pin(tokio_stream::once(Err(status))),
        };
        Ok(Response::new(Box::pin(pieces.chain(end))))
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let user = request.metadata().get("extend-sudo-user");
        let user = user.map(|user| user.to_str().unwrap().to_owned());
        self.0.sudo_users.lock().unwrap().push(user);
        self.0.submits.lock().unwrap().push(request.into_inner());
        match self.0.next_answer() {
            OnSubmit::Answer(answer) => Ok(Response::new(answer)),
            OnSubmit::Refuse(status) => Err(status),
            OnSubmit::Hang => std::future::pending().await,
        }
    }

    async fn retry_operation(
        &self,
        request: Request<v1::RetryRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        self.0.retries.lock().unwrap().push(request.into_inner());
        match self.0.next_answer() {
            OnSubmit::Answer(answer) => Ok(Response::new(answer)),
            OnSubmit::Refuse(status) => Err(status),
            OnSubmit::Hang => std::future::pending().await,
        }
    }

    async fn watch_operation(
        &self,
        request: Request<v1::OperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        self.0.ask(format!("watch {}", request.into_inner().id))?;
        self.0.watches.fetch_add(1, Ordering::SeqCst);
        let stream = WatchStream::new(self.0.operation.subscribe());
        let stream = UntilEnded {
            inner: Box::pin(stream),
            done: false,
        };
        Ok(Response::new(Box::pin(stream)))
    }

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        self.0.ask(format!(
            "events tail {} after {} follow {} kinds {:?}",
            request.tail, request.after, request.follow, request.kinds
        ))?;
        self.0.readings.lock().unwrap().push(request.clone());
        let wanted = move |event: &v1::StoredEvent| event.sequence > request.after;
        let told = WatchStream::new(self.0.events.subscribe());
        if !request.follow {
            let events = self.0.events.borrow().clone();
            let events = events.into_iter().filter(wanted).map(Ok);
            return Ok(Response::new(Box::pin(tokio_stream::iter(events))));
        }
        let mut shown = request.after;
        let fresh = told.flat_map(move |events| {
            let fresh: Vec<_> = events
                .into_iter()
                .filter(|event| event.sequence > shown)
                .map(Ok)
                .collect();
            shown = shown.max(fresh.len() as u64 + shown);
            futures_util::stream::iter(fresh)
        });
        Ok(Response::new(Box::pin(fresh)))
    }

    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        let request = request.into_inner();
        self.0.ask(format!(
            "list operations {} {}",
            request.limit, request.open_only
        ))?;
        self.0.lists.lock().unwrap().push(request);
        let operations = self.0.listed.lock().unwrap().clone();
        Ok(Response::new(v1::ListOperationsResponse {
            operations,
            cut_ms: self.0.cut_ms.load(Ordering::SeqCst),
        }))
    }

    async fn get_operation(
        &self,
        request: Request<v1::OperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let from = request.metadata().get("extend-ssh-client");
        let from = from.map(|from| from.to_str().unwrap().to_owned());
        self.0.ssh_clients.lock().unwrap().push(from);
        self.0.ask(format!("get {}", request.into_inner().id))?;
        Ok(Response::new(self.0.operation.borrow().clone()))
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::OperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        self.0.ask(format!("cancel {}", request.into_inner().id))?;
        Ok(Response::new(self.0.operation.borrow().clone()))
    }

    async fn list_servers(
        &self,
        request: Request<v1::ListServersRequest>,
    ) -> Result<Response<v1::ListServersResponse>, Status> {
        let selector = request.into_inner().selector.unwrap();
        self.0
            .ask(format!("servers {:?} {:?}", selector.role, selector.nodes))?;
        Ok(Response::new(self.0.servers.lock().unwrap().clone()))
    }

    async fn checkup(
        &self,
        request: Request<v1::CheckupRequest>,
    ) -> Result<Response<v1::CheckupResponse>, Status> {
        let v1::CheckupRequest { nodes, role } = request.into_inner();
        let question = format!("checkup {} {role}", nodes.join(","));
        self.0.ask(question.trim_end().to_owned())?;
        Ok(Response::new(self.0.checkup.lock().unwrap().clone()))
    }

    async fn show_health(
        &self,
        request: Request<v1::HealthRequest>,
    ) -> Result<Response<v1::HealthResponse>, Status> {
        let selector = request.into_inner().selector.unwrap_or_default();
        self.0.ask(format!(
            "health role {} nodes {:?} name {}",
            selector.role, selector.nodes, selector.name
        ))?;
        Ok(Response::new(self.0.health.lock().unwrap().clone()))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let node = request.into_inner().node;
        self.0.ask(format!("nodes {node}"))?;
        let mut nodes = self.0.nodes.lock().unwrap().clone();
        if let Some(directory) = &*self.0.nodes_in.lock().unwrap() {
            let is_online = directory.join(&node).join("online").exists();
            if !is_online {
                // As the controller does of a node that it does not know.
                let sentence = "it is no node of this fleet";
                return Err(refusal(Code::NotFound, sentence, &[], "extend node list"));
            }
            nodes = vec![fixtures::online(&node)];
        }
        let nodes = nodes
            .into_iter()
            .filter(|view| node.is_empty() || view.node == node);
        Ok(Response::new(v1::ListNodesResponse {
            nodes: nodes.collect(),
        }))
    }

    async fn mint_token(
        &self,
        request: Request<v1::MintTokenRequest>,
    ) -> Result<Response<v1::MintTokenResponse>, Status> {
        let request = request.into_inner();
        self.0
            .ask(format!("token {} {}", request.node, request.ttl_seconds))?;
        let token = "172.31.16.133/ab12/secret".to_owned();
        Ok(Response::new(v1::MintTokenResponse {
            token,
            expires_ms: fixtures::in_ms(600_500),
        }))
    }

    async fn describe_enrolment(
        &self,
        _: Request<v1::DescribeEnrolmentRequest>,
    ) -> Result<Response<v1::EnrolmentView>, Status> {
        self.0.ask("enrolment".to_owned())?;
        Ok(Response::new(self.0.enrolment.lock().unwrap().clone()))
    }

    async fn revoke_node(
        &self,
        request: Request<v1::NodeRequest>,
    ) -> Result<Response<v1::NodeResponse>, Status> {
        self.0
            .ask(format!("revoke {}", request.into_inner().node))?;
        let node = Some(fixtures::nodes()[0].clone());
        let notes = vec!["its open session was closed".to_owned()];
        let scripted = self.0.revoked.lock().unwrap().clone();
        let answer = scripted.unwrap_or(v1::NodeResponse { node, notes });
        Ok(Response::new(answer))
    }

    async fn remove_node(
        &self,
        request: Request<v1::RemoveNodeRequest>,
    ) -> Result<Response<v1::NodeResponse>, Status> {
        let request = request.into_inner();
        self.0
            .ask(format!("remove {} {}", request.node, request.force))?;
        Ok(Response::new(v1::NodeResponse::default()))
    }

    async fn backup(
        &self,
        _: Request<v1::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        self.0.ask("backup".to_owned())?;
        let (chunks, end) = self.0.backup.lock().unwrap().clone();
        let chunks = chunks.into_iter().map(|data| Ok(v1::BackupChunk { data }));
        let chunks: Vec<Result<_, Status>> = chunks.chain(end.map(Err)).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn note_shim(
        &self,
        request: Request<v1::NoteShimRequest>,
    ) -> Result<Response<v1::NoteShimResponse>, Status> {
        let request = request.into_inner();
        self.0.ask(format!(
            "note_shim {} {}",
            request.directory, request.sha256
        ))?;
        Ok(Response::new(v1::NoteShimResponse {}))
    }

    async fn recover(
        &self,
        request: Request<v1::RecoverRequest>,
    ) -> Result<Response<v1::RecoverResponse>, Status> {
        let request = request.into_inner();
        self.0
            .ask(format!("recover {:?} {}", request.nodes, request.finish))?;
        let notes = vec!["172.31.16.140 is not connected".to_owned()];
        let node = Some(fixtures::nodes()[0].clone());
        let recovered = vec![v1::NodeResponse {
            node,
            notes: Vec::new(),
        }];
        Ok(Response::new(v1::RecoverResponse { recovered, notes }))
    }
}

/// Ends with the first operation that has ended.
struct UntilEnded {
    inner: Pin<Box<dyn Stream<Item = v1::Operation> + Send>>,
    done: bool,
}

impl Stream for UntilEnded {
    type Item = Result<v1::Operation, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        if self.done {
            return std::task::Poll::Ready(None);
        }
        let next = self.inner.as_mut().poll_next(context);
        next.map(|operation| {
            let operation = operation?;
            self.done = operation.ended_ms > 0;
            Some(Ok(operation))
        })
    }
}
