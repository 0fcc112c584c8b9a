//! A message over HTTP or HTTPS: one connection, one request, one answer, within bounds.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::Failed;
use super::message::Message;
use crate::config::alerts::{Format, Place, Webhook};
use crate::pbx::{ConnectError, by_authorities, secret_line};

/// A connection comes about within so long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Whether an address can be used.
///
/// # Errors
/// Says why not, without the address: it may be a secret.
pub fn check_url(url: &str) -> Result<(), String> {
    read(url).map(|_| ())
}

struct Target {
    uri: Uri,
    host: String,
    port: u16,
    tls: bool,
}

fn read(url: &str) -> Result<Target, String> {
    let uri: Uri = url.parse().map_err(|_| "it is no address".to_owned())?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("it begins with neither https:// nor http://".to_owned()),
    };
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it names an account: use `token_file`".to_owned());
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok(Target {
        host,
        port,
        tls,
        uri,
    })
}

/// What lies in files, read anew for every message, so that a changed one is taken.
struct Secrets {
    target: Target,
    token: Option<Zeroizing<String>>,
    tls: Option<rustls::ClientConfig>,
}

fn secrets(webhook: &Webhook) -> Result<Secrets, Failed> {
    let wrong = |error: crate::pbx::PasswordError| {
        Failed::lasting(format!("{error} (hint: {})", error.hint()))
    };
    let url = match &webhook.url {
        Place::Url(url) => Zeroizing::new(url.clone()),
        Place::File(file) => secret_line(file).map_err(wrong)?,
    };
    let target =
        read(&url).map_err(|why| Failed::lasting(format!("its address cannot be used: {why}")))?;
    let token = webhook
        .token_file
        .as_deref()
        .map(secret_line)
        .transpose()
        .map_err(wrong)?;
    let tls = target
        .tls
        .then(|| by_authorities(webhook.ca_file.as_deref()))
        .transpose();
    let tls = tls.map_err(|error| Failed::lasting(format!("nobody can be trusted: {error}")))?;
    Ok(Secrets { target, token, tls })
}

/// Sends a message. Taken is what was answered with 2xx.
pub(super) async fn post(webhook: &Webhook, message: &Message) -> Result<(), Failed> {
    let config = webhook.clone();
    let read = tokio::task::spawn_blocking(move || secrets(&config)).await;
    let Secrets { target, token, tls } =
        read.map_err(|error| Failed::soon(error.to_string()))??;
    let body = match webhook.format {
        Format::Json => message.json.to_string(),
        Format::Slack => json!({ "text": escaped(&message.text) }).to_string(),
    };
    let request = request(&target, token.as_ref(), message, body)
        .map_err(|error| Failed::lasting(format!("it cannot be asked: {error}")))?;
    let place = format!("{}:{}", target.host, target.port);
    let lost = |error: &dyn std::fmt::Display| Failed::soon(format!("{place}: {error}"));
    let dialled = TcpStream::connect((target.host.as_str(), target.port));
    let dialled = timeout(CONNECT_LIMIT, dialled).await;
    let tcp = dialled
        .map_err(|_| lost(&format_args!("no connection within {CONNECT_LIMIT:?}")))?
        .map_err(|error| lost(&error))?;
    let response = match tls {
        None => exchange(tcp, request).await,
        Some(config) => {
            let name = ServerName::try_from(target.host.clone())
                .map_err(|error| Failed::lasting(format!("{place}: {error}")))?;
            let stream = TlsConnector::from(Arc::new(config))
                .connect(name, tcp)
                .await;
            let stream = stream.map_err(|error| lost(&ConnectError::of_handshake(error)))?;
            exchange(stream, request).await
        }
    };
    let status = response.map_err(|error| lost(&error))?.status();
    if status.is_success() {
        return Ok(());
    }
    let sentence = format!("{place} answered {status}");
    // Too early and too often are of the moment; whatever else is refused is refused again. Another
    // place that an answer names is not gone to: what is told is for this one.
    let passing = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
    Err(if passing {
        Failed::soon(sentence)
    } else {
        Failed::lasting(sentence)
    })
}

/// The three characters that mean something in the text of Slack and of what is compatible with it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn request(
    target: &Target,
    token: Option<&Zeroizing<String>>,
    message: &Message,
    body: String,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let path = target
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let host = target
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("extend/", env!("CARGO_PKG_VERSION")))
        .header("Idempotency-Key", &message.id);
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.as_str()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Full::new(Bytes::from(body)))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, hyper::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Driven only as long as the answer is waited for: nothing outlives this call.
    let answered = async { sender.send_request(request).await };
    tokio::pin!(answered, connection);
    tokio::select! {
        biased;
        response = &mut answered => response,
        ended = &mut connection => {
            ended?;
            answered.await
        }
    }
}
