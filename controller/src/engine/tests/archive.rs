//! Operations and events that have left the memory, as operators find them; a store that fails
//! while they leave; and how they go when they are too old.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, before};
use extend_common::event::{EventKind, StoredEvent};
use extend_common::operation::{Operation, Verb};
use ulid::Ulid;

use super::rig::{Rig, config, media};
use crate::core::archive::operation_id;
use crate::core::refusal::Refusal;
use crate::core::request::{EventsWanted, Retry, SelectorWords};
use crate::core::view::OperationFilter;
use crate::core::{ArchiveKey, Kept};
use crate::engine::{EngineConfig, EngineError, NoCrash};
use crate::store::{Batch, CommitFault, Epoch, Expect, MemoryStore, Store, Write};

const AT: &str = "-a 172.31.16.139";

/// A controller with a small memory.
fn small(rig: &Rig, operations: usize, events: usize) -> EngineConfig {
    EngineConfig {
        kept: Kept { operations, events },
        ..config(rig.clock, Arc::new(NoCrash))
    }
}

/// A media server that was restarted so often, a minute after the last time.
async fn restarted(times: usize, kept: (usize, usize)) -> (Rig, Vec<Operation>) {
    let mut rig = Rig::with_media().await;
    let config = small(&rig, kept.0, kept.1);
    rig.start_again(config).await;
    rig.connect(media()).await.unwrap();
    let mut operations = Vec::new();
    for number in 0..times {
        let mut wanted = rig.submission(Verb::Restart, AT);
        wanted.by = if number % 2 == 0 {
            "anna"
        } else {
            "root (says bert)"
        }
        .to_owned();
        wanted.from = (number == 0).then(|| "203.0.113.7".parse().unwrap());
        let operation = rig.handle.submit(wanted).await.unwrap().operation.unwrap();
        rig.succeed(media()).await;
        operations.push(rig.operation(&operation).await);
    }
    minute(&mut rig).await;
    (rig, operations)
}

/// So that what has ended may leave.
async fn minute(rig: &mut Rig) {
    tokio::time::sleep(Duration::from_secs(62)).await;
    rig.connect(media()).await.unwrap();
}

async fn in_memory(rig: &Rig) -> usize {
    rig.handle.operations(1_000, false).await.unwrap().len()
}

async fn list(rig: &Rig, filter: OperationFilter) -> Vec<Operation> {
    let filter = OperationFilter {
        limit: if filter.limit == 0 { 100 } else { filter.limit },
        ..filter
    };
    let list = rig.handle.list(filter).await.unwrap();
    assert_eq!(list.cut, None);
    list.operations
}

fn code<T: std::fmt::Debug>(answer: Result<T, EngineError>) -> &'static str {
    match answer.unwrap_err() {
        EngineError::Refused(refusal) => Refusal::code(&refusal),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_shown_wherever_it_is() {
    let (mut rig, operations) = restarted(6, (2, 1_000)).await;
    assert_eq!(in_memory(&rig).await, 2);
    let first = &operations[0];
    assert_eq!(first.from, Some("203.0.113.7".parse().unwrap()));
    for _ in 0..2 {
        for operation in &operations {
            let id = operation.id.to_string();
            for text in [id.clone(), id.to_lowercase(), operation.id.short()] {
                assert_eq!(rig.handle.operation(&text).await.unwrap(), *operation);
            }
        }
        assert_eq!(
            code(rig.handle.operation("zzzzzz").await),
            "no-such-operation"
        );
        let unknown = operation_id(rig.clock.now(), 7).to_string();
        assert_eq!(
            code(rig.handle.operation(&unknown).await),
            "no-such-operation"
        );
        // The same from the disk.
        let config = small(&rig, 2, 1_000);
        rig.start_again(config).await;
    }

    let id = first.id.short();
    assert_eq!(
        code(rig.handle.cancel(&id, "anna").await),
        "operation-ended"
    );
    let retry = Retry {
        request: extend_common::ids::RequestId(Ulid(99)),
        operation: id.clone(),
        failed_only: false,
        plan_only: false,
        timeout: None,
        message: String::new(),
        queue: false,
        by: "anna".to_owned(),
        from: None,
        checkup: None,
    };
    assert_eq!(code(rig.handle.retry(retry).await), "operation-archived");
    let watched = rig.handle.watch(&id).await.unwrap();
    assert_eq!(**watched.borrow(), *first, "its end is all there is to see");
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_in_the_archive() {
    let (rig, operations) = restarted(6, (2, 1_000)).await;
    let ids = |operations: &[Operation]| operations.iter().map(|o| o.id).collect::<Vec<_>>();
    let mut newest = operations.clone();
    newest.reverse();
    let all = list(&rig, OperationFilter::default()).await;
    assert_eq!(all[..6], newest);
    assert_eq!(
        (all.len(), all[6].verb),
        (7, Verb::Run),
        "the deployment before"
    );
    let five = OperationFilter {
        limit: 5,
        ..OperationFilter::default()
    };
    assert_eq!(ids(&list(&rig, five).await), ids(&newest[..5]));
    let some = OperationFilter {
        since: Some(operations[1].begun),
        until: Some(operations[4].begun),
        ..OperationFilter::default()
    };
    assert_eq!(ids(&list(&rig, some.clone()).await), ids(&newest[2..5]));
    for (by, expected) in [
        ("anna", 1),
        ("bert", 2),
        ("root (says bert)", 2),
        ("root", 0),
    ] {
        let filter = OperationFilter {
            by: by.to_owned(),
            ..some.clone()
        };
        assert_eq!(list(&rig, filter).await.len(), expected, "{by}");
    }
    let open = OperationFilter {
        open_only: true,
        ..OperationFilter::default()
    };
    assert_eq!(list(&rig, open).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_while_they_leave_keeps_each_once() {
    for fault in [CommitFault::BeforeApplying, CommitFault::AfterApplying] {
        let (mut rig, mut operations) = restarted(4, (100, 1_000)).await;
        assert_eq!(in_memory(&rig).await, 5);
        // The next memory is smaller: with its first commits they leave.
        rig.store.fail_commits(1, fault);
        let config = small(&rig, 1, 1_000);
        rig.start_again(config).await;
        minute(&mut rig).await;
        assert_eq!(in_memory(&rig).await, 1, "{fault:?}");
        let mut found = list(&rig, OperationFilter::default()).await;
        found.reverse();
        operations.insert(0, found[0].clone());
        assert_eq!(found, operations, "{fault:?}");
    }
}

fn since(since: Timestamp) -> EventsWanted {
    EventsWanted {
        since: Some(since),
        ..EventsWanted::default()
    }
}

/// Reads as an operator does, a page at a time, and counts what is said to be gone.
async fn read(rig: &Rig, wanted: EventsWanted) -> (Vec<StoredEvent>, u64) {
    let begin = rig.handle.begin_events(wanted).await.unwrap();
    let (mut after, mut events, mut passed_over) = (begin.after, Vec::new(), 0);
    while after < begin.last {
        let filter = begin.filter.clone();
        let page = rig.handle.events_after(filter, after).await.unwrap();
        assert!(page.upto > after);
        after = page.upto;
        passed_over += page.passed_over;
        events.extend(page.events);
    }
    (events, passed_over)
}

#[tokio::test(start_paused = true)]
async fn events_are_read_through_archive_and_memory_in_order() {
    let (mut rig, operations) = restarted(0, (2, 20)).await;
    assert!(operations.is_empty());
    let start = before(rig.clock.now(), Duration::from_secs(3_600));
    for number in 1..=300 {
        rig.submit(Verb::Restart, AT).await;
        rig.succeed(media()).await;
        let session = rig.agent(media()).session.unwrap();
        let part = crate::core::tests::told::journal_part("j", [number]);
        rig.handle
            .session_events(session, media(), part)
            .await
            .unwrap();
    }
    let (all, passed_over) = read(&rig, since(start)).await;
    let sequences: Vec<_> = all.iter().map(|stored| stored.sequence).collect();
    let ordered: Vec<_> = sequences
        .iter()
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(sequences, ordered, "in order, and none twice");
    let told = |events: &[StoredEvent]| {
        let ended = |s: &&StoredEvent| {
            s.event.text.contains("restart") && s.event.text.contains("succeeded")
        };
        events.iter().filter(ended).count()
    };
    assert_eq!(told(&all), 300);
    let last = *sequences.last().unwrap();
    assert_eq!(all.len() as u64 + passed_over, last, "what is gone is said");
    assert!(passed_over > 250, "the news of the day");
    assert!(
        all.len() > crate::store::MAX_PAGE,
        "more than a page of the archive"
    );

    // From somewhere in the middle, and up to somewhere.
    let from = all[200].event.at;
    let upto = all[400].event.at;
    let (middle, _) = read(
        &rig,
        EventsWanted {
            until: Some(upto),
            ..since(from)
        },
    )
    .await;
    let meant = |s: &&StoredEvent| s.event.at >= from && s.event.at < upto;
    let expected: Vec<_> = all.iter().filter(meant).cloned().collect();
    assert!(expected.len() > 100);
    assert_eq!(middle, expected);

    // Those of one kind and server, and those of a whole fleet's operation that is long gone.
    let words = SelectorWords {
        nodes: vec![media()],
        ..SelectorWords::default()
    };
    let all_servers = rig.submit(Verb::Stop, "").await;
    rig.succeed(media()).await;
    for (words, expected) in [
        (words, 2 * 301 + 2),
        (
            SelectorWords {
                nodes: vec!["10.0.0.1".parse().unwrap()],
                ..SelectorWords::default()
            },
            0,
        ),
    ] {
        let wanted = EventsWanted {
            words,
            kinds: vec![EventKind::Operation],
            ..since(start)
        };
        assert_eq!(read(&rig, wanted).await.0.len(), expected);
    }
    assert!(rig.operation(&all_servers).await.ended.is_some());
}

/// A row of the archive that was written long ago.
fn aged(store: &MemoryStore, keys: impl IntoIterator<Item = ArchiveKey>, told: Timestamp) {
    let value = format!("{{\"told\":\"{told}\"}}");
    let put = |key: ArchiveKey| Write::put(key.to_string(), Expect::Any, value.clone().into());
    let writes = keys.into_iter().map(put).collect();
    let fence = Epoch(0);
    store.clone().commit(Batch { fence, writes }).unwrap();
}

fn rows(rig: &Rig) -> usize {
    rig.store.clone().load("archive/").unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_goes_a_few_rows_at_a_time() {
    let store = MemoryStore::new();
    let now = Timestamp::from_second(crate::core::tests::bench::START).unwrap();
    let year = Duration::from_secs(365 * 24 * 3_600);
    let old = before(now, year);
    let id = |number: u64, at: Timestamp| operation_id(after(at, Duration::from_millis(number)), 1);
    let operations = (0..450).map(|n| ArchiveKey::Operation(id(n, old)));
    let targets = (0..450).map(|n| ArchiveKey::Target(id(n, old), media()));
    aged(&store, operations.chain(targets), old);
    let young = before(now, Duration::from_secs(24 * 3_600));
    let kept = [
        ArchiveKey::Operation(id(1, young)),
        ArchiveKey::Target(id(1, young), media()),
        ArchiveKey::Event(900),
    ];
    aged(&store, kept, young);
    aged(&store, (1..=450).map(ArchiveKey::Event), old);
    let mut rig = Rig::on(store, Arc::new(NoCrash)).await;
    assert_eq!(rows(&rig), 3 * 450 + 3);
    tokio::time::sleep(Duration::from_secs(61)).await;
    let left = rows(&rig);
    assert!((3 * 450 + 3 - 400..3 * 450 + 3).contains(&left), "{left}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rows(&rig), 3, "what is younger stays");
    // Who keeps less of it has it dropped with the next start.
    let config = EngineConfig {
        keep: Duration::from_secs(23 * 3_600),
        ..config(rig.clock, Arc::new(NoCrash))
    };
    rig.start_again(config).await;
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(rows(&rig), 0);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_row_of_the_archive_stops_nobody_but_its_reader() {
    let store = MemoryStore::new();
    let now = Timestamp::from_second(crate::core::tests::bench::START).unwrap();
    let id = operation_id(now, 1);
    aged(
        &store,
        [ArchiveKey::Operation(id), ArchiveKey::Event(1)],
        now,
    );
    let mut rig = Rig::on(store, Arc::new(NoCrash)).await;
    rig.deploy_media().await;
    let error = rig.handle.operation(&id.to_string()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unread(_)), "{error:?}");
    assert!(
        error.to_string().contains(&format!("archive/op/{id}")),
        "{error}"
    );
    rig.submit(Verb::Restart, AT).await;
    rig.succeed(media()).await;
}
