//! Connects to a port for real, and sees to it that the service takes the connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::backlog::Backlogs;
use super::fault::Fault;

/// Between looks at the accept queue; doubled after each.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// Connects for real.
#[derive(Debug, Default)]
pub(super) struct TcpProber {
    backlogs: Backlogs,
}

impl TcpProber {
    /// Whether the service at the port takes a connection within `limit`; why not, in words.
    pub(super) async fn ask(&self, address: SocketAddr, limit: Duration) -> Result<(), Fault> {
        let deadline = Instant::now() + limit;
        let connection = match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                let limit = extend_common::duration::show(limit);
                return Err(Fault::Silent(format!("no connection within {limit}")));
            }
        };
        let IpAddr::V4(ip) = address.ip() else {
            return Ok(());
        };
        let taken = self.taken(ip, address.port(), deadline).await;
        drop(connection);
        taken.map_err(|waiting| {
            let limit = extend_common::duration::show(limit);
            Fault::Silent(format!(
                "it takes no connection within {limit} ({waiting} wait)"
            ))
        })
    }
}

impl TcpProber {
    /// Waits until the service has accepted something. A queue that is empty or shrinks is served;
    /// one that never does until the deadline is not, and its length is the error. Where no listening
    /// socket is to be seen (another network namespace) the connection has to be enough.
    async fn taken(&self, ip: Ipv4Addr, port: u16, deadline: Instant) -> Result<(), u64> {
        let mut before = u64::MAX;
        let mut wait = FIRST_LOOK;
        loop {
            // A read from the kernel's memory: nothing that could block for long.
            let waiting = self.backlogs.waiting(ip, port).unwrap_or(0);
            if waiting == 0 || (before != u64::MAX && waiting < before) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(waiting);
            }
            before = waiting;
            sleep_until((Instant::now() + wait).min(deadline)).await;
            wait *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_service_that_accepts_answers_and_one_that_is_gone_does_not() {
        let (listener, address) = listener().await;
        let serving = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        assert_eq!(TcpProber::default().ask(address, LIMIT).await, Ok(()));
        serving.abort();
        drop(serving.await);
        let refused = TcpProber::default()
            .ask(address, LIMIT)
            .await
            .unwrap_err()
            .words();
        assert!(refused.contains("refused"), "{refused}");
    }

    #[tokio::test]
    async fn a_service_that_is_frozen_with_its_port_open_does_not_answer() {
        let (listener, address) = listener().await;
        let words = TcpProber::default()
            .ask(address, LIMIT)
            .await
            .unwrap_err()
            .words();
        assert_eq!(words, "it takes no connection within 300ms (1 wait)");
        let again = TcpProber::default()
            .ask(address, LIMIT)
            .await
            .unwrap_err()
            .words();
        assert_eq!(again, "it takes no connection within 300ms (2 wait)");
        // It goes on, and works its queue off.
        let serving = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        assert_eq!(TcpProber::default().ask(address, LIMIT).await, Ok(()));
        serving.abort();
    }

    #[tokio::test]
    async fn a_service_that_is_behind_but_at_work_answers() {
        let (listener, address) = listener().await;
        let mut held = Vec::new();
        for _ in 0..20 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let serving = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(40)).await;
                drop(listener.accept().await);
            }
        });
        assert_eq!(TcpProber::default().ask(address, LIMIT).await, Ok(()));
        serving.abort();
    }
}
