//! Against servers of a few lines, each with one habit; real ones are asked in `tests/tests/sip.rs`.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

const LIMIT: Duration = Duration::from_millis(900);
const OWN: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What answers a question: its own head fields under another first line.
fn answered(question: &[u8], status: &str) -> Vec<u8> {
    let text = std::str::from_utf8(question).unwrap();
    let (_, rest) = text.split_once("\r\n").unwrap();
    format!("SIP/2.0 {status}\r\n{rest}").into_bytes()
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    SocketAddrV4::new(OWN, address.port())
}

/// A server that is given each datagram with its number, and sends what it makes of it.
async fn udp(make: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddrV4 {
    let socket = UdpSocket::bind((OWN, 0)).await.unwrap();
    let address = v4(socket.local_addr().unwrap());
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        for number in 0.. {
            let (count, from) = socket.recv_from(&mut buffer).await.unwrap();
            for answer in make(number, &buffer[..count]) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    address
}

async fn ask_udp(to: SocketAddrV4) -> Result<u16, String> {
    let answer = ask(Transport::Udp, OWN, to, LIMIT).await;
    answer.map_err(Fault::words)
}

#[tokio::test]
async fn every_final_answer_over_udp_is_one_and_provisional_ones_are_waited_out() {
    for status in [200, 404, 503] {
        let server = udp(move |_, question| {
            let last = format!("{status} X");
            vec![answered(question, "100 Trying"), answered(question, &last)]
        });
        assert_eq!(ask_udp(server.await).await, Ok(status));
    }
    let trying = udp(|_, question| vec![answered(question, "100 Trying")]).await;
    let words = ask_udp(trying).await.unwrap_err();
    assert_eq!(words, "only a provisional answer came within 900ms");
}

#[tokio::test]
async fn a_datagram_that_is_lost_is_sent_again_as_it_was() {
    let (tell, mut told) = mpsc::channel(8);
    let server = udp(move |number, question| {
        tell.try_send(question.to_vec()).unwrap();
        match number {
            0 => Vec::new(),
            _ => vec![answered(question, "200 OK")],
        }
    });
    assert_eq!(ask_udp(server.await).await, Ok(200));
    let (first, second) = (told.recv().await.unwrap(), told.recv().await.unwrap());
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_question_that_has_arrived_is_not_sent_again() {
    let (tell, mut told) = mpsc::channel(8);
    let server = udp(move |_, question| {
        tell.try_send(()).unwrap();
        vec![answered(question, "100 Trying")]
    });
    ask_udp(server.await).await.unwrap_err();
    assert!(told.try_recv().is_ok() && told.try_recv().is_err());
}

#[tokio::test]
async fn silence_garbage_and_a_closed_port_are_no_answers_over_udp() {
    let silent = udp(|_, _| Vec::new()).await;
    assert_eq!(
        ask_udp(silent).await.unwrap_err(),
        "nothing came within 900ms"
    );
    let babbles = udp(|_, _| vec![b"\0\xffbusy".to_vec()]).await;
    let words = ask_udp(babbles).await.unwrap_err();
    assert_eq!(words, "what came within 900ms is no answer to it");
    let floods = udp(|_, question| {
        let answer = answered(question, "200 OK");
        let other = String::from_utf8(answer)
            .unwrap()
            .replace("z9hG4bK", "z9hG4bKa");
        vec![other.into_bytes(); MAX_HEARD]
    });
    let words = ask_udp(floods.await).await.unwrap_err();
    assert_eq!(words, "what came in 64 messages is no answer to it");
    // Bound once, and closed.
    let closed = UdpSocket::bind((OWN, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let words = ask_udp(v4(closed)).await.unwrap_err();
    assert!(words.contains("refused"), "{words}");
}

/// A server that reads one question from each connection and goes on with it as it likes.
async fn tcp<F>(go_on: impl Fn(TcpStream, Vec<u8>) -> F + Send + 'static) -> SocketAddrV4
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((OWN, 0)).await.unwrap();
    let address = v4(listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = Vec::new();
            while frame(&question) == Frame::Open {
                assert!(stream.read_buf(&mut question).await.unwrap() > 0);
            }
            tokio::spawn(go_on(stream, question));
        }
    });
    address
}

async fn ask_tcp(to: SocketAddrV4) -> Result<u16, String> {
    let answer = ask(Transport::Tcp, OWN, to, LIMIT).await;
    answer.map_err(Fault::words)
}

#[tokio::test]
async fn an_answer_on_a_connection_may_come_in_pieces_and_behind_others() {
    let server = tcp(|mut stream, question| async move {
        let mut all = b"\r\n\r\n".to_vec();
        all.extend(answered(&question, "100 Trying"));
        let other = String::from_utf8(answered(&question, "200 OK")).unwrap();
        all.extend(other.replace("z9hG4bK", "z9hG4bKa").as_bytes());
        all.extend(answered(&question, "503 Draining"));
        for piece in all.chunks(97) {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        // Whoever asked does not wait for the end of the connection.
        std::future::pending().await
    });
    assert_eq!(ask_tcp(server.await).await, Ok(503));
}

#[tokio::test]
async fn silence_garbage_and_a_closed_port_are_no_answers_over_tcp() {
    let silent = tcp(|stream, _| async move {
        let _held = stream;
        std::future::pending().await
    });
    assert_eq!(
        ask_tcp(silent.await).await.unwrap_err(),
        "nothing came within 900ms"
    );
    let hangs_up = tcp(|_, _| async {});
    let words = ask_tcp(hangs_up.await).await.unwrap_err();
    assert_eq!(words, "nothing came before it hung up");
    for garbage in [
        &b"220 mail ESMTP\r\n\r\n"[..],
        b"half an answer",
        &[b'x'; 2 * MAX_ANSWER],
    ] {
        let babbles = tcp(move |mut stream, _| async move {
            drop(stream.write_all(garbage).await);
        });
        let words = ask_tcp(babbles.await).await.unwrap_err();
        assert_eq!(words, "what came before it hung up is no answer to it");
    }
    let closed = TcpListener::bind((OWN, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let words = ask_tcp(v4(closed)).await.unwrap_err();
    assert!(words.contains("refused"), "{words}");
}

#[tokio::test]
async fn a_question_comes_from_the_address_that_it_names() {
    let own = Ipv4Addr::new(127, 0, 44, 1);
    for transport in [Transport::Udp, Transport::Tcp] {
        let (tell, mut told) = mpsc::channel(8);
        let to = match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind((OWN, 0)).await.unwrap();
                let to = v4(socket.local_addr().unwrap());
                tokio::spawn(async move {
                    let mut buffer = [0; 2048];
                    let (count, from) = socket.recv_from(&mut buffer).await.unwrap();
                    tell.try_send((buffer[..count].to_vec(), from)).unwrap();
                });
                to
            }
            Transport::Tcp => {
                tcp(move |stream, question| {
                    tell.try_send((question, stream.peer_addr().unwrap()))
                        .unwrap();
                    async {}
                })
                .await
            }
        };
        ask(transport, own, to, LIMIT).await.unwrap_err();
        let (question, from) = told.recv().await.unwrap();
        assert_eq!(from.ip(), IpAddr::V4(own));
        let text = String::from_utf8(question).unwrap();
        assert!(text.contains(&format!(" {from};branch=")), "{text}");
    }
}
