//! `extend whitelist` from the side of the controller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use extend_proto::v1;
use jiff::Timestamp;
use tonic::Status;

use crate::enforce::Pokes;
use crate::engine::EngineHandle;
use crate::whitelist::{EnforcerKind, EnforcerView, Entry, Overview, Row, State, Verdict};

/// Enforcers have so long for a round that an operator waits for. A look that nobody answers is
/// given up before.
const PATIENCE: Duration = Duration::from_secs(50);
/// What a round has come to is on its way to the engine for so long at most.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// And is asked for so often.
const ASKED_EVERY: Duration = Duration::from_millis(20);
/// No more orphans go at once.
const MAX_PRUNED: usize = 10_000;

/// Which orphans an operator wants gone.
type Prune = BTreeMap<EnforcerKind, BTreeSet<String>>;

/// Has every enforcer go at once, and tells what they came to.
pub(super) async fn sync(
    engine: &EngineHandle,
    pokes: &Pokes,
    request: v1::SyncWhitelistRequest,
    by: &str,
) -> Result<v1::WhitelistView, Status> {
    let prune = read_prune(pokes, request.prune)?;
    if !prune.is_empty() {
        tracing::info!(by, ?prune, "orphans are to go");
    }
    let before: BTreeMap<_, _> = looked(&engine.whitelist().await?);
    let late = pokes.sync(&prune, by, PATIENCE).await;
    let ended: Vec<_> = pokes.kinds().filter(|kind| !late.contains(kind)).collect();
    let told = |overview: &Overview| {
        let now = looked(overview);
        // One that the engine does not count among its enforcers is never told of.
        let mut changed = ended
            .iter()
            .filter_map(|kind| now.get(kind).map(|at| (kind, at)));
        changed.all(|(kind, at)| before.get(kind) != Some(at))
    };
    let until = tokio::time::Instant::now() + ON_ITS_WAY;
    let mut overview = engine.whitelist().await?;
    while !told(&overview) && tokio::time::Instant::now() < until {
        tokio::time::sleep(ASKED_EVERY).await;
        overview = engine.whitelist().await?;
    }
    Ok(view(overview, &late))
}

fn looked(overview: &Overview) -> BTreeMap<EnforcerKind, Option<Timestamp>> {
    let enforcers = overview.enforcers.iter();
    enforcers.map(|one| (one.kind, one.looked)).collect()
}

fn read_prune(pokes: &Pokes, orphans: Vec<v1::OrphanRef>) -> Result<Prune, Status> {
    if orphans.len() > MAX_PRUNED {
        return Err(Status::invalid_argument(format!(
            "more than {MAX_PRUNED} orphans at once"
        )));
    }
    let mut prune = Prune::new();
    for v1::OrphanRef { enforcer, id } in orphans {
        let kind = pokes
            .kinds()
            .find(|kind| kind.name() == enforcer)
            .ok_or_else(|| Status::invalid_argument("there is no such enforcer"))?;
        prune.entry(kind).or_default().insert(id);
    }
    Ok(prune)
}

/// The overview as it travels.
pub(super) fn view(overview: Overview, late: &BTreeSet<EnforcerKind>) -> v1::WhitelistView {
    let enforcers = overview.enforcers.into_iter();
    v1::WhitelistView {
        rows: overview.rows.into_iter().map(row).collect(),
        enforcers: enforcers
            .map(|one| {
                let late = late.contains(&one.kind);
                enforcer(one, late)
            })
            .collect(),
        door_nodes: u32::try_from(overview.door_nodes).unwrap_or(u32::MAX),
        door_recovering: overview.door_recovering,
    }
}

fn row(row: Row) -> v1::WhitelistRow {
    let state = match row.state {
        None => v1::WhitelistState::Unknown,
        Some(State::InForce) => v1::WhitelistState::InForce,
        Some(State::Expiring) => v1::WhitelistState::Expiring,
        Some(State::Missing) => v1::WhitelistState::Missing,
        Some(State::Leaving) => v1::WhitelistState::Leaving,
        Some(State::Denied) => v1::WhitelistState::Denied,
    };
    v1::WhitelistRow {
        address: row.address.to_string(),
        name: row.holder.name.to_string(),
        role: row.holder.role.to_string(),
        node: row.holder.node.to_string(),
        public: row.holder.kind == crate::whitelist::AddressKind::Public,
        enforcer: row.enforcer.map(EnforcerKind::name).unwrap_or_default(),
        state: state.into(),
        by: row.by.map(entry),
        note: row.note,
    }
}

fn enforcer(one: EnforcerView, late: bool) -> v1::WhitelistEnforcer {
    let all = |entries: Vec<Entry>| entries.into_iter().map(entry).collect();
    let (problem, hint, since) = match one.problem {
        Some(problem) => (
            problem.sentence,
            problem.hint,
            problem.since.as_millisecond(),
        ),
        None => (String::new(), String::new(), 0),
    };
    v1::WhitelistEnforcer {
        name: one.kind.name(),
        looked_ms: one.looked.map_or(0, Timestamp::as_millisecond),
        problem,
        hint,
        problem_since_ms: since,
        orphans: all(one.orphans),
        foreign: all(one.foreign),
        denies: all(one.denies),
        drift: one
            .drift
            .into_iter()
            .map(|drift| v1::WhitelistDrift {
                at_ms: drift.at.as_millisecond(),
                sentence: drift.sentence,
            })
            .collect(),
        late,
    }
}

fn entry(entry: Entry) -> v1::WhitelistEntry {
    v1::WhitelistEntry {
        id: entry.id,
        net: entry.net.to_string(),
        deny: entry.verdict == Verdict::Deny,
        expires_ms: entry.expires.map_or(0, Timestamp::as_millisecond),
        description: entry.description,
        ours: entry.ours,
    }
}
