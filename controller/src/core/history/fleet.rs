//! The histories of a fleet: who is looked at when, and which rows are written when.
//!
//! A look at every server each ten seconds, a part of the fleet a tick; rows seldom, a few at a
//! time, so that nothing of it stands before what operators wait for. A row is written by the
//! tick alone: heartbeats and reports change the memory only.

use std::ops::Bound;

use jiff::Timestamp;

use extend_common::ids::NodeAddr;
use extend_common::service::ServiceFigures;
use extend_common::status::{Health, ServerStatus, WarningKind};

use super::{Allotment, Figures, History, Seen};
use crate::core::admit::{resolve, select_for_status};
use crate::core::fleet::Fleet;
use crate::core::key::Key;
use crate::core::node::Node;
use crate::core::refusal::{Asked, Mismatch, Refusal};
use crate::core::request::SelectorWords;
use crate::core::view::{HealthView, ServerView, ServersView};

/// Between two looks at a server.
const LOOK: i64 = 10;
/// So many nodes are looked at within one tick, and a tenth of a larger fleet: all of them within
/// three seconds.
const LOOKS_OF_TICK: usize = 64;
/// Between two rounds of writing.
const ROUND: i64 = 5;
/// A row is written so often at most. What a crash takes is younger than this in a small fleet.
const WRITTEN_EVERY: i64 = 60;
/// Bytes of rows that are written in a round, about: less than 50 MB an hour whatever the fleet,
/// and far below what a batch may have.
const BYTES_OF_ROUND: usize = 64 * 1024;
/// Rows of a round, however small they are.
const ROWS_OF_ROUND: usize = 64;
/// So many servers are shown with their histories at once: an answer of about five megabytes, put
/// together while everybody else waits.
const MOST_SHOWN: usize = 200;
/// Pieces of a spark line, and how long all of them are: two hours by five minutes.
const RECENT: (u32, u32) = (7_200, 24);

/// Where the looks and the writing are.
#[derive(Debug, Clone, Default)]
pub(in crate::core) struct Keeping {
    /// When the present look at all nodes was begun.
    begun: i64,
    /// The node that was looked at last; none when all were.
    looked: Option<NodeAddr>,
    is_looking: bool,
    /// When rows were written last, and the last of them.
    round: i64,
    written: Option<NodeAddr>,
    /// Rows of nodes that are none any more.
    orphans: Vec<NodeAddr>,
}

impl Fleet {
    /// Takes the histories into a memory that is being loaded. One that cannot be read is begun
    /// anew: nothing is decided by it, and nothing must stand still for it.
    pub(in crate::core) fn load_histories(&mut self, rows: Vec<(NodeAddr, Option<History>)>) {
        for (node, history) in rows {
            match (self.nodes.get_mut(&node), history) {
                (Some(entry), Some(history)) => entry.history = history,
                // The row is written over.
                (Some(_), None) => {}
                (None, _) => self.keeping.orphans.push(node),
            }
        }
    }

    /// Looks at nodes whose turn it is, and has rows written whose turn it is.
    pub(in crate::core) fn keep_histories(&mut self, now: Timestamp) {
        self.look_at_some(now);
        // What operators wait for goes before; and a store that has failed is not tried with rows
        // that nobody needs, for each failure ends every session.
        if !self.has_backlog() && self.unsaid.is_none() {
            self.write_some(now.as_second());
        }
    }

    fn look_at_some(&mut self, now: Timestamp) {
        let second = now.as_second();
        let keeping = &mut self.keeping;
        if !keeping.is_looking {
            if (0..LOOK).contains(&(second - keeping.begun)) {
                return;
            }
            keeping.begun = second;
            keeping.looked = None;
            keeping.is_looking = true;
        }
        let from = keeping.looked.map_or(Bound::Unbounded, Bound::Excluded);
        let count = LOOKS_OF_TICK.max(self.nodes.len() / 10);
        let nodes: Vec<_> = self
            .nodes
            .range((from, Bound::Unbounded))
            .map(|(node, _)| *node)
            .take(count)
            .collect();
        self.keeping.is_looking = nodes.len() == count;
        self.keeping.looked = nodes.last().copied();
        let allotment = Allotment::of(self.nodes.len());
        for node in nodes {
            self.look_at(node, Some(&allotment), now);
        }
    }

    fn look_at(&mut self, node: NodeAddr, allotment: Option<&Allotment>, now: Timestamp) {
        let refusing = self.refuses(node);
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.look(node, refusing, allotment, now);
        }
    }

    /// Whether a server turns new calls away by itself: its service answers 503, which its agent
    /// warns of, and nobody wants it so.
    fn refuses(&self, node: NodeAddr) -> bool {
        let Some(entry) = self.nodes.get(&node) else {
            return false;
        };
        let warns = entry.status.as_ref().is_some_and(|status| {
            let mut warnings = status.warnings.iter();
            status.health == Health::Draining
                && warnings.any(|warning| warning.kind == WarningKind::Probe)
        });
        warns && !entry.is_drained() && !self.is_shut_on_purpose(node)
    }

    fn write_some(&mut self, second: i64) {
        if (0..ROUND).contains(&(second - self.keeping.round)) {
            return;
        }
        self.keeping.round = second;
        for node in std::mem::take(&mut self.keeping.orphans) {
            self.write(Key::History(node));
        }
        // From the one after the last on, and round: a fleet that has more to write than there is
        // room for has each row written as often as any other.
        let last = self
            .keeping
            .written
            .map_or(Bound::Unbounded, Bound::Excluded);
        let upto = self
            .keeping
            .written
            .map_or(Bound::Unbounded, Bound::Included);
        let after = self.nodes.range((last, Bound::Unbounded));
        let round = self.nodes.range((Bound::Unbounded, upto));
        let again = round.take(match self.keeping.written {
            Some(_) => usize::MAX,
            None => 0,
        });
        let mut bytes = 0;
        let mut due = Vec::new();
        for (node, entry) in after.chain(again) {
            let history = &entry.history;
            let is_due = !(0..WRITTEN_EVERY).contains(&(second - history.written));
            if history.unwritten && is_due && entry.row.enrolment.is_some() {
                bytes += history.weight();
                due.push(*node);
            }
            if bytes >= BYTES_OF_ROUND || due.len() >= ROWS_OF_ROUND {
                break;
            }
        }
        for node in due {
            self.keeping.written = Some(node);
            if let Some(entry) = self.nodes.get_mut(&node) {
                entry.history.unwritten = false;
                entry.history.written = second;
            }
            self.write(Key::History(node));
        }
    }

    /// Notes at once that a node's server is another way, with the time that it was so before.
    pub(in crate::core) fn remember(&mut self, node: NodeAddr, now: Timestamp) {
        self.look_at(node, None, now);
    }

    /// A server is gone for good: its history goes with it.
    pub(in crate::core) fn forget_history(&mut self, node: NodeAddr) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.history = History::default();
        }
        self.write(Key::History(node));
    }

    /// How servers are and were.
    ///
    /// # Errors
    /// When the selector is wrong, or means nothing at all, or more servers than are shown at once.
    pub fn health(
        &self,
        words: &SelectorWords,
        now: Timestamp,
    ) -> Result<Vec<HealthView>, Refusal> {
        let asked = Asked::health(words);
        let selector = resolve(self, words, &asked)?;
        let mut meant = Vec::new();
        for node in select_for_status(self, &asked, &selector)? {
            let Some(entry) = self.nodes.get(&node) else {
                continue;
            };
            let Some(server) = self.server_view(node, entry, now) else {
                continue;
            };
            let desired = &server.record.desired;
            let is_other = selector
                .role
                .as_ref()
                .is_some_and(|role| *role != desired.role)
                || selector
                    .name
                    .as_ref()
                    .is_some_and(|name| *name != desired.name);
            if !is_other {
                meant.push((entry, server));
            }
        }
        let count = meant.len();
        if count == 0 {
            return Err(self.nothing_to_show(asked, words));
        }
        if count > MOST_SHOWN {
            let most = MOST_SHOWN;
            return Err(Mismatch::TooManyHistories { asked, count, most }.into());
        }
        let view = |(entry, server): (&Node, ServerView)| {
            let is_kept = entry.history.is_of(&server.record.desired.name);
            let history = is_kept.then_some(&entry.history);
            HealthView {
                steps: history
                    .map(|history| history.steps(now))
                    .unwrap_or_default(),
                changes: history.map(History::changes).unwrap_or_default(),
                service: entry.session.as_ref().and(entry.service_now(now)).cloned(),
                server,
            }
        };
        Ok(meant.into_iter().map(view).collect())
    }

    /// Adds to servers that are shown how they were in the last two hours.
    pub fn recall(&self, view: &mut ServersView, now: Timestamp) {
        let (seconds, count) = RECENT;
        for server in &mut view.servers {
            let desired = &server.record.desired;
            let entry = self.nodes.get(&desired.node);
            let history = entry.map(|entry| &entry.history);
            server.recent = match history.filter(|history| history.is_of(&desired.name)) {
                Some(history) => history.recent(seconds, count, now),
                None => vec![None; count as usize],
            };
        }
    }
}

impl Node {
    /// Tells the history how the server is now; with an allotment also how it and its host do, and
    /// lets go what there is too much of.
    fn look(
        &mut self,
        node: NodeAddr,
        refusing: bool,
        allotment: Option<&Allotment>,
        now: Timestamp,
    ) {
        let Some(record) = &self.row.record else {
            return;
        };
        let name = record.desired.name.clone();
        let status = self.status.as_ref();
        let status =
            status.filter(|status| self.session.is_some() && self.fresh && status.name == name);
        let seen = match status {
            Some(status) => Seen {
                name: &name,
                health: Some(status.health),
                refusing,
                reason: Some(reason(status, refusing).to_owned()),
            },
            // Whoever may still come back after the controller's start is not missed yet.
            None => Seen {
                name: &name,
                health: None,
                refusing: false,
                reason: (self.session.is_none() && !self.expected).then(|| self.away(node)),
            },
        };
        let Some(allotment) = allotment else {
            self.history.tell(&seen, now);
            return;
        };
        let figures = self.figures_now(now);
        self.history.sample(&seen, &figures, now);
        self.history.trim(allotment, now);
    }

    /// What its node told last, as a step has it.
    fn figures_now(&self, now: Timestamp) -> Figures {
        let host = self.host_now(now).map(|sample| &sample.figures);
        let memory = host.and_then(|host| host.memory);
        let disks = host.into_iter().flat_map(|host| &host.disks);
        let free = disks.map(|disk| permille(disk.free, disk.total)).min();
        let service = self.service_now(now).map(|sample| &sample.figures);
        let passed = |figures: &ServiceFigures| {
            let probes = figures.probes.iter().filter(|probe| probe.passed);
            probes.filter_map(|probe| probe.took).max()
        };
        Figures {
            processor: host.and_then(|host| host.processor_permille),
            memory: memory.map(|memory| permille(memory.used, memory.total)),
            disk_free: free,
            sessions: service
                .and_then(|figures| figures.sessions.as_ref()?.sessions)
                .map(small),
            service_memory: service
                .and_then(|figures| figures.memory)
                .map(|bytes| small(bytes / (1024 * 1024))),
            slowest: service
                .and_then(passed)
                .map(|took| small(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))),
        }
    }
}

/// Why a server is as it is: where its service turns calls away, what its agent warns of.
fn reason(status: &ServerStatus, refusing: bool) -> &str {
    let mut warnings = status.warnings.iter().rev();
    let warned = warnings.find(|warning| warning.kind == WarningKind::Probe);
    match warned.filter(|_| refusing && status.reason.is_empty()) {
        Some(warning) => &warning.reason,
        None => &status.reason,
    }
}

fn small(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn permille(part: u64, of: u64) -> u16 {
    let share = u128::from(part) * 1_000 / u128::from(of.max(1));
    u16::try_from(share.min(1_000)).unwrap_or(1_000)
}
