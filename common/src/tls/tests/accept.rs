//! What strangers, slow clients and floods get, and what they take from others: nothing.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::super::accept::AcceptCounts;
use super::super::*;
use super::lab::*;

fn limits(change: impl FnOnce(&mut AcceptLimits)) -> AcceptLimits {
    // No time-out unless a test asks for one.
    let mut limits = AcceptLimits {
        handshake_timeout: PATIENCE * 10,
        ..Default::default()
    };
    change(&mut limits);
    limits
}

/// The first record of a real handshake.
fn client_hello(lab: &Lab) -> Vec<u8> {
    let mut client = rustls::ClientConnection::new(lab.agent(), server_name()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[tokio::test]
async fn behind_a_closed_door_there_is_not_one_byte_of_tls() {
    let lab = Lab::new();
    let (_keeper, door) = listing([NODE]);
    let server = Server::start_with(lab.agents(), door, limits(|_| {})).await;

    // What it says of its source is not read: lines of PROXY protocols 1 and 2 for a node that is
    // expected, in front of a good handshake.
    let proxy_1 = format!("PROXY TCP4 {NODE} 127.0.0.1 40000 7443\r\n").into_bytes();
    let mut proxy_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    proxy_2.extend([127, 0, 0, 7, 127, 0, 0, 1, 0x9c, 0x40, 0x1d, 0x13]);
    for before in [&[][..], &proxy_1, &proxy_2] {
        let mut stranger = connect_plain(OTHER, server.address).await;
        let _ = stranger.write_all(before).await;
        let _ = stranger.write_all(&client_hello(&lab)).await;
        assert!(read_until_closed(&mut stranger).await.is_empty());
    }
    server
        .settles("refused", |counts| {
            counts
                == AcceptCounts {
                    refused_at_door: 3,
                    ..Default::default()
                }
        })
        .await;

    let mut expected = connect_plain(NODE, server.address).await;
    expected.write_all(&client_hello(&lab)).await.unwrap();
    assert_eq!(
        expected.read_u8().await.unwrap(),
        22,
        "the door is open for the node"
    );
}

#[tokio::test]
async fn the_door_is_asked_anew_for_every_connection() {
    let lab = Lab::new();
    let (keeper, door) = listing([NODE]);
    let server = Server::start_with(lab.agents(), door, limits(|_| {})).await;
    server.try_from(NODE, &lab.agent()).await.unwrap();

    keeper.send_modify(HashSet::clear);
    let error = server.try_from(NODE, &lab.agent()).await.unwrap_err();
    assert!(matches!(error, DialError::Closed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_handshake_ends_when_the_door_shuts_in_the_middle_of_it() {
    let lab = Lab::new();
    let (keeper, door) = listing([NODE, OTHER]);
    let server = Server::start_with(lab.agents(), door, limits(|_| {})).await;
    // One has not begun, one waits for the client's certificate.
    let mut silent = connect_plain(NODE, server.address).await;
    let mut half_way = connect_plain(NODE, server.address).await;
    half_way.write_all(&client_hello(&lab)).await.unwrap();
    assert_eq!(half_way.read_u8().await.unwrap(), 22);
    let mut bystander = connect_plain(OTHER, server.address).await;

    keeper.send_modify(|sources| {
        sources.remove(&NODE);
    });

    assert!(read_until_closed(&mut silent).await.is_empty());
    let _ = read_until_closed(&mut half_way).await;
    server
        .settles("cut", |counts| counts.refused_at_door == 2)
        .await;
    bystander.write_all(&client_hello(&lab)).await.unwrap();
    assert_eq!(
        bystander.read_u8().await.unwrap(),
        22,
        "the other one goes on"
    );
}

#[tokio::test]
async fn a_line_of_the_proxy_protocol_makes_no_node_another() {
    let lab = Lab::new();
    let server = Server::start_with(lab.agents(), open_door(), limits(|_| {})).await;
    // It is the beginning of a handshake to us, and a bad one.
    let mut liar = connect_plain(OTHER, server.address).await;
    let line = format!("PROXY TCP4 {NODE} 127.0.0.1 40000 7443\r\n");
    liar.write_all(line.as_bytes()).await.unwrap();
    let _ = liar.write_all(&client_hello(&lab)).await;
    let answer = read_until_closed(&mut liar).await;
    assert!(answer.first().is_none_or(|kind| *kind == 21), "{answer:?}");
    server.settles("failed", |counts| counts.failed == 1).await;
}

#[tokio::test]
async fn a_mapped_address_is_the_address() {
    let lab = Lab::new();
    let Ok(listener) = TcpListener::bind("[::]:0").await else {
        eprintln!("NOT TESTED: this host has no IPv6");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let (_keeper, door) = listing([NODE]);
    let mut incoming = serve_tls(
        listener,
        lab.agents(),
        door,
        limits(|_| {}),
        CancellationToken::new(),
    );
    let client = dial(
        Some(NODE),
        (Ipv4Addr::LOCALHOST, port).into(),
        lab.agent(),
        PATIENCE,
    );
    let taking = async {
        let mut connection = incoming.next().await.unwrap().unwrap();
        connection.write_u8(b'!').await.unwrap();
        connection.flush().await.unwrap();
        connection
    };
    let both = async { tokio::join!(client, taking) };
    let (client, connection) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    let local = client.unwrap().get_ref().0.local_addr().unwrap();
    assert_eq!(connection.peer().remote, local);
    assert_eq!(connection.peer().node.as_ref().unwrap().node, NODE);
    assert_eq!(
        connection.peer().node.as_ref().unwrap().serial,
        lab.leaf.serial
    );
}

#[tokio::test]
async fn silent_and_dribbling_clients_are_closed_in_time() {
    let lab = Lab::new();
    let timeout = Duration::from_millis(300);
    let limits = limits(|limits| limits.handshake_timeout = timeout);
    let server = Server::start_with(lab.agents(), open_door(), limits).await;
    let begun = Instant::now();

    let mut silent = connect_plain(NODE, server.address).await;
    let (mut reader, mut writer) = connect_plain(NODE, server.address).await.into_split();
    let hello = client_hello(&lab);
    let dribbling = tokio::spawn(async move {
        for byte in hello {
            let _ = writer.write_u8(byte).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });

    assert!(read_until_closed(&mut silent).await.is_empty());
    assert!(begun.elapsed() >= timeout);
    let mut received = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut received)).await;
    assert!(
        closed.is_ok(),
        "a byte now and then must not keep the connection"
    );
    assert!(received.is_empty(), "{received:?}");
    assert!(
        !dribbling.is_finished(),
        "it was closed while the client was still sending"
    );
    dribbling.abort();
    server
        .settles("timed out", |counts| counts.timed_out == 2)
        .await;
}

#[tokio::test]
async fn a_slow_handshake_holds_up_nobody() {
    let lab = Lab::new();
    let server = Server::start_with(lab.agents(), open_door(), limits(|_| {})).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(connect_plain(OTHER, server.address).await);
    }
    server.try_from(NODE, &lab.agent()).await.unwrap();
    assert_eq!(
        server.counts(),
        AcceptCounts {
            established: 1,
            ..Default::default()
        }
    );
}

#[tokio::test]
async fn past_the_limit_handshakes_wait_their_turn() {
    let lab = Lab::new();
    let timeout = Duration::from_millis(500);
    let limits = limits(|limits| {
        limits.handshakes = 2;
        limits.handshake_timeout = timeout;
    });
    let server = Server::start_with(lab.agents(), open_door(), limits).await;
    let begun = Instant::now();
    let _first = connect_plain(OTHER, server.address).await;
    let _second = connect_plain(OTHER, server.address).await;

    server.try_from(NODE, &lab.agent()).await.unwrap();

    assert!(
        begun.elapsed() >= timeout,
        "it should have waited for a place"
    );
    assert_eq!(
        server.counts(),
        AcceptCounts {
            established: 1,
            timed_out: server.counts().timed_out,
            ..Default::default()
        },
        "it waited and was not sent away"
    );
}

#[tokio::test]
async fn one_source_cannot_take_the_places_of_others() {
    let lab = Lab::new();
    let limits = limits(|limits| limits.per_source = 2);
    let server = Server::start_with(lab.agents(), open_door(), limits).await;
    let first = server.try_from(NODE, &lab.agent()).await.unwrap();
    let _second = connect_plain(NODE, server.address).await;

    let mut third = connect_plain(NODE, server.address).await;
    assert!(read_until_closed(&mut third).await.is_empty());
    server
        .settles("crowded", |counts| counts.crowded == 1)
        .await;
    let _other = connect_plain(OTHER, server.address).await;

    // An established connection holds its place until it ends.
    drop(first);
    let again = async {
        while server.try_from(NODE, &lab.agent()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again)
        .await
        .expect("the place was not given back");
}

#[tokio::test]
async fn shutting_down_ends_the_stream_the_listener_and_the_handshakes() {
    let lab = Lab::new();
    let server = Server::start_with(lab.agents(), open_door(), limits(|_| {})).await;
    // One established connection, so that the acceptor is known to have got as far.
    let mut established = server.try_from(NODE, &lab.agent()).await.unwrap();
    let mut under_way = connect_plain(NODE, server.address).await;
    under_way.write_all(&client_hello(&lab)).await.unwrap();
    assert_eq!(under_way.read_u8().await.unwrap(), 22);

    server.shutdown.cancel();

    tokio::time::timeout(PATIENCE, server.serving)
        .await
        .unwrap()
        .unwrap();
    let _ = read_until_closed(&mut under_way).await;
    let refused = dial(Some(NODE), server.address, lab.agent(), PATIENCE).await;
    assert!(
        matches!(refused, Err(DialError::Refused { .. })),
        "{refused:?}"
    );
    // What was handed on is its taker's to end.
    established.write_u8(b'?').await.unwrap();
    assert_eq!(established.read_u8().await.unwrap(), b'?');
}

#[tokio::test]
async fn dropping_the_stream_ends_everything_too() {
    let lab = Lab::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = serve_tls(
        listener,
        lab.agents(),
        open_door(),
        limits(|_| {}),
        CancellationToken::new(),
    );
    let mut under_way = connect_plain(NODE, address).await;
    under_way.write_all(&client_hello(&lab)).await.unwrap();
    assert_eq!(under_way.read_u8().await.unwrap(), 22);

    drop(incoming);

    let _ = read_until_closed(&mut under_way).await;
    let refused = dial(Some(NODE), address, lab.agent(), PATIENCE).await;
    assert!(
        matches!(refused, Err(DialError::Refused { .. })),
        "{refused:?}"
    );
}
