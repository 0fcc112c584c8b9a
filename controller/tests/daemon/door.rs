//! The door of a whole controller, knocked at from addresses of the loopback network: no byte for
//! who is not listed, and every change in force within a second, whatever the connection is at.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use extend_common::tls::{NodeKey, agent_client_config, dial, server_name};
use extend_proto::v1;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tonic::metadata::{AsciiMetadataKey, MetadataValue};
use tonic::{Code, Request};

use super::support::*;

/// From the answer to the command until the change is in force for every connection.
const IN_FORCE: Duration = Duration::from_secs(1);
/// The type of a TLS record with a handshake in it.
const HANDSHAKE: u8 = 22;

async fn knock(source: Ipv4Addr, at: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(at).await.unwrap()
}

/// The first record of a good handshake of this node.
fn client_hello(node: &Node) -> Vec<u8> {
    let mut client = rustls::ClientConnection::new(node.client_config(), server_name()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// Everything until the other side closes; it has to.
async fn until_closed(stream: &mut TcpStream, within: Duration) -> Vec<u8> {
    let mut received = Vec::new();
    let closed = timeout(within, stream.read_to_end(&mut received)).await;
    // A reset is a way of closing, too.
    let _ = closed.expect("the other side did not close the connection");
    received
}

/// What a proxy would put in front of a connection of `source`: versions 1 and 2.
fn proxy_lines(source: Ipv4Addr) -> [Vec<u8>; 2] {
    let text = format!("PROXY TCP4 {source} 127.0.0.1 40000 7443\r\n");
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    binary.extend(source.octets());
    binary.extend([127, 0, 0, 1, 0x9c, 0x40, 0x1d, 0x13]);
    [text.into_bytes(), binary]
}

#[tokio::test]
async fn an_unlisted_source_gets_no_byte_on_either_face_whatever_it_says() {
    let place = Place::new();
    let controller = place.start().await;
    let listed = controller.joined(node(2)).await;
    controller.token(node(3)).await;
    let revoked = controller.joined(node(4)).await;
    controller.revoke(revoked.address).await;

    // A stranger; a revoked node; a node with a token at the agents' face; an enrolled node at the
    // enrolment face.
    let (agents, enrolment) = (listed.controller, listed.enrolment);
    let unlisted = [
        (node(200), agents),
        (node(4), agents),
        (node(3), agents),
        (node(200), enrolment),
        (node(2), enrolment),
    ];
    let hello = client_hello(&listed);
    let mut before = vec![Vec::new()];
    before.extend(proxy_lines(node(2)));
    before.extend(proxy_lines(node(3)));
    before.push(b"GET / HTTP/1.1\r\nx-forwarded-for: 127.0.1.2\r\n\r\n".to_vec());
    for (source, at) in unlisted {
        for first in &before {
            let mut stream = knock(source, at).await;
            let _ = stream.write_all(first).await;
            let _ = stream.write_all(&hello).await;
            let received = until_closed(&mut stream, LIMIT).await;
            assert_eq!(received, [0_u8; 0], "{source} at {at} after {first:?}");
        }
    }
    let tallies = controller.daemon.tallies();
    until("they are counted", async || {
        let counts = (tallies.agents.counts(), tallies.enrolment.counts());
        (counts.0.refused_at_door, counts.1.refused_at_door) == (18, 12)
    })
    .await;

    for (source, at) in [(node(2), agents), (node(3), enrolment)] {
        let mut stream = knock(source, at).await;
        stream.write_all(&hello).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), HANDSHAKE, "{source}");
    }
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn what_stands_and_what_is_half_way_is_cut_within_a_second() {
    let place = Place::new();
    let controller = place.start().await;
    let (agent, other) = (
        controller.joined(node(2)).await,
        controller.joined(node(3)).await,
    );
    // In session; connected with no stream; half-way through a handshake; before its first byte.
    let mut session = agent.session().await;
    let config = agent.client_config();
    let idle = dial(Some(agent.address), agent.controller, config, LIMIT).await;
    let (mut idle, _) = idle.unwrap().into_inner();
    let mut half_way = knock(agent.address, agent.controller).await;
    half_way.write_all(&client_hello(&agent)).await.unwrap();
    assert_eq!(half_way.read_u8().await.unwrap(), HANDSHAKE);
    let mut silent = knock(agent.address, agent.controller).await;
    let mut bystander = other.session().await;

    controller.revoke(agent.address).await;
    let revoked = Instant::now();
    let left = || IN_FORCE.saturating_sub(revoked.elapsed());
    assert_eq!(session.end().await.code(), Code::PermissionDenied);
    assert!(until_closed(&mut silent, left()).await.is_empty());
    until_closed(&mut half_way, left()).await;
    until_closed(&mut idle, left()).await;

    bystander.say(heartbeat(1)).await;
    let waited = timeout(Duration::from_millis(200), bystander.hear()).await;
    assert!(waited.is_err(), "another node's session stays: {waited:?}");
    // And what is opened is open as soon as the operator has an answer.
    controller.token(agent.address).await;
    let mut again = knock(agent.address, agent.enrolment).await;
    again.write_all(&client_hello(&agent)).await.unwrap();
    assert_eq!(again.read_u8().await.unwrap(), HANDSHAKE);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn strangers_lose_their_connections_with_their_token() {
    let place = Place::new();
    let controller = place.start().await;
    let token = controller.token(node(2)).await;
    let at: SocketAddr = token.controller.into();
    let waiting = stranger(node(2), at, token.ca, &controller.time).await;
    let mut waiting = waiting.unwrap();
    let mut half_way = knock(node(2), at).await;
    half_way.write_all(b"\x16\x03\x01\x02\0").await.unwrap();

    // Somebody else spends it.
    let key = NodeKey::generate().unwrap();
    join(&token, node(2), &key, &controller.time).await.unwrap();
    let spent = Instant::now();
    let left = IN_FORCE.saturating_sub(spent.elapsed());
    assert!(until_closed(&mut half_way, left).await.is_empty());
    tokio::time::sleep(IN_FORCE.saturating_sub(spent.elapsed())).await;
    let request = v1::ChallengeRequest {
        node: node(2).to_string(),
    };
    let status = waiting.challenge(request).await.unwrap_err();
    let cut = matches!(status.code(), Code::Unavailable | Code::Unknown);
    assert!(cut, "cut, not answered: {status:?}");
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn headers_make_nobody_another() {
    let place = Place::new();
    let controller = place.start().await;
    let token = controller.token(node(2)).await;
    controller.token(node(3)).await;
    let mut client = stranger(node(3), token.controller.into(), token.ca, &controller.time)
        .await
        .unwrap();
    let key = NodeKey::generate().unwrap();
    let join_as_another = || {
        let mut request = Request::new(v1::JoinRequest {
            node: token.node.to_string(),
            secret: token.secret.to_vec(),
            csr_der: key.csr().unwrap(),
        });
        for name in ["x-forwarded-for", "x-real-ip", "client-ip", "forwarded"] {
            let value = match name {
                "forwarded" => "for=127.0.1.2",
                _ => "127.0.1.2",
            };
            let name = AsciiMetadataKey::from_static(name);
            let value = MetadataValue::from_static(value);
            request.metadata_mut().insert(name, value);
        }
        request
    };
    assert_code(client.join(join_as_another()).await, Code::PermissionDenied);
    // From its own address the same request is good.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut client = stranger(node(2), token.controller.into(), token.ca, &controller.time)
        .await
        .unwrap();
    client.join(join_as_another()).await.unwrap();
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_node_is_known_by_its_address_also_on_a_listener_that_sees_it_mapped() {
    let place = Place::new();
    let text = place.config_text().replace(
        "agents = \"127.0.0.1:0\"\nenrolment = \"127.0.0.1:0\"",
        "agents = \"[::]:0\"\nenrolment = \"[::]:0\"",
    );
    let controller = place.start_with(&text).await;
    let at = |face: SocketAddr| SocketAddr::from((Ipv4Addr::LOCALHOST, face.port()));
    let addresses = controller.daemon.addresses().clone();
    assert!(addresses.agents.is_ipv6() && addresses.enrolment.is_ipv6());

    let token = controller.token(node(2)).await;
    let key = NodeKey::generate().unwrap();
    let answer = join(&token, node(2), &key, &controller.time).await.unwrap();
    let leaf = CertificateDer::from(answer.leaf_der);
    let authority = CertificateDer::from(answer.ca_der);
    let agent = Node {
        address: node(2),
        key,
        leaf,
        authority,
        controller: at(addresses.agents),
        enrolment: at(addresses.enrolment),
        time: Arc::clone(&controller.time),
    };
    agent.session().await;

    let hello = client_hello(&agent);
    let mut unlisted = vec![knock(node(9), agent.controller).await];
    // An IPv6 source is no node's, whatever it ends in.
    let own = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, agent.controller.port()));
    unlisted.push(TcpStream::connect(own).await.unwrap());
    for mut stream in unlisted {
        let _ = stream.write_all(&hello).await;
        assert!(until_closed(&mut stream, LIMIT).await.is_empty());
    }
    let config = agent_client_config(
        &agent.authority,
        agent.leaf.clone(),
        &agent.key,
        Arc::clone(&agent.time),
    );
    let from_another = dial(Some(node(9)), agent.controller, config.unwrap(), LIMIT).await;
    assert!(from_another.is_err());
    controller.daemon.shutdown().await;
}
