//! Lists, a page at a time.

use serde_json::{Value, json};

use super::{Answer, Answered, Asked, Violation};

const MAX_TOP: usize = 100;

/// A page of what there is, as the query asks for it.
pub(super) fn page(asked: &Asked<'_>, most: usize, all: Vec<Value>) -> Answered {
    let (mut skip, mut top) = (0, MAX_TOP);
    for pair in asked.query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number = value.parse::<usize>();
        match (name, number) {
            ("skip", Ok(number)) => skip = number,
            ("top", Ok(number)) if (1..=MAX_TOP).contains(&number) => top = number,
            ("skip" | "top", _) => {
                return Err(Violation::bad(format!("{name}: {value} is out of range")));
            }
            ("filter" | "search" | "orderby", _) => {
                return Err(Violation::bad(format!("{name} is not stood in for")));
            }
            _ => {
                return Err(Violation::bad(format!(
                    "there is no query parameter {name}"
                )));
            }
        }
    }
    let count = all.len();
    let items: Vec<Value> = all.into_iter().skip(skip).take(top.min(most)).collect();
    Ok(Answer::ok(json!({"count": count, "items": items})))
}
