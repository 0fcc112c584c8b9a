//! The controllers that this node may dial, and in which order.
//!
//! A controller names its own address and those at which it may be restored from a backup; the
//! node keeps the list, so that it finds a restored controller without anybody going to the node.
//! Whoever answers there must still show a certificate of the authority that the node joined.
//! Read and written by the dial; knows nothing of connections.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use extend_common::files::{self, FileError};
use extend_common::wire::MAX_CONTROLLERS;

/// The list, in the state directory.
const FILE: &str = "controllers.json";

/// The controllers of one node.
#[derive(Debug, Clone)]
pub struct Controllers {
    /// Named by the node's administrator: then there are no others.
    configured: Vec<SocketAddrV4>,
    /// The one that the node joined.
    enrolled: SocketAddrV4,
    /// As the last controller told.
    told: Vec<SocketAddrV4>,
    /// The one that welcomed the node last.
    last: Option<SocketAddrV4>,
    path: PathBuf,
}

impl Controllers {
    /// What the files in the state directory say. A list that cannot be read is no list: the
    /// controller tells it again.
    pub fn load(state: &Path, configured: &[SocketAddrV4], enrolled: SocketAddrV4) -> Self {
        let path = state.join(FILE);
        let told = std::fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Vec<SocketAddrV4>>(&text).ok())
            .unwrap_or_default();
        Self {
            configured: configured.to_vec(),
            enrolled,
            told: bounded(told),
            last: None,
            path,
        }
    }

    /// Whom to dial, the most promising first.
    pub fn in_order(&self) -> Vec<SocketAddrV4> {
        if !self.configured.is_empty() {
            return self.configured.clone();
        }
        let mut order: Vec<SocketAddrV4> = Vec::new();
        let all = self.last.iter().chain(&self.told);
        for controller in all.chain([&self.enrolled]) {
            if !order.contains(controller) {
                order.push(*controller);
            }
        }
        order
    }

    /// Takes in what the controller at `from` told with its welcome. True when the list has
    /// changed and wants to be written.
    pub fn welcomed(&mut self, from: SocketAddrV4, told: Vec<SocketAddrV4>) -> bool {
        self.last = Some(from);
        let told = bounded(told);
        // An older controller tells none.
        if told.is_empty() || told == self.told {
            return false;
        }
        self.told = told;
        true
    }

    /// Writes the list. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written; the list in memory is good all the same.
    pub fn save(&self) -> Result<(), FileError> {
        let text = serde_json::to_vec(&self.told).unwrap_or_default();
        files::write_atomic(&self.path, &text, 0o600)
    }
}

/// Forgets the list of a node that joins anew, which may be to another controller.
///
/// # Errors
/// When there is one and it cannot be removed.
pub fn forget(state: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(state.join(FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn bounded(mut told: Vec<SocketAddrV4>) -> Vec<SocketAddrV4> {
    told.truncate(MAX_CONTROLLERS);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new([172, 31, 16, last].into(), 7443)
    }

    #[test]
    fn the_controller_that_welcomed_last_is_dialled_first_and_none_twice() {
        let state = tempfile::tempdir().unwrap();
        let mut controllers = Controllers::load(state.path(), &[], at(133));
        assert_eq!(controllers.in_order(), [at(133)]);
        assert!(controllers.welcomed(at(133), vec![at(133), at(134), at(135)]));
        assert_eq!(controllers.in_order(), [at(133), at(134), at(135)]);
        assert!(!controllers.welcomed(at(134), vec![at(133), at(134), at(135)]));
        assert_eq!(controllers.in_order(), [at(134), at(133), at(135)]);
        // One that tells nothing takes nothing away.
        assert!(!controllers.welcomed(at(134), Vec::new()));
        assert_eq!(controllers.in_order(), [at(134), at(133), at(135)]);
        // The one that was joined stays, whoever is told.
        assert!(controllers.welcomed(at(134), vec![at(134)]));
        assert_eq!(controllers.in_order(), [at(134), at(133)]);
    }

    #[test]
    fn an_administrators_list_is_the_whole_list() {
        let state = tempfile::tempdir().unwrap();
        let mut controllers = Controllers::load(state.path(), &[at(150)], at(133));
        controllers.welcomed(at(150), vec![at(133), at(134)]);
        assert_eq!(controllers.in_order(), [at(150)]);
    }

    #[test]
    fn the_list_outlives_the_agent_and_is_bounded_and_a_damaged_one_is_none() {
        let state = tempfile::tempdir().unwrap();
        let mut controllers = Controllers::load(state.path(), &[], at(133));
        let many = (0..100).map(at).collect();
        assert!(controllers.welcomed(at(133), many));
        controllers.save().unwrap();
        let again = Controllers::load(state.path(), &[], at(133));
        assert_eq!(
            again.told,
            (0..).take(MAX_CONTROLLERS).map(at).collect::<Vec<_>>()
        );

        std::fs::write(state.path().join(FILE), "[\"172.31.16.134:74").unwrap();
        let damaged = Controllers::load(state.path(), &[], at(133));
        assert_eq!(damaged.in_order(), [at(133)]);
        forget(state.path()).unwrap();
        assert!(!state.path().join(FILE).exists());
        forget(state.path()).unwrap();
    }
}
