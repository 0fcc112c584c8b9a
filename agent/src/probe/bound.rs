//! Whether somebody is bound to a UDP port at the node's address, by the kernel's own tables. It
//! says less than an answer would, and it can be asked of what speaks no protocol that we do.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::sessions::{Bound, bound};

/// The ports of a probe are asked for at once: one look answers all of them.
const FRESH: Duration = Duration::from_millis(200);
/// The kernel's tables, and whether every kernel has them.
const TABLES: [(&str, bool); 2] = [("/proc/net/udp", true), ("/proc/net/udp6", false)];

/// Looks for bound ports.
#[derive(Debug, Default)]
pub(super) struct BoundProber {
    seen: Mutex<Option<(Instant, Arc<Vec<Bound>>)>>,
}

impl BoundProber {
    /// Whether a socket is bound at this address and port, by this user if one is named. What
    /// nobody can tell is the outer error.
    pub(super) async fn ask(
        &self,
        ip: Ipv4Addr,
        port: u16,
        uid: Option<u32>,
        limit: Duration,
    ) -> Result<Result<(), String>, String> {
        let Ok(looked) = timeout(limit, self.look()).await else {
            return Err("the kernel's table takes too long to read".to_owned());
        };
        let sockets = looked?;
        let mut at_port = sockets.iter().filter(|socket| socket.is_at(ip, port));
        let is_it = |socket: &Bound| uid.is_none_or(|uid| uid == socket.uid);
        Ok(match (at_port.clone().any(is_it), at_port.next()) {
            (true, _) => Ok(()),
            (false, None) => Err("no socket has the port".to_owned()),
            (false, Some(other)) => Err(format!("user {} has the port", other.uid)),
        })
    }

    async fn look(&self) -> Result<Arc<Vec<Bound>>, String> {
        // Held while it is read: whoever comes meanwhile waits for the same look.
        let mut seen = self.seen.lock().await;
        if let Some((at, sockets)) = seen.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(sockets.clone());
        }
        let read = tokio::task::spawn_blocking(read).await;
        let sockets = Arc::new(read.map_err(|error| error.to_string())??);
        *seen = Some((Instant::now(), sockets.clone()));
        Ok(sockets)
    }
}

fn read() -> Result<Vec<Bound>, String> {
    let mut all = Vec::new();
    for (path, is_everywhere) in TABLES {
        let told = |error: &dyn std::fmt::Display| format!("{path}: {error}");
        match File::open(path) {
            Ok(file) => all.extend(bound(BufReader::new(file)).map_err(|why| told(&why))?),
            // A kernel without IPv6.
            Err(error) if !is_everywhere && error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(told(&error)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn ask(ip: &str, port: u16, uid: Option<u32>) -> Result<(), String> {
        let prober = BoundProber::default();
        prober
            .ask(ip.parse().unwrap(), port, uid, LIMIT)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_port_is_bound_where_its_socket_is_and_by_whom() {
        let me = nix::unistd::getuid().as_raw();
        let socket = UdpSocket::bind("127.0.45.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(ask("127.0.45.1", port, None).await, Ok(()));
        assert_eq!(ask("127.0.45.1", port, Some(me)).await, Ok(()));
        let other = ask("127.0.45.1", port, Some(me + 1)).await.unwrap_err();
        assert_eq!(other, format!("user {me} has the port"));
        let elsewhere = ask("127.0.45.2", port, None).await.unwrap_err();
        assert_eq!(elsewhere, "no socket has the port");
        drop(socket);
        ask("127.0.45.1", port, None).await.unwrap_err();
        for everywhere in ["0.0.0.0:0", "[::]:0"] {
            let socket = UdpSocket::bind(everywhere).unwrap();
            let port = socket.local_addr().unwrap().port();
            assert_eq!(ask("127.0.45.1", port, None).await, Ok(()), "{everywhere}");
        }
    }

    #[tokio::test]
    async fn ports_that_are_asked_for_together_are_answered_by_one_look() {
        let prober = BoundProber::default();
        let ip = Ipv4Addr::LOCALHOST;
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(prober.ask(ip, port, None, LIMIT).await.unwrap(), Ok(()));
        drop(socket);
        let soon = prober.ask(ip, port, None, LIMIT).await.unwrap();
        assert_eq!(soon, Ok(()), "the same look");
        tokio::time::sleep(FRESH).await;
        prober
            .ask(ip, port, None, LIMIT)
            .await
            .unwrap()
            .unwrap_err();
    }
}
