//! A list that the PBX gives in pages, whole or not at all.
//!
//! Owns what makes a list whole: every page tells the same count, and as many different items were
//! given. Something that is only missing because two pages did not fit together would be made a
//! second time.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::model::{IpFilter, PbxId, Server};

/// The most that the API gives at once.
pub(super) const PAGE: usize = 100;
/// More than this is no list of servers or of addresses that anybody keeps.
const MAX_ITEMS: usize = 20_000;
/// Pages of one item, for a thousand items.
const MAX_PAGES: usize = 1_000;

/// One page.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    count: u64,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

/// What has an id.
pub(super) trait Item {
    fn id(&self) -> &PbxId;
}

impl Item for Server {
    fn id(&self) -> &PbxId {
        &self.id
    }
}

impl Item for IpFilter {
    fn id(&self) -> &PbxId {
        &self.id
    }
}

/// A list that is being read.
pub(super) struct Listing<T> {
    items: BTreeMap<PbxId, T>,
    count: Option<u64>,
    skip: usize,
    pages: usize,
}

/// What a page has led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More of it, from this item on.
    From(usize),
    /// All are there.
    Whole,
    /// The list has changed while it was read: from the beginning.
    Changed,
    /// It is too long to be true.
    TooLong,
}

impl<T: Item> Listing<T> {
    pub(super) fn new() -> Self {
        Self {
            items: BTreeMap::new(),
            count: None,
            skip: 0,
            pages: 0,
        }
    }

    pub(super) fn take(&mut self, page: Page<T>) -> Next {
        self.pages += 1;
        if *self.count.get_or_insert(page.count) != page.count {
            return Next::Changed;
        }
        let given = page.items.len();
        self.skip += given;
        for item in page.items {
            self.items.insert(item.id().clone(), item);
        }
        let want = usize::try_from(page.count).unwrap_or(usize::MAX);
        if want > MAX_ITEMS || self.skip > MAX_ITEMS || self.pages > MAX_PAGES {
            return Next::TooLong;
        }
        if self.skip < want && given > 0 {
            return Next::From(self.skip);
        }
        if self.items.len() == want && self.skip == want {
            Next::Whole
        } else {
            Next::Changed
        }
    }

    pub(super) fn into_items(self) -> Vec<T> {
        self.items.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Item for PbxId {
        fn id(&self) -> &PbxId {
            self
        }
    }

    fn page(count: u64, ids: std::ops::Range<u32>) -> Page<PbxId> {
        let items = ids.map(|id| PbxId::try_from(format!("id{id}")).unwrap());
        Page {
            count,
            items: items.collect(),
        }
    }

    fn read(pages: Vec<Page<PbxId>>) -> Next {
        let mut listing = Listing::new();
        let mut next = Next::Changed;
        for page in pages {
            next = listing.take(page);
        }
        next
    }

    #[test]
    fn it_is_whole_when_as_many_as_were_told_have_come() {
        assert_eq!(read(vec![page(0, 0..0)]), Next::Whole);
        assert_eq!(read(vec![page(2, 0..2)]), Next::Whole);
        assert_eq!(read(vec![page(150, 0..100)]), Next::From(100));
        assert_eq!(
            read(vec![page(150, 0..100), page(150, 100..150)]),
            Next::Whole
        );
        // Smaller pages than were asked for.
        assert_eq!(read(vec![page(3, 0..1), page(3, 1..2)]), Next::From(2));
    }

    #[test]
    fn one_that_changed_meanwhile_is_none() {
        assert_eq!(read(vec![page(3, 0..2), page(2, 2..3)]), Next::Changed);
        assert_eq!(
            read(vec![page(3, 0..2), page(3, 1..2)]),
            Next::Changed,
            "seen twice"
        );
        assert_eq!(
            read(vec![page(3, 0..2), page(3, 0..0)]),
            Next::Changed,
            "one is missing"
        );
        assert_eq!(
            read(vec![page(2, 0..3)]),
            Next::Changed,
            "more than were told"
        );
    }

    #[test]
    fn it_is_bounded() {
        assert_eq!(read(vec![page(1_000_000, 0..100)]), Next::TooLong);
        let mut listing = Listing::new();
        let pages = (0..).map(|at| listing.take(page(19_999, at..at + 1)));
        let asked = pages.take_while(|next| *next != Next::TooLong).count();
        assert_eq!(asked, MAX_PAGES);
    }
}
