//! Who may call what: the table of methods, and the layer that keeps to it on every face.
//!
//! Owns the decision before any handler runs. Each listener is wrapped in one [`AccessLayer`].
//! Invariants: every generated method has an entry, or the crate does not build; a path that is no
//! method, a method of another face and a caller that nobody identified are all refused here.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use extend_proto::method::Method;
use futures_util::future::Either;
use http::{Extensions, Request, Response};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::connection::{AgentPeer, OperatorPeer, StrangerPeer};
use super::pace::{Pace, Rate};

/// Whoever calls what it may not decides how often this is logged, up to here.
const WARNINGS: Rate = Rate {
    every: Duration::from_secs(1),
    burst: 10,
};

/// Where a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// mTLS, for enrolled nodes.
    Agents,
    /// TLS without a client certificate, for nodes that have none.
    Enrolment,
    /// The Unix socket.
    Operators,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A node, by its certificate.
    Agent,
    /// A node that proves itself within the call.
    Enrolment,
    /// Whoever may open the socket.
    Operator,
    /// The superuser alone.
    Root,
}

impl Caller {
    /// The only face that such a caller comes through.
    #[must_use]
    pub fn face(self) -> Face {
        match self {
            Self::Agent => Face::Agents,
            Self::Enrolment => Face::Enrolment,
            Self::Operator | Self::Root => Face::Operators,
        }
    }
}

/// Who may call `method`. There is no default: a new method does not build without its line.
#[must_use]
pub fn caller(method: Method) -> Caller {
    match method {
        Method::AgentSession | Method::AgentRenewLeaf | Method::AgentSendLogs => Caller::Agent,
        Method::EnrolmentJoin | Method::EnrolmentChallenge | Method::EnrolmentRenewExpired => {
            Caller::Enrolment
        }
        Method::OperatorSubmit
        | Method::OperatorWatchOperation
        | Method::OperatorListOperations
        | Method::OperatorGetOperation
        | Method::OperatorCancelOperation
        | Method::OperatorRetryOperation
        | Method::OperatorListServers
        | Method::OperatorListNodes
        | Method::OperatorShowHealth
        | Method::OperatorWatchEvents
        | Method::OperatorMintToken
        | Method::OperatorDescribeEnrolment
        | Method::OperatorRevokeNode
        | Method::OperatorRemoveNode
        | Method::OperatorCheckup
        | Method::OperatorReadLogs
        | Method::OperatorListAlerts
        | Method::OperatorAckAlerts
        | Method::OperatorTestAlerts
        | Method::OperatorSilenceAlerts
        | Method::OperatorUnsilenceAlerts
        | Method::OperatorListWhitelist
        | Method::OperatorSyncWhitelist => Caller::Operator,
        // A backup holds the authority's key, and recovery decides what is true.
        Method::OperatorBackup | Method::OperatorRecover | Method::OperatorNoteShim => Caller::Root,
    }
}

/// What is handed out over HTTP/1.1, beside the methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The agent's package, for a node that is to join.
    AgentPackage,
}

impl Page {
    /// Each page with its path.
    pub const ALL: &'static [(&'static str, Self)] =
        &[("/agent/extend-agent.deb", Self::AgentPackage)];
}

/// Who may read `page`. As for methods there is no default.
#[must_use]
pub fn reader(page: Page) -> Caller {
    match page {
        Page::AgentPackage => Caller::Enrolment,
    }
}

/// The page that a path names, if it is read on `face`.
#[must_use]
pub fn page(face: Face, path: &str) -> Option<Page> {
    let named = Page::ALL.iter().find(|(of, _)| *of == path);
    let (_, page) = named?;
    (reader(*page).face() == face).then_some(*page)
}

/// Lets a request through to the handlers of `face`, or says why not.
fn judge(face: Face, path: &str, extensions: &Extensions) -> Result<(), Status> {
    let method = Method::from_path(path)
        .ok_or_else(|| Status::unimplemented("the controller has no such method"))?;
    let caller = caller(method);
    if caller.face() != face {
        return Err(Status::permission_denied(
            "this method cannot be called here",
        ));
    }
    let known = match caller {
        Caller::Agent => extensions.get::<AgentPeer>().is_some(),
        Caller::Enrolment => extensions.get::<StrangerPeer>().is_some(),
        Caller::Operator | Caller::Root => match extensions.get::<OperatorPeer>() {
            Some(peer) if caller == Caller::Root && !peer.is_root() => {
                return Err(super::status::root_only());
            }
            Some(peer) => peer.uid.is_some(),
            None => false,
        },
    };
    if known {
        Ok(())
    } else {
        Err(Status::permission_denied("nobody knows who is calling"))
    }
}

/// The check of one face, in front of its handlers.
#[derive(Debug, Clone)]
pub struct AccessLayer {
    face: Face,
    said: Arc<Mutex<Pace>>,
}

impl AccessLayer {
    /// The check of `face`.
    #[must_use]
    pub fn new(face: Face) -> Self {
        Self {
            face,
            said: Arc::default(),
        }
    }

    fn refused(&self, path: &str, status: &Status) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.allows(WARNINGS, Instant::now()) {
            let path = path.chars().take(80).collect::<String>();
            tracing::warn!(face = ?self.face, path, reason = status.message(), "call refused");
        }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access {
            check: self.clone(),
            inner,
        }
    }
}

/// Handlers behind the check of their face.
#[derive(Debug, Clone)]
pub struct Access<S> {
    check: AccessLayer,
    inner: S,
}

impl<S, B> Service<Request<B>> for Access<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match judge(self.check.face, request.uri().path(), request.extensions()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(status) => {
                self.check.refused(request.uri().path(), &status);
                Either::Right(ready(Ok(status.into_http())))
            }
        }
    }
}

#[cfg(test)]
mod tests;
