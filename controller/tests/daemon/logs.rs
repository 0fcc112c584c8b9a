//! Logs over the real faces: TLS on one side, the socket on the other, and their bounds between.

use std::time::Duration;

use extend_proto::v1;
use extend_proto::v1::log_piece::Kind;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status, Streaming};

use super::support::*;

fn selector(node: std::net::Ipv4Addr) -> Option<v1::Selector> {
    Some(v1::Selector {
        nodes: vec![node.to_string()],
        ..v1::Selector::default()
    })
}

fn piece(kind: Kind) -> v1::LogPiece {
    v1::LogPiece { kind: Some(kind) }
}

fn data(bytes: Vec<u8>) -> v1::LogPiece {
    piece(Kind::Data(v1::LogData {
        data: bytes,
        position: None,
    }))
}

/// A controller, and a node that is to have a media server.
struct Rig {
    _place: Place,
    controller: Controller,
    agent: Node,
    session: Session,
}

impl Rig {
    async fn new() -> Self {
        let place = Place::new();
        let controller = place.start().await;
        let agent = controller.joined(node(2)).await;
        let roles = extend_common::roles::RoleSet::built_in().unwrap();
        let mut hello_ = agent.hello();
        hello_.definitions = roles
            .iter()
            .map(|role| v1::DefinitionDigest {
                role: role.role.to_string(),
                digest: role.digest().to_string(),
            })
            .collect();
        let mut session = Session::begin(agent.agent().await).await.unwrap();
        session.say(hello(hello_)).await;
        session.hear().await.unwrap();
        let run = v1::SubmitRequest {
            request_id: "01JD8M3Q4T00000000005NZQ8C".to_owned(),
            verb: v1::Verb::Run.into(),
            confirmed: true,
            selector: Some(v1::Selector {
                role: "media-server-only".to_owned(),
                name: "media-server-1".to_owned(),
                ..selector(node(2)).unwrap()
            }),
            ..v1::SubmitRequest::default()
        };
        controller.operator().await.submit(run).await.unwrap();
        session.hear().await.unwrap();
        Self {
            _place: place,
            controller,
            agent,
            session,
        }
    }

    /// An operator begins to read.
    fn read(&self) -> tokio::task::JoinHandle<Result<Response<Streaming<v1::LogPiece>>, Status>> {
        let request = v1::ReadLogsRequest {
            selector: selector(node(2)),
            query: Some(v1::LogQuery {
                source: Some(v1::log_query::Source::Output(v1::LogOutput::default())),
                tail: 10,
                follow: true,
                after: None,
            }),
        };
        let socket = self.controller.daemon.addresses().socket.clone();
        tokio::spawn(async move {
            let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
            let channel = channel(stream).await.unwrap();
            let mut client = v1::operator_client::OperatorClient::new(channel);
            client.read_logs(request).await
        })
    }

    /// What the agent is asked for.
    async fn wanted(&mut self) -> v1::LogsWanted {
        loop {
            let message = self.session.hear().await.unwrap();
            if let Some(v1::controller_message::Kind::LogsWanted(wanted)) = message.kind {
                return wanted;
            }
        }
    }

    async fn answer(
        &self,
        agent: &Node,
        id: &str,
    ) -> (
        mpsc::Sender<v1::LogPiece>,
        Result<Streaming<v1::SendLogsResponse>, Status>,
    ) {
        let (to, outbound) = mpsc::channel(1);
        to.send(piece(Kind::Id(id.to_owned()))).await.unwrap();
        let mut client = agent.agent().await;
        let answer = client.send_logs(ReceiverStream::new(outbound)).await;
        (to, answer.map(Response::into_inner))
    }
}

#[tokio::test]
async fn logs_go_from_the_node_that_was_asked_to_the_operator_who_asked() {
    let mut rig = Rig::new().await;
    let reading = rig.read();
    let wanted = rig.wanted().await;
    assert_eq!(wanted.role, "media-server-only");
    assert_eq!(wanted.query.unwrap().tail, 10);
    // Another node that has come by the id.
    let other = rig.controller.joined(node(3)).await;
    let (_to, stolen) = rig.answer(&other, &wanted.id).await;
    assert_code(stolen, Code::NotFound);
    let (to, heard) = rig.answer(&rig.agent, &wanted.id).await;
    let mut heard = heard.expect("answered while it is open");
    let mut reading = reading.await.unwrap().unwrap().into_inner();
    to.send(data(b"hello\n".to_vec())).await.unwrap();
    assert_eq!(
        reading.message().await.unwrap(),
        Some(data(b"hello\n".to_vec()))
    );
    // A fault is a status with words.
    let fault = v1::LogFault {
        kind: v1::LogFaultKind::Docker.into(),
        detail: "docker did not answer in 10s".to_owned(),
    };
    to.send(piece(Kind::Fault(fault))).await.unwrap();
    let status = reading.message().await.unwrap_err();
    let words = refusal(&status);
    assert!(
        words
            .sentence
            .starts_with("cannot show the logs of media-server-1"),
        "{words:?}"
    );
    assert_eq!(words.causes, ["docker did not answer in 10s"]);
    drop(reading);
    assert!(
        heard.message().await.unwrap().is_none(),
        "the agent is told"
    );
    rig.controller.daemon.shutdown().await;
}

#[tokio::test]
async fn logs_that_nobody_takes_do_not_hold_up_the_session_of_their_node() {
    let mut rig = Rig::new().await;
    let mut operators = Vec::new();
    let channel = rig.agent.channel_from(rig.agent.address).await.unwrap();
    let client = v1::agent_client::AgentClient::new(channel);
    // The session moves to the connection that the logs will fill.
    let mut session = Session::begin(client.clone()).await.unwrap();
    session.say(hello(rig.agent.hello())).await;
    session.hear().await.unwrap();
    rig.session = session;
    for _ in 0..4 {
        let reading = rig.read();
        let wanted = rig.wanted().await;
        let (to, outbound) = mpsc::channel(1);
        to.send(piece(Kind::Id(wanted.id))).await.unwrap();
        let heard = client
            .clone()
            .send_logs(ReceiverStream::new(outbound))
            .await
            .unwrap();
        // Taken and never read.
        let reading = reading.await.unwrap().unwrap();
        let push = async { while to.send(data(vec![b'x'; 16 * 1024])).await.is_ok() {} };
        let full = tokio::time::timeout(Duration::from_millis(700), push).await;
        assert!(full.is_err(), "it is held");
        operators.push((reading, heard, to));
    }
    // A fifth is refused: the node sends four already.
    let status = rig.read().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    for sequence in 0..3 {
        rig.session.say(heartbeat(sequence)).await;
    }
    let before = rig.controller.node_view(node(2)).await.last_seen_ms;
    until("a heartbeat comes through", async || {
        rig.session.say(heartbeat(9)).await;
        rig.controller.node_view(node(2)).await.last_seen_ms > before
    })
    .await;
    rig.controller.daemon.shutdown().await;
}
