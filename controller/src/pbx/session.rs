//! The account's session: signing in, staying signed in, and not knocking at a door that is shut.
//!
//! Owns the tokens. They are refreshed before they end; when that fails there is the password. A
//! PBX that refuses the account is not asked again with the same password for a while: it would
//! lock the account, or this host out.

use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::{Backoff, jitter};
use extend_common::hash::sha256;
use http::Method;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::error::{PbxError, Refusal};
use super::exchange::{Answer, Exchange, Question};
use super::password::{PasswordError, PasswordSource};

/// After a refusal.
const REFUSED: Backoff = Backoff {
    first: Duration::from_secs(30),
    most: Duration::from_secs(600),
};
/// When the PBX does not say how long a token lasts.
const LIFETIME: u64 = 600;
/// Tokens are asked for anew when less than this is left, or a quarter of their life.
const AHEAD: Duration = Duration::from_secs(60);

const SIGN_IN: &str = "sign in at the PBX";
const REFRESH: &str = "stay signed in at the PBX";

/// What goes into the header, and which one it was.
#[derive(Clone)]
pub(super) struct Bearer {
    pub(super) text: Arc<Zeroizing<String>>,
    number: u64,
}

struct Tokens {
    bearer: Bearer,
    refresh: Option<Zeroizing<String>>,
    renew: Instant,
    end: Instant,
}

/// A sign-in that the PBX did not take.
struct Shut {
    password: [u8; 32],
    why: Why,
    times: u32,
    until: Instant,
}

#[derive(Clone)]
enum Why {
    Refused(Refusal),
    TwoFactor,
}

#[derive(Default)]
struct State {
    tokens: Option<Tokens>,
    shut: Option<Shut>,
    counted: u64,
}

#[derive(Serialize)]
struct SignIn<'a> {
    username: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
struct Refresh<'a> {
    refresh_token: &'a str,
}

/// Both answers to a sign-in.
#[derive(Deserialize)]
struct SignedIn {
    #[serde(default)]
    two_factor_enabled: bool,
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<Zeroizing<String>>,
    #[serde(default, deserialize_with = "secret")]
    refresh_token: Option<Zeroizing<String>>,
    #[serde(default)]
    expires_in: Option<i64>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Zeroizing::new))
}

/// The session of one account.
pub(super) struct Session {
    username: String,
    password: PasswordSource,
    state: Mutex<State>,
}

impl Session {
    pub(super) fn new(username: String, password: PasswordSource) -> Self {
        Self {
            username,
            password,
            state: Mutex::default(),
        }
    }

    pub(super) fn username(&self) -> &str {
        &self.username
    }

    /// A token that is good for now. Whoever comes while somebody else signs in waits for it.
    pub(super) async fn bearer(&self, exchange: &Exchange) -> Result<Bearer, PbxError> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let (known, refresh) = match &state.tokens {
            Some(tokens) if now < tokens.renew => return Ok(tokens.bearer.clone()),
            Some(tokens) => (
                (now < tokens.end).then(|| tokens.bearer.clone()),
                tokens.refresh.clone(),
            ),
            None => (None, None),
        };
        if let Some(refresh) = refresh {
            let body = Zeroizing::new(encode(&Refresh {
                refresh_token: &refresh,
            }));
            match ask(exchange, REFRESH, "/auth/refresh_token", body).await {
                Ok(answer) if answer.status.is_success() => {
                    if let Ok(signed) = serde_json::from_slice(&answer.body)
                        && let Some(bearer) = take(&mut state, signed, Some(refresh))
                    {
                        return Ok(bearer);
                    }
                }
                // Refused: there is the password.
                Ok(_) => {}
                // The network's fault; what is there is good for a little longer.
                Err(error) => {
                    if let Some(bearer) = known {
                        return Ok(bearer);
                    }
                    return Err(error);
                }
            }
        }
        self.sign_in(exchange, state).await
    }

    /// Forgets a token that the PBX took no longer, unless it is another one by now.
    pub(super) async fn forget(&self, bearer: &Bearer) {
        let mut state = self.state.lock().await;
        let same = |tokens: &Tokens| tokens.bearer.number == bearer.number;
        if state.tokens.as_ref().is_some_and(same) {
            state.tokens = None;
        }
    }

    async fn sign_in(
        &self,
        exchange: &Exchange,
        mut state: MutexGuard<'_, State>,
    ) -> Result<Bearer, PbxError> {
        state.tokens = None;
        let source = self.password.clone();
        let password = tokio::task::spawn_blocking(move || source.read())
            .await
            .unwrap_or_else(|_| {
                Err(PasswordError::NoText {
                    path: self.password.file.clone(),
                })
            })?;
        let known = sha256(password.as_bytes());
        if let Some(shut) = &state.shut
            && shut.password == known
            && Instant::now() < shut.until
        {
            return Err(self.refused(shut.why.clone()));
        }
        let body = Zeroizing::new(encode(&SignIn {
            username: &self.username,
            password: &password,
        }));
        let answer = ask(exchange, SIGN_IN, "/auth/sign_in", body).await?;
        let why = if answer.status.is_success() {
            let signed: SignedIn =
                serde_json::from_slice(&answer.body).map_err(|error| malformed(&error))?;
            if signed.two_factor_enabled {
                Why::TwoFactor
            } else if let Some(bearer) = take(&mut state, signed, None) {
                state.shut = None;
                return Ok(bearer);
            } else {
                return Err(malformed(&"there is no access_token in it"));
            }
        } else {
            Why::Refused(client_refusal(&answer)?)
        };
        let times = match &state.shut {
            Some(shut) if shut.password == known => shut.times.saturating_add(1),
            _ => 0,
        };
        state.shut = Some(Shut {
            password: known,
            why: why.clone(),
            times,
            until: Instant::now() + REFUSED.wait(times, jitter()),
        });
        Err(self.refused(why))
    }

    fn refused(&self, why: Why) -> PbxError {
        let username = self.username.clone();
        match why {
            Why::Refused(refusal) => PbxError::Unauthorised { username, refusal },
            Why::TwoFactor => PbxError::TwoFactor { username },
        }
    }
}

/// The refusal of an account; an error of the PBX itself says nothing about the account.
fn client_refusal(answer: &Answer) -> Result<Refusal, PbxError> {
    let refusal = answer.refusal();
    let doing = SIGN_IN.to_owned();
    match refusal.status {
        429 => Err(PbxError::Throttled {
            doing,
            wait: answer.wait(),
            refusal,
        }),
        400..=499 => Ok(refusal),
        _ => Err(PbxError::Refused {
            doing,
            refusal,
            change: false,
        }),
    }
}

fn malformed(cause: &dyn std::fmt::Display) -> PbxError {
    PbxError::Malformed {
        doing: SIGN_IN.to_owned(),
        cause: cause.to_string(),
        change: false,
    }
}

async fn ask(
    exchange: &Exchange,
    doing: &str,
    path: &str,
    body: Zeroizing<Vec<u8>>,
) -> Result<Answer, PbxError> {
    let question = Question {
        doing,
        method: Method::POST,
        path,
        bearer: None,
        body: Some(body),
        // Signed in twice is signed in.
        change: false,
    };
    exchange.ask(question).await
}

/// Keeps what was given. None: there was no token in it, or none that fits into a header.
fn take(state: &mut State, signed: SignedIn, before: Option<Zeroizing<String>>) -> Option<Bearer> {
    let access = signed.access_token.filter(|token| {
        !token.is_empty() && token.len() <= 16 * 1024 && token.bytes().all(|b| b.is_ascii_graphic())
    })?;
    let lifetime = signed
        .expires_in
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0)
        .unwrap_or(LIFETIME);
    let lifetime = Duration::from_secs(lifetime.min(24 * 3600));
    let now = Instant::now();
    state.counted += 1;
    let bearer = Bearer {
        text: Arc::new(access),
        number: state.counted,
    };
    state.tokens = Some(Tokens {
        bearer: bearer.clone(),
        refresh: signed.refresh_token.or(before),
        renew: now + lifetime.saturating_sub(AHEAD.min(lifetime / 4)),
        end: now + lifetime,
    });
    Some(bearer)
}

/// JSON of what cannot fail to be JSON.
fn encode(value: &impl Serialize) -> Vec<u8> {
    // Room for it at once: a vector that grows leaves copies of a secret behind.
    let mut out = Vec::with_capacity(8 * 1024);
    match serde_json::to_writer(&mut out, value) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}
