//! Asks a server whether it answers to SIP: OPTIONS, over UDP or on a connection of its own. An
//! answer of any kind is one; silence, a refusal by the host or something that is no answer is
//! none.
//!
//! What is sent and what an answer is says `message`; here is when, and for how long
//! ([0019](../../../docs/decisions/0019-one-question-and-no-sip-stack.md)).

mod message;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use extend_common::duration;
use extend_common::roles::Transport;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;
use message::{CHANCE, Frame, Question, Reply, frame};

/// The first wait before a datagram is sent again, doubled after each (RFC 3261, timer E).
const T1: Duration = Duration::from_millis(500);
/// The longest; and the wait once it is known that the question has arrived.
const T2: Duration = Duration::from_secs(4);
/// No answer to OPTIONS is longer, nor are the provisional ones before it together.
const MAX_ANSWER: usize = 16 * 1024;
/// So many messages that are no answer are listened to; a flood of them is garbage.
const MAX_HEARD: usize = 64;

/// The status of the answer that the server at `to` gives within `limit`; why it gives none, in
/// words. Asked from an address of our own, where answers come back to.
pub(super) async fn ask(
    transport: Transport,
    own: Ipv4Addr,
    to: SocketAddrV4,
    limit: Duration,
) -> Result<u16, Fault> {
    let deadline = Instant::now() + limit;
    let mut heard = Heard::default();
    let asking = async {
        match transport {
            Transport::Udp => over_udp(own, to, &mut heard).await,
            Transport::Tcp => over_tcp(own, to, &mut heard).await,
        }
    };
    match timeout_at(deadline, asking).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(Silent::Refused(error))) => Err(error.into()),
        Ok(Err(Silent::Ended)) => Err(heard.fault("before it hung up")),
        Ok(Err(Silent::Flood)) => Err(heard.fault(&format!("in {MAX_HEARD} messages"))),
        Err(_) => Err(heard.fault(&format!("within {}", duration::show(limit)))),
    }
}

/// What has come that is no final answer.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    provisional: bool,
    garbage: bool,
}

impl Heard {
    fn note(&mut self, reply: Option<Reply>) {
        self.provisional |= reply.is_some();
        self.garbage |= reply.is_none();
    }

    fn fault(self, until: &str) -> Fault {
        Fault::Silent(match self {
            Self {
                provisional: true, ..
            } => format!("only a provisional answer came {until}"),
            Self { garbage: true, .. } => format!("what came {until} is no answer to it"),
            _ => format!("nothing came {until}"),
        })
    }
}

/// Why no answer will come any more.
enum Silent {
    Refused(io::Error),
    Ended,
    Flood,
}

impl From<io::Error> for Silent {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

/// A connected socket: the kernel keeps strangers out, and tells when the port is closed.
async fn over_udp(own: Ipv4Addr, to: SocketAddrV4, heard: &mut Heard) -> Result<u16, Silent> {
    let socket = UdpSocket::bind((own, 0)).await?;
    socket.connect(to).await?;
    let question = question(Transport::Udp, to, socket.local_addr()?)?;
    let text = question.text();
    let mut buffer = vec![0; MAX_ANSWER];
    let mut wait = T1;
    socket.send(text.as_bytes()).await?;
    let mut again = Instant::now() + wait;
    let mut listened = 0;
    while listened < MAX_HEARD {
        let Ok(received) = timeout_at(again, socket.recv(&mut buffer)).await else {
            socket.send(text.as_bytes()).await?;
            wait = if heard.provisional {
                T2
            } else {
                (wait * 2).min(T2)
            };
            again = Instant::now() + wait;
            continue;
        };
        listened += 1;
        let reply = question.judge(buffer.get(..received?).unwrap_or_default());
        if let Some(Reply::Final(status)) = reply {
            return Ok(status);
        }
        heard.note(reply);
        if reply.is_some() {
            again = Instant::now() + T2;
        }
    }
    Err(Silent::Flood)
}

/// A connection for one question: one that is kept would say nothing of those that callers make.
async fn over_tcp(own: Ipv4Addr, to: SocketAddrV4, heard: &mut Heard) -> Result<u16, Silent> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((own, 0)))?;
    let mut stream = socket.connect(SocketAddr::V4(to)).await?;
    let question = question(Transport::Tcp, to, stream.local_addr()?)?;
    stream.write_all(question.text().as_bytes()).await?;
    let mut bytes = Vec::new();
    let mut portion = [0; 1024];
    loop {
        match frame(&bytes) {
            Frame::Whole(end) => {
                let rest = bytes.split_off(end);
                let reply = question.judge(without_blanks(&bytes));
                if let Some(Reply::Final(status)) = reply {
                    return Ok(status);
                }
                heard.note(reply);
                bytes = rest;
                continue;
            }
            Frame::Open if bytes.len() < MAX_ANSWER => {}
            Frame::Open | Frame::Garbage => {
                heard.note(None);
                return Err(Silent::Ended);
            }
        }
        let count = stream.read(&mut portion).await?;
        heard.garbage |= count == 0 && !without_blanks(&bytes).is_empty();
        if count == 0 {
            return Err(Silent::Ended);
        }
        bytes.extend(portion.iter().take(count));
    }
}

fn without_blanks(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().take_while(|byte| b"\r\n".contains(byte));
    bytes.get(begin.count()..).unwrap_or_default()
}

fn question(transport: Transport, to: SocketAddrV4, own: SocketAddr) -> io::Result<Question> {
    let IpAddr::V4(ip) = own.ip() else {
        return Err(io::Error::other("a node's address is an IPv4 address"));
    };
    let mut chance = [0; CHANCE];
    let filled = SystemRandom::new().fill(&mut chance);
    filled.map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let own = SocketAddrV4::new(ip, own.port());
    Ok(Question::new(transport, to, own, chance))
}

#[cfg(test)]
mod tests;
