//! Every method on every face of a running controller, over its real connections.

use extend_common::tls::{Fingerprint, dial, pinned_client_config};
use extend_proto::method::Method;
use http::Request;
use std::sync::Arc;
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::Service;

use super::support::*;

/// The verdict on a call without content; none if it was let through to its handler.
async fn verdict(channel: &Channel, path: &str) -> Option<Code> {
    let mut channel = channel.clone();
    std::future::poll_fn(|cx| channel.poll_ready(cx))
        .await
        .unwrap();
    let request = Request::post(format!("http://controller.extend{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::empty())
        .unwrap();
    let response = channel.call(request).await.unwrap();
    // A handler that has no message to read says so, in whatever words: not in these two.
    let code = Status::from_header_map(response.headers()).map(|status| status.code());
    code.filter(|code| matches!(code, Code::PermissionDenied | Code::Unimplemented))
}

#[tokio::test]
async fn a_method_can_be_called_on_its_own_face_only() {
    let place = Place::new();
    let controller = place.start().await;
    let agent = controller.joined(node(2)).await;
    let token = controller.token(node(3)).await;
    let config = pinned_client_config(Fingerprint::of(&agent.authority), Arc::clone(&agent.time));
    let stranger = dial(
        Some(node(3)),
        token.controller.into(),
        config.unwrap(),
        LIMIT,
    )
    .await;
    let socket = UnixStream::connect(place.socket()).await.unwrap();
    let faces = [
        (".Agent/", agent.channel_from(node(2)).await.unwrap()),
        (".Enrolment/", channel(stranger.unwrap()).await.unwrap()),
        (".Operator/", channel(socket).await.unwrap()),
    ];
    let mut let_through = 0;
    for (own, channel) in &faces {
        for (path, _) in Method::ALL {
            let expected = (!path.contains(own)).then_some(Code::PermissionDenied);
            assert_eq!(
                verdict(channel, path).await,
                expected,
                "{path} where {own} is served"
            );
            let_through += usize::from(expected.is_none());
        }
        assert_eq!(verdict(channel, "/x.Y/Z").await, Some(Code::Unimplemented));
    }
    assert_eq!(let_through, Method::ALL.len());
    controller.daemon.shutdown().await;
}
