//! No session is resumed, whatever a client has kept: resuming skips the check of its certificate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::client::Tls13ClientSessionValue;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
};
use rustls::server::ServerSessionMemoryCache;
use rustls::{HandshakeKind, NamedGroup, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::AsyncReadExt;

use super::super::server::Clients;
use super::super::*;
use super::lab::*;

/// Keeps every ticket it is given, and counts them.
#[derive(Debug)]
struct Hoard {
    kept: ClientSessionMemoryCache,
    tickets: AtomicUsize,
    offered: AtomicUsize,
}

impl ClientSessionStore for Hoard {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.kept.set_kx_hint(server, group);
    }
    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept.kx_hint(server)
    }
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {}
    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.tickets.fetch_add(1, Ordering::SeqCst);
        self.kept.insert_tls13_ticket(server, ticket);
    }
    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let ticket = self.kept.take_tls13_ticket(server)?;
        self.offered.fetch_add(1, Ordering::SeqCst);
        Some(ticket)
    }
}

/// The same face made the way rustls makes it by default: with tickets.
fn with_tickets(tls: &ServerTls) -> ServerTls {
    let mut config = ServerConfig::clone(&tls.config);
    config.session_storage = ServerSessionMemoryCache::new(16);
    config.send_tls13_tickets = 2;
    ServerTls {
        config: Arc::new(config),
        clients: Clients::Nodes,
    }
}

#[tokio::test]
async fn nothing_is_handed_out_and_nothing_is_resumed() {
    let lab = Lab::new();
    let hoard = Arc::new(Hoard {
        kept: ClientSessionMemoryCache::new(16),
        tickets: AtomicUsize::new(0),
        offered: AtomicUsize::new(0),
    });
    let mut client = rustls::ClientConfig::clone(&lab.agent());
    client.resumption = Resumption::store(Arc::clone(&hoard) as Arc<dyn ClientSessionStore>);
    let client = Arc::new(client);
    let tickets = || hoard.tickets.load(Ordering::SeqCst);
    let offered = || hoard.offered.load(Ordering::SeqCst);
    let kind = async |server: &Server| {
        let mut stream = server.try_from(NODE, &client).await.unwrap();
        tokio::io::AsyncWriteExt::write_u8(&mut stream, b'?')
            .await
            .unwrap();
        stream.read_u8().await.unwrap();
        stream.get_ref().1.handshake_kind().unwrap()
    };

    let ours = Server::start(lab.agents()).await;
    assert_eq!(kind(&ours).await, HandshakeKind::Full);
    assert_eq!(kind(&ours).await, HandshakeKind::Full);
    assert_eq!((tickets(), offered()), (0, 0), "our face hands out nothing");

    // To see that this client would resume if it could, and to have something to offer.
    let lenient = Server::start(with_tickets(&lab.agents())).await;
    assert_eq!(kind(&lenient).await, HandshakeKind::Full);
    assert_eq!(tickets(), 2);
    assert_eq!(kind(&lenient).await, HandshakeKind::Resumed);
    assert_eq!(offered(), 1);

    assert_eq!(kind(&ours).await, HandshakeKind::Full);
    assert_eq!(offered(), 2, "the ticket was offered, and not taken");
}
