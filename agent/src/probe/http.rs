//! Gets a page for real. The first line of an answer says enough: the page itself is not read.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use extend_common::duration;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::fault::Fault;

/// The head of an answer is a few hundred bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Gets pages for real.
pub(super) struct HttpProber {
    tls: Option<Arc<ClientConfig>>,
}

impl Default for HttpProber {
    fn default() -> Self {
        let provider = Arc::new(ring::default_provider());
        let anybody = Arc::new(Anybody(provider.clone()));
        let builder = ClientConfig::builder_with_provider(provider);
        let config = builder.with_safe_default_protocol_versions().ok();
        let tls = config.map(|builder| {
            let trusting = builder
                .dangerous()
                .with_custom_certificate_verifier(anybody);
            Arc::new(trusting.with_no_client_auth())
        });
        Self { tls }
    }
}

impl HttpProber {
    /// Whether the server gives an answer below 500 within `limit`; why not, in words.
    pub(super) async fn ask(
        &self,
        at: SocketAddrV4,
        path: &str,
        over_tls: bool,
        limit: Duration,
    ) -> Result<(), Fault> {
        let asking = async {
            let stream = TcpStream::connect(at).await?;
            if !over_tls {
                return get(stream, at, path).await;
            }
            let tls = self
                .tls
                .clone()
                .ok_or_else(|| Fault::Blind("TLS cannot be set up".to_owned()))?;
            let name = ServerName::IpAddress((*at.ip()).into());
            let stream = TlsConnector::from(tls).connect(name, stream).await;
            get(stream?, at, path).await
        };
        match timeout(limit, asking).await {
            Ok(Ok(status)) if status < StatusCode::INTERNAL_SERVER_ERROR => Ok(()),
            Ok(Ok(status)) => Err(Fault::Silent(format!("it answers {}", status.as_u16()))),
            Ok(Err(why)) => Err(why),
            Err(_) => {
                let limit = duration::show(limit);
                Err(Fault::Silent(format!("nothing came within {limit}")))
            }
        }
    }
}

async fn get<S>(stream: S, at: SocketAddrV4, path: &str) -> Result<StatusCode, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| Fault::Silent(error.to_string());
    let request = Request::get(path)
        .header(HOST, at.to_string())
        .header(CONNECTION, "close")
        .header(
            USER_AGENT,
            concat!("extend-agent/", env!("CARGO_PKG_VERSION")),
        )
        .body(String::new())
        .map_err(|error| Fault::Blind(error.to_string()))?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    // Both ends in one task: whoever stops waiting leaves nothing behind.
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        // It may have ended with an answer, or without one: then that is the error.
        _ = connection => answer.await,
    };
    answer.map(|answer| answer.status()).map_err(failed)
}

/// Takes whatever certificate is shown, and has its owner prove that it is theirs.
///
/// For this question alone. Whoever answers on the node's own address is asked whether it answers;
/// nothing secret is said, and of what comes back only the status is looked at. The servers'
/// certificates bear names of the PBX's domain or are their own, and one that has run out is
/// nothing that a restart would mend.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls_pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    /// Answers each connection with these bytes, and holds it.
    async fn server(answer: &'static str, tls: Option<TlsAcceptor>) -> SocketAddrV4 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                if let Some(tls) = &tls {
                    let mut stream = tls.accept(stream).await.unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    continue;
                }
                let mut request = [0; 512];
                let count = stream.read(&mut request).await.unwrap();
                assert!(request[..count].starts_with(b"GET /svr_stats HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).await.unwrap();
                held.push(stream);
            }
        });
        at.parse().unwrap()
    }

    async fn ask(at: SocketAddrV4, over_tls: bool) -> Result<(), String> {
        let prober = HttpProber::default();
        let answer = prober.ask(at, "/svr_stats", over_tls, LIMIT).await;
        answer.map_err(Fault::words)
    }

    #[tokio::test]
    async fn a_status_below_500_is_an_answer_and_the_page_is_not_waited_for() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", Ok(())),
            ("HTTP/1.1 302 Found\r\n\r\n", Ok(())),
            ("HTTP/1.1 404 Not Found\r\n\r\n", Ok(())),
            ("HTTP/1.1 503 No\r\n\r\n", Err("it answers 503".to_owned())),
            ("HTTP/1.1 500 No\r\n\r\n", Err("it answers 500".to_owned())),
            ("", Err("nothing came within 500ms".to_owned())),
        ] {
            let at = server(answer, None).await;
            assert_eq!(ask(at, false).await, expected, "{answer}");
        }
        let garbage = server("SSH-2.0-OpenSSH\r\n\r\n", None).await;
        ask(garbage, false).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_certificate_of_its_own_is_good_enough_and_no_tls_is_not() {
        let made = rcgen::generate_simple_self_signed(vec!["pbx.example".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let at = server("HTTP/1.1 401 Who\r\n\r\n", Some(acceptor)).await;
        assert_eq!(ask(at, true).await, Ok(()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut plain, _) = listener.accept().await.unwrap();
            plain.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        });
        let at = SocketAddrV4::new([127, 0, 0, 1].into(), port);
        ask(at, true).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let words = ask(SocketAddrV4::new([127, 0, 0, 1].into(), port), false).await;
        assert!(words.unwrap_err().contains("refused"));
    }
}
