//! The acceptor under tonic: who called is among the extensions, and a rejection reaches the caller.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use http::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Server};
use tower::{Service, ServiceExt, service_fn};

use super::super::*;
use super::lab::*;

/// Answers every call with what it knows of the caller.
async fn who_am_i(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let peer = request.extensions().get::<PeerInfo>().unwrap();
    let node = peer
        .node
        .as_ref()
        .map_or_else(|| "nobody".to_owned(), |n| n.node.to_string());
    Ok(Response::builder()
        .header("node", node)
        .body(Body::empty())
        .unwrap())
}

async fn start(tls: ServerTls) -> std::net::SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let incoming = serve_tls(
        listener,
        tls,
        open_door(),
        AcceptLimits::default(),
        shutdown,
    );
    tokio::spawn(Server::builder().serve_with_incoming(service_fn(who_am_i), incoming));
    address
}

async fn call(
    address: std::net::SocketAddr,
    config: Arc<ClientConfig>,
) -> Result<String, Box<dyn std::error::Error>> {
    let connector = service_fn(move |_| {
        let config = Arc::clone(&config);
        async move {
            dial(Some(NODE), address, config, PATIENCE)
                .await
                .map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://controller.extend");
    let mut channel: Channel = endpoint.connect_with_connector(connector).await?;
    let request = Request::builder()
        .uri("http://controller.extend/x/Y")
        .body(Body::empty())?;
    let response = channel.ready().await?.call(request).await?;
    Ok(response.headers()["node"].to_str()?.to_owned())
}

#[tokio::test]
async fn a_call_carries_who_made_it() {
    let lab = Lab::new();
    assert_eq!(
        call(start(lab.agents()).await, lab.agent()).await.unwrap(),
        "127.0.0.7"
    );
    assert_eq!(
        call(start(lab.enrolment()).await, lab.joining())
            .await
            .unwrap(),
        "nobody"
    );
}

#[tokio::test]
async fn a_rejected_node_finds_out_why() {
    let lab = Lab::new();
    let key = new_key();
    let mut expired = node_params();
    redate(&mut expired, now() - DAY - DAY, now() - DAY);
    let shown = certified(vec![sign(&expired, &key, &lab.authority.issuer)], &key);
    let error = call(start(lab.agents()).await, lab.rogue_agent(Some(shown)))
        .await
        .unwrap_err();
    let refusal = DialError::find(error.as_ref());
    assert!(
        matches!(
            refusal,
            Some(DialError::Rejected {
                source: PeerRefusal::NotValidNow,
                ..
            })
        ),
        "{error:?}"
    );
}
