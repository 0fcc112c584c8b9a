//! The four kinds of servers.

use http::Method;
use serde_json::{Value, json};

use super::list::page;
use super::{Answer, Answered, Asked, Violation, no_body, only, unknown};
use crate::shape::{Field, Holds, check, may, must};
use crate::state::{Kind, Server, State};

const NAME: Field = must("name", Holds::Text(1, 64));
const ENABLED: Field = may("enabled", Holds::Bool);

/// What a new server has, and what of it can be changed: never its name and its addresses.
fn fields(kind: Kind, new: bool) -> Vec<Field> {
    let mut fields = vec![ENABLED];
    match kind {
        Kind::MediaServers => {
            fields.push(may("max_concurrency", Holds::Int(1)));
            fields.push(may("custom_options", Holds::Text(0, 65_536)));
            if new {
                fields.push(may("private_ipv4", Holds::Ipv4));
                fields.push(may("private_ipv6", Holds::Ipv6));
                fields.push(may("public_ipv4", Holds::Ipv4));
                fields.push(may("public_ipv6", Holds::Ipv6));
            }
        }
        Kind::ConferenceServers => {
            let field = if new { must } else { may };
            fields.push(field("max_rooms", Holds::Int(0)));
            fields.push(field("max_participants", Holds::Int(0)));
        }
        Kind::CallQueueServers | Kind::IvrServers => {}
    }
    if new {
        fields.push(NAME);
        if kind != Kind::MediaServers {
            fields.push(may("ipv4", Holds::Ipv4));
            fields.push(may("ipv6", Holds::Ipv6));
        }
    }
    fields
}

pub(super) fn answer(state: &mut State, asked: &Asked<'_>, kind: Kind, rest: &[&str]) -> Answered {
    match (rest, asked.method) {
        ([], &Method::GET) => {
            let all = state.servers.get(&kind).into_iter().flatten();
            let all = all.map(|(id, server)| shown(id, server)).collect();
            page(asked, state.page, all)
        }
        ([], &Method::POST) => create(state, asked, kind),
        ([id], &Method::GET) => {
            only(asked, &Method::GET)?;
            Ok(match state.server_by_id(kind, id) {
                Some(server) => Answer::ok(shown(id, server)),
                None => Answer::not_there(),
            })
        }
        ([id], &Method::POST) => {
            let change = check(asked.body, &fields(kind, false)).map_err(Violation::bad)?;
            let Some(server) = state.server_by_id(kind, id) else {
                return Ok(Answer::not_there());
            };
            server.changes += 1;
            server.fields.extend(change);
            Ok(Answer::empty(200))
        }
        ([id, "status"], _) => {
            only(asked, &Method::GET)?;
            Ok(match state.server_by_id(kind, id) {
                Some(server) => Answer::ok(status(kind, server)),
                None => Answer::not_there(),
            })
        }
        ([id, "destroy"], _) => {
            only(asked, &Method::POST)?;
            no_body(asked)?;
            let Some(server) = state.server_by_id(kind, id) else {
                return Ok(Answer::not_there());
            };
            if server.internal {
                return Ok(Answer::error(400, "INTERNAL", "a built-in server stays"));
            }
            state.servers.entry(kind).or_default().remove(*id);
            Ok(Answer::empty(204))
        }
        _ => Err(unknown()),
    }
}

fn create(state: &mut State, asked: &Asked<'_>, kind: Kind) -> Answered {
    let mut new = check(asked.body, &fields(kind, true)).map_err(Violation::bad)?;
    let name = new.get("name").and_then(Value::as_str);
    let taken = state.servers.get(&kind).into_iter().flatten();
    let twice = taken
        .map(|(_, server)| server.name())
        .any(|other| Some(other) == name);
    if twice && state.refuse_duplicates {
        return Ok(Answer::error(400, "ALREADY_EXISTS", "the name is taken"));
    }
    new.entry("enabled").or_insert(true.into());
    if kind == Kind::MediaServers {
        new.entry("max_concurrency").or_insert(2000.into());
    }
    let id = state.put(kind, new);
    let status = match kind {
        Kind::CallQueueServers | Kind::IvrServers => 201,
        Kind::MediaServers | Kind::ConferenceServers => 200,
    };
    Ok(Answer {
        status,
        body: Some(json!({"id": id})),
    })
}

fn shown(id: &str, server: &Server) -> Value {
    let mut fields = server.fields.clone();
    fields.insert("id".to_owned(), id.into());
    let kind = if server.internal {
        "INTERNAL"
    } else {
        "EXTERNAL"
    };
    fields.insert("type".to_owned(), kind.into());
    Value::Object(fields)
}

fn status(kind: Kind, server: &Server) -> Value {
    let word = if server.online { "ONLINE" } else { "OFFLINE" };
    let mut status = json!({"status": word, "cpu_usage": 3, "memory_usage": 12});
    match kind {
        Kind::MediaServers => status["current_concurrency"] = json!(server.sessions),
        Kind::ConferenceServers => {
            status["rooms_count"] = json!(u64::from(server.sessions > 0));
            status["participants_count"] = json!(server.sessions);
        }
        Kind::CallQueueServers | Kind::IvrServers => {}
    }
    status
}
