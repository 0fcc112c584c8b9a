//! Asks for real: which question goes to whom.

use std::net::SocketAddr;

use async_trait::async_trait;
use extend_common::roles::{Point, ProbeDefinition};
use tokio::time::Instant;

use super::tcp::TcpProber;
use super::{Aim, Prober};
use crate::core::health::Answer;

/// Asks for real.
#[derive(Debug, Default)]
pub struct RealProber {
    tcp: TcpProber,
}

#[async_trait]
impl Prober for RealProber {
    async fn ask(&self, aim: &Aim, probe: &ProbeDefinition, point: Point) -> Answer {
        let started = Instant::now();
        let result = match point {
            Point::Tcp(port) => {
                let address = SocketAddr::from((aim.node.ip(), port));
                self.tcp.ask(address, probe.timeout).await
            }
            Point::Http(_)
            | Point::Https(_)
            | Point::Sip(..)
            | Point::Udp(_)
            | Point::Disk
            | Point::Memory
            | Point::Portal => return Answer::Unsure("this agent cannot ask that".to_owned()),
        };
        match result {
            Ok(()) => Answer::after(started.elapsed()),
            Err(why) => Answer::Failed(why),
        }
    }
}
