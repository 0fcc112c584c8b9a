//! The operators' socket of a simulated controller, for the real command line.

use std::path::Path;

use extend_controller::api::connection::{Connections, OperatorPeer};
use extend_controller::api::operator::{OperatorSettings, service};
use extend_controller::engine::EngineHandle;
use tokio::net::UnixListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;

/// Serves operators on `socket` until the settings' end; everybody is root there.
///
/// # Panics
/// When the socket cannot be made.
pub fn serve(engine: EngineHandle, socket: &Path, settings: OperatorSettings) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let connections = Connections::new(settings.shutdown.clone());
    let incoming = UnixListenerStream::new(listener).map(move |stream| {
        stream.map(|stream| connections.carry(stream, OperatorPeer { uid: Some(0) }, None))
    });
    let server = tonic::transport::Server::builder()
        .add_service(service(engine, settings))
        .serve_with_incoming(incoming);
    tokio::spawn(async move { drop(server.await) });
}
