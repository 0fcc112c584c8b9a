//! One operation in memory: its row, its targets in the order of their addresses, and counts that
//! spare a walk over all of them for each report.

use jiff::Timestamp;

use extend_common::ids::NodeAddr;
use extend_common::operation::Operation;

use super::row::{OperationRow, TargetRow};

/// An operation and its targets.
#[derive(Debug, Clone)]
pub(super) struct OperationEntry {
    pub(super) row: OperationRow,
    targets: Vec<TargetRow>,
    /// How many targets have not ended.
    open: usize,
    /// How many targets have not begun.
    queued: usize,
    /// What the operation as a whole waits for, in words. Made anew from what is known.
    pub(super) note: String,
    /// Since when all canaries have been seen healthy. A new controller counts anew.
    pub(super) baking: Option<Timestamp>,
}

impl OperationEntry {
    /// Puts the targets into order.
    pub(super) fn new(row: OperationRow, mut targets: Vec<TargetRow>) -> Self {
        targets.sort_by_key(|row| row.target.node);
        let open = |row: &&TargetRow| !row.target.state.has_ended();
        let open = targets.iter().filter(open).count();
        let queued = targets.iter().filter(|row| row.is_queued()).count();
        Self {
            row,
            targets,
            open,
            queued,
            note: String::new(),
            baking: None,
        }
    }

    /// The targets, in the order of their addresses.
    pub(super) fn targets(&self) -> &[TargetRow] {
        &self.targets
    }

    /// The target on a node.
    pub(super) fn target(&self, node: NodeAddr) -> Option<&TargetRow> {
        let at = self
            .targets
            .binary_search_by_key(&node, |row| row.target.node)
            .ok()?;
        self.targets.get(at)
    }

    /// Changes the target on a node, and keeps count.
    pub(super) fn change<T>(
        &mut self,
        node: NodeAddr,
        change: impl FnOnce(&mut TargetRow) -> T,
    ) -> Option<T> {
        let at = self
            .targets
            .binary_search_by_key(&node, |row| row.target.node)
            .ok()?;
        let row = self.targets.get_mut(at)?;
        let before = (row.target.state.has_ended(), row.is_queued());
        let result = change(row);
        let after = (row.target.state.has_ended(), row.is_queued());
        if !before.0 && after.0 {
            self.open = self.open.saturating_sub(1);
        }
        // A target whose image is there waits for its turn again.
        match (before.1, after.1) {
            (true, false) => self.queued = self.queued.saturating_sub(1),
            (false, true) => self.queued += 1,
            _ => {}
        }
        Some(result)
    }

    /// Whether every target has ended.
    pub(super) fn is_done(&self) -> bool {
        self.open == 0
    }

    /// Whether targets wait for their turn.
    pub(super) fn has_queued(&self) -> bool {
        self.queued > 0
    }

    /// The addresses of the targets that have not ended.
    pub(super) fn open_nodes(&self) -> Vec<NodeAddr> {
        self.targets
            .iter()
            .filter(|row| !row.target.state.has_ended())
            .map(|row| row.target.node)
            .collect()
    }

    /// What operators see.
    pub(super) fn operation(&self) -> Operation {
        Operation {
            id: self.row.id,
            verb: self.row.verb,
            selector: self.row.selector.clone(),
            by: self.row.by.clone(),
            from: self.row.from,
            message: self.row.message.clone(),
            begun: self.row.begun,
            ended: self.row.ended,
            deadline: self.row.deadline,
            targets: self.targets.iter().map(|row| row.target.clone()).collect(),
            strategy: self.row.options.strategy,
            drain: self.row.options.drain,
            retry_of: self.row.retry_of,
            note: self.note.clone(),
            next_steps: self.row.next_steps.clone(),
            accepted: self.row.options.accepted.clone(),
        }
    }
}
