//! What the controller wants of firewalld on a node of the PBX: passed on to the host, which asks
//! its root helper, and answered with what is there then.
//!
//! Called by the session with what the controller asks, which is hostile: it is parsed to single
//! addresses and ports, one question is worked on at a time, and few wait. Whether anything is done
//! at all, the node's own configuration says.

use std::sync::Arc;

use extend_common::firewall::{FirewallChange, FirewallState, FirewallTold, Undone};
use extend_common::wire::firewall_told;
use extend_proto::v1;
use extend_proto::v1::agent_message::Kind;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::host::{Host, HostError};

/// Questions that are open at once: one is worked on. More are not even answered: the controller
/// gives up waiting, and asks again.
const MAX_OPEN: usize = 4;
/// The longest id that is sent back: a ULID has 26 characters.
const MAX_ID: usize = 64;

/// The questions of one session. Dropping it answers none of them; what is being done is done.
pub struct Firewall {
    host: Arc<dyn Host>,
    to: mpsc::Sender<v1::AgentMessage>,
    open: JoinSet<()>,
    turn: Arc<Mutex<()>>,
}

impl Firewall {
    /// Answers go to `to`.
    pub fn new(host: Arc<dyn Host>, to: mpsc::Sender<v1::AgentMessage>) -> Self {
        Self {
            host,
            to,
            open: JoinSet::new(),
            turn: Arc::default(),
        }
    }

    /// Takes a question; never waits.
    pub fn take(&mut self, wanted: v1::FirewallWanted) {
        while self.open.try_join_next().is_some() {}
        let id = wanted.id.clone();
        if self.open.len() >= MAX_OPEN || id.is_empty() || id.len() > MAX_ID {
            tracing::warn!(
                "a question about firewalld is not answered: there are too many, or it has no id"
            );
            return;
        }
        let (host, to, turn) = (self.host.clone(), self.to.clone(), self.turn.clone());
        self.open.spawn(async move {
            let _turn = turn.lock().await;
            let told = match FirewallChange::try_from(wanted) {
                Ok(change) => act(host, change).await,
                Err(error) => failed(format!("reading what firewalld is to do: {error}"), None),
            };
            let kind = Some(Kind::FirewallTold(firewall_told(id, told)));
            // A session that has ended has nobody to tell.
            let _ = to.send(v1::AgentMessage { kind }).await;
        });
    }
}

async fn act(host: Arc<dyn Host>, change: FirewallChange) -> FirewallTold {
    let done = tokio::task::spawn_blocking(move || host.firewall(&change)).await;
    match done {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => {
            tracing::warn!(%error, "firewalld was not kept");
            let hint = error.hint.clone();
            failed(
                HostError {
                    hint: None,
                    ..error
                }
                .to_string(),
                hint,
            )
        }
        Err(error) => failed(format!("asking for firewalld: {error}"), None),
    }
}

fn failed(sentence: String, hint: Option<String>) -> FirewallTold {
    let hint = hint.unwrap_or_else(|| "journalctl -u extend-agent".to_owned());
    FirewallTold {
        undone: Some(Undone { sentence, hint }),
        ..FirewallTold::of(FirewallState::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::host::MemoryHost;

    const NODE: &str = "172.31.16.139";

    struct Rig {
        host: MemoryHost,
        firewall: Firewall,
        told: mpsc::Receiver<v1::AgentMessage>,
    }

    impl Rig {
        fn new() -> Self {
            let host = MemoryHost::new();
            let (to, told) = mpsc::channel(4);
            Self {
                firewall: Firewall::new(Arc::new(host.clone()), to),
                host,
                told,
            }
        }

        async fn ask(&mut self, trust: &[&str]) -> v1::FirewallTold {
            self.firewall.take(v1::FirewallWanted {
                id: "7".to_owned(),
                trust: trust.iter().map(ToString::to_string).collect(),
                ..v1::FirewallWanted::default()
            });
            let told = tokio::time::timeout(Duration::from_secs(5), self.told.recv()).await;
            match told.unwrap().unwrap().kind {
                Some(Kind::FirewallTold(told)) => told,
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn it_is_done_and_what_is_there_is_told() {
        let mut rig = Rig::new();
        assert_eq!(rig.ask(&[]).await.state(), v1::FirewallState::Absent);
        rig.host.install_firewall();
        let told = rig.ask(&[NODE]).await;
        assert_eq!(told.state(), v1::FirewallState::Running);
        assert_eq!(told.sources[0].address, NODE);
        let address: Ipv4Addr = NODE.parse().unwrap();
        assert!(rig.host.trusted().contains(&address));
    }

    #[tokio::test]
    async fn what_is_no_address_reaches_no_host() {
        let mut rig = Rig::new();
        rig.host.install_firewall();
        for odd in ["0.0.0.0/0", "127.0.0.1", "--reload", ""] {
            let told = rig.ask(&[NODE, odd]).await;
            assert_eq!(told.state(), v1::FirewallState::Unspecified, "{odd}");
            assert!(
                told.problem.starts_with("reading what firewalld"),
                "{told:?}"
            );
            assert!(rig.host.trusted().is_empty(), "not even the good one");
        }
        // Nobody could tell the answer apart.
        rig.firewall.take(v1::FirewallWanted::default());
        assert!(rig.firewall.open.is_empty());
    }
}
