//! Ranges, a page at a time, against both implementations.

use super::*;
use crate::store::{MAX_PAGE, MAX_PAGE_BYTES, MAX_VALUE_BYTES, Order, Range};

on_both! {
    a_range_keeps_to_its_prefix_in_both_directions
    a_range_goes_on_behind_a_key_that_need_not_be_there
    a_page_has_as_many_as_asked_for_and_says_whether_there_are_more
    a_page_is_bounded_whatever_is_asked_for
    pages_show_the_revision_and_what_was_written_last
}

const KEYS: [&str; 9] = [
    "a",
    "a/",
    "a/1",
    "a/2",
    "a/2/x",
    "a/\u{10ffff}",
    "a0",
    "b/1",
    "é",
];

fn filled(disk: &impl Disk) -> impl Store {
    let mut store = disk.open();
    store
        .commit(puts(Epoch(0), KEYS.map(|key| (key, ""))))
        .unwrap();
    store
}

fn keys(store: &mut impl Store, range: &Range) -> Vec<String> {
    let page = store.range(range).unwrap();
    page.entries.into_iter().map(|entry| entry.key).collect()
}

fn up(prefix: &str) -> Range {
    Range::under(prefix, Order::Ascending)
}

fn down(prefix: &str) -> Range {
    Range::under(prefix, Order::Descending)
}

fn a_range_keeps_to_its_prefix_in_both_directions(disk: &impl Disk) {
    let store = &mut filled(disk);
    for prefix in [
        "",
        "a",
        "a/",
        "a/2",
        "a/\u{10ffff}",
        "b",
        "c",
        "é",
        "\u{10ffff}",
    ] {
        let mut expected: Vec<_> = KEYS.into_iter().filter(|k| k.starts_with(prefix)).collect();
        assert_eq!(keys(store, &up(prefix)), expected, "{prefix}");
        expected.reverse();
        assert_eq!(keys(store, &down(prefix)), expected, "{prefix}");
    }
}

fn a_range_goes_on_behind_a_key_that_need_not_be_there(disk: &impl Disk) {
    let store = &mut filled(disk);
    for prefix in ["", "a/", "a/2"] {
        for after in KEYS.into_iter().chain(["", "a/15", "a/2/", "zz", "A"]) {
            let meant = KEYS.into_iter().filter(|k| k.starts_with(prefix));
            let behind: Vec<_> = meant.clone().filter(|key| *key > after).collect();
            let mut before: Vec<_> = meant.filter(|key| *key < after).collect();
            before.reverse();
            assert_eq!(
                keys(store, &up(prefix).after(after)),
                behind,
                "{prefix} {after}"
            );
            assert_eq!(
                keys(store, &down(prefix).after(after)),
                before,
                "{prefix} {after}"
            );
        }
    }
}

fn a_page_has_as_many_as_asked_for_and_says_whether_there_are_more(disk: &impl Disk) {
    let store = &mut filled(disk);
    for (range, expected, more) in [
        (up("a/").limit(2), &["a/", "a/1"][..], true),
        (up("a/").limit(2).after("a/1"), &["a/2", "a/2/x"], true),
        (up("a/").limit(2).after("a/2/x"), &["a/\u{10ffff}"], false),
        (
            down("a/").limit(4),
            &["a/\u{10ffff}", "a/2/x", "a/2", "a/1"],
            true,
        ),
        (
            down("a/").limit(5),
            &["a/\u{10ffff}", "a/2/x", "a/2", "a/1", "a/"],
            false,
        ),
        (up("c"), &[], false),
    ] {
        let page = store.range(&range).unwrap();
        let keys: Vec<_> = page
            .entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        assert_eq!((keys, page.more), (expected.to_vec(), more), "{range:?}");
    }
}

fn a_page_is_bounded_whatever_is_asked_for(disk: &impl Disk) {
    let store = &mut disk.open();
    let many: Vec<_> = (0..MAX_PAGE + 1).map(|n| format!("many/{n:04}")).collect();
    store
        .commit(puts(Epoch(0), many.iter().map(|key| (key.as_str(), ""))))
        .unwrap();
    let page = store.range(&up("many/").limit(usize::MAX)).unwrap();
    assert_eq!((page.entries.len(), page.more), (MAX_PAGE, true));

    let large = (0..6).map(|n| {
        let value = vec![7; MAX_VALUE_BYTES];
        Write::put(format!("large/{n}"), Expect::Absent, value)
    });
    let batch = Batch {
        fence: Epoch(0),
        writes: large.collect(),
    };
    store.commit(batch).unwrap();
    for range in [up("large/"), down("large/")] {
        let page = store.range(&range).unwrap();
        let bytes: usize = page.entries.iter().map(|entry| entry.value.len()).sum();
        assert!(
            page.more && bytes <= MAX_PAGE_BYTES + MAX_VALUE_BYTES,
            "{bytes}"
        );
        // It goes on behind the last one, to the end.
        let rest = range.after(page.entries.last().unwrap().key.clone());
        let rest = store.range(&rest).unwrap();
        assert_eq!(
            (page.entries.len() + rest.entries.len(), rest.more),
            (6, false)
        );
    }
}

fn pages_show_the_revision_and_what_was_written_last(disk: &impl Disk) {
    let store = &mut filled(disk);
    store.commit(puts(Epoch(0), [("a/1", "new")])).unwrap();
    store
        .commit(one(Epoch(0), Write::delete("a/2", Expect::Any)))
        .unwrap();
    let page = store.range(&up("a/").limit(3)).unwrap();
    assert_eq!(
        page.entries,
        [
            entry("a/", "", 1),
            entry("a/1", "new", 2),
            entry("a/2/x", "", 1)
        ]
    );
}
