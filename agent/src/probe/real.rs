//! Asks for real: which question goes to whom.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use extend_common::roles::{Point, ProbeDefinition, ProbeKind};
use tokio::time::Instant;

use super::bound::BoundProber;
use super::disk::DiskProber;
use super::http::HttpProber;
use super::memory::MemoryProber;
use super::tcp::TcpProber;
use super::{Aim, Prober, sip};
use crate::core::health::Answer;
use crate::docker::Docker;
use crate::service::Gauges;

/// The answer to SIP of a server that takes no new calls (RFC 3261, 21.5.4).
const SERVICE_UNAVAILABLE: u16 = 503;

/// Asks for real.
pub struct RealProber {
    tcp: TcpProber,
    http: HttpProber,
    bound: BoundProber,
    disk: DiskProber,
    memory: MemoryProber,
}

impl RealProber {
    /// One that looks at this data directory, asks this Engine, and leaves its figures there.
    pub fn new(data: PathBuf, docker: Arc<dyn Docker>, gauges: Gauges) -> Self {
        Self {
            tcp: TcpProber::default(),
            http: HttpProber::default(),
            bound: BoundProber::default(),
            disk: DiskProber::of(data),
            memory: MemoryProber::new(docker, gauges),
        }
    }

    /// Asks what lies outside of the service. What nobody can tell is the outer error.
    async fn look(
        &self,
        aim: &Aim,
        kind: &ProbeKind,
        point: Point,
        limit: Duration,
    ) -> Result<Result<(), String>, String> {
        match (kind, point) {
            (_, Point::Udp(port)) => self.bound.ask(aim.node.ip(), port, aim.uid, limit).await,
            (ProbeKind::Disk { minimum_free }, _) => self.disk.ask(*minimum_free, limit).await,
            (ProbeKind::Memory { maximum_growth }, _) => {
                let maximum = *maximum_growth;
                self.memory.ask(&aim.instance, maximum, limit).await
            }
            _ => Err("no node can see that".to_owned()),
        }
    }
}

#[async_trait]
impl Prober for RealProber {
    async fn ask(&self, aim: &Aim, probe: &ProbeDefinition, point: Point) -> Answer {
        let started = Instant::now();
        let (own, limit) = (aim.node.ip(), probe.timeout);
        let at = |port| SocketAddrV4::new(own, port);
        let (result, draining) = match point {
            Point::Tcp(port) => (self.tcp.ask(at(port).into(), limit).await, false),
            Point::Http(port) | Point::Https(port) => {
                let ProbeKind::Http { path, tls, .. } = &probe.kind else {
                    return Answer::Unsure("the probe names no page".to_owned());
                };
                (self.http.ask(at(port), path, *tls, limit).await, false)
            }
            Point::Sip(transport, port) => {
                let status = sip::ask(transport, own, at(port), limit).await;
                let draining = status == Ok(SERVICE_UNAVAILABLE);
                (status.map(drop), draining)
            }
            Point::Udp(_) | Point::Disk | Point::Memory | Point::Portal => {
                return match self.look(aim, &probe.kind, point, limit).await {
                    Ok(Ok(())) => Answer::Passed {
                        took: None,
                        draining: false,
                    },
                    Ok(Err(why)) => Answer::Failed(why),
                    Err(why) => Answer::Unsure(why),
                };
            }
        };
        match result {
            Ok(()) => Answer::Passed {
                took: Some(started.elapsed()),
                draining,
            },
            Err(fault) => fault.into(),
        }
    }
}
