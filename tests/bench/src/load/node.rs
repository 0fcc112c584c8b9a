//! What a simulated agent knows, and what it says of it. Pure.

use extend_common::ids::NodeAddr;
use extend_proto::v1;

/// The agent's memory; a real one has it in its ledger.
#[derive(Debug, Clone)]
pub(super) struct Node {
    address: NodeAddr,
    store: String,
    epoch: u64,
    record: Option<v1::ServerRecord>,
    status: Option<v1::ServerStatus>,
}

impl Node {
    /// One that has just joined.
    pub(super) fn new(address: NodeAddr) -> Self {
        Self {
            address,
            store: String::new(),
            epoch: 0,
            record: None,
            status: None,
        }
    }

    /// The first message of a session.
    pub(super) fn hello(&self, definitions: &[v1::DefinitionDigest]) -> v1::Hello {
        v1::Hello {
            node: self.address.to_string(),
            agent_version: "0.0.0-simulated".to_owned(),
            // Empty before the first record.
            store_id: self
                .record
                .as_ref()
                .map_or_else(String::new, |_| self.store.clone()),
            epoch: self.epoch,
            record: self.record.clone(),
            definitions: definitions.to_vec(),
            status: self.status.clone(),
            ..v1::Hello::default()
        }
    }

    /// Notes whose records it follows.
    pub(super) fn welcomed(&mut self, welcome: &v1::Welcome) {
        welcome.store_id.clone_into(&mut self.store);
        self.epoch = welcome.epoch;
    }

    /// Takes a record that is newer than the one it holds; what it then says.
    pub(super) fn assigned(
        &mut self,
        record: v1::ServerRecord,
        now_ms: i64,
    ) -> Option<v1::ServerStatus> {
        let is_newer = match &self.record {
            Some(held) => stamp(&record) > stamp(held),
            None => true,
        };
        if !is_newer {
            return None;
        }
        let status = done(&record, now_ms);
        self.record = Some(record);
        self.status = Some(status.clone());
        Some(status)
    }
}

fn stamp(record: &v1::ServerRecord) -> Option<(u64, u64)> {
    let stamp = record.id.as_ref()?.stamp.as_ref()?;
    Some((stamp.epoch, stamp.generation))
}

/// The record has come to its end, and the server is as it says.
fn done(record: &v1::ServerRecord, now_ms: i64) -> v1::ServerStatus {
    let (health, state) = match record.run_state() {
        v1::RunState::Running => (v1::Health::Healthy, Some("running")),
        v1::RunState::Stopped => (v1::Health::Stopped, Some("exited")),
        _ => (v1::Health::Stopped, None),
    };
    let container = |state: &str| v1::ContainerStatus {
        name: "portsip.mediaserver".to_owned(),
        instance: Some(v1::Instance {
            container_id: format!("{:064x}", record.deployment),
            started_at: started_at(record),
        }),
        state: state.to_owned(),
        docker_restarts: 0,
        exit_code: (state == "exited").then_some(0),
    };
    let reference = record.image.as_ref().map(|image| image.reference.clone());
    v1::ServerStatus {
        record: record.id.clone(),
        name: record.name.clone(),
        role: record.role.clone(),
        health: health.into(),
        since_ms: now_ms,
        phase: v1::Phase::Settled.into(),
        outcome: Some(v1::Outcome {
            kind: v1::OutcomeKind::Succeeded.into(),
            at_ms: now_ms,
            ..v1::Outcome::default()
        }),
        current: state.map(container),
        serving: state.map_or(0, |_| record.deployment),
        serving_image: state.map(|_| v1::ResolvedImage {
            reference: reference.unwrap_or_default(),
            identity: format!("sha256:{:064x}", 1),
            version: "22.3.0".to_owned(),
        }),
        data_directory: format!("/var/lib/portsip/{}", record.role),
        ..v1::ServerStatus::default()
    }
}

/// Another text for every record: each one that runs is another run of the container.
fn started_at(record: &v1::ServerRecord) -> String {
    let (epoch, generation) = stamp(record).unwrap_or_default();
    format!("2026-01-01T00:00:00.{:09}Z", epoch * 1_000_000 + generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: u64, generation: u64, run_state: v1::RunState) -> v1::ServerRecord {
        v1::ServerRecord {
            id: Some(v1::RecordId {
                stamp: Some(v1::Stamp { epoch, generation }),
                hash: vec![7; 32],
            }),
            run_state: run_state.into(),
            deployment: 1,
            ..v1::ServerRecord::default()
        }
    }

    #[test]
    fn a_newer_record_is_done_at_once_and_an_older_one_is_not_taken() {
        let mut node = Node::new("127.64.0.1".parse().unwrap());
        assert_eq!(node.hello(&[]).status, None);
        let running = node.assigned(record(1, 1, v1::RunState::Running), 5);
        let running = running.unwrap();
        assert_eq!(running.health(), v1::Health::Healthy);
        assert_eq!(running.serving, 1);
        assert_eq!(node.assigned(record(1, 1, v1::RunState::Stopped), 6), None);
        let stopped = node.assigned(record(2, 1, v1::RunState::Stopped), 7);
        let stopped = stopped.unwrap();
        assert_eq!(stopped.current.as_ref().unwrap().state, "exited");
        assert_eq!(node.assigned(record(1, 9, v1::RunState::Running), 8), None);
        assert_eq!(node.hello(&[]).status, Some(stopped));
    }

    #[test]
    fn the_store_is_named_once_there_is_a_record_of_it() {
        let mut node = Node::new("127.64.0.1".parse().unwrap());
        node.welcomed(&v1::Welcome {
            store_id: "S".to_owned(),
            epoch: 3,
            ..v1::Welcome::default()
        });
        assert_eq!(node.hello(&[]).store_id, "");
        node.assigned(record(3, 1, v1::RunState::Running), 0);
        assert_eq!((node.hello(&[]).store_id.as_str(), node.epoch), ("S", 3));
    }
}
