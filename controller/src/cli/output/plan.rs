//! Plans and answers of "already so", for people.

use extend_common::operation::PlannedTarget;

use super::table::{Cell, Table};
use super::text::count;
use super::{Stream, Tone};

/// The table of `--plan`.
pub(crate) fn table(plan: &[PlannedTarget], stream: Stream) -> String {
    let in_turns = plan.iter().any(|target| target.wave != plan.first().map_or(0, |t| t.wave));
    let mut heading = vec!["NAME", "TYPE", "ADDRESS"];
    if in_turns {
        heading.push("TURN");
    }
    heading.extend(["IMAGE", "CHANGE"]);
    let mut table = Table::new(heading);
    for target in plan {
        let mut cells = vec![
            Cell::from(target.name.as_str()),
            target.role.as_str().into(),
            target.node.to_string().into(),
        ];
        if in_turns {
            let turn = if target.already_so { String::new() } else { target.wave.to_string() };
            cells.push(turn.into());
        }
        cells.push(image(target).into());
        cells.push(change(target));
        table.row(cells);
    }
    table.render(stream)
}

/// How much of a plan would change anything, in words.
pub(crate) fn verdict(plan: &[PlannedTarget]) -> String {
    let all = plan.len();
    let changing = plan.iter().filter(|target| !target.already_so).count();
    match changing {
        0 => "nothing to do".to_owned(),
        _ if changing == all => format!("{} would change", count(all, "server")),
        _ => format!("{changing} of {} would change", count(all, "server")),
    }
}

/// A sentence for each server that was found as it should be.
pub(crate) fn already_so(plan: &[PlannedTarget]) -> Vec<String> {
    let so = plan.iter().filter(|target| target.already_so);
    so.map(|target| {
        let server = format!("{} ({})", target.name, target.node);
        match target.summary.as_str() {
            "" => format!("{server} is already so: nothing to do"),
            summary => format!("{server} is already so: {summary}"),
        }
    })
    .collect()
}

fn change(target: &PlannedTarget) -> Cell {
    if target.already_so {
        let words = match target.summary.as_str() {
            "" => "none: already so".to_owned(),
            summary => format!("none: {summary}"),
        };
        return Cell::toned(words, Tone::Faint);
    }
    Cell::from(target.summary.as_str())
}

fn image(target: &PlannedTarget) -> String {
    match (target.image_before.as_str(), target.image_after.as_str()) {
        (before, "") => before.to_owned(),
        (before, after) if before == after => after.to_owned(),
        ("", after) => after.to_owned(),
        (before, after) => format!("{before} -> {after}"),
    }
}
