//! TLS 1.2 is spoken by neither side. The other side is written out in bytes, since the library as
//! we build it does not know that version either.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::*;
use super::lab::*;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const TLS12: [u8; 2] = [3, 3];
/// ECDHE-ECDSA-AES128-GCM-SHA256.
const SUITE: [u8; 2] = [0xc0, 0x2b];

fn with_length<const BYTES: usize>(contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    [&length[4 - BYTES..], contents].concat()
}

fn extension(number: u8, contents: &[u8]) -> Vec<u8> {
    [vec![0, number], with_length::<2>(contents)].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [vec![kind], with_length::<3>(body)].concat();
    [vec![HANDSHAKE], TLS12.to_vec(), with_length::<2>(&message)].concat()
}

fn client_hello() -> Vec<u8> {
    let extensions = [
        extension(10, &[0, 2, 0, 29]),
        extension(11, &[1, 0]),
        extension(13, &[0, 2, 4, 3]),
    ]
    .concat();
    let body = [
        TLS12.to_vec(),
        vec![7; 32],
        with_length::<1>(&[]),
        with_length::<2>(&SUITE),
        with_length::<1>(&[0]),
        with_length::<2>(&extensions),
    ];
    record(CLIENT_HELLO, &body.concat())
}

fn server_hello() -> Vec<u8> {
    let body = [
        TLS12.to_vec(),
        vec![7; 32],
        with_length::<1>(&[]),
        SUITE.to_vec(),
        vec![0],
    ];
    record(SERVER_HELLO, &body.concat())
}

#[tokio::test]
async fn a_client_of_tls_1_2_is_told_and_closed() {
    let lab = Lab::new();
    for face in [lab.agents(), lab.enrolment()] {
        let server = Server::start(face).await;
        let mut client = connect_plain(NODE, server.address).await;
        client.write_all(&client_hello()).await.unwrap();
        let received = read_until_closed(&mut client).await;
        // A fatal alert, protocol_version, and nothing after it.
        assert_eq!(received, [21, 3, 3, 0, 2, 2, 70]);
        server.settles("failed", |counts| counts.failed == 1).await;
    }
}

#[tokio::test]
async fn a_server_of_tls_1_2_is_not_talked_to() {
    let lab = Lab::new();
    for config in [lab.agent(), lab.joining()] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = vec![0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(&server_hello()).await.unwrap();
            let _ = read_until_closed(&mut stream).await;
        });
        let error = dial(None, address, config, PATIENCE).await.unwrap_err();
        assert!(
            matches!(
                error,
                DialError::Tls {
                    source: rustls::Error::PeerIncompatible(_),
                    ..
                }
            ),
            "{error:?}"
        );
    }
}
