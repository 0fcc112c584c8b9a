//! The operators' face: the Unix socket, where the kernel says who is calling.
//!
//! Each handler identifies, parses, makes one call and converts. Which methods are root's alone is
//! decided in [`super::access`], before any of this.

mod alerts;
mod archive;
mod caller;
mod events;
mod health;
mod logs;
mod watching;
mod whitelist;

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::Arc;

use extend_common::clock::Clock;
use extend_common::tls::{Fingerprint, JoinToken};
use extend_common::wire::{MAX_MESSAGE_BYTES, shown_text};
use extend_proto::v1;
use extend_proto::v1::operator_server::{Operator, OperatorServer};
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::archive::Chunks;
use self::events::{Reader, Reading};
use self::logs::{Pieces, Wanted};
use self::watching::Watching;
use super::{show, status, wire};
use crate::enforce::Pokes;
use crate::engine::EngineHandle;
use crate::logs::Broker;
use crate::package::Shelf;

/// The status of a fleet of 10,000 servers has about 10 MiB. What comes in is bounded as everywhere.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// More people than look at one fleet at a time.
const MOST_READERS: usize = 64;

/// What the operators' face is told by the daemon.
#[derive(Debug, Clone)]
pub struct OperatorSettings {
    /// Where tokens send a node to join.
    pub enrolment: SocketAddrV4,
    /// The authority that tokens pin.
    pub authority: CertificateDer<'static>,
    /// The package that nodes install.
    pub packages: Shelf,
    /// What a backup is taken of.
    pub state_dir: PathBuf,
    /// The time.
    pub clock: Clock,
    /// Ends every stream.
    pub shutdown: CancellationToken,
    /// Who waits for logs.
    pub logs: Broker,
    /// Where enforcers are asked to go at once.
    pub pokes: Pokes,
    /// Who is told of alerts, for messages on trial.
    pub posts: crate::notify::Posts,
}

/// The handlers of the operators' face.
#[derive(Debug)]
pub struct OperatorApi {
    engine: EngineHandle,
    settings: OperatorSettings,
    /// One backup at a time: each holds a copy of the store.
    backup: Arc<Semaphore>,
    /// Those who read events: each asks the engine again whenever something happens.
    readers: Arc<Semaphore>,
}

/// The operators' face, for a server of any kind of connection whose requests bear an
/// [`super::connection::OperatorPeer`].
#[must_use]
pub fn service(engine: EngineHandle, settings: OperatorSettings) -> OperatorServer<OperatorApi> {
    OperatorServer::new(OperatorApi {
        engine,
        settings,
        backup: Arc::new(Semaphore::new(1)),
        readers: Arc::new(Semaphore::new(MOST_READERS)),
    })
    .max_decoding_message_size(MAX_MESSAGE_BYTES)
    .max_encoding_message_size(MAX_ANSWER_BYTES)
}

type Answer<T> = Result<Response<T>, Status>;

/// What cannot be parsed, as an answer.
fn parsed<T>(result: Result<T, extend_common::wire::WireError>) -> Result<T, Status> {
    result.map_err(|error| status::from_wire(&error))
}

#[tonic::async_trait]
impl Operator for OperatorApi {
    type WatchOperationStream = Watching;
    type WatchEventsStream = Reading;
    type BackupStream = Chunks;
    type ReadLogsStream = Pieces;

    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Answer<v1::SubmitResponse> {
        let by = (caller::name(&request).await?, caller::from(&request));
        let submission = parsed(wire::submission(request.into_inner(), by))?;
        let submitted = self.engine.submit(submission).await?;
        Ok(Response::new(show::submitted(submitted)))
    }

    async fn retry_operation(
        &self,
        request: Request<v1::RetryRequest>,
    ) -> Answer<v1::SubmitResponse> {
        let by = (caller::name(&request).await?, caller::from(&request));
        let retry = parsed(wire::retry(request.into_inner(), by))?;
        let submitted = self.engine.retry(retry).await?;
        Ok(Response::new(show::submitted(submitted)))
    }

    async fn watch_operation(&self, request: Request<v1::OperationRequest>) -> Answer<Watching> {
        let changes = self.engine.watch(&request.into_inner().id).await?;
        Ok(Response::new(Watching::new(
            changes,
            &self.settings.shutdown,
        )))
    }

    async fn watch_events(&self, request: Request<v1::WatchEventsRequest>) -> Answer<Reading> {
        let request = request.into_inner();
        let place = Arc::clone(&self.readers)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("too many others read the events"))?;
        let begin = self
            .engine
            .begin_events(parsed(wire::events(&request))?)
            .await?;
        let reader = Reader {
            engine: self.engine.clone(),
            begin,
            follow: request.follow,
            shutdown: self.settings.shutdown.clone(),
            place,
        };
        Ok(Response::new(reader.start()))
    }

    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Answer<v1::ListOperationsResponse> {
        let filter = parsed(wire::operations(request.into_inner()))?;
        let list = self.engine.list(filter).await?;
        Ok(Response::new(show::operations(list)))
    }

    async fn get_operation(&self, request: Request<v1::OperationRequest>) -> Answer<v1::Operation> {
        let operation = self.engine.operation(&request.into_inner().id).await?;
        Ok(Response::new(operation.into()))
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::OperationRequest>,
    ) -> Answer<v1::Operation> {
        let by = caller::name(&request).await?;
        let operation = self.engine.cancel(&request.into_inner().id, &by).await?;
        Ok(Response::new(operation.into()))
    }

    async fn list_servers(
        &self,
        request: Request<v1::ListServersRequest>,
    ) -> Answer<v1::ListServersResponse> {
        let v1::ListServersRequest { selector, recent } = request.into_inner();
        let selector = parsed(wire::selector(selector))?;
        let view = match recent {
            true => self.engine.servers_lately(selector).await?,
            false => self.engine.servers(selector).await?,
        };
        Ok(Response::new(show::servers(
            view,
            self.settings.clock.now(),
        )))
    }

    async fn show_health(&self, request: Request<v1::HealthRequest>) -> Answer<v1::HealthResponse> {
        let selector = parsed(wire::selector(request.into_inner().selector))?;
        let views = self.engine.health(selector).await?;
        let now = self.settings.clock.now();
        let servers = views.into_iter().map(|view| health::view(view, now));
        let servers = servers.collect();
        Ok(Response::new(v1::HealthResponse { servers }))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Answer<v1::ListNodesResponse> {
        let node = parsed(wire::parse_optional("node", &request.into_inner().node))?;
        let nodes = self.engine.nodes(node).await?;
        let now = self.settings.clock.now();
        let nodes = nodes.into_iter().map(|view| show::node(view, now));
        let nodes = nodes.collect();
        Ok(Response::new(v1::ListNodesResponse { nodes }))
    }

    async fn checkup(&self, request: Request<v1::CheckupRequest>) -> Answer<v1::CheckupResponse> {
        let v1::CheckupRequest { nodes, role } = request.into_inner();
        let selector = v1::Selector {
            role,
            nodes,
            name: String::new(),
        };
        let words = parsed(wire::selector(Some(selector)))?;
        let checkups = self.engine.checkup(words).await?;
        Ok(Response::new(show::checkups(checkups)))
    }

    async fn mint_token(
        &self,
        request: Request<v1::MintTokenRequest>,
    ) -> Answer<v1::MintTokenResponse> {
        let by = caller::name(&request).await?;
        let v1::MintTokenRequest { node, ttl_seconds } = request.into_inner();
        let node: extend_common::ids::NodeAddr = parsed(wire::parse("node", &node))?;
        let ca = Fingerprint::of(&self.settings.authority);
        let token = JoinToken::generate(self.settings.enrolment, node.ip(), ca)
            .map_err(|error| Status::internal(error.to_string()))?;
        let ttl = wire::seconds(ttl_seconds);
        let expires = self
            .engine
            .mint_token(node, ttl, token.secret_hash(), &by)
            .await?;
        tracing::info!(by, %node, until = %expires, "join token made");
        Ok(Response::new(v1::MintTokenResponse {
            token: token.to_string(),
            expires_ms: expires.as_millisecond(),
        }))
    }

    async fn describe_enrolment(
        &self,
        _: Request<v1::DescribeEnrolmentRequest>,
    ) -> Answer<v1::EnrolmentView> {
        let shelf = self.settings.packages.clone();
        let found = tokio::task::spawn_blocking(move || shelf.open())
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        let view = v1::EnrolmentView {
            address: self.settings.enrolment.to_string(),
            ca_der: self.settings.authority.to_vec(),
            ..v1::EnrolmentView::default()
        };
        Ok(Response::new(show::enrolment(
            view,
            found.map(|(_, package)| package),
        )))
    }

    async fn revoke_node(&self, request: Request<v1::NodeRequest>) -> Answer<v1::NodeResponse> {
        let by = caller::name(&request).await?;
        let node = parsed(wire::parse("node", &request.into_inner().node))?;
        let (view, notes) = self.engine.revoke(node, &by).await?;
        let now = self.settings.clock.now();
        Ok(Response::new(show::noted(view, notes, now)))
    }

    async fn remove_node(
        &self,
        request: Request<v1::RemoveNodeRequest>,
    ) -> Answer<v1::NodeResponse> {
        let by = caller::name(&request).await?;
        let v1::RemoveNodeRequest { node, force } = request.into_inner();
        let node = parsed(wire::parse("node", &node))?;
        let (view, notes) = self.engine.remove(node, force, &by).await?;
        Ok(Response::new(show::noted(
            view,
            notes,
            self.settings.clock.now(),
        )))
    }

    async fn read_logs(&self, request: Request<v1::ReadLogsRequest>) -> Answer<Pieces> {
        let by = caller::name(&request).await?;
        let (selector, query) = parsed(wire::read_logs(request.into_inner()))?;
        let wanted = Wanted {
            selector,
            query,
            by,
        };
        let OperatorSettings { logs, shutdown, .. } = &self.settings;
        let pieces = logs::begin(&self.engine, logs, shutdown, wanted).await?;
        Ok(Response::new(pieces))
    }

    async fn list_alerts(&self, _: Request<v1::ListAlertsRequest>) -> Answer<v1::AlertsView> {
        Ok(Response::new(alerts::view(self.engine.alerts().await?)))
    }

    async fn ack_alerts(
        &self,
        request: Request<v1::AckAlertsRequest>,
    ) -> Answer<v1::AckAlertsResponse> {
        let by = caller::name(&request).await?;
        let v1::AckAlertsRequest { id, note } = request.into_inner();
        let id = Some(id).filter(|id| *id > 0);
        let count = self.engine.acknowledge(id, shown_text(note), by).await?;
        let acknowledged = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Response::new(v1::AckAlertsResponse { acknowledged }))
    }

    async fn test_alerts(
        &self,
        request: Request<v1::TestAlertsRequest>,
    ) -> Answer<v1::TestAlertsResponse> {
        let by = caller::name(&request).await?;
        let OperatorSettings { posts, clock, .. } = &self.settings;
        let trials = alerts::test(posts, &request.into_inner().receiver, &by, clock.now()).await?;
        Ok(Response::new(trials))
    }

    async fn silence_alerts(
        &self,
        request: Request<v1::SilenceAlertsRequest>,
    ) -> Answer<v1::AlertSilence> {
        let by = caller::name(&request).await?;
        let (words, lasts, note) = alerts::read_silence(request.into_inner())?;
        let silence = self.engine.silence(words, lasts, note, by).await?;
        Ok(Response::new(alerts::silence(silence)))
    }

    async fn unsilence_alerts(
        &self,
        request: Request<v1::UnsilenceAlertsRequest>,
    ) -> Answer<v1::UnsilenceAlertsResponse> {
        let by = caller::name(&request).await?;
        self.engine.unsilence(request.into_inner().id, by).await?;
        Ok(Response::new(v1::UnsilenceAlertsResponse {}))
    }

    async fn list_whitelist(
        &self,
        _: Request<v1::ListWhitelistRequest>,
    ) -> Answer<v1::WhitelistView> {
        let overview = self.engine.whitelist().await?;
        Ok(Response::new(whitelist::view(overview, &BTreeSet::new())))
    }

    async fn sync_whitelist(
        &self,
        request: Request<v1::SyncWhitelistRequest>,
    ) -> Answer<v1::WhitelistView> {
        let by = caller::name(&request).await?;
        let pokes = &self.settings.pokes;
        let view = whitelist::sync(&self.engine, pokes, request.into_inner(), &by).await?;
        Ok(Response::new(view))
    }

    async fn backup(&self, request: Request<v1::BackupRequest>) -> Answer<Chunks> {
        let by = caller::name(&request).await?;
        let place = Arc::clone(&self.backup)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("another backup is being taken"))?;
        tracing::info!(by, "backup begun");
        Ok(Response::new(
            archive::begin(&self.engine, &self.settings, place).await?,
        ))
    }

    async fn note_shim(
        &self,
        request: Request<v1::NoteShimRequest>,
    ) -> Answer<v1::NoteShimResponse> {
        let mended = parsed(wire::shim_mended(request.into_inner()))?;
        self.engine.note_shim(mended).await?;
        Ok(Response::new(v1::NoteShimResponse {}))
    }

    async fn recover(&self, request: Request<v1::RecoverRequest>) -> Answer<v1::RecoverResponse> {
        let by = caller::name(&request).await?;
        let v1::RecoverRequest { nodes, finish } = request.into_inner();
        let nodes = parsed(wire::nodes(&nodes))?;
        let recovered = self.engine.recover(nodes, finish, &by).await?;
        let now = self.settings.clock.now();
        let node = |(view, notes)| show::noted(Some(view), notes, now);
        let notes = recovered.notes;
        let recovered = recovered.nodes.into_iter().map(node).collect();
        Ok(Response::new(v1::RecoverResponse { recovered, notes }))
    }
}
