//! The agent's package on the enrolment port: who gets it, over which protocol, and what else is
//! asked for there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use extend_common::hash::sha256;
use extend_common::tls::{JoinToken, pinned_client_config, server_name};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::support::*;

/// Larger than what is read and sent at a time.
const SIZE: usize = 300_000;

/// A controller with a package to hand out.
async fn with_package() -> (Place, Controller, Vec<u8>) {
    let place = Place::new();
    let packages = place.root().join("agent");
    std::fs::create_dir(&packages).unwrap();
    let contents: Vec<u8> = (0..SIZE).map(|n| u8::try_from(n % 251).unwrap()).collect();
    std::fs::write(packages.join("extend-agent_0.1.0_amd64.deb"), &contents).unwrap();
    let controller = place.start().await;
    (place, controller, contents)
}

/// What a node that joins dials with, but for its protocols.
fn speaking(token: &JoinToken, controller: &Controller, protocols: &[&str]) -> Arc<ClientConfig> {
    let config = pinned_client_config(token.ca, Arc::clone(&controller.time)).unwrap();
    let mut config = (*config).clone();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}

/// A connection of which nothing is expected before something was asked.
async fn connect(
    source: Ipv4Addr,
    to: SocketAddr,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    let stream = socket.connect(to).await?;
    TlsConnector::from(config)
        .connect(server_name(), stream)
        .await
}

/// The head of the answer to some bytes, and its body; none when the connection did not come about.
async fn ask(
    source: Ipv4Addr,
    token: &JoinToken,
    config: Arc<ClientConfig>,
    request: &[u8],
) -> Option<(String, Vec<u8>)> {
    let mut stream = connect(source, token.controller.into(), config)
        .await
        .ok()?;
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer))
        .await
        .expect("the connection is closed after the answer")
        .unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let body = answer.split_off(end + 4);
    Some((String::from_utf8(answer).unwrap(), body))
}

fn get(method: &str, path: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: controller.extend\r\n\r\n").into_bytes()
}

const PACKAGE: &str = "/agent/extend-agent.deb";

#[tokio::test]
async fn the_package_is_fetched_with_a_token_over_http1_named_or_not() {
    let (_place, controller, contents) = with_package().await;
    let token = controller.token(node(2)).await;
    for protocols in [&["http/1.1"][..], &[], &["http/1.1", "http/1.0"]] {
        let config = speaking(&token, &controller, protocols);
        let (head, body) = ask(node(2), &token, config, &get("GET", PACKAGE))
            .await
            .unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let hash = extend_common::hash::encode(&sha256(&contents));
        for header in [
            format!("content-length: {SIZE}\r\n"),
            format!("etag: \"{hash}\"\r\n"),
            format!("x-sha256: {hash}\r\n"),
            "filename=\"extend-agent_0.1.0_amd64.deb\"\r\n".to_owned(),
        ] {
            assert!(head.contains(&header), "{header} in {head}");
        }
        assert!(body == contents, "{} bytes", body.len());
    }
    let config = speaking(&token, &controller, &["http/1.1"]);
    let (head, body) = ask(node(2), &token, config, &get("HEAD", PACKAGE))
        .await
        .unwrap();
    assert!(
        head.contains(&format!("content-length: {SIZE}\r\n")),
        "{head}"
    );
    assert!(body.is_empty());
    // Whoever speaks both gets what calls are made with; the token is as good as before.
    let key = extend_common::tls::NodeKey::generate().unwrap();
    join(&token, node(2), &key, &controller.time).await.unwrap();
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn there_is_nothing_else_to_be_had() {
    let (_place, controller, _) = with_package().await;
    let token = controller.token(node(2)).await;
    let status = async |request: &[u8]| {
        let config = speaking(&token, &controller, &["http/1.1"]);
        let (head, _) = ask(node(2), &token, config, request).await.unwrap();
        head.split(' ').nth(1).unwrap().to_owned()
    };
    for path in [
        "/",
        "/agent",
        "/agent/",
        "/healthz",
        "/agent/../controller.toml",
    ] {
        assert_eq!(status(&get("GET", path)).await, "404", "{path}");
    }
    assert_eq!(
        status(&get("GET", "/extend.fleet.v1.Operator/MintToken")).await,
        "404"
    );
    for method in ["POST", "PUT", "DELETE", "get"] {
        assert_eq!(status(&get(method, PACKAGE)).await, "405", "{method}");
    }
    assert_eq!(status(b"\r\n\r\n").await, "400");
    let endless = [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'x'; 9000]].concat();
    assert_eq!(status(&endless).await, "400");
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn the_door_is_shut_without_a_token_and_behind_one() {
    let (_place, controller, _) = with_package().await;
    let token = controller.token(node(2)).await;
    let from = async |source| {
        let config = speaking(&token, &controller, &["http/1.1"]);
        ask(source, &token, config, &get("GET", PACKAGE))
            .await
            .is_some()
    };
    assert!(!from(node(3)).await, "nobody is expected from there");
    assert!(from(node(2)).await);
    let key = extend_common::tls::NodeKey::generate().unwrap();
    join(&token, node(2), &key, &controller.time).await.unwrap();
    assert!(!from(node(2)).await, "the token is spent");
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn the_agents_port_does_not_speak_http1() {
    let (_place, controller, _) = with_package().await;
    let agent = controller.joined(node(2)).await;
    let mut config = (*agent.client_config()).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let dialled = connect(node(2), agent.controller, Arc::new(config)).await;
    assert!(dialled.is_err(), "no protocol in common");
    assert!(agent.can_come_in().await);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn where_there_is_no_package_that_is_said() {
    let place = Place::new();
    let controller = place.start().await;
    let token = controller.token(node(2)).await;
    let config = speaking(&token, &controller, &[]);
    let (head, body) = ask(node(2), &token, config, &get("GET", PACKAGE))
        .await
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    let words = String::from_utf8(body).unwrap();
    assert!(
        words.starts_with("there is no agent's package in "),
        "{words}"
    );

    let request = extend_proto::v1::DescribeEnrolmentRequest {};
    let mut operator = controller.operator().await;
    let view = operator
        .describe_enrolment(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(view.package, None);
    assert!(
        view.problem.starts_with("there is no agent's package"),
        "{view:?}"
    );
    assert!(view.hint.contains("apt-get install"), "{view:?}");
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn an_operator_is_told_what_nodes_install_and_trust() {
    let (place, controller, contents) = with_package().await;
    let token = controller.token(node(2)).await;
    let mut operator = controller.operator().await;
    let request = extend_proto::v1::DescribeEnrolmentRequest {};
    let view = operator
        .describe_enrolment(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(view.address, token.controller.to_string());
    assert_eq!(extend_common::tls::Fingerprint::of(&view.ca_der), token.ca);
    let package = view.package.unwrap();
    let path = place.root().join("agent/extend-agent_0.1.0_amd64.deb");
    assert_eq!(package.path, path.display().to_string());
    assert_eq!(
        (package.version.as_str(), package.architecture.as_str()),
        ("0.1.0", "amd64")
    );
    assert_eq!(package.sha256, sha256(&contents));
    assert_eq!(package.size, SIZE as u64);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn one_that_stops_reading_holds_up_nobody_and_is_cut_at_the_end() {
    let (_place, controller, contents) = with_package().await;
    let token = controller.token(node(2)).await;
    let config = speaking(&token, &controller, &[]);
    let mut slow = Vec::new();
    for _ in 0..2 {
        let stream = connect(node(2), token.controller.into(), Arc::clone(&config)).await;
        let mut stream = stream.unwrap();
        stream.write_all(b"GET ").await.unwrap();
        stream.flush().await.unwrap();
        slow.push(stream);
    }
    // Its two places are taken as soon as the controller has seen both.
    let (head, _) = loop {
        let answer = ask(node(2), &token, Arc::clone(&config), &get("GET", PACKAGE)).await;
        let answer = answer.unwrap();
        if !answer.0.starts_with("HTTP/1.1 200") {
            break answer;
        }
    };
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{head}"
    );
    let other = controller.token(node(3)).await;
    let (_, body) = ask(node(3), &other, config, &get("GET", PACKAGE))
        .await
        .unwrap();
    assert!(body == contents);
    controller.daemon.shutdown().await;
    for mut stream in slow {
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest).await);
        assert!(rest.is_empty(), "it was cut without an answer");
    }
}
