//! The operators' socket of a simulated controller, for the real command line.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use extend_common::clock::Clock;
use extend_common::tls::Fingerprint;
use extend_controller::api::connection::{Connections, OperatorPeer};
use extend_controller::api::operator::{OperatorSettings, service};
use extend_controller::engine::EngineHandle;
use tokio::net::UnixListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;

/// Serves operators on `socket` until `life` ends; everybody is root there.
///
/// # Panics
/// When the socket cannot be made.
pub fn serve(engine: EngineHandle, socket: &Path, clock: Clock, life: CancellationToken) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let settings = OperatorSettings {
        enrolment: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7444),
        ca: Fingerprint([0; 32]),
        state_dir: socket.parent().unwrap_or(Path::new("/")).to_owned(),
        clock,
        shutdown: life.clone(),
    };
    let connections = Connections::new(life);
    let incoming = UnixListenerStream::new(listener).map(move |stream| {
        stream.map(|stream| connections.carry(stream, OperatorPeer { uid: Some(0) }, None))
    });
    let server = tonic::transport::Server::builder()
        .add_service(service(engine, settings))
        .serve_with_incoming(incoming);
    tokio::spawn(async move { drop(server.await) });
}
