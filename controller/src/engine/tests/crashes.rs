//! Death at every point that the code names, in the middle of a working day; then a successor on
//! the same store, and the day is finished. Nothing is done twice and nothing acknowledged is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use extend_common::event::EventKind;
use extend_common::ids::{OperationId, RequestId};
use extend_common::operation::Verb;
use extend_common::record::RunState;
use ulid::Ulid;

use super::rig::{DieAt, QUEUE, Rig, config, media};
use crate::core::archive::operation_id;
use crate::core::request::{Heartbeat, Retry, SessionEnd, ShimMended, Submission, sha256};
use crate::core::tests::bench::{facts, node, submission};
use crate::core::tests::told::journal_part;
use crate::core::view::OperationFilter;
use crate::core::{ArchiveKey, Kept};
use crate::engine::{CrashPoint, EngineConfig, EngineError, InputKind, Moment, NoCrash};
use crate::portal::{Portal, PortalSeen};
use crate::store::{Batch, Epoch, Expect, MemoryStore, Store, Write};
use crate::whitelist::{EnforcerKind, Round, Seen};

/// One deed of the day. Each can be done again: what a person or an agent does who got no answer.
const DEEDS: usize = 20;

fn wanted(number: u128, verb: Verb, line: &str) -> Submission {
    Submission {
        request: RequestId(Ulid(number)),
        ..submission(verb, line)
    }
}

fn again(number: u128, operation: OperationId) -> Retry {
    Retry {
        request: RequestId(Ulid(number)),
        operation: operation.to_string(),
        failed_only: false,
        plan_only: false,
        timeout: None,
        message: String::new(),
        queue: false,
        by: "anna".to_owned(),
        from: None,
        checkup: None,
    }
}

/// A day's memory is small: the first operations leave it before the end.
const KEPT: Kept = Kept {
    operations: 2,
    events: 10_000,
};

/// A row of the archive from long before the day.
fn old_row() -> (String, Vec<u8>) {
    let id = operation_id(Timestamp::UNIX_EPOCH, 1);
    (ArchiveKey::Operation(id).to_string(), b"{}".to_vec())
}

/// Does one deed; an error means that nobody answered.
async fn deed(rig: &mut Rig, deed: usize) -> Result<(), EngineError> {
    let run = "-s media-server-only -n media-server-1 -a 172.31.16.139";
    match deed {
        0 => join(rig).await?,
        1 => connect(rig).await?,
        2 => drop(rig.handle.submit(wanted(1, Verb::Run, run)).await?),
        3 => rig.succeed(media()).await,
        4 => drop(rig.handle.submit(wanted(2, Verb::Stop, "")).await?),
        5 => {
            // Cancelled, and put back by the agent.
            let open = rig.handle.operations(1, true).await?;
            if let Some(operation) = open.first() {
                rig.handle.cancel(&operation.id.to_string(), "anna").await?;
            }
            connect(rig).await?;
            rig.succeed(media()).await;
        }
        6 => rig.handle.renewed(media(), facts(media())).await?,
        7 => {
            connect(rig).await?;
            let session = rig.agent(media()).session.unwrap_or_default();
            rig.handle
                .session_heartbeat(session, media(), Heartbeat::default())
                .await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        8 => {
            let session = rig.agent(media()).session.unwrap_or_default();
            let end = SessionEnd::Closed;
            rig.handle.session_closed(session, media(), end).await?;
            connect(rig).await?;
        }
        9 => drop(rig.handle.recover(Vec::new(), false, "root").await?),
        10 => revoke_another(rig).await?,
        11 => {
            connect(rig).await?;
            let session = rig.agent(media()).session.unwrap_or_default();
            let part = journal_part("j", 1..=2);
            rig.handle.session_events(session, media(), part).await?;
        }
        12 => {
            let mended = ShimMended {
                directory: "/opt/portsip-pbx-ha-guide".to_owned(),
                seen: Timestamp::from_millisecond(1_800_000_000_000).unwrap(),
                sha256: "ab".repeat(32),
            };
            rig.handle.note_shim(mended).await?;
        }
        13 => {
            drop(rig.handle.submit(wanted(3, Verb::Restart, "")).await?);
            connect(rig).await?;
            // Also what was taken back, should that not have come to its end.
            rig.succeed(media()).await;
            rig.succeed(media()).await;
        }
        14 => {
            let newest = rig.handle.operations(1, false).await?;
            rig.handle.retry(again(4, newest[0].id)).await?;
            connect(rig).await?;
            // Also what was taken back, should that not have come to its end.
            rig.succeed(media()).await;
            rig.succeed(media()).await;
        }
        15 => {
            let at = rig.clock.now();
            let result = Ok(Portal::default());
            rig.handle.portal_seen(PortalSeen { at, result }).await?;
            let round = Round {
                enforcer: EnforcerKind::Pbx,
                at,
                result: Ok(Seen::default()),
            };
            rig.handle.enforced(round).await?;
        }
        16 => {
            let words = crate::core::request::SelectorWords::default();
            let (lasts, by) = (Duration::from_secs(3_600), "anna".to_owned());
            let silence = rig.handle.silence(words, lasts, String::new(), by);
            drop(silence.await?);
            let delivery = crate::core::alerts::Delivery {
                receiver: "none".to_owned(),
                notice: 1,
                result: Ok(()),
            };
            rig.handle.delivered(delivery).await?;
        }
        _ => {
            // What is in the archive for too long is dropped a minute after a start.
            tokio::time::sleep(Duration::from_secs(50)).await;
            connect(rig).await?;
        }
    }
    // Whatever was said without an answer is taken in before the next deed.
    rig.handle.nodes(None).await.map(drop)
}

async fn join(rig: &mut Rig) -> Result<(), EngineError> {
    let known = rig.handle.nodes(Some(media())).await;
    if known.is_ok_and(|views| views[0].enrolled.is_some()) {
        return Ok(());
    }
    rig.enrol(media()).await
}

async fn connect(rig: &mut Rig) -> Result<(), EngineError> {
    rig.connect(media()).await.map(drop)
}

/// Another node joins, is revoked, and is removed.
async fn revoke_another(rig: &mut Rig) -> Result<(), EngineError> {
    let queue = node(QUEUE);
    if rig.handle.nodes(Some(queue)).await.is_err() {
        let hash = sha256(&[7; 16]);
        rig.handle.mint_token(queue, None, hash, "anna").await?;
        rig.handle.spend_token(queue, [7; 16], facts(queue)).await?;
    }
    rig.handle.revoke(queue, "anna").await?;
    match rig.handle.remove(queue, false, "anna").await {
        Ok(_) | Err(EngineError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What must be true at the end of the day, however it went.
async fn check(rig: &mut Rig, point: CrashPoint) {
    let filter = OperationFilter {
        limit: 100,
        ..OperationFilter::default()
    };
    let operations = rig.handle.list(filter).await.unwrap().operations;
    let in_memory = rig.handle.operations(100, false).await.unwrap();
    assert_eq!(
        in_memory.len(),
        KEPT.operations,
        "{point}: the others are in the archive"
    );
    let (key, _) = old_row();
    let archived = rig.store.clone().load(&key).unwrap();
    assert!(archived.is_empty(), "{point}: it was too old");
    let verbs: Vec<_> = operations
        .iter()
        .rev()
        .map(|operation| (operation.verb, operation.summary()))
        .collect();
    let outcome = |summary: &str| summary.to_owned();
    assert_eq!(
        verbs,
        [
            (Verb::Run, outcome("succeeded")),
            (Verb::Stop, outcome("cancelled")),
            (Verb::Restart, outcome("succeeded")),
            (Verb::Restart, outcome("succeeded")),
        ],
        "{point}"
    );
    let record = rig.agent(media()).record.clone().unwrap();
    assert_eq!(record.desired.run_state, RunState::Running, "{point}");
    check_events(rig, point).await;
    // Deployed once, put back without a new start or with one, restarted twice: never more.
    let view = rig
        .handle
        .servers(Default::default())
        .await
        .unwrap()
        .servers
        .remove(0);
    assert_eq!(
        view.record, record,
        "{point}: what is recorded is what the agent holds"
    );
    assert_eq!(view.operation, None, "{point}");
    let generations = record.id.stamp.generation;
    // A recovery that nobody heard of may be asked for again.
    let again = u64::from(matches!(point, CrashPoint::Input(_, InputKind::Recover)));
    let expected = 6..=6 + again;
    assert!(
        expected.contains(&generations),
        "{point}: run, stop, reversal, recovery, restart and once more"
    );
    assert!(
        rig.handle.nodes(Some(node(QUEUE))).await.is_err(),
        "{point}"
    );
}

/// Each event is told once, in order and without a gap, however often the controller died.
async fn check_events(rig: &Rig, point: CrashPoint) {
    let events = rig.events().await;
    let sequences: Vec<_> = events.iter().map(|stored| stored.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());
    let told: Vec<_> = events
        .iter()
        .filter(|stored| stored.event.kind == EventKind::Health)
        .map(|stored| stored.event.text.as_str())
        .collect();
    assert_eq!(told, ["j 1", "j 2"], "{point}");
    let of_kind = |kind| {
        let ended = |text: &str| !text.contains(" begun by ");
        let of_kind = events.iter().filter(|stored| stored.event.kind == kind);
        of_kind.filter(|s| ended(&s.event.text)).count()
    };
    assert_eq!(of_kind(EventKind::Operation), 4, "{point}: {events:#?}");
    let of_the_shim = events.iter().filter(|s| s.event.text.contains("extend.sh"));
    assert_eq!(of_the_shim.count(), 1, "{point}: {events:#?}");
}

/// The day with a death at `point`. Returns whether the point was reached.
async fn day(point: CrashPoint) -> bool {
    let hook = DieAt::new(point);
    let store = MemoryStore::new();
    let (key, value) = old_row();
    let writes = vec![Write::put(key, Expect::Absent, value)];
    let fence = Epoch(0);
    store.clone().commit(Batch { fence, writes }).unwrap();
    let starting = Rig::keeping(KEPT, store.clone(), Arc::clone(&hook) as _);
    let mut rig = match timeout(Duration::from_secs(5), starting).await {
        Ok(rig) => rig,
        // It died while it started: a successor starts on what it left.
        Err(_) => Rig::keeping(KEPT, store, Arc::new(NoCrash)).await,
    };
    for number in 0..DEEDS {
        let mut tries = 0;
        loop {
            tries += 1;
            assert!(tries < 4, "{point}: deed {number} is never done");
            // A recovery only happens when a node is ahead.
            if number == 9 {
                rig.agent(media()).epoch += 1;
                let _ = timeout(Duration::from_secs(3), connect(&mut rig)).await;
            }
            match timeout(Duration::from_secs(60), deed(&mut rig, number)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => panic!("{point}: deed {number}: {error}"),
                Err(_) => {
                    assert!(hook.was_reached(), "{point}: deed {number} hangs by itself");
                    let config = EngineConfig {
                        kept: KEPT,
                        ..config(rig.clock, Arc::new(NoCrash))
                    };
                    rig.start_again(config).await;
                    if rig.links.contains_key(&media()) && number > 0 {
                        connect(&mut rig).await.unwrap();
                    }
                }
            }
        }
    }
    check(&mut rig, point).await;
    hook.was_reached()
}

#[tokio::test(start_paused = true)]
async fn a_death_at_any_point_loses_nothing_and_does_nothing_twice() {
    let mut never = BTreeSet::new();
    for point in CrashPoint::ALL {
        if !day(point).await {
            never.insert(point);
        }
    }
    assert!(never.is_empty(), "the day does not pass {never:?}");
}

#[tokio::test(start_paused = true)]
async fn before_the_commit_nobody_has_been_told_anything() {
    let hook = DieAt::new(CrashPoint::Input(Moment::BeforeCommit, InputKind::Submit));
    let mut rig = Rig::with_media().await;
    rig.start_again(config(rig.clock, Arc::clone(&hook) as _))
        .await;
    rig.connect(media()).await.unwrap();
    let image = rig.store.image();
    let answer = rig.handle.submit(wanted(9, Verb::Stop, ""));
    timeout(Duration::from_secs(1), answer)
        .await
        .expect_err("no answer before the commit");
    rig.listen(media()).await;
    assert_eq!(
        rig.agent(media())
            .record
            .as_ref()
            .unwrap()
            .id
            .stamp
            .generation,
        1
    );
    assert_eq!(rig.store.image(), image);
}

#[tokio::test(start_paused = true)]
async fn after_the_commit_the_operation_is_there_though_nobody_was_told() {
    let hook = DieAt::new(CrashPoint::Input(Moment::AfterCommit, InputKind::Submit));
    let mut rig = Rig::with_media().await;
    rig.start_again(config(rig.clock, Arc::clone(&hook) as _))
        .await;
    rig.connect(media()).await.unwrap();
    let answer = rig.handle.submit(wanted(9, Verb::Stop, ""));
    timeout(Duration::from_secs(1), answer)
        .await
        .expect_err("it died");
    rig.listen(media()).await;
    assert_eq!(
        rig.agent(media())
            .record
            .as_ref()
            .unwrap()
            .id
            .stamp
            .generation,
        1
    );
    rig.kill_and_start().await;
    let open = rig.handle.operations(10, true).await.unwrap();
    assert_eq!(open.len(), 1);
    let again = rig.handle.submit(wanted(9, Verb::Stop, "")).await.unwrap();
    assert_eq!(again.operation.unwrap().id, open[0].id);
    rig.connect(media()).await.unwrap();
    rig.succeed(media()).await;
    assert_eq!(rig.operation(&open[0]).await.summary(), "succeeded");
}

#[test]
fn every_point_has_a_name_of_its_own() {
    let names: BTreeSet<_> = CrashPoint::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), CrashPoint::ALL.len());
    assert!(names.contains("after-commit:session-opened") && names.contains("epoch-raised"));
}
