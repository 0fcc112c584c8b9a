//! Plans and answers of "already so", for people.

use extend_common::operation::{PlannedTarget, Verb};
use jiff::Timestamp;

use super::table::{Cell, Table};
use super::text::{count, local_times};
use super::{Stream, Tone};

/// What a narrow terminal has no room for.
const SPARE: &[&str] = &["TYPE", "IMAGE"];

/// What stands below the directories, which only the node can fill in.
const DATA: &str = "{data} is data_dir in the node's agent.toml: /var/lib/portsip unless changed";

/// What `--plan` shows: the table, and below it where containers that are taken over differ from
/// what would be made, and what becomes of the hosts. An upgrade of what was
/// deployed before finds them as they should be: there it is told at length only when asked for.
pub(crate) fn shown(
    verb: Verb,
    plan: &[PlannedTarget],
    wide: bool,
    now: Timestamp,
    stream: Stream,
) -> String {
    let mut text = table(plan, wide, now, stream);
    text.push_str(&differences(plan));
    let hosts: Vec<&PlannedTarget> = plan
        .iter()
        .filter(|target| !target.host_changes.is_empty())
        .collect();
    if hosts.is_empty() {
        return text;
    }
    if verb == Verb::Upgrade && !wide {
        text.push_str("\nhosts: made ready again where they are not (-o wide lists how)");
        return text;
    }
    let when = if verb == Verb::Rm {
        "as far as Extend has changed it"
    } else {
        "unless it is so already"
    };
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

/// The table of `--plan`; a wide one has all columns whatever the terminal.
pub(crate) fn table(plan: &[PlannedTarget], wide: bool, now: Timestamp, stream: Stream) -> String {
    let in_turns = plan
        .iter()
        .any(|target| target.wave != plan.first().map_or(0, |t| t.wave));
    let other_images = plan.iter().any(changes_image);
    let mut heading = vec!["NAME", "TYPE", "ADDRESS"];
    if in_turns {
        heading.push("TURN");
    }
    if other_images {
        heading.push("IMAGE");
    }
    heading.push("CHANGE");
    let mut table = Table::new(heading).sparing(if wide { &[] } else { SPARE });
    for target in plan {
        let mut cells = vec![
            Cell::from(target.name.as_str()),
            target.role.as_str().into(),
            target.node.to_string().into(),
        ];
        if in_turns {
            cells.push(turn(target).into());
        }
        if other_images {
            cells.push(image(target).into());
        }
        cells.push(change(target, now));
        table.row(cells);
    }
    table.render(stream)
}

/// How much of a plan would change anything, in words. What an upgrade brings only the registry
/// knows.
pub(crate) fn verdict(verb: Verb, plan: &[PlannedTarget]) -> String {
    let would = if verb == Verb::Upgrade {
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

fn changes_image(target: &PlannedTarget) -> bool {
    !target.image_after.is_empty() && target.image_after != target.image_before
}

fn image(target: &PlannedTarget) -> String {
    match (target.image_before.as_str(), target.image_after.as_str()) {
        (before, _) if !changes_image(target) => before.to_owned(),
        ("", after) => after.to_owned(),
        (before, after) => format!("{before} -> {after}"),
    }
}
