//! The API: what a call does to the state, and what is answered.

mod auth;
mod filters;
mod list;
mod servers;

use http::Method;
use serde_json::{Value, json};

use crate::state::{Kind, State};

/// A call, taken apart.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// After `/api`.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) bearer: Option<&'a str>,
    pub(crate) json: bool,
    pub(crate) body: &'a [u8],
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body: Some(body),
        }
    }

    fn empty(status: u16) -> Self {
        Self { status, body: None }
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let error = json!({"code": code, "message": message, "detail": ""});
        Self {
            status,
            body: Some(json!({"errors": [error]})),
        }
    }

    fn not_there() -> Self {
        Self::error(404, "NOT_FOUND", "no such resource")
    }
}

/// Why a call is none of the API's. Noted as a violation.
pub(crate) struct Violation(u16, String);

impl Violation {
    fn bad(why: impl Into<String>) -> Self {
        Self(400, why.into())
    }
}

type Answered = Result<Answer, Violation>;

/// Does what is asked.
pub(crate) fn answer(state: &mut State, asked: &Asked<'_>) -> Answer {
    match dispatch(state, asked) {
        Ok(mut answer) => {
            if state.news
                && let Some(Value::Object(map)) = &mut answer.body
            {
                map.insert("news_of_tomorrow".to_owned(), json!({"a": [1]}));
            }
            answer
        }
        Err(Violation(status, why)) => {
            let (method, path) = (asked.method, asked.path);
            state.violations.push(format!("{method} {path}: {why}"));
            Answer::error(status, "INVALID_ARGUMENT", &why)
        }
    }
}

fn dispatch(state: &mut State, asked: &Asked<'_>) -> Answered {
    let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
    let open = matches!(
        parts.as_slice(),
        ["info"] | ["auth", "sign_in" | "refresh_token"]
    );
    form(asked)?;
    if !open {
        if let Some(refused) = auth::check(state, asked) {
            return Ok(refused);
        }
        if state.forbidden {
            return Ok(Answer::error(403, "FORBIDDEN", "permission denied"));
        }
    }
    match parts.as_slice() {
        ["info"] => {
            only(asked, &Method::GET)?;
            Ok(Answer::ok(json!({
                "web_domain": "pbx.example.com",
                "private_ipv4": "172.31.16.133",
                "public_ipv4": "54.151.30.9",
            })))
        }
        ["auth", "sign_in"] => auth::sign_in(state, asked),
        ["auth", "refresh_token"] => auth::refresh(state, asked),
        ["auth", "sign_out"] => auth::sign_out(state, asked),
        ["admin", "status"] => {
            only(asked, &Method::GET)?;
            let current = |kind: Kind| state.servers.get(&kind).map_or(0, |all| all.len());
            Ok(Answer::ok(json!({
                "version": state.version,
                "current_calls": state.calls,
                "current_media_servers": current(Kind::MediaServers),
            })))
        }
        ["ip_filters", rest @ ..] => filters::answer(state, asked, rest),
        [first, rest @ ..] => match Kind::ALL.into_iter().find(|kind| kind.path() == *first) {
            Some(kind) => servers::answer(state, asked, kind, rest),
            None => Err(unknown()),
        },
        [] => Err(unknown()),
    }
}

/// What holds for every call: what kind of body goes with which method, and no query but a list's.
fn form(asked: &Asked<'_>) -> Result<(), Violation> {
    match *asked.method {
        Method::GET if !asked.body.is_empty() => Err(Violation::bad("a body with GET")),
        Method::POST if !asked.query.is_empty() => {
            Err(Violation::bad("no query parameter goes with POST here"))
        }
        Method::POST if !asked.body.is_empty() && !asked.json => Err(Violation(
            415,
            "the body is not application/json".to_owned(),
        )),
        Method::GET | Method::POST => Ok(()),
        _ => Err(Violation(405, "only GET and POST".to_owned())),
    }
}

fn only(asked: &Asked<'_>, method: &Method) -> Result<(), Violation> {
    if asked.method != method {
        return Err(Violation(405, format!("only {method} goes here")));
    }
    if !asked.query.is_empty() {
        return Err(Violation::bad("no query parameter goes here"));
    }
    Ok(())
}

fn no_body(asked: &Asked<'_>) -> Result<(), Violation> {
    if asked.body.is_empty() {
        return Ok(());
    }
    Err(Violation::bad("no body goes here"))
}

fn unknown() -> Violation {
    Violation(404, "there is no such path".to_owned())
}
