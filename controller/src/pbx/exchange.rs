//! One question over HTTPS and its answer, within bounds of time and size.
//!
//! Owns the connections and what an answer's status means. Knows no session: the bearer is given.
//! A pin that was changed is noticed here: connections that were made under the old one go.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use extend_common::wire::shown_text;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::base::BaseUrl;
use super::connect::{ConnectError, Connector};
use super::error::{PbxError, Refusal};
use super::trust::{Anchor, FileState};

/// A page of a hundred entries with the longest of texts is a tenth of this.
const MAX_BODY: usize = 2 * 1024 * 1024;
/// Connections that are kept for the next look.
const IDLE_CONNECTIONS: usize = 2;
/// Servers close idle connections after a minute or so: not waited for.
const IDLE: Duration = Duration::from_secs(20);
/// No wait that the PBX asks for is longer than what it would take to look at it.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Codes and messages that are shown.
const MAX_CODE: usize = 64;

/// What is asked.
pub(super) struct Question<'a> {
    /// What it is for, to follow "cannot".
    pub(super) doing: &'a str,
    pub(super) method: Method,
    /// After `/api`, with its query.
    pub(super) path: &'a str,
    pub(super) bearer: Option<&'a str>,
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
    /// Whether it changes anything at the PBX.
    pub(super) change: bool,
}

/// What was answered, whatever the status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    wait: Option<Duration>,
}

impl Answer {
    /// What the PBX says of its refusal. Anything else than what is documented says nothing.
    pub(super) fn refusal(&self) -> Refusal {
        let told = serde_json::from_slice::<Told>(&self.body)
            .ok()
            .and_then(|told| told.errors.into_iter().next());
        let (code, message) = told.map(TooMuch::words).unwrap_or_default();
        Refusal {
            status: self.status.as_u16(),
            code: if code.is_empty() {
                "UNKNOWN".to_owned()
            } else {
                code
            },
            message,
        }
    }

    /// How long the PBX wants to be left alone.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.wait
    }
}

#[derive(Deserialize)]
struct Told {
    errors: Vec<TooMuch>,
}

/// One error; `detail` may hold anything and is not shown.
#[derive(Deserialize, Default)]
struct TooMuch {
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    message: serde_json::Value,
}

impl TooMuch {
    fn words(self) -> (String, String) {
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let code: String = text(self.code).chars().take(MAX_CODE).collect();
        (shown_text(code), shown_text(text(self.message)))
    }
}

type HttpClient = Client<Connector, Full<Bytes>>;

/// The connections that were made under one state of the pin file.
struct Trusted {
    state: FileState,
    client: HttpClient,
}

/// The way to the PBX.
pub(super) struct Exchange {
    base: BaseUrl,
    certificate: PathBuf,
    limit: Duration,
    trusted: Mutex<Option<Arc<Trusted>>>,
}

impl Exchange {
    pub(super) fn new(base: BaseUrl, certificate: PathBuf, limit: Duration) -> Self {
        Self {
            base,
            certificate,
            limit,
            trusted: Mutex::new(None),
        }
    }

    pub(super) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Asks once. Whatever comes back with a status is an answer.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answer, PbxError> {
        let Question {
            doing,
            method,
            path,
            bearer,
            body,
            change,
        } = question;
        let trusted = self.trusted().await?;
        let request =
            self.request(method, path, bearer, body)
                .map_err(|cause| PbxError::Malformed {
                    doing: doing.to_owned(),
                    cause: format!("it cannot be asked: {cause}"),
                    change: false,
                })?;
        let lost = |cause: String| PbxError::Lost {
            doing: doing.to_owned(),
            cause,
            change,
        };
        let asked = async {
            let response = trusted
                .client
                .request(request)
                .await
                .map_err(|error| self.no_answer(doing, change, &error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY)
                .collect()
                .await
                .map_err(|error| {
                    if error
                        .downcast_ref::<http_body_util::LengthLimitError>()
                        .is_some()
                    {
                        PbxError::Malformed {
                            doing: doing.to_owned(),
                            cause: format!("it is longer than {MAX_BODY} bytes"),
                            change,
                        }
                    } else {
                        lost(format!("the answer broke off: {}", innermost(&*error)))
                    }
                })?;
            Ok(Answer {
                status: head.status,
                wait: wait(&head.headers),
                body: body.to_bytes(),
            })
        };
        timeout(self.limit, asked)
            .await
            .unwrap_or_else(|_| Err(lost(format!("no answer within {:?}", self.limit))))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api{path}", self.base))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("extend/", env!("CARGO_PKG_VERSION")));
        if let Some(bearer) = bearer {
            let mut value = HeaderValue::try_from(format!("Bearer {bearer}"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        match body {
            // Wiped when the last piece has been sent.
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from_owner(body))),
            None => request.body(Full::default()),
        }
    }

    /// The connections for the pin as it is now.
    async fn trusted(&self) -> Result<Arc<Trusted>, PbxError> {
        let state = FileState::of(&self.certificate);
        let lock = || self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trusted) = lock().as_ref()
            && trusted.state == state
        {
            return Ok(Arc::clone(trusted));
        }
        let path = self.certificate.clone();
        let loaded = tokio::task::spawn_blocking(move || Anchor::load(&path)?.client_config());
        let loaded = match loaded.await {
            Ok(loaded) => loaded.map_err(|error: super::trust::PinError| error.cause),
            Err(error) => Err(error.to_string()),
        };
        let config = loaded.map_err(|cause| PbxError::Pin {
            path: self.certificate.clone(),
            cause,
        })?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(Connector::new(self.base.clone(), Arc::new(config)));
        let trusted = Arc::new(Trusted { state, client });
        *lock() = Some(Arc::clone(&trusted));
        Ok(trusted)
    }

    /// Where asking ended, and whether the question may have arrived.
    fn no_answer(
        &self,
        doing: &str,
        change: bool,
        error: &hyper_util::client::legacy::Error,
    ) -> PbxError {
        let doing = doing.to_owned();
        let base = self.base.to_string();
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(cause) = next {
            if let Some(connect) = cause.downcast_ref::<ConnectError>() {
                return match connect {
                    ConnectError::Certificate(cause) => PbxError::Certificate {
                        doing,
                        base,
                        cause: cause.clone(),
                    },
                    other => PbxError::Unreachable {
                        doing,
                        base,
                        cause: other.to_string(),
                    },
                };
            }
            next = cause.source();
        }
        PbxError::Lost {
            doing,
            cause: format!("the connection broke: {}", innermost(error)),
            change,
        }
    }
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    shown_text(error.to_string())
}

/// `Retry-After` in seconds; a date is not read.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}
