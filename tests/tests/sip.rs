//! The agent's SIP question to servers that others have written: Debian's kamailio and SIPp. Run by
//! `scripts/sip.sh`, which brings both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use extend_agent::core::health::Answer;
use extend_agent::docker::memory::MemoryDocker;
use extend_agent::probe::{Aim, Prober as _, RealProber};
use extend_agent::service::Gauges;
use extend_common::record::Instance;
use extend_common::roles::{
    Consequence, Point, PortRange, ProbeDefinition, ProbeKind, RoleSet, Transport,
};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

/// As the built-in definitions have it.
const LIMIT: Duration = Duration::from_secs(2);
/// For a server to start.
const SOON: Duration = Duration::from_secs(20);
const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// A server with its files; ended when it is dropped.
struct Peer {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Peer {
    fn start(program: &str, port: u16, dir: TempDir, words: &[&str]) -> Self {
        let log = File::create(dir.path().join("log")).unwrap();
        let started = Command::new(program)
            .args(words)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn();
        let child = started.unwrap_or_else(|error| {
            panic!("{program}: {error}\nhint: scripts/sip.sh brings it, or apt-get install sip-tester kamailio")
        });
        Self { child, port, dir }
    }

    /// Every process of it.
    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        killpg(group, signal).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    async fn ask(&self, transport: Transport) -> Answer {
        ask(Point::Sip(transport, self.port)).await
    }

    /// Asks until the answer is one that is waited for.
    async fn await_answer(&mut self, point: Point) -> Answer {
        let until = Instant::now() + SOON;
        loop {
            let answer = ask(point).await;
            if matches!(answer, Answer::Passed { .. }) {
                return answer;
            }
            let ended = self.child.try_wait().unwrap();
            let log = self.log();
            assert!(ended.is_none(), "it has ended: {ended:?}\n{log}");
            assert!(Instant::now() < until, "{point}: {answer:?}\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        // It may be over already.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

async fn ask(point: Point) -> Answer {
    let ports: PortRange = "1".parse().unwrap();
    let kind = match point {
        Point::Sip(transport, _) => ProbeKind::Sip { transport, ports },
        _ => ProbeKind::Udp { ports },
    };
    let definition = ProbeDefinition {
        kind,
        interval: Duration::from_secs(5),
        timeout: LIMIT,
        failures: 3,
        successes: 1,
        consequence: Consequence::Restart,
    };
    let docker = Arc::new(MemoryDocker::new(RoleSet::built_in().unwrap()));
    let prober = RealProber::new("/".into(), docker, Gauges::default());
    let aim = Aim {
        instance: Instance {
            container_id: "c".to_owned(),
            started_at: "t".to_owned(),
        },
        node: "127.0.0.1".parse().unwrap(),
        uid: None,
        probes: Vec::new(),
        armed: true,
    };
    prober.ask(&aim, &definition, point).await
}

/// A port that nobody has, for datagrams and connections.
fn free_port() -> u16 {
    let taken = (0..100).find_map(|_| {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        let port = socket.local_addr().ok()?.port();
        TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some(port)
    });
    taken.expect("a free port")
}

fn kamailio() -> Peer {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = format!(
        "debug=1\nlog_stderror=yes\nchildren=1\ntcp_children=1\nauto_aliases=no\ndns=no\n\
         listen=udp:127.0.0.1:{port}\nlisten=tcp:127.0.0.1:{port}\n\
         loadmodule \"sl.so\"\n\
         request_route {{\n    if (method==\"OPTIONS\") {{ sl_send_reply(\"200\", \"Alive\"); exit; }}\n    \
         sl_send_reply(\"405\", \"Method Not Allowed\");\n}}\n"
    );
    fs::write(dir.path().join("k.cfg"), config).unwrap();
    let here = dir.path().to_str().unwrap().to_owned();
    let words = [
        "-f", "k.cfg", "-DD", "-E", "-m", "16", "-M", "2", "-Y", &here, "-w", &here,
    ];
    Peer::start("kamailio", port, dir, &words)
}

#[tokio::test]
async fn kamailio_answers_on_both_transports_until_it_is_frozen_and_again_afterwards() {
    let mut peer = kamailio();
    for transport in BOTH {
        let answer = peer.await_answer(Point::Sip(transport, peer.port)).await;
        let Answer::Passed { took, draining } = answer else {
            unreachable!("it was waited for");
        };
        assert!(took.is_some() && !draining);
    }
    peer.signal(Signal::SIGSTOP);
    for transport in BOTH {
        let silent = Answer::Failed("nothing came within 2s".to_owned());
        assert_eq!(peer.ask(transport).await, silent, "{transport}");
    }
    peer.signal(Signal::SIGCONT);
    for transport in BOTH {
        peer.await_answer(Point::Sip(transport, peer.port)).await;
    }
    let port = peer.port;
    drop(peer);
    for transport in BOTH {
        let Answer::Failed(why) = ask(Point::Sip(transport, port)).await else {
            panic!("nobody is there, and it answers");
        };
        assert!(why.contains("refused"), "{transport}: {why}");
    }
}

/// A server that answers with this line, after a provisional answer; or takes the question and
/// never answers.
fn sipp(transport: Transport, status: Option<&str>) -> Peer {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let answer = |status: &str| {
        format!(
            "<send><![CDATA[\n\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n\
             [last_To:];tag=[pid]s[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n\
             Content-Length: 0\n\n]]></send>\n"
        )
    };
    let answers = match status {
        Some(status) => answer("100 Trying") + &answer(status),
        None => "<pause milliseconds=\"60000\"/>\n".to_owned(),
    };
    let scenario = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=\"options\">\n\
         <recv request=\"OPTIONS\"/>\n{answers}</scenario>\n"
    );
    fs::write(dir.path().join("s.xml"), scenario).unwrap();
    let mode = match transport {
        Transport::Udp => "u1",
        Transport::Tcp => "t1",
    };
    let at = port.to_string();
    let words = [
        "-sf",
        "s.xml",
        "-i",
        "127.0.0.1",
        "-p",
        &at,
        "-t",
        mode,
        "-nostdin",
    ];
    Peer::start("sipp", port, dir, &words)
}

#[tokio::test]
async fn every_final_answer_of_sipp_is_one_and_503_takes_no_new_calls() {
    for transport in BOTH {
        for (status, is_draining) in [
            ("200 OK", false),
            ("404 Not Found", false),
            ("503 Service Unavailable", true),
        ] {
            let mut peer = sipp(transport, Some(status));
            let answer = peer.await_answer(Point::Sip(transport, peer.port)).await;
            let Answer::Passed { draining, .. } = answer else {
                unreachable!("it was waited for");
            };
            assert_eq!(draining, is_draining, "{transport} {status}");
        }
    }
}

#[tokio::test]
async fn a_sipp_that_never_answers_is_deaf() {
    let mut peer = sipp(Transport::Udp, None);
    peer.await_answer(Point::Udp(peer.port)).await;
    let silent = Answer::Failed("nothing came within 2s".to_owned());
    assert_eq!(peer.ask(Transport::Udp).await, silent);
    let peer = sipp(Transport::Tcp, None);
    let until = Instant::now() + SOON;
    // Refused until it listens.
    while peer.ask(Transport::Tcp).await != silent {
        assert!(Instant::now() < until, "{}", peer.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
