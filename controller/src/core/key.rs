//! The keys of the rows, as values and as text. The only place that spells them.

use std::fmt;
use std::str::FromStr;

use extend_common::ids::{NodeAddr, OperationId};

/// Names one row of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A node: its enrolment, its record and the ids of the records before.
    Node(NodeAddr),
    /// An operation without its targets.
    Operation(OperationId),
    /// One target. A row of its own: an operation on thousands of servers would not fit into one,
    /// and would be written whole for each server's progress.
    Target(OperationId, NodeAddr),
    /// The unspent token of a node.
    Token(NodeAddr),
    /// The store is new beside an older authority.
    Recovering,
    /// A node that was removed while [`Key::Recovering`] was set: nothing else would keep it out.
    Removed(NodeAddr),
    /// A node that has gone and is not back: since when, and why.
    Away(NodeAddr),
    /// Something that happened, by its number.
    Event(u64),
    /// An alert that fires, by its number.
    Alert(u64),
    /// A message about alerts that its receiver has not taken.
    Notice(u64),
    /// A time in which nobody is told of alerts.
    Silence(u64),
    /// How far the numbers of these three have come.
    AlertCounter,
    /// What lies outside a node, as far as its record does not tell.
    Outside(NodeAddr),
    /// How a node's server was. Nothing is decided by it.
    History(NodeAddr),
}

/// The digits of the largest number of an event.
pub(super) const SEQUENCE_DIGITS: usize = 20;

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node/{node}"),
            Self::Operation(id) => write!(f, "op/{id}"),
            Self::Target(id, node) => write!(f, "op/{id}/{node}"),
            Self::Token(node) => write!(f, "token/{node}"),
            Self::Recovering => f.write_str("meta/recovering"),
            Self::Removed(node) => write!(f, "removed/{node}"),
            Self::Away(node) => write!(f, "away/{node}"),
            // As long as any number is: keys sort as their numbers do.
            Self::Event(sequence) => write!(f, "event/{sequence:020}"),
            Self::Outside(node) => write!(f, "outside/{node}"),
            Self::History(node) => write!(f, "history/{node}"),
            Self::Alert(number) => write!(f, "alert/{number:020}"),
            Self::Notice(number) => write!(f, "notice/{number:020}"),
            Self::Silence(number) => write!(f, "silence/{number:020}"),
            Self::AlertCounter => f.write_str("meta/alerts"),
        }
    }
}

/// A key under one of our prefixes that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no key of this version")]
pub struct KeyError;

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        fn id<T: FromStr>(text: &str) -> Result<T, KeyError> {
            text.parse().map_err(|_| KeyError)
        }
        let (kind, rest) = text.split_once('/').ok_or(KeyError)?;
        match (kind, rest.split_once('/')) {
            ("node", None) => Ok(Self::Node(id(rest)?)),
            ("op", None) => Ok(Self::Operation(id(rest)?)),
            ("op", Some((operation, node))) => Ok(Self::Target(id(operation)?, id(node)?)),
            ("token", None) => Ok(Self::Token(id(rest)?)),
            ("meta", None) if rest == "recovering" => Ok(Self::Recovering),
            ("meta", None) if rest == "alerts" => Ok(Self::AlertCounter),
            ("alert", None) if rest.len() == SEQUENCE_DIGITS => Ok(Self::Alert(id(rest)?)),
            ("notice", None) if rest.len() == SEQUENCE_DIGITS => Ok(Self::Notice(id(rest)?)),
            ("silence", None) if rest.len() == SEQUENCE_DIGITS => Ok(Self::Silence(id(rest)?)),
            ("removed", None) => Ok(Self::Removed(id(rest)?)),
            ("away", None) => Ok(Self::Away(id(rest)?)),
            ("outside", None) => Ok(Self::Outside(id(rest)?)),
            ("history", None) => Ok(Self::History(id(rest)?)),
            ("event", None) if rest.len() == SEQUENCE_DIGITS => Ok(Self::Event(id(rest)?)),
            _ => Err(KeyError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_as_they_were_written() {
        let node: NodeAddr = "172.31.16.139".parse().unwrap();
        let id: OperationId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        for (key, text) in [
            (Key::Node(node), "node/172.31.16.139"),
            (Key::Operation(id), "op/01ARZ3NDEKTSV4RRFFQ69G5FAV"),
            (
                Key::Target(id, node),
                "op/01ARZ3NDEKTSV4RRFFQ69G5FAV/172.31.16.139",
            ),
            (Key::Token(node), "token/172.31.16.139"),
            (Key::Recovering, "meta/recovering"),
            (Key::Removed(node), "removed/172.31.16.139"),
            (Key::Away(node), "away/172.31.16.139"),
            (Key::Outside(node), "outside/172.31.16.139"),
            (Key::History(node), "history/172.31.16.139"),
            (Key::Event(7), "event/00000000000000000007"),
            (Key::Alert(7), "alert/00000000000000000007"),
            (Key::Notice(7), "notice/00000000000000000007"),
            (Key::Silence(7), "silence/00000000000000000007"),
            (Key::AlertCounter, "meta/alerts"),
            (Key::Event(u64::MAX), "event/18446744073709551615"),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
        for wrong in [
            "",
            "node",
            "node/",
            "node/x",
            "op/x",
            "op/x/y/z",
            "meta/other",
            "other/1",
            "event/7",
        ] {
            assert_eq!(wrong.parse::<Key>(), Err(KeyError), "{wrong}");
        }
    }
}
