//! A small cluster: an authority, its controller's certificate, a node, and the means to forge.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose};
use rcgen::{IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SigningKey};
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::super::accept::{AcceptCounts, AcceptTally};
use super::super::issue::{Validity, params};
use super::super::secret_key::SecretKey;
use super::super::*;

/// The node of the tests. Linux answers on all of 127.0.0.0/8.
pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);
/// Another node.
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
/// Long enough for a slow machine, and never waited for by a test that passes.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The time it is in every test.
pub(super) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

#[derive(Debug)]
struct Stopped(Timestamp);

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.as_second()).unwrap();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// A clock that stands at this moment.
pub(super) fn clock(at: Timestamp) -> Time {
    Arc::new(Stopped(at))
}

/// An authority with a controller and one node.
pub(super) struct Lab {
    pub(super) authority: Authority,
    pub(super) live: Arc<LiveCertificate>,
    pub(super) key: NodeKey,
    pub(super) leaf: IssuedLeaf,
}

impl Lab {
    pub(super) fn new() -> Self {
        let authority = Authority::create(now()).unwrap();
        let pair = authority.issue_controller(now(), LEAF_LIFETIME).unwrap();
        let live = LiveCertificate::new(authority.certificate(), pair, now()).unwrap();
        let key = NodeKey::generate().unwrap();
        let leaf = authority
            .issue_node(NODE, &key.csr().unwrap(), now(), LEAF_LIFETIME)
            .unwrap();
        Self {
            authority,
            live,
            key,
            leaf,
        }
    }

    pub(super) fn agents(&self) -> ServerTls {
        let live = Arc::clone(&self.live);
        ServerTls::agents(self.authority.certificate(), live, clock(now())).unwrap()
    }

    pub(super) fn enrolment(&self) -> ServerTls {
        ServerTls::enrolment(Arc::clone(&self.live), clock(now())).unwrap()
    }

    /// What the node of the lab dials with.
    pub(super) fn agent(&self) -> Arc<ClientConfig> {
        let leaf = self.leaf.der.clone();
        agent_client_config(self.authority.certificate(), leaf, &self.key, clock(now())).unwrap()
    }

    pub(super) fn joining(&self) -> Arc<ClientConfig> {
        pinned_client_config(self.authority.fingerprint(), clock(now())).unwrap()
    }

    /// What a client dials with that shows whatever it likes.
    pub(super) fn rogue_agent(&self, shown: Option<CertifiedKey>) -> Arc<ClientConfig> {
        let mut config = (*self.agent()).clone();
        config.client_auth_cert_resolver = Arc::new(Shown(shown.map(Arc::new)));
        Arc::new(config)
    }
}

/// Shows one certificate whatever is asked for, or none.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

/// A chain with a key, unchecked: the two need not fit.
pub(super) fn certified(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> CertifiedKey {
    CertifiedKey::new(
        chain,
        provider()
            .key_provider
            .load_private_key(pkcs8(key))
            .unwrap(),
    )
}

pub(super) fn pkcs8(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

pub(super) fn new_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

/// What the authority puts into a node's certificate, for forging from. It is taken as it is, so
/// that what is refused is refused for what was changed.
pub(super) fn node_params() -> CertificateParams {
    let mut params = dated(now(), now() + DAY);
    params.distinguished_name.push(DnType::CommonName, "node");
    params.subject_alt_names = vec![SanType::IpAddress(NODE.into())];
    params.serial_number = Some(SerialNumber::from_slice(&[7; 16]));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// What the authority puts into the controller's certificate, for forging from.
pub(super) fn controller_params() -> CertificateParams {
    let mut params = node_params();
    params.subject_alt_names = vec![dns(CONTROLLER_NAME)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub(super) fn dated(not_before: Timestamp, not_after: Timestamp) -> CertificateParams {
    params(&Validity {
        not_before,
        not_after,
    })
    .unwrap()
}

/// Moves the dates of what is being forged.
pub(super) fn redate(params: &mut CertificateParams, not_before: Timestamp, not_after: Timestamp) {
    let dates = dated(not_before, not_after);
    (params.not_before, params.not_after) = (dates.not_before, dates.not_after);
}

pub(super) fn sign(
    params: &CertificateParams,
    key: &KeyPair,
    issuer: &Issuer<'_, impl SigningKey>,
) -> CertificateDer<'static> {
    params.signed_by(key, issuer).unwrap().der().clone()
}

/// An authority that has our authority's name, but not its key.
pub(super) fn impostor(authority: &Authority) -> Issuer<'static, SecretKey> {
    let (_, ours) = x509_parser::parse_x509_certificate(authority.certificate()).unwrap();
    let name = ours
        .subject()
        .iter_common_name()
        .next()
        .unwrap()
        .as_str()
        .unwrap();
    let mut params = dated(now(), now() + DAY);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Issuer::new(params, SecretKey::generate().unwrap())
}

/// A door that lets everybody in.
pub(super) fn open_door() -> Door {
    Door::new(watch::channel(()).1, |(), _| true)
}

/// A door for these sources, and what changes it.
pub(super) fn listing<const N: usize>(
    sources: [Ipv4Addr; N],
) -> (watch::Sender<HashSet<Ipv4Addr>>, Door) {
    let (keeper, list) = watch::channel(HashSet::from(sources));
    (
        keeper,
        Door::new(list, |list: &HashSet<_>, source| list.contains(&source)),
    )
}

/// A face at work. Every connection it takes gets one byte, and then its own bytes back.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) tally: Arc<AcceptTally>,
    pub(super) shutdown: CancellationToken,
    pub(super) serving: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(tls: ServerTls) -> Self {
        Self::start_with(tls, open_door(), AcceptLimits::default()).await
    }

    pub(super) async fn start_with(tls: ServerTls, door: Door, limits: AcceptLimits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let mut incoming = serve_tls(listener, tls, door, limits, shutdown.clone());
        let tally = incoming.tally();
        let serving = tokio::spawn(async move {
            while let Some(connection) = incoming.next().await {
                tokio::spawn(echo(connection.unwrap()));
            }
        });
        Self {
            address,
            tally,
            shutdown,
            serving,
        }
    }

    pub(super) fn counts(&self) -> AcceptCounts {
        self.tally.counts()
    }

    /// Dials from `local` and takes the byte that says "accepted".
    pub(super) async fn try_from(
        &self,
        local: Ipv4Addr,
        config: &Arc<ClientConfig>,
    ) -> Result<TlsStream<TcpStream>, DialError> {
        let mut stream = dial(Some(local), self.address, Arc::clone(config), PATIENCE).await?;
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
        Ok(stream)
    }

    /// Waits until the counters are these: the server may be done a moment after its client.
    pub(super) async fn settles(&self, what: &str, done: impl Fn(AcceptCounts) -> bool) {
        let settled = async {
            while !done(self.counts()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, settled).await;
        assert!(waited.is_ok(), "{what}: {:?}", self.counts());
    }
}

async fn echo(mut connection: TlsConnection) {
    let _ = connection.write_u8(b'!').await;
    let _ = connection.flush().await;
    let (mut reader, mut writer) = tokio::io::split(connection);
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}

/// A TCP connection from `local`, with no TLS on it.
pub(super) async fn connect_plain(local: Ipv4Addr, remote: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((local, 0).into()).unwrap();
    socket.connect(remote).await.unwrap()
}

/// All that comes until the other side closes, however it does.
pub(super) async fn read_until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    // A reset is a way of closing, too.
    let _ = closed.expect("the other side did not close the connection");
    received
}
