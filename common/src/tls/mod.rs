//! Who is who on the wire: the controller's authority, the certificates it issues, and the two TLS
//! faces (agents, enrolment) with the client side of each.
//!
//! The controller builds on [`authority`], [`live`], [`server`] and [`accept`]; the agent on
//! [`key`], [`client`] and [`connect`]; both read a [`token`].
//!
//! Invariants of everything below:
//! - rustls with ring, passed explicitly; never the process-wide default. TLS 1.3 and nothing older.
//! - No session is ever resumed: a resumed session would skip the check of the certificate.
//! - Identity comes from the verified certificate and never from a message.
//! - Nothing asks for the time: making a certificate takes `now`, verifying one takes a [`Time`].

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls_pki_types::{DnsName, InvalidDnsNameError, ServerName};

pub use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

pub mod accept;
pub mod authority;
pub mod client;
pub mod connect;
pub mod connection;
mod door;
pub mod fingerprint;
mod gate;
pub mod issue;
pub mod key;
pub mod live;
pub mod peer;
pub mod pem;
pub mod pin;
pub mod problem;
pub mod public_key;
pub mod request;
pub mod secret_key;
mod serial;
pub mod server;
mod socket;
mod tally;
pub mod token;

pub use accept::{AcceptLimits, TlsIncoming, serve_tls};
pub use authority::Authority;
pub use client::{agent_client_config, pinned_client_config};
pub use connect::{DialError, dial};
pub use connection::{PeerInfo, TlsConnection};
pub use door::Door;
pub use fingerprint::Fingerprint;
pub use issue::{IssuedLeaf, KeyAndCert, LEAF_LIFETIME};
pub use key::{NodeKey, renewal_message};
pub use live::LiveCertificate;
pub use peer::PeerNode;
pub use problem::{CertificateProblem, PeerRefusal};
pub use public_key::verify_signature;
pub use serial::Serial;
pub use server::ServerTls;
pub use token::JoinToken;

#[cfg(test)]
mod tests;

/// The name every agent expects in the controller's certificate, whatever address it dialled:
/// controllers move, and nothing here resolves names.
pub const CONTROLLER_NAME: &str = "controller.extend";

/// Both faces speak gRPC, which is HTTP/2.
const ALPN_H2: &[u8] = b"h2";
/// The enrolment face also hands out the agent's package, to whatever program a bare node has.
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Where certificate verification takes the time from.
pub type Time = Arc<dyn TimeProvider>;

/// The time of the system, as rustls reads it.
#[must_use]
pub fn system_time() -> Time {
    Arc::new(DefaultTimeProvider)
}

/// [`CONTROLLER_NAME`] as rustls wants it.
#[must_use]
pub fn server_name() -> ServerName<'static> {
    static NAME: Result<DnsName<'static>, InvalidDnsNameError> =
        DnsName::try_from_str(CONTROLLER_NAME);
    const _: () = assert!(NAME.is_ok(), "the controller's name is no DNS name");
    match &NAME {
        Ok(name) => ServerName::DnsName(name.clone()),
        Err(_) => unreachable!("the compiler has checked the name"),
    }
}

/// The one cryptographic provider of the product.
fn provider() -> Arc<CryptoProvider> {
    static RING: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&RING)
}
