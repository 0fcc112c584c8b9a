//! Reading a range of keys a page at a time: for records that are too many to be loaded.
//!
//! Built by whoever reads; its bounds are worked out here, once for every store. Knows no storage.

use super::Entry;

/// The most records of one page.
pub const MAX_PAGE: usize = 500;

/// A page ends with the record that makes it longer than this: commits wait for a page.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Which records to read, and which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Only keys that begin so.
    pub prefix: String,
    /// Only keys that come behind this one in the order of the read; none begins with the first.
    /// Need not be the key of any record.
    pub after: Option<String>,
    /// Which way.
    pub order: Order,
    /// So many at most; more than [`MAX_PAGE`] are never read.
    pub limit: usize,
}

/// Which way a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the lowest key on.
    Ascending,
    /// From the highest key back.
    Descending,
}

impl Range {
    /// Every record under `prefix`, a full page of them.
    #[must_use]
    pub fn under(prefix: impl Into<String>, order: Order) -> Self {
        Self {
            prefix: prefix.into(),
            after: None,
            order,
            limit: MAX_PAGE,
        }
    }

    /// The same behind a key.
    #[must_use]
    pub fn after(self, key: impl Into<String>) -> Self {
        Self {
            after: Some(key.into()),
            ..self
        }
    }

    /// The same, with so many records at most.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The bounds of its keys.
    pub(super) fn bounds(&self) -> Bounds {
        let mut bounds = Bounds {
            low: self.prefix.clone(),
            low_is_in: true,
            high: successor(&self.prefix),
        };
        match (&self.after, self.order) {
            (Some(after), Order::Ascending) if *after >= bounds.low => {
                bounds.low.clone_from(after);
                bounds.low_is_in = false;
            }
            (Some(after), Order::Descending)
                if bounds.high.as_ref().is_none_or(|high| after < high) =>
            {
                bounds.high = Some(after.clone());
            }
            _ => {}
        }
        bounds
    }

    /// How many records to read.
    pub(super) fn most(&self) -> usize {
        self.limit.min(MAX_PAGE)
    }
}

/// The bounds of the keys of a range, as texts that compare byte by byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) low: String,
    /// Whether the record under `low` itself is meant.
    pub(super) low_is_in: bool,
    /// Below this one; none where nothing is higher.
    pub(super) high: Option<String>,
}

impl Bounds {
    /// Whether no key can be in them.
    pub(super) fn are_empty(&self) -> bool {
        let Some(high) = &self.high else {
            return false;
        };
        *high <= self.low
    }
}

/// The lowest text above every text that begins with `prefix`; none where there is no such.
fn successor(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // UTF-8 compares as its code points do; those of surrogates are no characters.
        let next = match u32::from(last) + 1 {
            0xD800 => Some('\u{E000}'),
            code => char::from_u32(code),
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// Some records of a range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In the order of the range.
    pub entries: Vec<Entry>,
    /// Whether the range may have more of them behind the last one.
    pub more: bool,
}

impl Page {
    /// Takes records until the page is full.
    pub(super) fn fill<E>(
        range: &Range,
        entries: impl IntoIterator<Item = Result<Entry, E>>,
    ) -> Result<Self, E> {
        let mut page = Self::default();
        let mut bytes = 0;
        for entry in entries {
            if page.entries.len() >= range.most() || bytes > MAX_PAGE_BYTES {
                page.more = true;
                break;
            }
            let entry = entry?;
            bytes += entry.key.len() + entry.value.len();
            page.entries.push(entry);
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_every_key_of_a_prefix() {
        for (prefix, next) in [
            ("op/", Some("op0")),
            ("é", Some("ê")),
            ("a\u{10ffff}", Some("b")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("\u{10ffff}\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(successor(prefix).as_deref(), next, "{prefix:?}");
        }
    }
}
