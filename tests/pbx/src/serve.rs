//! The stand-in on the network: TLS with a certificate it has signed itself, HTTP/1.1, the faults.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::api::{Answer, Asked, answer};
use crate::fault::{After, What};
use crate::state::{Call, State};

const MAX_BODY: usize = 1024 * 1024;

/// How a stand-in begins.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The version of the PBX.
    pub version: String,
    /// Nothing newer than TLS 1.2.
    pub tls12: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            username: "extend".to_owned(),
            password: "correct horse".to_owned(),
            version: "22.3.0".to_owned(),
            tls12: false,
        }
    }
}

/// A stand-in that runs until it is dropped.
pub struct StandIn {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    pem: String,
    state: Arc<Mutex<State>>,
    acceptor: Arc<Mutex<TlsAcceptor>>,
    tls12: bool,
    _end: DropGuard,
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StandIn")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
}

impl StandIn {
    /// Starts one.
    ///
    /// # Errors
    /// Fails when the port cannot be had.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let (certificate, pem, acceptor) = certificate(address.ip(), options.tls12)?;
        let acceptor = Arc::new(Mutex::new(acceptor));
        let state = State::new(&options.username, &options.password, &options.version);
        let state = Arc::new(Mutex::new(state));
        let end = CancellationToken::new();
        let shared = Shared {
            state: Arc::clone(&state),
        };
        tokio::spawn(end.clone().run_until_cancelled_owned(accept(
            listener,
            Arc::clone(&acceptor),
            shared,
            end.clone(),
        )));
        Ok(Self {
            address,
            certificate,
            pem,
            state,
            acceptor,
            tls12: options.tls12,
            _end: end.drop_guard(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate as text.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Shows another certificate from the next connection on.
    ///
    /// # Errors
    /// Fails when none can be made.
    pub fn change_certificate(&mut self) -> io::Result<()> {
        let (certificate, pem, acceptor) = certificate(self.address.ip(), self.tls12)?;
        *self.acceptor.lock().unwrap_or_else(PoisonError::into_inner) = acceptor;
        self.certificate = certificate;
        self.pem = pem;
        Ok(())
    }

    /// What it knows. Nothing is answered while it is held.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, for another task.
    #[must_use]
    pub fn shared(&self) -> Arc<Mutex<State>> {
        Arc::clone(&self.state)
    }
}

fn certificate(
    ip: IpAddr,
    tls12: bool,
) -> io::Result<(CertificateDer<'static>, String, TlsAcceptor)> {
    let made = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["pbx.example.com".to_owned()])?;
        params.subject_alt_names.push(SanType::IpAddress(ip));
        let certificate = params.self_signed(&key)?;
        let der = certificate.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let versions: &[&rustls::SupportedProtocolVersion] = if tls12 {
            &[&rustls::version::TLS12]
        } else {
            &[&rustls::version::TLS13]
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_single_cert(vec![der.clone()], key)?;
        Ok((der, certificate.pem(), TlsAcceptor::from(Arc::new(config))))
    };
    made().map_err(io::Error::other)
}

async fn accept(
    listener: TcpListener,
    acceptor: Arc<Mutex<TlsAcceptor>>,
    shared: Shared,
    end: CancellationToken,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        let acceptor = acceptor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        tokio::spawn(end.clone().run_until_cancelled_owned(connection(
            tcp,
            acceptor,
            shared.clone(),
        )));
    }
}

async fn connection(tcp: TcpStream, acceptor: TlsAcceptor, shared: Shared) {
    // A client that does not like the certificate goes away here.
    let Ok(stream) = acceptor.accept(tcp).await else {
        return;
    };
    let service = service_fn(|request| respond(request, shared.clone()));
    // A broken connection is what a fault asked for, or the client's end.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Breaks the connection.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is broken")
    }
}

impl std::error::Error for Broken {}

/// No answer, until the client goes.
async fn silence() -> Result<Response<Full<Bytes>>, Broken> {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    Err(Broken)
}

/// A call that has arrived.
struct Arrived {
    method: Method,
    path: String,
    query: String,
    bearer: Option<String>,
    json: bool,
    body: Bytes,
}

impl Arrived {
    /// Does it, or what the fault says instead, and notes it.
    fn done(&self, shared: &Shared, what: Option<&What>) -> (Answer, Option<u64>) {
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (given, wait) = match what {
            Some(What::Refuse { status, wait }) => (
                Some(Answer::error(*status, "FAULT", "as it was told to")),
                *wait,
            ),
            Some(What::Break) => (Some(Answer::error(503, "FAULT", "broken")), None),
            _ => (None, None),
        };
        let answer = given.unwrap_or_else(|| {
            let asked = Asked {
                method: &self.method,
                path: &self.path,
                query: &self.query,
                bearer: self.bearer.as_deref(),
                json: self.json,
                body: &self.body,
            };
            answer(&mut state, &asked)
        });
        let faulted = !matches!(what, None | Some(What::Delay { .. }));
        state.note(Call {
            method: self.method.to_string(),
            path: self.path.clone(),
            query: self.query.clone(),
            bearer: self.bearer.is_some(),
            request: serde_json::from_slice::<Value>(&self.body).ok(),
            status: answer.status,
            answer: answer.body.clone(),
            faulted,
        });
        (answer, wait)
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: Shared,
) -> Result<Response<Full<Bytes>>, Broken> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Err(Broken),
    };
    let method = head.method.clone();
    let whole = head.uri.path().to_owned();
    let Some(path) = whole.strip_prefix("/api") else {
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .violations
            .push(format!("{method} {whole}: not below /api"));
        drop(state);
        return Ok(response(
            &Answer::error(404, "NOT_FOUND", "not below /api"),
            None,
        ));
    };
    let path = decoded(path);
    let query = head.uri.query().unwrap_or_default().to_owned();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let json = header(CONTENT_TYPE) == Some("application/json");

    let what = {
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.fault(method.as_str(), &path)
    };
    let call = Arrived {
        method,
        path,
        query,
        bearer: bearer.map(str::to_owned),
        json,
        body,
    };
    if let Some(What::Late { .. }) = &what {
        // Whether somebody still waits or not.
        tokio::spawn(async move {
            tokio::time::sleep(what.as_ref().map(What::delay).unwrap_or_default()).await;
            call.done(&shared, what.as_ref());
        });
        return silence().await;
    }
    if let Some(what) = &what {
        tokio::time::sleep(what.delay()).await;
    }
    let (answer, wait) = call.done(&shared, what.as_ref());
    match what {
        Some(What::Break | What::Apply(After::Break)) => Err(Broken),
        Some(What::Apply(After::Silence)) => silence().await,
        Some(What::Apply(After::Status(status))) => Ok(response(
            &Answer::error(status, "FAULT", "as it was told to"),
            None,
        )),
        Some(What::Apply(After::Garbage)) => {
            let page = Bytes::from_static(b"<html>502 Bad Gateway</html>");
            Ok(Response::new(Full::new(page)))
        }
        _ => Ok(response(&answer, wait)),
    }
}

fn response(answer: &Answer, wait: Option<u64>) -> Response<Full<Bytes>> {
    let body = answer
        .body
        .as_ref()
        .map(Value::to_string)
        .unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = http::StatusCode::from_u16(answer.status)
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if answer.body.is_some() {
        let json = http::HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json);
    }
    if let Some(wait) = wait {
        headers.insert(RETRY_AFTER, wait.into());
    }
    response
}

/// A path without its percent signs.
fn decoded(path: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits: Vec<u8> = bytes.by_ref().take(2).collect();
        let value = std::str::from_utf8(&digits)
            .ok()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        // A slash from a percent sign would make two parts of one.
        out.push(value.filter(|byte| *byte != b'/').unwrap_or(b'%'));
    }
    String::from_utf8_lossy(&out).into_owned()
}
