//! What the tests share: a controller of their own, and the smallest agent and operator there are.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use extend_common::tls::{
    DialError, JoinToken, NodeKey, Time, agent_client_config, dial, pinned_client_config,
    renewal_message, system_time,
};
use extend_controller::config::Config;
use extend_controller::daemon::{Daemon, DaemonError, DaemonOptions};
use extend_proto::v1;
use extend_proto::v1::agent_client::AgentClient;
use extend_proto::v1::enrolment_client::EnrolmentClient;
use extend_proto::v1::operator_client::OperatorClient;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// A node's address. Every test has nodes of its own controller only, so they may share them.
pub(crate) fn node(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, last)
}

/// A directory for one controller, and how it is configured.
pub(crate) struct Place {
    root: tempfile::TempDir,
    pub(crate) leaf_lifetime: &'static str,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            leaf_lifetime: "24h",
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root().join("run/controller.sock")
    }

    pub(crate) fn config_text(&self) -> String {
        let (root, lifetime) = (self.root().display(), self.leaf_lifetime);
        format!(
            "address = \"127.0.0.1\"\nstate_dir = \"{root}/state\"\n\
             socket = \"{root}/run/controller.sock\"\nsocket_group = \"no-such-group-here\"\n\
             roles_dir = \"{root}/roles.d\"\n\
             agent_package_dir = \"{root}/agent\"\npbx.address = \"127.0.0.9\"\n\
             [listen]\nagents = \"127.0.0.1:0\"\nenrolment = \"127.0.0.1:0\"\n\
             http = \"127.0.0.1:0\"\n[timing]\nleaf_lifetime = \"{lifetime}\"\n"
        )
    }

    pub(crate) fn config(&self) -> Config {
        Config::parse(Path::new("controller.toml"), &self.config_text()).unwrap()
    }

    pub(crate) async fn start(&self) -> Controller {
        self.try_start(DaemonOptions::default()).await.unwrap()
    }

    /// With another configuration than its own.
    pub(crate) async fn start_with(&self, config: &str) -> Controller {
        let config = Config::parse(Path::new("controller.toml"), config).unwrap();
        let options = DaemonOptions::default();
        let time = Arc::clone(&options.time);
        let daemon = Daemon::start(config, options).await.unwrap();
        Controller { daemon, time }
    }

    pub(crate) async fn try_start(
        &self,
        options: DaemonOptions,
    ) -> Result<Controller, DaemonError> {
        let time = Arc::clone(&options.time);
        let daemon = Daemon::start(self.config(), options).await?;
        Ok(Controller { daemon, time })
    }
}

/// A controller that runs.
pub(crate) struct Controller {
    pub(crate) daemon: Daemon,
    /// What its agents take for the time.
    pub(crate) time: Time,
}

impl Controller {
    pub(crate) async fn operator(&self) -> OperatorClient<Channel> {
        let stream = UnixStream::connect(&self.daemon.addresses().socket)
            .await
            .unwrap();
        OperatorClient::new(channel(stream).await.unwrap())
    }

    pub(crate) async fn token(&self, node: Ipv4Addr) -> JoinToken {
        let request = v1::MintTokenRequest {
            node: node.to_string(),
            ttl_seconds: 0,
        };
        let minted = self.operator().await.mint_token(request).await.unwrap();
        minted.into_inner().token.parse().unwrap()
    }

    /// A node that has joined with a token.
    pub(crate) async fn joined(&self, node: Ipv4Addr) -> Node {
        let token = self.token(node).await;
        let key = NodeKey::generate().unwrap();
        let answer = join(&token, node, &key, &self.time).await.unwrap();
        Node {
            address: node,
            key,
            leaf: CertificateDer::from(answer.leaf_der),
            authority: CertificateDer::from(answer.ca_der),
            controller: self.daemon.addresses().agents,
            enrolment: self.daemon.addresses().enrolment,
            time: Arc::clone(&self.time),
        }
    }

    pub(crate) async fn node_view(&self, node: Ipv4Addr) -> v1::NodeView {
        let request = v1::ListNodesRequest {
            node: node.to_string(),
        };
        let mut nodes = self
            .operator()
            .await
            .list_nodes(request)
            .await
            .unwrap()
            .into_inner()
            .nodes;
        nodes.pop().expect("the node is known")
    }

    pub(crate) async fn revoke(&self, node: Ipv4Addr) {
        let request = v1::NodeRequest {
            node: node.to_string(),
        };
        self.operator().await.revoke_node(request).await.unwrap();
    }
}

/// A node with its identity.
pub(crate) struct Node {
    pub(crate) address: Ipv4Addr,
    pub(crate) key: NodeKey,
    pub(crate) leaf: CertificateDer<'static>,
    pub(crate) authority: CertificateDer<'static>,
    pub(crate) controller: SocketAddr,
    pub(crate) enrolment: SocketAddr,
    pub(crate) time: Time,
}

impl Node {
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        let time = Arc::clone(&self.time);
        agent_client_config(&self.authority, self.leaf.clone(), &self.key, time).unwrap()
    }

    /// A connection of the agents' face, from wherever.
    pub(crate) async fn channel_from(&self, source: Ipv4Addr) -> Result<Channel, String> {
        let stream = dial(Some(source), self.controller, self.client_config(), LIMIT).await;
        channel(stream.map_err(|error| error.to_string())?).await
    }

    pub(crate) async fn agent(&self) -> AgentClient<Channel> {
        AgentClient::new(self.channel_from(self.address).await.unwrap())
    }

    pub(crate) fn hello(&self) -> v1::Hello {
        v1::Hello {
            node: self.address.to_string(),
            agent_version: "0.0.0-test".to_owned(),
            ..v1::Hello::default()
        }
    }

    /// A session that has been welcomed.
    pub(crate) async fn session(&self) -> Session {
        let mut session = Session::begin(self.agent().await).await.unwrap();
        session.say(hello(self.hello())).await;
        let welcome = session.hear().await.unwrap();
        let Some(v1::controller_message::Kind::Welcome(welcome)) = welcome.kind else {
            panic!("the first message is the welcome: {welcome:?}");
        };
        session.welcome = welcome;
        session
    }

    /// Whether a session comes about.
    pub(crate) async fn can_come_in(&self) -> bool {
        let Ok(channel) = self.channel_from(self.address).await else {
            return false;
        };
        let Ok(mut session) = Session::begin(AgentClient::new(channel)).await else {
            return false;
        };
        session.say(hello(self.hello())).await;
        session.hear().await.is_ok()
    }

    /// Takes a new leaf for the enrolled key over the agents' face.
    pub(crate) async fn renew(&mut self) -> Result<(), Status> {
        let csr_der = self.key.csr().unwrap();
        let request = v1::RenewLeafRequest { csr_der };
        let answer = self.agent().await.renew_leaf(request).await?.into_inner();
        self.leaf = CertificateDer::from(answer.leaf_der);
        Ok(())
    }

    /// A connection of the enrolment face, as from an address.
    pub(crate) async fn stranger(
        &self,
        source: Ipv4Addr,
    ) -> Result<EnrolmentClient<Channel>, DialError> {
        let ca = extend_common::tls::Fingerprint::of(&self.authority);
        stranger(source, self.enrolment, ca, &self.time).await
    }

    /// Takes a new leaf by proof of the enrolled key.
    pub(crate) async fn renew_expired(&mut self, key: &NodeKey) -> Result<(), Status> {
        let mut client = self
            .stranger(self.address)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let node = self.address.to_string();
        let challenge = v1::ChallengeRequest { node: node.clone() };
        let nonce = client.challenge(challenge).await?.into_inner().nonce;
        let csr_der = key.csr().unwrap();
        let signature = sign(key, &nonce, &csr_der);
        let request = v1::RenewExpiredRequest {
            node,
            csr_der,
            nonce,
            signature,
        };
        let answer = client.renew_expired(request).await?.into_inner();
        self.leaf = CertificateDer::from(answer.leaf_der);
        Ok(())
    }
}

/// The proof of a renewal.
pub(crate) fn sign(key: &NodeKey, nonce: &[u8], csr_der: &[u8]) -> Vec<u8> {
    let signature = key
        .sign(extend_common::tls::key::RENEWAL_CONTEXT, &[nonce, csr_der])
        .unwrap();
    let message = renewal_message(nonce.try_into().unwrap(), csr_der);
    extend_common::tls::verify_signature(&key.spki(), &message, &signature).unwrap();
    signature
}

/// A stream to the controller, both ways.
pub(crate) struct Session {
    to: mpsc::Sender<v1::AgentMessage>,
    from: Streaming<v1::ControllerMessage>,
    pub(crate) welcome: v1::Welcome,
}

impl Session {
    pub(crate) async fn begin(mut client: AgentClient<Channel>) -> Result<Self, Status> {
        let (to, outbound) = mpsc::channel(1024);
        let from = client
            .session(ReceiverStream::new(outbound))
            .await?
            .into_inner();
        Ok(Self {
            to,
            from,
            welcome: v1::Welcome::default(),
        })
    }

    pub(crate) async fn say(&self, message: v1::AgentMessage) {
        // The other side may have gone: that is what the test will hear.
        let _ = self.to.send(message).await;
    }

    /// The next message, or how the session ended.
    pub(crate) async fn hear(&mut self) -> Result<v1::ControllerMessage, Status> {
        match tokio::time::timeout(LIMIT * 3, self.from.message()).await {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(Status::ok("the stream has ended")),
            Ok(Err(status)) => Err(status),
            Err(_) => panic!("nothing was heard"),
        }
    }

    /// How the session ends, whatever is said before.
    pub(crate) async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.hear().await {
                return status;
            }
        }
    }
}

pub(crate) fn hello(hello: v1::Hello) -> v1::AgentMessage {
    v1::AgentMessage {
        kind: Some(v1::agent_message::Kind::Hello(hello)),
    }
}

pub(crate) fn heartbeat(sequence: u64) -> v1::AgentMessage {
    let heartbeat = v1::Heartbeat {
        sequence,
        ..v1::Heartbeat::default()
    };
    v1::AgentMessage {
        kind: Some(v1::agent_message::Kind::Heartbeat(heartbeat)),
    }
}

/// gRPC over a stream that is there already.
pub(crate) async fn channel(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Channel, String> {
    let mut stream = Some(TokioIo::new(stream));
    Endpoint::from_static("http://controller.extend")
        .connect_with_connector(tower::service_fn(move |_| {
            let stream = stream
                .take()
                .ok_or_else(|| std::io::Error::other("one connection each"));
            async move { stream }
        }))
        .await
        .map_err(|error| format!("{error:?}"))
}

pub(crate) async fn stranger(
    source: Ipv4Addr,
    enrolment: SocketAddr,
    ca: extend_common::tls::Fingerprint,
    time: &Time,
) -> Result<EnrolmentClient<Channel>, DialError> {
    let config = pinned_client_config(ca, Arc::clone(time)).unwrap();
    let stream = dial(Some(source), enrolment, config, LIMIT).await?;
    Ok(EnrolmentClient::new(channel(stream).await.unwrap()))
}

/// Shows a token at the controller, as from `source`. A door that stays shut is a status as well.
pub(crate) async fn join(
    token: &JoinToken,
    source: Ipv4Addr,
    key: &NodeKey,
    time: &Time,
) -> Result<v1::CertificateResponse, Status> {
    let mut client = stranger(source, token.controller.into(), token.ca, time)
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let request = v1::JoinRequest {
        node: token.node.to_string(),
        secret: token.secret.to_vec(),
        csr_der: key.csr().unwrap(),
    };
    client.join(request).await.map(tonic::Response::into_inner)
}

/// Waits until something is so; a test that waits in vain fails.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !so().await {
        assert!(tokio::time::Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn refusal(status: &Status) -> v1::Refusal {
    prost::Message::decode(status.details()).unwrap()
}

#[track_caller]
pub(crate) fn assert_code<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) -> Status {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    status
}

/// The present, as certificates are judged by.
pub(crate) fn now() -> Time {
    system_time()
}
