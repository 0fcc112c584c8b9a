//! The daemon as a process: systemd's messages, signals, exit codes, and other users at the socket.
//!
//! The test binary starts itself again for this, with an environment variable that says what to be.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use extend_common::exit::Exit;
use extend_controller::backup::{RestoreOptions, restore};
use extend_controller::daemon;
use extend_controller::engine::{CrashHook, CrashPoint, InputKind, Moment};
use extend_proto::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tokio::net::UnixStream;

use super::support::*;

const CONFIG: &str = "EXTEND_TEST_CONFIG";
const SOCKET: &str = "EXTEND_TEST_SOCKET";
const ARCHIVE: &str = "EXTEND_TEST_ARCHIVE";
const STATE: &str = "EXTEND_TEST_STATE";
const STUCK: &str = "EXTEND_TEST_STUCK";
/// A user and a group that every system has, and nobody is.
const NOBODY: u32 = 65_534;

/// The engine stands still once it was asked for a token. Everything else goes on.
struct StuckAfterAToken;

impl CrashHook for StuckAfterAToken {
    fn at(&self, point: CrashPoint) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        if point == CrashPoint::Input(Moment::BeforeCommit, InputKind::MintToken) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(()))
    }
}

/// This binary again, as one of the two below.
fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Not a test: the daemon that the others start.
#[test]
fn as_the_daemon() {
    let Some(config) = std::env::var_os(CONFIG) else {
        return;
    };
    let mut options = daemon::DaemonOptions::default();
    if std::env::var_os(STUCK).is_some() {
        options.crash = Arc::new(StuckAfterAToken);
    }
    match daemon::run_with(Path::new(&config), options) {
        Ok(()) => println!("ended well"),
        Err(error) => println!("ended with {:?}: {error}", error.exit()),
    }
}

/// Not a test: a user at the socket.
#[test]
fn as_a_user() {
    let Some(socket) = std::env::var_os(SOCKET) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = match UnixStream::connect(socket).await {
            Ok(stream) => stream,
            Err(error) => return println!("cannot connect: {:?}", error.kind()),
        };
        let channel = channel(stream).await.unwrap();
        let mut client = v1::operator_client::OperatorClient::new(channel);
        let mut list = tonic::Request::new(v1::ListNodesRequest::default());
        list.metadata_mut()
            .insert("extend-sudo-user", "root".parse().unwrap());
        println!(
            "list: {:?}",
            client
                .list_nodes(list)
                .await
                .map(|_| ())
                .map_err(|s| s.code())
        );
        let backup = client.backup(v1::BackupRequest {}).await;
        println!(
            "backup: {:?}",
            backup.map(|_| ()).map_err(|status| status.code())
        );
        let recover = client.recover(v1::RecoverRequest::default()).await;
        println!(
            "recover: {:?}",
            recover.map(|_| ()).map_err(|status| status.code())
        );
    });
}

/// A daemon in a process of its own, and the socket on which it talks to systemd.
struct Service {
    child: Child,
    systemd: UnixDatagram,
}

impl Service {
    fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    fn start_with(place: &Place, environment: &[(&str, &str)]) -> Self {
        let config = place.root().join("controller.toml");
        fs::write(&config, place.config_text()).unwrap();
        let notify = place.root().join("notify");
        let _ = fs::remove_file(&notify);
        let systemd = UnixDatagram::bind(&notify).unwrap();
        systemd.set_read_timeout(Some(LIMIT)).unwrap();
        let child = again("process::as_the_daemon")
            .env(CONFIG, &config)
            .env("NOTIFY_SOCKET", &notify)
            .env("WATCHDOG_USEC", "600000")
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        Self { child, systemd }
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 256];
        let length = self
            .systemd
            .recv(&mut buffer)
            .expect("a message to systemd");
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn end(mut self) -> String {
        let mut said = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        self.child.wait().unwrap();
        said
    }
}

#[test]
fn systemd_is_told_and_a_signal_ends_it_in_time() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        let service = Service::start(&place);
        assert_eq!(service.hear(), "READY=1");
        assert!(place.socket().exists(), "it can be reached by then");
        assert_eq!(service.hear(), "WATCHDOG=1");
        assert_eq!(service.hear(), "WATCHDOG=1");
        service.signal(signal);
        let begun = Instant::now();
        while service.hear() != "STOPPING=1" {}
        let said = service.end();
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        assert!(said.contains("ended well"), "{said}");
        assert!(!place.socket().exists());
    }
}

/// Its timers run, its faces answer, and its work stands still: systemd has to learn of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_stands_still_does_not_feed_the_watchdog() {
    let place = Place::new();
    let service = Service::start_with(&place, &[(STUCK, "1")]);
    assert_eq!(service.hear(), "READY=1");
    for _ in 0..3 {
        assert_eq!(service.hear(), "WATCHDOG=1", "with nothing to do it is fed");
    }
    let stream = UnixStream::connect(place.socket()).await.unwrap();
    let channel = channel(stream).await.unwrap();
    let mut client = v1::operator_client::OperatorClient::new(channel);
    let asked = tokio::spawn(async move {
        let node = "172.31.16.139".to_owned();
        let request = v1::MintTokenRequest {
            node,
            ttl_seconds: 0,
        };
        client.mint_token(request).await
    });
    // What was on its way may still come; then there is silence for longer than the limit.
    let silence = Duration::from_millis(1_200);
    service.systemd.set_read_timeout(Some(silence)).unwrap();
    let mut more = 0;
    let mut buffer = [0; 256];
    while service.systemd.recv(&mut buffer).is_ok() {
        more += 1;
        assert!(more < 10, "it is fed all the same");
    }
    assert!(!asked.is_finished(), "nobody is answered");
    service.signal(Signal::SIGKILL);
    service.end();
}

#[test]
fn after_kill_9_the_next_one_starts_within_two_seconds() {
    let place = Place::new();
    let service = Service::start(&place);
    assert_eq!(service.hear(), "READY=1");
    service.signal(Signal::SIGKILL);
    service.end();
    assert!(
        place.socket().exists(),
        "the dead one's socket is still there"
    );
    let begun = Instant::now();
    let service = Service::start(&place);
    assert_eq!(service.hear(), "READY=1");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    service.signal(Signal::SIGTERM);
    assert!(service.end().contains("ended well"));
}

#[test]
fn a_wrong_configuration_has_its_own_exit_code() {
    let place = Place::new();
    let config = place.root().join("controller.toml");
    fs::write(
        &config,
        "address = \"127.0.0.1\"\nlisten.agent = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    let output = again("process::as_the_daemon")
        .env(CONFIG, &config)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains(&format!("ended with {:?}", Exit::Usage)),
        "{said}"
    );
    assert!(
        said.contains("line 2") && said.contains("listen.agent"),
        "{said}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_who_may_have_it() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = place.config();
    config.listen.enrolment = taken.local_addr().unwrap();
    let error = daemon::Daemon::start(config, daemon::DaemonOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("joining nodes"), "{error}");
    assert!(error.hint().unwrap().starts_with("who has it?"));
    assert_eq!(error.exit(), Exit::Failed);
}

/// Not a test: root who restores.
#[test]
fn as_who_restores() {
    let Some(archive) = std::env::var_os(ARCHIVE) else {
        return;
    };
    let state = std::env::var_os(STATE).unwrap();
    let options = RestoreOptions {
        force: false,
        now: jiff::Timestamp::now(),
    };
    match restore(Path::new(&archive), Path::new(&state), options) {
        Ok(_) => println!("restored as {}", Uid::effective()),
        Err(error) => println!("refused: {error}; hint: {:?}", error.hint()),
    }
}

fn restore_in_a_process(archive: &Path, state: &Path) -> String {
    let output = again("process::as_who_restores")
        .env(ARCHIVE, archive)
        .env(STATE, state)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The daemon has a user of its own, and the command is typed by root: what it leaves has to be the
/// daemon's. The archive may be one that only root can read. Who is not root is told what to type.
#[tokio::test]
async fn what_root_restores_belongs_to_the_owner_of_the_state() {
    let place = Place::new();
    let controller = place.start().await;
    let archive = place.root().join("backup.tar");
    super::backup::back_up(&controller, &archive).await;
    fs::set_permissions(&archive, Permissions::from_mode(0o600)).unwrap();
    controller.daemon.shutdown().await;
    if !Uid::effective().is_root() {
        let said = restore_in_a_process(&archive, Path::new("/"));
        assert!(said.contains("belongs to root"), "{said}");
        assert!(said.contains("sudo extend controller restore"), "{said}");
        return;
    }
    // The parents of the directory are root's alone, as in a test's place.
    fs::set_permissions(place.root(), Permissions::from_mode(0o711)).unwrap();
    let state = place.root().join("restored");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    let said = restore_in_a_process(&archive, &state);
    assert!(said.contains(&format!("restored as {NOBODY}")), "{said}");
    let mut files = 0;
    for entry in fs::read_dir(&state).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        assert_eq!(
            (metadata.uid(), metadata.gid()),
            (NOBODY, NOBODY),
            "{entry:?}"
        );
        files += 1;
    }
    assert!(files >= 4, "lock, certificate, key and store: {files}");
    // And root, who is not the owner, cannot become a controller on it by mistake.
    let mut config = place.config();
    config.state_dir = state;
    let error = daemon::Daemon::start(config, daemon::DaemonOptions::default())
        .await
        .unwrap_err();
    assert!(error.hint().unwrap().contains("systemctl start"), "{error}");
}

/// What a user sees who is in no group of ours, and one who is.
#[tokio::test]
async fn other_users_need_the_group_and_are_never_root() {
    if !Uid::effective().is_root() {
        let skipped = "SKIPPED: only root can be another user\n";
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        assert!(std::env::var_os("CI").is_none(), "{skipped}");
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.root(), Permissions::from_mode(0o755)).unwrap();
    let controller = place.start().await;
    assert_eq!(
        fs::metadata(place.socket()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let said = tokio::task::spawn_blocking(as_nobody_of(&place))
        .await
        .unwrap();
    assert!(said.contains("cannot connect: PermissionDenied"), "{said}");
    controller.daemon.shutdown().await;

    let group = nix::unistd::Group::from_gid(NOBODY.into())
        .unwrap()
        .unwrap()
        .name;
    let mut config = place.config();
    config.socket_group = group;
    let daemon = daemon::Daemon::start(config, daemon::DaemonOptions::default())
        .await
        .unwrap();
    let said = tokio::task::spawn_blocking(as_nobody_of(&place))
        .await
        .unwrap();
    assert!(said.contains("list: Ok(())"), "{said}");
    assert!(said.contains("backup: Err(PermissionDenied)"), "{said}");
    assert!(said.contains("recover: Err(PermissionDenied)"), "{said}");
    daemon.shutdown().await;
}

fn as_nobody_of(place: &Place) -> impl FnOnce() -> String + Send + 'static {
    let socket = place.socket();
    move || {
        let output = again("process::as_a_user")
            .env(SOCKET, socket)
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test]
async fn health_is_told_over_http() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let place = Place::new();
    let controller = place.start().await;
    let ask = async |request: &str| {
        let mut stream = tokio::net::TcpStream::connect(controller.daemon.addresses().http)
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = ask("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"),
        "{answer}"
    );
    let answer = ask("HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /healthz HTTP/1.1\r\n\r\n", "405"),
        ("\u{16}\u{3}\u{1}\r\n\r\n", "400"),
        (
            &format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(4000)),
            "404",
        ),
    ] {
        assert!(
            ask(request)
                .await
                .starts_with(&format!("HTTP/1.1 {status}")),
            "{request:.20}"
        );
    }
    controller.daemon.shutdown().await;
}
