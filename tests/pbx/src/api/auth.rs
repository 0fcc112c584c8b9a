//! Signing in and out, and who may go on.

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Answer, Answered, Asked, Violation, only};
use crate::shape::{Holds, check as shape, may, must};
use crate::state::State;

/// The refusal of a call without a token that is good.
pub(super) fn check(state: &State, asked: &Asked<'_>) -> Option<Answer> {
    let good = asked
        .bearer
        .and_then(|token| state.access.get(token))
        .is_some_and(|end| Instant::now() < *end);
    (!good).then(|| Answer::error(401, "UNAUTHENTICATED", "the token is not valid"))
}

pub(super) fn sign_in(state: &mut State, asked: &Asked<'_>) -> Answered {
    only(asked, &Method::POST)?;
    let fields = [
        must("username", Holds::Text(1, 64)),
        must("password", Holds::Text(0, 4096)),
        may("domain", Holds::Text(1, 280)),
    ];
    let body = shape(asked.body, &fields).map_err(Violation::bad)?;
    let is = |name: &str, wanted: &str| body.get(name).and_then(Value::as_str) == Some(wanted);
    state.sign_ins += 1;
    let taken = is("username", &state.username) && is("password", &state.password);
    // A system administrator has no domain.
    if !taken || body.contains_key("domain") {
        return Ok(Answer::error(
            401,
            "INVALID_CREDENTIALS",
            "wrong username or password",
        ));
    }
    if state.two_factor {
        let token = state.id();
        return Ok(Answer::ok(
            json!({"two_factor_enabled": true, "token": token}),
        ));
    }
    Ok(tokens(state))
}

pub(super) fn refresh(state: &mut State, asked: &Asked<'_>) -> Answered {
    only(asked, &Method::POST)?;
    let fields = [must("refresh_token", Holds::Text(1, 4096))];
    let body = shape(asked.body, &fields).map_err(Violation::bad)?;
    let token = body.get("refresh_token").and_then(Value::as_str);
    let end = token.and_then(|token| state.refresh.remove(token));
    if end.is_none_or(|end| Instant::now() >= end) {
        return Ok(Answer::error(
            401,
            "UNAUTHENTICATED",
            "the token is not valid",
        ));
    }
    state.refreshes += 1;
    Ok(tokens(state))
}

pub(super) fn sign_out(state: &mut State, asked: &Asked<'_>) -> Answered {
    only(asked, &Method::POST)?;
    super::no_body(asked)?;
    if let Some(token) = asked.bearer {
        state.access.remove(token);
    }
    Ok(Answer::empty(200))
}

fn tokens(state: &mut State) -> Answer {
    let (access, refresh) = (state.id(), state.id());
    let (access, refresh) = (format!("access.{access}"), format!("refresh.{refresh}"));
    let now = Instant::now();
    state.access.insert(access.clone(), now + state.token_life);
    let longer = state.token_life * 4;
    state.refresh.insert(refresh.clone(), now + longer);
    Answer::ok(json!({
        "token_type": "Bearer",
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": state.token_life.as_secs(),
    }))
}
