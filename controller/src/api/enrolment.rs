//! The enrolment face: how a node comes to its certificate, or back to it.
//!
//! Owns what a stranger may try and how often. Served to addresses that the door expects: of nodes
//! with a live token, and of nodes whose certificate has expired. A node speaks only for itself and
//! only from its own address. Whatever is refused, the answer is the same sentence; the reason goes
//! into the log.

mod nonces;

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::tls::key::RENEWAL_NONCE_LEN;
use extend_common::tls::token::SECRET_LEN;
use extend_common::tls::{renewal_message, verify_signature};
use extend_common::wire::MAX_MESSAGE_BYTES;
use extend_proto::v1;
use extend_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use self::nonces::Nonces;
use super::connection::StrangerPeer;
use super::pace::{Paces, Rate};
use super::status::not_enrolled;
use crate::ca::{CaError, LeafIssuer, NodeLeaf};
use crate::engine::{EngineError, EngineHandle};

/// Guessing a secret of 128 bits at this pace is no danger; it is the work that is bounded.
const JOINS: Rate = Rate {
    every: Duration::from_secs(1),
    burst: 1,
};
/// A node asks for a nonce and uses it at once. It may have lost an answer.
const CHALLENGES: Rate = Rate {
    every: Duration::from_secs(1),
    burst: 3,
};
/// Addresses whose pace is remembered. The door lets in only those of our own nodes.
const MAX_SOURCES: usize = 20_000;

/// The handlers of the enrolment face.
#[derive(Debug)]
pub struct EnrolmentApi {
    engine: EngineHandle,
    issuer: LeafIssuer,
    agents_port: u16,
    joins: Mutex<Paces<Ipv4Addr>>,
    challenges: Mutex<Paces<Ipv4Addr>>,
    nonces: Mutex<Nonces>,
}

/// The enrolment face, for a server of any kind of connection whose requests bear a
/// [`StrangerPeer`]. Who got a certificate is sent on to `agents_port`.
#[must_use]
pub fn service(
    engine: EngineHandle,
    issuer: LeafIssuer,
    agents_port: u16,
) -> EnrolmentServer<EnrolmentApi> {
    let paces = |rate| Mutex::new(Paces::new(rate, MAX_SOURCES));
    let (joins, challenges) = (paces(JOINS), paces(CHALLENGES));
    let nonces = Mutex::new(Nonces::default());
    EnrolmentServer::new(EnrolmentApi {
        engine,
        issuer,
        agents_port,
        joins,
        challenges,
        nonces,
    })
    .max_decoding_message_size(MAX_MESSAGE_BYTES)
    .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

#[tonic::async_trait]
impl Enrolment for EnrolmentApi {
    async fn join(
        &self,
        request: Request<v1::JoinRequest>,
    ) -> Result<Response<v1::CertificateResponse>, Status> {
        within_pace(&self.joins, &request)?;
        let node = claimed_node(&request, &request.get_ref().node)?;
        let v1::JoinRequest {
            secret, csr_der, ..
        } = request.into_inner();
        let secret: [u8; SECRET_LEN] = secret
            .try_into()
            .map_err(|_| refused(node, "the secret has another length"))?;
        let leaf = self
            .issuer
            .issue(node, &csr_der)
            .map_err(|error| not_issued(node, &error))?;
        let spent = self.engine.spend_token(node, secret, leaf.facts()).await;
        spent.map_err(|error| engine_refused(node, error))?;
        tracing::info!(%node, serial = %leaf.serial, key = %leaf.spki_hash, "node joined");
        Ok(self.certificate(leaf))
    }

    async fn challenge(
        &self,
        request: Request<v1::ChallengeRequest>,
    ) -> Result<Response<v1::ChallengeResponse>, Status> {
        within_pace(&self.challenges, &request)?;
        let node = claimed_node(&request, &request.get_ref().node)?;
        let mut nonce = [0; RENEWAL_NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| Status::unavailable("the controller has no randomness at this moment"))?;
        if !self.nonces().issue(node, nonce, Instant::now()) {
            return Err(Status::resource_exhausted(
                "too many nodes renew at once; try again",
            ));
        }
        Ok(Response::new(v1::ChallengeResponse {
            nonce: nonce.to_vec(),
        }))
    }

    async fn renew_expired(
        &self,
        request: Request<v1::RenewExpiredRequest>,
    ) -> Result<Response<v1::CertificateResponse>, Status> {
        let node = claimed_node(&request, &request.get_ref().node)?;
        let v1::RenewExpiredRequest {
            csr_der,
            nonce,
            signature,
            ..
        } = request.into_inner();
        let nonce: [u8; RENEWAL_NONCE_LEN] = nonce
            .try_into()
            .map_err(|_| refused(node, "the nonce has another length"))?;
        // Spent by the attempt, whatever comes of it.
        if !self.nonces().redeem(node, &nonce, Instant::now()) {
            return Err(refused(node, "the nonce was not given out, or not lately"));
        }
        let leaf = self
            .issuer
            .issue(node, &csr_der)
            .map_err(|error| not_issued(node, &error))?;
        // The key in the request signs; the engine says whether it is the enrolled one.
        verify_signature(&leaf.spki, &renewal_message(&nonce, &csr_der), &signature)
            .map_err(|error| refused(node, error))?;
        let allowed = self.engine.renewal_allowed(node, leaf.spki_hash).await;
        allowed.map_err(|error| engine_refused(node, error))?;
        let renewed = self.engine.renewed(node, leaf.facts()).await;
        renewed.map_err(|error| engine_refused(node, error))?;
        tracing::info!(%node, serial = %leaf.serial, "expired certificate renewed");
        Ok(self.certificate(leaf))
    }
}

impl EnrolmentApi {
    fn certificate(&self, leaf: NodeLeaf) -> Response<v1::CertificateResponse> {
        let ca_der = self.issuer.authority().to_vec();
        Response::new(v1::CertificateResponse {
            leaf_der: leaf.der,
            ca_der,
            agents_port: self.agents_port.into(),
        })
    }

    fn nonces(&self) -> MutexGuard<'_, Nonces> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The node that a stranger says it is, provided that it lives where the connection came from.
fn claimed_node<T>(request: &Request<T>, claimed: &str) -> Result<NodeAddr, Status> {
    let source = source(request)?;
    let node = NodeAddr::try_from(source)
        .map_err(|_| Status::permission_denied("no node can have this address"))?;
    if claimed.parse() == Ok(node) {
        return Ok(node);
    }
    let claimed = claimed.chars().take(40).collect::<String>();
    Err(refused(
        node,
        format_args!("it says that it is `{}`", claimed.escape_debug()),
    ))
}

fn source<T>(request: &Request<T>) -> Result<Ipv4Addr, Status> {
    let peer = request.extensions().get::<StrangerPeer>();
    let peer = peer.ok_or_else(|| Status::permission_denied("nobody knows who is calling"))?;
    Ok(peer.source)
}

fn within_pace<T>(paces: &Mutex<Paces<Ipv4Addr>>, request: &Request<T>) -> Result<(), Status> {
    let mut paces = paces.lock().unwrap_or_else(PoisonError::into_inner);
    if paces.allows(source(request)?, Instant::now()) {
        return Ok(());
    }
    Err(Status::resource_exhausted(
        "too many attempts from this address: wait a second",
    ))
}

fn refused(node: NodeAddr, reason: impl Display) -> Status {
    tracing::warn!(%node, %reason, "enrolment refused");
    not_enrolled(node)
}

/// Refusals lose their reason on the way to a stranger; trouble of our own does not look like one.
fn engine_refused(node: NodeAddr, error: EngineError) -> Status {
    match error {
        EngineError::Refused(refusal) => refused(node, refusal),
        EngineError::Stopped | EngineError::StoreFailed(_) | EngineError::Unread(_) => {
            tracing::error!(%node, %error, "cannot enrol");
            Status::unavailable("the controller cannot give certificates at this moment; try again")
        }
    }
}

/// A request for a certificate that cannot be had.
pub(super) fn not_issued(node: NodeAddr, error: &CaError) -> Status {
    tracing::warn!(%node, error = error as &dyn std::error::Error, "no certificate issued");
    Status::invalid_argument("the certificate request is refused")
}
