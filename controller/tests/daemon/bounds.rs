//! Messages and headers above the bounds: refused on every face, and nobody else is held up.

use extend_common::tls::NodeKey;
use extend_common::wire::{MAX_HEADER_LIST_BYTES, MAX_MESSAGE_BYTES};
use extend_proto::v1;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};

use super::support::*;

/// Longer than any message may be.
const TOO_LONG: usize = MAX_MESSAGE_BYTES + 1;

/// A request with a list of headers of about this size.
fn with_headers<T>(message: T, bytes: usize) -> Request<T> {
    let mut request = Request::new(message);
    let fits_one = 4 * 1024;
    let metadata: &mut MetadataMap = request.metadata_mut();
    for number in 0..bytes.div_ceil(fits_one) {
        let name: tonic::metadata::AsciiMetadataKey = format!("x-{number}").parse().unwrap();
        let length = fits_one.min(bytes - number * fits_one);
        metadata.insert(name, "x".repeat(length).parse().unwrap());
    }
    request
}

/// Refused because of its headers, before any handler has seen it.
#[track_caller]
fn assert_too_many_headers<T: std::fmt::Debug>(face: &str, answer: Result<T, Status>) {
    let status = answer.unwrap_err();
    assert!(
        status.message().contains("431"),
        "{face}: HTTP's own word for it: {status:?}"
    );
}

#[tokio::test]
async fn messages_above_the_bound_are_refused_on_every_face() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;

    let mut session = Session::begin(agent.agent().await).await.unwrap();
    session
        .say(hello(v1::Hello {
            agent_version: "x".repeat(TOO_LONG),
            ..agent.hello()
        }))
        .await;
    let status = session.end().await;
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    let csr_der = vec![0x30; TOO_LONG];
    let renewal = v1::RenewLeafRequest {
        csr_der: csr_der.clone(),
    };
    assert_code(
        agent.agent().await.renew_leaf(renewal).await,
        Code::OutOfRange,
    );
    assert!(agent.can_come_in().await, "a later session is not held up");

    let token = controller.token(node(3)).await;
    let mut stranger = stranger(node(3), token.controller.into(), token.ca, &controller.time)
        .await
        .unwrap();
    let join = v1::JoinRequest {
        node: token.node.to_string(),
        secret: token.secret.to_vec(),
        csr_der,
    };
    assert_code(stranger.join(join).await, Code::OutOfRange);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let key = NodeKey::generate().unwrap();
    let joined = super::support::join(&token, node(3), &key, &controller.time).await;
    assert!(joined.is_ok(), "the token was not spent: {joined:?}");

    let mut request = v1::SubmitRequest {
        message: "x".repeat(TOO_LONG),
        ..Default::default()
    };
    let mut operator = controller.operator().await;
    assert_code(operator.submit(request.clone()).await, Code::OutOfRange);
    request.message.clear();
    assert_code(operator.submit(request).await, Code::InvalidArgument);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn headers_above_the_bound_are_refused_on_every_face() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    let most = usize::try_from(MAX_HEADER_LIST_BYTES).unwrap();
    // The bound is for names, values and 32 bytes more of each; the library's own come on top.
    let (good, bad) = (most - 2048, most + 1024);

    let list = v1::ListNodesRequest::default;
    let mut operator = controller.operator().await;
    operator
        .list_nodes(with_headers(list(), good))
        .await
        .unwrap();
    let answer = operator.list_nodes(with_headers(list(), bad)).await;
    assert_too_many_headers("operators", answer);
    operator.list_nodes(list()).await.unwrap();

    let renewal = || v1::RenewLeafRequest {
        csr_der: agent.key.csr().unwrap(),
    };
    let mut client = agent.agent().await;
    client
        .renew_leaf(with_headers(renewal(), good))
        .await
        .unwrap();
    let answer = client.renew_leaf(with_headers(renewal(), bad)).await;
    assert_too_many_headers("agents", answer);
    assert!(agent.can_come_in().await, "a later session is not held up");

    let token = controller.token(node(3)).await;
    let mut stranger = stranger(node(3), token.controller.into(), token.ca, &controller.time)
        .await
        .unwrap();
    let challenge = || v1::ChallengeRequest {
        node: node(3).to_string(),
    };
    let answer = stranger.challenge(with_headers(challenge(), bad)).await;
    assert_too_many_headers("enrolment", answer);
    stranger
        .challenge(with_headers(challenge(), good))
        .await
        .unwrap();
    controller.daemon.shutdown().await;
}
