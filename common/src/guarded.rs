//! A stream together with what is known of its other end.
//!
//! Owns handing the bytes through, and telling tonic who is there. The acceptor makes such streams
//! of TLS, and the controller of whatever it serves; what goes with a stream is its [`Guard`], and
//! lives exactly as long.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// What goes with a stream.
pub trait Guard: Unpin {
    /// Who is at the other end, for every request.
    type Peer: Clone + Send + Sync + 'static;

    /// Who is at the other end.
    fn peer(&self) -> Self::Peer;

    /// Asked before every read and every write: an error ends the connection, also one that only
    /// sends. Whatever is registered here wakes the task that read or wrote last: a stream is one
    /// task's.
    ///
    /// # Errors
    /// When nothing more is to be heard from the other end, or told to it.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let _ = cx;
        Ok(())
    }
}

/// A stream with its guard.
pub struct Guarded<S, G> {
    pub(crate) stream: S,
    pub(crate) guard: G,
}

impl<S, G> Guarded<S, G> {
    /// The stream, from now on with a guard.
    pub fn new(stream: S, guard: G) -> Self {
        Self { stream, guard }
    }
}

impl<S, G: fmt::Debug> fmt::Debug for Guarded<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl<S, G: Guard> Connected for Guarded<S, G> {
    type ConnectInfo = G::Peer;

    fn connect_info(&self) -> G::Peer {
        self.guard.peer()
    }
}

impl<S: AsyncRead + Unpin, G: Guard> AsyncRead for Guarded<S, G> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.guard.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin, G: Guard> AsyncWrite for Guarded<S, G> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.guard.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.guard.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
