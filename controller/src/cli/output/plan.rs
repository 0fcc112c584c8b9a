//! Plans and answers of "already so", for people.
//!
//! What would happen is mostly the same for many servers: it is said once, below the table of the
//! servers, for all that it is said of. `-o wide` says it in every row instead.

use extend_common::operation::{PlannedTarget, Strategy, Verb};
use jiff::Timestamp;

use super::table::{Cell, Table};
use super::text::{count, local_times, short_hash, wrap};
use super::warning::{self, Warned};
use super::{Stream, Tone, terminal};
use crate::cli::view::{checkup, strategy};

/// What a narrow terminal has no room for.
const SPARE: &[&str] = &["TYPE"];
/// What is said of servers stands below their names.
const INDENT: usize = 2;

/// What stands below the directories, which only the node can fill in.
const DATA: &str = "{data} is data_dir in the node's agent.toml: /var/lib/portsip unless changed";

/// A plan, and how it is to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// What was asked for.
    pub(crate) verb: Verb,
    /// How it would go from server to server.
    pub(crate) strategy: &'a Strategy,
    /// Server by server.
    pub(crate) plan: &'a [PlannedTarget],
    /// Every column, whatever the terminal.
    pub(crate) wide: bool,
    /// The present, for moments in sentences.
    pub(crate) now: Timestamp,
    /// Where it is printed.
    pub(crate) stream: Stream,
}

/// What `--plan` shows: how it would go, the servers and what would happen to them, what is to be
/// known before, where containers that are taken over differ from what would be made, and what
/// becomes of the hosts.
pub(crate) fn shown(shown: Shown<'_>) -> String {
    let mut text = String::new();
    if shown
        .plan
        .iter()
        .filter(|target| !target.already_so)
        .count()
        > 1
    {
        for line in shown.wrapped(&strategy::in_words(shown.verb, shown.strategy), 0) {
            text.push_str(&line);
            text.push('\n');
        }
        text.push('\n');
    }
    text.push_str(&brief(shown));
    text.push_str(&warnings(shown));
    text.push_str(&checkup::lines(shown.plan));
    text.push_str(&differences(shown.plan));
    text.push_str(&hosts(shown));
    text
}

/// The servers and what would happen to them.
pub(crate) fn brief(shown: Shown<'_>) -> String {
    let table = table(shown);
    if shown.wide {
        return table;
    }
    format!("{table}\n{}", changes(shown))
}

impl Shown<'_> {
    /// A sentence as lines with an indent, broken where a terminal would do it elsewhere.
    fn wrapped(&self, sentence: &str, indent: usize) -> Vec<String> {
        let Some(width) = terminal::width(self.stream) else {
            return vec![format!("{:indent$}{sentence}", "")];
        };
        let lines = wrap(sentence, width.saturating_sub(indent));
        lines
            .iter()
            .map(|line| format!("{:indent$}{line}", ""))
            .collect()
    }
}

/// An upgrade of what was deployed before finds the hosts as they should be: there it is told at
/// length only when asked for.
fn hosts(shown: Shown<'_>) -> String {
    let hosts = shown.plan.iter();
    let hosts: Vec<&PlannedTarget> = hosts
        .filter(|target| !target.host_changes.is_empty())
        .collect();
    if hosts.is_empty() {
        return String::new();
    }
    if shown.verb == Verb::Upgrade && !shown.wide {
        return "\n\nhosts: made ready again where they are not (-o wide lists how)".to_owned();
    }
    let when = if shown.verb == Verb::Rm {
        "as far as Extend has changed it"
    } else {
        "unless it is so already"
    };
    let mut text = "\n".to_owned();
    for target in &hosts {
        text.push_str(&format!(
            "\non {} for {}, {when}:",
            target.node, target.name
        ));
        for line in &target.host_changes {
            text.push_str(&format!("\n  {line}"));
        }
    }
    let mut lines = hosts.iter().flat_map(|target| &target.host_changes);
    if lines.any(|line| line.contains("{data}")) {
        text.push_str(&format!("\n{DATA}"));
    }
    text
}

fn warnings(shown: Shown<'_>) -> String {
    let warned = in_order(shown.plan).into_iter().map(|target| Warned {
        name: &target.name,
        node: target.node,
        warning: &target.warning,
    });
    let sentences = warning::sentences(warned, shown.now);
    let lines = sentences
        .iter()
        .flat_map(|sentence| shown.wrapped(sentence, 0));
    let text: String = lines.map(|line| format!("\n{line}")).collect();
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

/// What would happen, each thing once, with the servers to which it would.
fn changes(shown: Shown<'_>) -> String {
    let mut groups: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
    for target in in_order(shown.plan) {
        let said = said(shown, target);
        match groups.iter_mut().find(|(known, _)| *known == said) {
            Some((_, names)) => names.push(target.name.as_str()),
            None => groups.push((said, vec![target.name.as_str()])),
        }
    }
    let alone = groups.len() == 1;
    let mut text = String::new();
    for (said, names) in groups {
        let whose = match names.as_slice() {
            [_] if alone => None,
            all if alone => Some(format!("each of the {}:", all.len())),
            some => Some(format!("{}:", some.join(", "))),
        };
        let whose = whose.map(|names| shown.wrapped(&names, 0));
        for line in whose.into_iter().flatten().chain(said) {
            text.push_str(&format!("\n{line}"));
        }
    }
    text
}

/// What would happen to one server, as lines: in words, and with which images.
fn said(shown: Shown<'_>, target: &PlannedTarget) -> Vec<String> {
    if target.already_so {
        return shown.wrapped(&format!("none: {}", so_in_words(target)), INDENT);
    }
    let mut lines = shown.wrapped(&local_times(&target.summary, shown.now), INDENT);
    let told = match Images::of(shown.verb, target) {
        Images::Unknown => Vec::new(),
        Images::Stays(image) => vec![("image", image)],
        Images::New(image) => vec![("image", image)],
        Images::Other(before, after) => vec![("from", before), ("to", after)],
    };
    lines.extend(
        told.iter()
            .map(|(what, image)| format!("{:INDENT$}{what:<5} {image}", "")),
    );
    lines
}

/// Which images a server would have, for people.
enum Images {
    /// Nobody has told.
    Unknown,
    /// The same as before.
    Stays(String),
    /// Its first.
    New(String),
    /// From one to another, or to what only the registry knows.
    Other(String, String),
}

impl Images {
    fn of(verb: Verb, target: &PlannedTarget) -> Self {
        let before = exactly(&target.image_before, &target.identity_before);
        let asked_anew = verb == Verb::Upgrade && target.identity_after.is_empty();
        let after = match exactly(&target.image_after, &target.identity_after) {
            image if asked_anew && !image.is_empty() => {
                format!("{image} (its digest is asked when it begins)")
            }
            image => image,
        };
        let is_other = asked_anew
            || target.image_after != target.image_before
            || !target.identity_after.is_empty() && target.identity_after != target.identity_before;
        match (before.is_empty(), after.is_empty()) {
            (true, true) => Self::Unknown,
            (true, false) => Self::New(after),
            (false, true) => Self::Stays(before),
            (false, false) if is_other => Self::Other(before, after),
            (false, false) => Self::Stays(before),
        }
    }

    fn in_one_line(self) -> String {
        match self {
            Self::Unknown => String::new(),
            Self::Stays(image) | Self::New(image) => image,
            Self::Other(before, after) => format!("{before} -> {after}"),
        }
    }
}

/// An image with as much of its digest as people compare.
pub(crate) fn exactly(image: &str, identity: &str) -> String {
    match (image.is_empty(), identity.is_empty()) {
        (_, true) => image.to_owned(),
        (true, false) => short_hash(identity),
        (false, false) => format!("{image} {}", short_hash(identity)),
    }
}

fn differences(plan: &[PlannedTarget]) -> String {
    let mut text = String::new();
    for target in plan.iter().filter(|target| !target.differences.is_empty()) {
        let server = format!("{} ({})", target.name, target.node);
        text.push_str(&format!("\n\n{server} is not as an upgrade will make it"));
        let odd = target.differences.iter().any(|one| !one.usual);
        if odd {
            text.push_str(" (!: nor as the official script makes it)");
        }
        text.push(':');
        for difference in &target.differences {
            let mark = if difference.usual { ' ' } else { '!' };
            text.push_str(&format!("\n  {mark} {}", difference.text));
        }
    }
    text
}

/// A sentence for each server that is taken over and is not as the official script makes them.
pub(crate) fn odd_differences(plan: &[PlannedTarget]) -> Vec<String> {
    let told = |target: &PlannedTarget| {
        let odd = target.differences.iter().filter(|one| !one.usual);
        let odd: Vec<&str> = odd.map(|one| one.text.as_str()).collect();
        let server = format!("{} ({})", target.name, target.node);
        (!odd.is_empty()).then(|| {
            format!(
                "{server} is not as the official script makes it: {}",
                odd.join("; ")
            )
        })
    };
    plan.iter().filter_map(told).collect()
}

/// The servers, in the order of their turns; a wide table has all columns whatever the terminal.
fn table(shown: Shown<'_>) -> String {
    let Shown { plan, wide, .. } = shown;
    let in_turns = plan
        .iter()
        .any(|target| !target.already_so && (target.wave > 0 || target.canary));
    let mut heading = vec!["NAME", "TYPE", "ADDRESS"];
    if in_turns {
        heading.push("WAVE");
    }
    if wide {
        heading.extend(["IMAGE", "CHANGE"]);
    }
    let mut table = Table::new(heading).sparing(if wide { &[] } else { SPARE });
    for target in in_order(plan) {
        let mut cells = vec![
            Cell::from(target.name.as_str()),
            target.role.as_str().into(),
            target.node.to_string().into(),
        ];
        if in_turns {
            cells.push(turn(target).into());
        }
        if wide {
            cells.push(Images::of(shown.verb, target).in_one_line().into());
            cells.push(change(target, shown.now));
        }
        table.row(cells);
    }
    table.render(shown.stream)
}

/// Those that would change, in the order of their turns, and then the others.
fn in_order(plan: &[PlannedTarget]) -> Vec<&PlannedTarget> {
    let mut ordered: Vec<&PlannedTarget> = plan.iter().collect();
    ordered.sort_by_key(|target| (target.already_so, target.wave));
    ordered
}

/// How much of a plan would change anything, in words. What an upgrade brings only the registry
/// knows, if it was not asked.
pub(crate) fn verdict(verb: Verb, plan: &[PlannedTarget]) -> String {
    let asked_anew = |target: &PlannedTarget| {
        verb == Verb::Upgrade && !target.already_so && target.identity_after.is_empty()
    };
    let would = if plan.iter().any(asked_anew) {
        "may"
    } else {
        "would"
    };
    let all = plan.len();
    let changing = plan.iter().filter(|target| !target.already_so).count();
    match changing {
        0 => "nothing to do".to_owned(),
        _ if changing == all => format!("{} {would} change", count(all, "server")),
        _ => format!("{changing} of {} {would} change", count(all, "server")),
    }
}

/// A sentence for each server that was found as it should be.
pub(crate) fn already_so(plan: &[PlannedTarget]) -> Vec<String> {
    let so = plan.iter().filter(|target| target.already_so);
    so.map(|target| {
        let server = format!("{} ({})", target.name, target.node);
        format!("{server}: {}, nothing to do", so_in_words(target))
    })
    .collect()
}

/// In the controller's words, which say what exactly is so.
fn so_in_words(target: &PlannedTarget) -> &str {
    if target.summary.is_empty() {
        "already so"
    } else {
        &target.summary
    }
}

/// Turns are counted from one by people.
fn turn(target: &PlannedTarget) -> String {
    if target.already_so {
        String::new()
    } else if target.canary {
        format!("{} (canary)", target.wave.saturating_add(1))
    } else {
        target.wave.saturating_add(1).to_string()
    }
}

fn change(target: &PlannedTarget, now: Timestamp) -> Cell {
    if target.already_so {
        return Cell::toned(format!("none: {}", so_in_words(target)), Tone::Faint);
    }
    Cell::from(local_times(&target.summary, now))
}
