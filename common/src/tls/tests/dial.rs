//! Where dialling ends is told apart.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::super::*;
use super::lab::*;

const SHORT: Duration = Duration::from_millis(200);

async fn failure(local: Ipv4Addr, remote: SocketAddr, limit: Duration) -> DialError {
    dial(Some(local), remote, Lab::new().agent(), limit)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(NODE, address, PATIENCE).await;
    assert_eq!(
        error.to_string(),
        format!("{address} refused the connection")
    );
}

#[tokio::test]
async fn nobody_answers() {
    // A listener whose queue is full drops what comes, as a firewall would.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await
    {
        filling.push(stream.unwrap());
    }
    let error = failure(NODE, address, SHORT).await;
    assert_eq!(
        error.to_string(),
        format!("{address} did not answer within 200ms")
    );
}

#[tokio::test]
async fn somebody_answers_and_says_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = failure(NODE, address, SHORT).await;
    let expected = format!("{address} did not finish the TLS handshake within 200ms");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn somebody_closes() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let error = failure(NODE, address, PATIENCE).await;
    assert!(matches!(error, DialError::Closed { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("extend node list"));
}

#[tokio::test]
async fn somebody_closes_politely_after_the_handshake() {
    let lab = Lab::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (door, limits) = (open_door(), AcceptLimits::default());
    let mut incoming = serve_tls(
        listener,
        lab.agents(),
        door,
        limits,
        CancellationToken::new(),
    );
    tokio::spawn(async move {
        let mut connection = incoming.next().await.unwrap().unwrap();
        connection.shutdown().await.unwrap();
    });
    let dialled = dial(Some(NODE), address, lab.agent(), PATIENCE).await;
    assert!(
        matches!(dialled, Err(DialError::Closed { .. })),
        "{dialled:?}"
    );
}

#[tokio::test]
async fn somebody_speaks_something_else() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let _ = read_until_closed(&mut stream).await;
    });
    let error = failure(NODE, address, PATIENCE).await;
    assert!(matches!(error, DialError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn the_address_to_dial_from_is_used_or_named() {
    let lab = Lab::new();
    let server = Server::start(lab.agents()).await;
    let stream = server.try_from(NODE, &lab.agent()).await.unwrap();
    assert_eq!(stream.get_ref().0.local_addr().unwrap().ip(), NODE);
    assert!(stream.get_ref().0.nodelay().unwrap());

    let nobodys = Ipv4Addr::new(192, 0, 2, 1);
    let error = failure(nobodys, server.address, PATIENCE).await;
    assert_eq!(
        error.to_string(),
        "cannot use 192.0.2.1 as the address to dial from"
    );
}

#[test]
fn a_configuration_needs_a_certificate_for_its_key() {
    let lab = Lab::new();
    let other = NodeKey::generate().unwrap();
    let config = agent_client_config(
        lab.authority.certificate(),
        lab.leaf.der.clone(),
        &other,
        clock(now()),
    );
    assert_eq!(
        config.unwrap_err().to_string(),
        "the node's certificate does not fit its key"
    );
}
