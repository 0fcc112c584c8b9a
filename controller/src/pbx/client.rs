//! The calls, each a sentence of the API.
//!
//! Owns what a status means for a call, signing in again in the middle of work, and asking again
//! where nothing can have been done.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::{Backoff, jitter};
use extend_common::roles::Resource;
use http::Method;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use zeroize::Zeroizing;

use super::base::BaseUrl;
use super::error::PbxError;
use super::exchange::{Answer, Exchange, Question};
use super::listing::{Item, Listing, Next, PAGE, Page};
use super::model::{
    AdminStatus, Created, Info, IpFilter, NewIpFilter, PbxId, Server, ServerStatus, server_body,
    title,
};
use super::password::PasswordSource;
use super::session::Session;
use crate::portal::Registration;

/// Lists that change while they are read are read again so often.
const LIST_TRIES: u32 = 4;

/// How long and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PbxLimits {
    /// One question and its answer, the connection included.
    pub answer: Duration,
    /// How often a call is tried in all, where nothing can have been done.
    pub tries: u32,
    /// The waits between.
    pub backoff: Backoff,
}

impl Default for PbxLimits {
    fn default() -> Self {
        Self {
            // Two tries end before an enforcer loses its patience.
            answer: Duration::from_secs(6),
            tries: 2,
            backoff: Backoff {
                first: Duration::from_millis(250),
                most: Duration::from_secs(4),
            },
        }
    }
}

/// What has to be known of a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxSettings {
    /// Where its API is.
    pub api: BaseUrl,
    /// The account.
    pub username: String,
    /// Its password.
    pub password: PasswordSource,
    /// The pinned certificate; where there is no such file the system's authorities decide.
    pub certificate: PathBuf,
    /// How long and how often.
    pub limits: PbxLimits,
}

/// A PBX, reached over its REST API. Cheap to clone; all clones share one session.
#[derive(Clone)]
pub struct Pbx {
    inner: Arc<Inner>,
}

struct Inner {
    exchange: Exchange,
    session: Session,
    limits: PbxLimits,
}

impl fmt::Debug for Pbx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pbx")
            .field("api", &self.inner.exchange.base().to_string())
            .field("username", &self.inner.session.username())
            .finish_non_exhaustive()
    }
}

/// A call, before it is made.
struct Call {
    doing: String,
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    change: bool,
    signed_in: bool,
}

impl Call {
    fn get(doing: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            doing: doing.into(),
            method: Method::GET,
            path: path.into(),
            body: None,
            change: false,
            signed_in: true,
        }
    }

    fn post(doing: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: Method::POST,
            change: true,
            ..Self::get(doing, path)
        }
    }

    fn with(mut self, body: &impl Serialize) -> Result<Self, PbxError> {
        let body = serde_json::to_vec(body).map_err(|error| self.malformed(&error, false))?;
        self.body = Some(body);
        Ok(self)
    }

    fn malformed(&self, cause: &dyn fmt::Display, change: bool) -> PbxError {
        PbxError::Malformed {
            doing: self.doing.clone(),
            cause: cause.to_string(),
            change,
        }
    }
}

impl Pbx {
    /// A client. Nothing is asked yet.
    #[must_use]
    pub fn new(settings: PbxSettings) -> Self {
        let PbxSettings {
            api,
            username,
            password,
            certificate,
            limits,
        } = settings;
        Self {
            inner: Arc::new(Inner {
                exchange: Exchange::new(api, certificate, limits.answer),
                session: Session::new(username, password),
                limits,
            }),
        }
    }

    /// What the PBX says to anybody: whether it can be reached.
    ///
    /// # Errors
    /// As every call.
    pub async fn info(&self) -> Result<Info, PbxError> {
        let mut call = Call::get("reach the PBX", "/info");
        call.signed_in = false;
        self.read(call).await
    }

    /// Version and calls.
    ///
    /// # Errors
    /// As every call.
    pub async fn admin_status(&self) -> Result<AdminStatus, PbxError> {
        self.read(Call::get("read the version of the PBX", "/admin/status"))
            .await
    }

    /// All servers of a kind.
    ///
    /// # Errors
    /// As every call; also when the list cannot be had whole.
    pub async fn servers(&self, resource: Resource) -> Result<Vec<Server>, PbxError> {
        let doing = format!("list the {}s of the PBX", title(resource));
        self.list(&doing, resource.path()).await
    }

    /// One server.
    ///
    /// # Errors
    /// As every call.
    pub async fn server(&self, resource: Resource, id: &PbxId) -> Result<Server, PbxError> {
        let doing = format!("look at {} {id}", title(resource));
        self.read(Call::get(doing, item(resource.path(), id, "")))
            .await
    }

    /// How a server is.
    ///
    /// # Errors
    /// As every call.
    pub async fn server_status(
        &self,
        resource: Resource,
        id: &PbxId,
    ) -> Result<ServerStatus, PbxError> {
        let doing = format!("ask how {} {id} is", title(resource));
        self.read(Call::get(doing, item(resource.path(), id, "/status")))
            .await
    }

    /// Registers a server.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_server(&self, new: &Registration) -> Result<PbxId, PbxError> {
        let doing = format!("register {} {}", title(new.resource), new.name);
        let path = format!("/{}", new.resource.path());
        let call = Call::post(doing, path).with(&server_body(new))?;
        let created: Created = self.read(call).await?;
        Ok(created.id)
    }

    /// Lets a server have new sessions, or no more.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_enabled(
        &self,
        resource: Resource,
        id: &PbxId,
        enabled: bool,
    ) -> Result<(), PbxError> {
        #[derive(Serialize)]
        struct Body {
            enabled: bool,
        }
        let verb = if enabled { "enable" } else { "disable" };
        let doing = format!("{verb} {} {id}", title(resource));
        let call = Call::post(doing, item(resource.path(), id, "")).with(&Body { enabled })?;
        self.done(call).await
    }

    /// Takes a server's entry away. One that is not there is away.
    ///
    /// # Errors
    /// As every call.
    pub async fn destroy_server(&self, resource: Resource, id: &PbxId) -> Result<(), PbxError> {
        let doing = format!("unregister {} {id}", title(resource));
        self.destroy(doing, resource.path(), id).await
    }

    /// The whole whitelist, foreign entries too.
    ///
    /// # Errors
    /// As every call; also when the list cannot be had whole.
    pub async fn ip_filters(&self) -> Result<Vec<IpFilter>, PbxError> {
        self.list("list the IP whitelist of the PBX", "ip_filters")
            .await
    }

    /// Lets an address in.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_ip_filter(&self, new: &NewIpFilter) -> Result<PbxId, PbxError> {
        let doing = format!("let {} in at the PBX", new.address);
        let call = Call::post(doing, "/ip_filters").with(&new.body())?;
        let created: Created = self.read(call).await?;
        Ok(created.id)
    }

    /// Makes an entry what it should be.
    ///
    /// # Errors
    /// As every call.
    pub async fn update_ip_filter(&self, id: &PbxId, new: &NewIpFilter) -> Result<(), PbxError> {
        let doing = format!("renew the entry of {} at the PBX", new.address);
        let call = Call::post(doing, item("ip_filters", id, "")).with(&new.body())?;
        self.done(call).await
    }

    /// Takes an entry away. One that is not there is away.
    ///
    /// # Errors
    /// As every call.
    pub async fn destroy_ip_filter(&self, id: &PbxId) -> Result<(), PbxError> {
        let doing = format!("take entry {id} from the whitelist of the PBX");
        self.destroy(doing, "ip_filters", id).await
    }

    async fn destroy(&self, doing: String, kind: &str, id: &PbxId) -> Result<(), PbxError> {
        let call = Call::post(doing, item(kind, id, "/destroy"));
        match self.call(&call).await {
            Err(PbxError::Refused { refusal, .. }) if refusal.status == 404 => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn list<T: Item + DeserializeOwned>(
        &self,
        doing: &str,
        kind: &str,
    ) -> Result<Vec<T>, PbxError> {
        for _ in 0..LIST_TRIES {
            let mut listing = Listing::<T>::new();
            let mut skip = 0;
            loop {
                let call = Call::get(doing, format!("/{kind}?skip={skip}&top={PAGE}"));
                let page: Page<T> = self.read(call).await?;
                match listing.take(page) {
                    Next::From(next) => skip = next,
                    Next::Whole => return Ok(listing.into_items()),
                    Next::Changed => break,
                    Next::TooLong => {
                        let call = Call::get(doing, "");
                        return Err(call.malformed(&"the list is too long", false));
                    }
                }
            }
        }
        let cause = "its pages do not fit together, however often it is read";
        Err(Call::get(doing, "").malformed(&cause, false))
    }

    /// A call whose answer matters.
    async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, PbxError> {
        let answer = self.call(&call).await?;
        serde_json::from_slice(&answer.body).map_err(|error| call.malformed(&error, call.change))
    }

    /// A call whose answer says nothing but that it is done.
    async fn done(&self, call: Call) -> Result<(), PbxError> {
        let answer = self.call(&call).await?;
        // Nothing, or JSON: a page of a proxy in between means that it is not the PBX.
        if answer.body.is_empty() || serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok() {
            return Ok(());
        }
        Err(call.malformed(&"it is no JSON", call.change))
    }

    /// Calls, again where nothing can have been done.
    async fn call(&self, call: &Call) -> Result<Answer, PbxError> {
        let limits = self.inner.limits;
        let mut attempt = 0;
        loop {
            let error = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if attempt + 1 >= limits.tries || !error.passes() || error.outcome_unknown() {
                return Err(error);
            }
            let wait = limits.backoff.wait(attempt, jitter());
            let asked = error.wait().unwrap_or_default();
            // Left alone for longer than a call may take: that is for whoever asked to wait.
            if asked > limits.answer {
                return Err(error);
            }
            tracing::debug!(%error, "asking the PBX again");
            tokio::time::sleep(wait.max(asked)).await;
            attempt += 1;
        }
    }

    /// Calls, and once more with a new session when the old one is over.
    async fn once(&self, call: &Call) -> Result<Answer, PbxError> {
        let Inner {
            exchange, session, ..
        } = &*self.inner;
        if !call.signed_in {
            let answer = exchange.ask(question(call, None)).await?;
            return self.judge(call, answer);
        }
        let bearer = session.bearer(exchange).await?;
        let answer = exchange.ask(question(call, Some(&bearer.text))).await?;
        if answer.status.as_u16() != 401 {
            return self.judge(call, answer);
        }
        session.forget(&bearer).await;
        let bearer = session.bearer(exchange).await?;
        let answer = exchange.ask(question(call, Some(&bearer.text))).await?;
        self.judge(call, answer)
    }

    /// What an answer's status means.
    fn judge(&self, call: &Call, answer: Answer) -> Result<Answer, PbxError> {
        let status = answer.status.as_u16();
        if answer.status.is_success() {
            return Ok(answer);
        }
        let doing = call.doing.clone();
        let username = self.inner.session.username().to_owned();
        let refusal = answer.refusal();
        Err(match status {
            401 => PbxError::Unauthorised { username, refusal },
            403 => PbxError::Forbidden {
                doing,
                username,
                refusal,
            },
            429 => PbxError::Throttled {
                doing,
                wait: answer.wait(),
                refusal,
            },
            400.. => PbxError::Refused {
                doing,
                refusal,
                change: call.change,
            },
            _ => call.malformed(&format_args!("HTTP {status}"), call.change),
        })
    }
}

fn question<'a>(call: &'a Call, bearer: Option<&'a Zeroizing<String>>) -> Question<'a> {
    Question {
        doing: &call.doing,
        method: call.method.clone(),
        path: &call.path,
        bearer: bearer.map(|text| text.as_str()),
        body: call.body.clone().map(Zeroizing::new),
        change: call.change,
    }
}

fn item(kind: &str, id: &PbxId, after: &str) -> String {
    format!("/{kind}/{}{after}", id.escaped())
}
