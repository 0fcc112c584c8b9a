//! Every method on every face, over HTTP/2 connections: only the allowed ones get past.

use std::net::Ipv4Addr;

use extend_common::ids::NodeAddr;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::DuplexStream;
use tokio_stream::{Stream, iter};
use tonic::Code;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Server};

use super::*;
use crate::api::connection::{Carried, Connections};
use crate::core::request::KeyHash;

/// Lets everything through: what is refused was refused by the layer.
#[derive(Debug, Clone)]
struct Permissive;

impl Service<Request<Body>> for Permissive {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Status::ok("let through").into_http()))
    }
}

/// The identity that a connection arrives with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Agent,
    Stranger,
    User(Option<u32>),
    Nobody,
}

#[test]
fn a_page_is_read_on_its_own_face_only() {
    let package = "/agent/extend-agent.deb";
    assert_eq!(page(Face::Enrolment, package), Some(Page::AgentPackage));
    assert_eq!(page(Face::Agents, package), None);
    assert_eq!(page(Face::Operators, package), None);
    for other in [
        "",
        "/",
        "/agent",
        "/agent/extend-agent.deb/",
        "/agent/../agent/extend-agent.deb",
    ] {
        assert_eq!(page(Face::Enrolment, other), None, "{other}");
    }
}

const EVERYBODY: [Who; 6] = [
    Who::Agent,
    Who::Stranger,
    Who::User(Some(0)),
    Who::User(Some(1000)),
    Who::User(None),
    Who::Nobody,
];
const FACES: [Face; 3] = [Face::Agents, Face::Enrolment, Face::Operators];

fn serve<P: Clone + Send + Sync + Unpin + 'static>(face: Face, near: Carried<DuplexStream, P>)
where
    Carried<DuplexStream, P>: Connected,
{
    let incoming: Box<dyn Stream<Item = std::io::Result<_>> + Send + Unpin> =
        Box::new(iter([Ok(near)]));
    let server = Server::builder().layer(AccessLayer::new(face));
    tokio::spawn(server.serve_with_incoming(Permissive, incoming));
}

async fn connect(face: Face, who: Who) -> Channel {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connections = Connections::default();
    let node: NodeAddr = "172.31.16.139".parse().unwrap();
    match who {
        Who::Agent => {
            let spki_hash = KeyHash([0; 32]);
            let peer = AgentPeer {
                node,
                spki_hash,
                leaf_not_after: Timestamp::MAX,
            };
            serve(face, connections.carry(near, peer, None));
        }
        Who::Stranger => {
            let peer = StrangerPeer {
                source: Ipv4Addr::LOCALHOST,
            };
            serve(face, connections.carry(near, peer, None));
        }
        Who::User(uid) => serve(face, connections.carry(near, OperatorPeer { uid }, None)),
        Who::Nobody => serve(face, connections.carry(near, (), None)),
    }
    let mut far = Some(TokioIo::new(far));
    Endpoint::from_static("http://controller.extend")
        .connect_with_connector(tower::service_fn(move |_| {
            let far = far
                .take()
                .ok_or_else(|| std::io::Error::other("one connection each"));
            async move { far }
        }))
        .await
        .unwrap()
}

/// What comes back when `path` is called with nothing in it.
async fn call(channel: &Channel, path: &str) -> Code {
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
    Status::from_header_map(response.headers())
        .expect("a verdict")
        .code()
}

/// The table again, by hand and the other way round: who may be let through to what.
fn allowed(face: Face, who: Who, path: &str) -> bool {
    match (face, who) {
        (Face::Agents, Who::Agent) => path.contains(".Agent/"),
        (Face::Enrolment, Who::Stranger) => path.contains(".Enrolment/"),
        (Face::Operators, Who::User(Some(0))) => path.contains(".Operator/"),
        (Face::Operators, Who::User(Some(_))) => {
            let of_root = ["/Backup", "/Recover", "/NoteShim"];
            path.contains(".Operator/") && !of_root.iter().any(|end| path.ends_with(end))
        }
        _ => false,
    }
}

#[tokio::test]
async fn only_the_callers_of_a_method_get_past_on_their_own_face() {
    let (mut past, mut kept_out) = (0, 0);
    for face in FACES {
        for who in EVERYBODY {
            let channel = connect(face, who).await;
            for (path, _) in Method::ALL {
                let code = call(&channel, path).await;
                if allowed(face, who, path) {
                    assert_eq!(code, Code::Ok, "{who:?} on {face:?}: {path}");
                    past += 1;
                } else {
                    assert_eq!(code, Code::PermissionDenied, "{who:?} on {face:?}: {path}");
                    kept_out += 1;
                }
            }
        }
    }
    assert_eq!(
        past,
        3 + 3 + 26 + 23,
        "each of the methods, and the operator's without root's"
    );
    assert_eq!(
        past + kept_out,
        Method::ALL.len() * FACES.len() * EVERYBODY.len()
    );
    assert!(kept_out >= 150, "{kept_out}");
}

#[tokio::test]
async fn what_is_no_method_is_unknown_to_everybody() {
    let none = [
        "/",
        "/extend.fleet.v1.Operator",
        "/extend.fleet.v1.Operator/",
        "/extend.fleet.v1.Operator/submit",
        "/extend.fleet.v1.Operator/Submit/",
        "//extend.fleet.v1.Operator/Submit",
        "/extend.fleet.v1.Agent/Exec",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ];
    for (face, who) in [
        (Face::Agents, Who::Agent),
        (Face::Enrolment, Who::Stranger),
        (Face::Operators, Who::User(Some(0))),
    ] {
        let channel = connect(face, who).await;
        for path in none {
            assert_eq!(
                call(&channel, path).await,
                Code::Unimplemented,
                "{face:?} {path}"
            );
        }
    }
}

#[test]
fn a_refusal_of_root_only_says_how_to_get_there() {
    let mut extensions = Extensions::new();
    extensions.insert(OperatorPeer { uid: Some(1000) });
    let status = judge(
        Face::Operators,
        "/extend.fleet.v1.Operator/Backup",
        &extensions,
    );
    let refusal: extend_proto::v1::Refusal =
        prost::Message::decode(status.unwrap_err().details()).unwrap();
    assert!(refusal.hint.contains("sudo"), "{refusal:?}");
}
