//! The whitelist.

use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::list::page;
use super::{Answer, Answered, Asked, Violation, no_body, only, unknown};
use crate::shape::{Field, Holds, check, may, must};
use crate::state::{Filter, State};

const TARGETS: Holds = Holds::Word(&["ACCEPT", "DENY"]);

const NEW: [Field; 4] = [
    must("cidr", Holds::Cidr),
    must("target", TARGETS),
    may("expire_at", Holds::Time),
    may("description", Holds::Text(0, 255)),
];

const CHANGE: [Field; 4] = [
    may("cidr", Holds::Cidr),
    may("target", TARGETS),
    may("expire_at", Holds::Time),
    may("description", Holds::Text(0, 255)),
];

pub(super) fn answer(state: &mut State, asked: &Asked<'_>, rest: &[&str]) -> Answered {
    match (rest, asked.method) {
        ([], &Method::GET) => {
            let all = state.filters.iter().map(|(id, filter)| shown(id, filter));
            page(asked, state.page, all.collect())
        }
        ([], &Method::POST) => {
            let fields = body(asked, &NEW)?;
            let twice = state
                .filters
                .values()
                .any(|filter| fields.get("cidr").and_then(Value::as_str) == Some(filter.cidr()));
            if twice && state.refuse_duplicates {
                return Ok(Answer::error(400, "ALREADY_EXISTS", "the CIDR is there"));
            }
            let id = state.let_in(fields);
            Ok(Answer::ok(json!({"id": id})))
        }
        ([id], &Method::GET) => {
            only(asked, &Method::GET)?;
            Ok(match state.filters.get(*id) {
                Some(filter) => Answer::ok(shown(id, filter)),
                None => Answer::not_there(),
            })
        }
        ([id], &Method::POST) => {
            let fields = body(asked, &CHANGE)?;
            let Some(filter) = state.filters.get_mut(*id) else {
                return Ok(Answer::not_there());
            };
            filter.fields.extend(fields);
            Ok(Answer::empty(200))
        }
        ([id, "destroy"], _) => {
            only(asked, &Method::POST)?;
            no_body(asked)?;
            Ok(match state.filters.remove(*id) {
                Some(_) => Answer::empty(204),
                None => Answer::error(400, "INVALID_ID", "invalid rule ID supplied"),
            })
        }
        _ => Err(unknown()),
    }
}

fn body(asked: &Asked<'_>, fields: &[Field]) -> Result<Map<String, Value>, Violation> {
    let body = check(asked.body, fields).map_err(Violation::bad)?;
    let expiry = body.get("expire_at").and_then(Value::as_str);
    let over = expiry
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|end| end <= Timestamp::now());
    if over {
        return Err(Violation::bad("expire_at: it has passed"));
    }
    Ok(body)
}

fn shown(id: &str, filter: &Filter) -> Value {
    let mut fields = filter.fields.clone();
    fields.insert("id".to_owned(), id.into());
    Value::Object(fields)
}
