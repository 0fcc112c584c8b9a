//! A controller with a PBX, a server that is healthy, and a run that was cancelled.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use extend_pbx_standin::{Options, StandIn};
use extend_proto::v1;
use extend_proto::v1::agent_message::Kind as Said;
use extend_proto::v1::controller_message::Kind as Heard;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::support::{Controller, Node, Place, Session, hello, node, until};

/// More often than any controller asks for.
const HEARTBEAT: Duration = Duration::from_millis(250);
const MEBIBYTE: u64 = 1024 * 1024;

/// Everything that a Prometheus can see.
pub(crate) struct Scene {
    controller: Option<Controller>,
    http: SocketAddr,
    agent: JoinHandle<()>,
    _standin: StandIn,
    _place: Place,
}

impl Scene {
    pub(crate) async fn begin() -> Self {
        let place = Place::new();
        let (standin, controller) = with_pbx(&place).await;
        until("the portal is looked at", async || {
            standin
                .state()
                .record
                .iter()
                .any(|call| call.path == "/admin/status")
        })
        .await;
        let agent = controller.joined(node(7)).await;
        let agent = serve(&controller, &agent).await;
        // Its node has joined and never connects: nothing has begun when it is cancelled.
        controller.joined(node(8)).await;
        let operator = || controller.operator();
        let begun = operator().await.submit(run("media2", 8)).await.unwrap();
        let id = begun.into_inner().operation.unwrap().id;
        let cancel = v1::OperationRequest { id };
        operator().await.cancel_operation(cancel).await.unwrap();
        controller.revoke(node(8)).await;
        let http = controller.daemon.addresses().http;
        Self {
            controller: Some(controller),
            http,
            agent,
            _standin: standin,
            _place: place,
        }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// What is shown.
    pub(crate) async fn metrics(&self) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.http).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    pub(crate) fn lose_agent(&self) {
        self.agent.abort();
    }

    pub(crate) async fn stop_controller(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.daemon.shutdown().await;
        }
    }

    pub(crate) async fn end(mut self) {
        self.lose_agent();
        self.stop_controller().await;
    }
}

async fn with_pbx(place: &Place) -> (StandIn, Controller) {
    let standin = StandIn::start(Options::default()).await.unwrap();
    let at = |name: &str| place.root().join(name);
    fs::write(at("pbx.crt"), standin.pem()).unwrap();
    fs::write(at("pbx.password"), "correct horse\n").unwrap();
    fs::set_permissions(at("pbx.password"), fs::Permissions::from_mode(0o600)).unwrap();
    let keys = format!(
        "pbx.api = \"{}\"\npbx.username = \"extend\"\npbx.password_file = \"{}\"\n\
         pbx.certificate = \"{}\"\npbx.poll = \"200ms\"\n[listen]",
        standin.url(),
        at("pbx.password").display(),
        at("pbx.crt").display(),
    );
    let text = place.config_text().replacen("[listen]", &keys, 1);
    let controller = place.start_with(&text).await;
    (standin, controller)
}

fn run(name: &str, last: u8) -> v1::SubmitRequest {
    v1::SubmitRequest {
        request_id: format!("01JD8M3Q4T00000000005NZQ8{last}"),
        verb: v1::Verb::Run.into(),
        selector: Some(v1::Selector {
            role: "media-server-only".to_owned(),
            name: name.to_owned(),
            nodes: vec![node(last).to_string()],
        }),
        public_address: format!("54.215.234.{last}"),
        confirmed: true,
        ..v1::SubmitRequest::default()
    }
}

/// An agent whose server was deployed and is healthy, for as long as the task runs.
async fn serve(controller: &Controller, agent: &Node) -> JoinHandle<()> {
    let mut first = agent.hello();
    let roles = extend_common::roles::RoleSet::built_in().unwrap();
    let digests = roles.iter().map(|role| v1::DefinitionDigest {
        role: role.role.to_string(),
        digest: role.digest().to_string(),
    });
    first.definitions = digests.collect();
    // One that cannot look at its host is not asked to, and not waited for.
    let checkup = extend_common::ability::CHECKUP;
    let others = extend_common::ability::ALL.iter();
    let others = others.filter(|ability| **ability != checkup);
    first.abilities = others.map(ToString::to_string).collect();
    let mut session = Session::begin(agent.agent().await).await.unwrap();
    session.say(hello(first)).await;
    session.hear().await.unwrap();
    let run = run("media1", 7);
    controller.operator().await.submit(run).await.unwrap();
    let record = loop {
        if let Some(Heard::Assignment(assigned)) = session.hear().await.unwrap().kind {
            break assigned.record.unwrap();
        }
    };
    let status = v1::ServerStatus {
        record: record.id.clone(),
        name: "media1".to_owned(),
        role: "media-server-only".to_owned(),
        health: v1::Health::Healthy.into(),
        phase: v1::Phase::Verifying.into(),
        current: Some(v1::ContainerStatus {
            name: "portsip.media-server".to_owned(),
            instance: Some(v1::Instance {
                container_id: "f00d".to_owned(),
                ..v1::Instance::default()
            }),
            state: "running".to_owned(),
            docker_restarts: 2,
            ..v1::ContainerStatus::default()
        }),
        agent_restarts: 1,
        ..v1::ServerStatus::default()
    };
    let disk = |path: &str, free| v1::DiskFigures {
        path: path.to_owned(),
        total_bytes: 100 * MEBIBYTE,
        free_bytes: free * MEBIBYTE,
    };
    let service = v1::ServiceFigures {
        probes: vec![v1::ProbeFigure {
            point: "tcp/8840".to_owned(),
            passed: true,
            armed: true,
            took_us: Some(1_500),
        }],
        sessions: Some(v1::SessionCount {
            sessions: Some(3),
            ..v1::SessionCount::default()
        }),
        memory_bytes: Some(64 * MEBIBYTE),
        dumps: Some(v1::Dumps::default()),
        ..v1::ServiceFigures::default()
    };
    let mut heartbeat = v1::Heartbeat {
        service: Some(service),
        looked: true,
        host: Some(v1::HostFigures {
            processor_permille: Some(125),
            processors: 2,
            load: Some(v1::LoadAverages::default()),
            memory_total_bytes: 4_096 * MEBIBYTE,
            memory_used_bytes: 1_024 * MEBIBYTE,
            disks: vec![disk("/", 60), disk("/var/lib/portsip", 25)],
            ..v1::HostFigures::default()
        }),
        ..v1::Heartbeat::default()
    };
    let say = async |session: &Session, said| {
        session.say(v1::AgentMessage { kind: Some(said) }).await;
    };
    say(&session, Said::Status(status)).await;
    tokio::spawn(async move {
        let mut every = tokio::time::interval(HEARTBEAT);
        loop {
            every.tick().await;
            heartbeat.sequence += 1;
            heartbeat.clock_ms = jiff::Timestamp::now().as_millisecond();
            say(&session, Said::Heartbeat(heartbeat.clone())).await;
        }
    })
}
