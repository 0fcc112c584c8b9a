//! What is to be known before, as sentences: the same thing once for all servers that it is said
//! of.

use extend_common::ids::{NodeAddr, ServerName};
use jiff::Timestamp;

use super::text::local_times;

/// More servers than this are counted and not named.
const MOST_NAMED: usize = 8;

/// One warning of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Warned<'a> {
    /// The server.
    pub(crate) name: &'a ServerName,
    /// Its node.
    pub(crate) node: NodeAddr,
    /// The warning; may be empty.
    pub(crate) warning: &'a str,
}

/// A sentence for each warning: `warning: media-server-1 (172.31.16.139): …`.
pub(crate) fn sentences<'a>(
    warned: impl Iterator<Item = Warned<'a>>,
    now: Timestamp,
) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<Warned<'_>>)> = Vec::new();
    for one in warned.filter(|one| !one.warning.is_empty()) {
        match groups.iter_mut().find(|(text, _)| *text == one.warning) {
            Some((_, group)) => group.push(one),
            None => groups.push((one.warning, vec![one])),
        }
    }
    let sentence = |(text, group): &(&str, Vec<Warned<'_>>)| {
        format!("warning: {}: {}", whom(group), local_times(text, now))
    };
    groups.iter().map(sentence).collect()
}

fn whom(group: &[Warned<'_>]) -> String {
    if let [one] = group {
        return format!("{} ({})", one.name, one.node);
    }
    let named = group.iter().take(MOST_NAMED).map(|one| one.name.as_str());
    let named = named.collect::<Vec<_>>().join(", ");
    match group.len().saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once() {
        let names: Vec<ServerName> = (1..=10)
            .map(|index| format!("m{index}").parse().unwrap())
            .collect();
        let warned = names.iter().enumerate().map(|(index, name)| Warned {
            name,
            node: "172.31.16.139".parse().unwrap(),
            warning: match index {
                0 => "alone",
                1 => "",
                _ => "all the same",
            },
        });
        assert_eq!(
            sentences(warned.clone(), Timestamp::UNIX_EPOCH),
            [
                "warning: m1 (172.31.16.139): alone",
                "warning: m3, m4, m5, m6, m7, m8, m9, m10: all the same",
            ]
        );
        let twice = warned.clone().chain(warned.skip(2).take(1));
        let told = sentences(twice, Timestamp::UNIX_EPOCH);
        assert!(told[1].starts_with("warning: m3, m4, m5, m6, m7, m8, m9, m10 and 1 more: "));
    }
}
