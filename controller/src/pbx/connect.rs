//! From the PBX's address to a TLS stream, as the HTTP client wants it.
//!
//! Owns the time a connection may take and saying where it ended.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::Service;

use super::base::BaseUrl;

/// Name, connection and handshake, together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Where a connection ended before it was one.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No such host, no way there, or nobody listens.
    #[error("{0}")]
    Network(io::Error),
    /// It took too long.
    #[error("no connection within {CONNECT_LIMIT:?}")]
    Slow,
    /// Its certificate was refused.
    #[error("{0}")]
    Certificate(String),
    /// It speaks no TLS, or none that we speak.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
}

impl ConnectError {
    pub(crate) fn of_handshake(error: io::Error) -> Self {
        let Some(inner) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        else {
            return Self::Network(error);
        };
        match inner {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                Self::Certificate(other.to_string())
            }
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
                Self::Certificate("nobody that this system trusts has signed it".to_owned())
            }
            rustls::Error::InvalidCertificate(verdict) => Self::Certificate(verdict.to_string()),
            other => Self::Tls(other.to_string()),
        }
    }
}

/// Dials one address with one trust.
#[derive(Clone)]
pub(super) struct Connector {
    base: BaseUrl,
    tls: TlsConnector,
}

impl Connector {
    pub(super) fn new(base: BaseUrl, config: Arc<ClientConfig>) -> Self {
        Self {
            base,
            tls: TlsConnector::from(config),
        }
    }

    /// One connection, with its handshake finished.
    pub(super) async fn dial(&self) -> Result<PbxStream, ConnectError> {
        let dialled = async {
            let target = (self.base.host(), self.base.port());
            let tcp = TcpStream::connect(target)
                .await
                .map_err(ConnectError::Network)?;
            // Small questions, each waited for.
            tcp.set_nodelay(true).map_err(ConnectError::Network)?;
            self.tls
                .connect(self.base.server_name(), tcp)
                .await
                .map_err(ConnectError::of_handshake)
        };
        match timeout(CONNECT_LIMIT, dialled).await {
            Ok(stream) => Ok(PbxStream(TokioIo::new(Box::new(stream?)))),
            Err(_) => Err(ConnectError::Slow),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = PbxStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<PbxStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    // There is one place to dial, whatever the URI says.
    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.dial().await })
    }
}

/// A connection to the PBX.
pub(super) struct PbxStream(TokioIo<Box<TlsStream<TcpStream>>>);

impl Connection for PbxStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for PbxStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for PbxStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
