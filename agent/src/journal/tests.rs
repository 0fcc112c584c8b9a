//! What waits for a controller survives the agent, in order, and a damaged file is said.

use extend_common::event::EventKind;
use extend_common::status::Evidence;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn open(directory: &Path) -> Journal {
    let (journal, damage) = Journal::open(directory, now()).unwrap();
    assert_eq!(damage, None);
    journal
}

fn event(text: &str) -> Event {
    Event {
        at: now(),
        kind: EventKind::Health,
        node: None,
        name: None,
        role: None,
        text: text.to_owned(),
        evidence: None,
        operation: None,
        by: String::new(),
    }
}

fn mark(restarts: u64) -> Mark {
    Mark {
        restarts,
        ..Mark::default()
    }
}

fn note(journal: &Journal, texts: &[&str], restarts: u64) {
    journal.note(
        texts.iter().map(|text| event(text)).collect(),
        mark(restarts),
    );
    journal.flush();
}

fn waiting(journal: &Journal) -> Vec<(u64, String)> {
    let entries = journal.part().map_or_else(Vec::new, |part| part.entries);
    let told = |entry: JournalEntry| (entry.sequence, entry.event.text);
    entries.into_iter().map(told).collect()
}

fn told(texts: &[(u64, &str)]) -> Vec<(u64, String)> {
    texts
        .iter()
        .map(|(n, text)| (*n, (*text).to_owned()))
        .collect()
}

#[test]
fn what_waits_and_what_was_told_outlive_the_agent() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    note(&journal, &["a", "b"], 1);
    note(&journal, &["c"], 2);
    let name = journal.part().unwrap().journal;
    drop(journal);
    let journal = open(directory.path());
    assert_eq!(waiting(&journal), told(&[(1, "a"), (2, "b"), (3, "c")]));
    assert_eq!(journal.mark(), mark(2));
    assert_eq!(journal.part().unwrap().journal, name);
    note(&journal, &["d"], 2);
    assert!(waiting(&journal).last().unwrap().0 > 3, "sequences go on");
}

#[test]
fn what_is_kept_is_not_told_again_and_another_journals_word_counts_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    note(&journal, &["a", "b", "c"], 0);
    journal.kept("another", 3);
    assert_eq!(waiting(&journal).len(), 3);
    let name = journal.part().unwrap().journal;
    journal.kept(&name, 2);
    assert_eq!(waiting(&journal), told(&[(3, "c")]));
    journal.kept(&name, 3);
    assert_eq!(journal.part(), None);
}

#[test]
fn parts_are_small_and_the_oldest_events_go_first_when_nobody_listens_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    for number in 0..MAX_WAITING + 10 {
        note(&journal, &[&number.to_string()], 0);
    }
    let first = waiting(&journal);
    assert_eq!(first.len(), MAX_EVENTS);
    assert_eq!(first[0], (11, "10".to_owned()));
    let journal = open(directory.path());
    assert_eq!(waiting(&journal)[0], (11, "10".to_owned()));
}

#[test]
fn an_append_that_was_cut_off_is_dropped_and_the_rest_is_told() {
    let directory = tempfile::tempdir().unwrap();
    note(&open(directory.path()), &["a", "b"], 1);
    let path = directory.path().join(FILE);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let journal = open(directory.path());
    assert_eq!(waiting(&journal), told(&[(1, "a")]));
}

#[test]
fn every_flipped_bit_is_noticed_and_the_file_is_kept_aside() {
    let directory = tempfile::tempdir().unwrap();
    note(&open(directory.path()), &["a", "b"], 1);
    let path = directory.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() - 1 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (journal, damage) = Journal::open(directory.path(), now()).unwrap();
        assert!(damage.is_some(), "byte {at} of {}", whole.len());
        let texts: Vec<_> = waiting(&journal)
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert!(
            texts.iter().all(|text| text == "a" || text == "b"),
            "{texts:?}"
        );
        let aside = directory
            .path()
            .join(format!("{FILE}.damaged-{}", now().as_second()));
        assert_eq!(std::fs::read(&aside).unwrap(), bytes);
    }
}

#[test]
fn a_disk_that_takes_nothing_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    note(&journal, &["a"], 0);
    // A directory in its place: no file can be put there.
    let path = directory.path().join(FILE);
    journal.disk.lock().unwrap().file = None;
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    note(&journal, &["b"], 0);
    assert_eq!(waiting(&journal), told(&[(1, "a"), (2, "b")]));
    std::fs::remove_dir(&path).unwrap();
    note(&journal, &["c"], 0);
    let journal = open(directory.path());
    assert_eq!(waiting(&journal), told(&[(1, "a"), (2, "b"), (3, "c")]));
}

#[test]
fn of_long_evidence_the_end_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let lines: Vec<_> = (0..20).map(|n| format!("{n:01000}")).collect();
    let mut long = event("crash");
    long.evidence = Some(Evidence {
        log_tail: lines.clone(),
        ..Evidence::default()
    });
    journal.note(vec![long], Mark::default());
    let part = journal.part().unwrap();
    let kept = &part.entries[0].event.evidence.as_ref().unwrap().log_tail;
    assert_eq!(*kept, lines[16..]);
}

#[test]
fn numbers_that_were_told_from_memory_are_not_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    note(&journal, &["a"], 0);
    // Told, and never on the disk.
    journal.note(vec![event("b"), event("c")], mark(0));
    let told = waiting(&journal).last().unwrap().0;
    let journal = open(directory.path());
    note(&journal, &["d"], 0);
    assert!(waiting(&journal).last().unwrap().0 > told);
}
