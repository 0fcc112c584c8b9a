//! Sends calls: credentials, signature, HTTPS.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;

use super::answer::{self, Rule};
use super::error::{Ec2Error, Means};
use super::query::Query;

/// A connection is there within this time, or not at all.
const CONNECT: Duration = Duration::from_secs(3);

/// An answer begins within this time, or is given up.
const READ: Duration = Duration::from_secs(10);

/// No answer is larger: a group of a thousand rules is not a quarter of it.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// No group has more pages of rules.
const MOST_PAGES: usize = 20;

/// Credentials that end sooner are fetched anew.
const ENDS_SOON: Duration = Duration::from_secs(300);

/// What an answer is written in, and a question.
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Where EC2 is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ec2Settings {
    /// The region; none: as the environment, the profile or the instance says.
    pub region: Option<String>,
    /// Where it is asked; none: the region's own.
    pub endpoint: Option<String>,
}

/// EC2, in one region.
pub struct Ec2 {
    settings: Ec2Settings,
    connector: Connector,
    /// Looked for at the first call, because finding nothing takes a while.
    found: Option<Found>,
}

/// Where calls go, and who gives credentials for them.
struct Found {
    config: SdkConfig,
    region: String,
    url: String,
    credentials: Option<Credentials>,
}

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Ec2 {
    /// Nothing is looked for yet.
    pub fn new(settings: Ec2Settings) -> Self {
        let limits = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT)
            .read_timeout(READ)
            .build();
        let connector = Connector::builder()
            .connector_settings(limits)
            .sleep_impl(TokioSleep::new())
            .tls_provider(ring())
            .build();
        Self {
            settings,
            connector,
            found: None,
        }
    }

    /// All rules of a group, those about what goes out too.
    ///
    /// # Errors
    /// When it cannot be asked, or there is no such group.
    pub async fn rules(&mut self, group: &str) -> Result<Vec<Rule>, Ec2Error> {
        let mut rules = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let query = Query::Rules {
                group,
                page: next.as_deref(),
            };
            let page = answer::page(&self.call(&query).await?)?;
            rules.extend(page.rules);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        if next.is_some() {
            return Err(unclear(format!("more than {MOST_PAGES} pages of rules")));
        }
        if rules.is_empty() {
            // The rules of a group that is not there are none, too.
            self.call(&Query::Group(group)).await?;
        }
        Ok(rules)
    }

    /// Lets all traffic of one address in.
    ///
    /// # Errors
    /// When it was refused, or it is not known what became of it.
    pub async fn authorize(
        &mut self,
        group: &str,
        address: Ipv4Addr,
        description: &str,
    ) -> Result<(), Ec2Error> {
        let query = Query::Authorize {
            group,
            address,
            description,
        };
        self.call(&query).await.map(drop)
    }

    /// Has the rule that lets all traffic of one address in tell something else.
    ///
    /// # Errors
    /// As [`Ec2::authorize`].
    pub async fn describe(
        &mut self,
        group: &str,
        address: Ipv4Addr,
        description: &str,
    ) -> Result<(), Ec2Error> {
        let query = Query::Describe {
            group,
            address,
            description,
        };
        self.call(&query).await.map(drop)
    }

    /// Takes a rule away.
    ///
    /// # Errors
    /// As [`Ec2::authorize`].
    pub async fn revoke(&mut self, group: &str, rule: &str) -> Result<(), Ec2Error> {
        self.call(&Query::Revoke { group, rule }).await.map(drop)
    }

    async fn call(&mut self, query: &Query<'_>) -> Result<String, Ec2Error> {
        let request = self.signed(query.form()).await?;
        let answer = self
            .connector
            .call(request)
            .await
            .map_err(|error| unclear(format!("no answer: {}", chain(&error))))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER)
            .collect()
            .await
            .map_err(|error| unclear(format!("the answer breaks off: {error}")))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        if (200..300).contains(&status) {
            return Ok(text);
        }
        let refusal = answer::refusal(status, &text);
        if refusal.means == Means::Forbidden {
            // They may have been changed since; the next call asks the chain again.
            self.found = None;
        }
        Err(refusal)
    }

    /// The request as it goes out.
    async fn signed(&mut self, form: String) -> Result<Request<SdkBody>, Ec2Error> {
        let found = match self.found.take() {
            Some(found) => found,
            None => find(&self.settings).await?,
        };
        let found = self.found.insert(found);
        let now = SystemTime::from(Timestamp::now());
        let identity = found.credentials(now).await?.into();
        let unsigned = |error: &dyn std::error::Error| forbidden(format!("not signed: {error}"));
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&found.region)
            .name("ec2")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let headers = [("content-type", FORM)].into_iter();
        let body = SignableBody::Bytes(form.as_bytes());
        let signable = SignableRequest::new("POST", &found.url, headers, body)
            .map_err(|error| unsigned(&error))?;
        let (instructions, _) = sign(signable, &parameters)
            .map_err(|error| unsigned(&error))?
            .into_parts();
        let mut request = http::Request::post(&found.url)
            .header("content-type", FORM)
            .body(SdkBody::from(form))
            .map_err(|error| unsigned(&error))?;
        instructions.apply_to_request_http1x(&mut request);
        Request::try_from(request).map_err(|error| unsigned(&error))
    }
}

impl Found {
    async fn credentials(&mut self, now: SystemTime) -> Result<Credentials, Ec2Error> {
        let lasts = |credentials: &Credentials| {
            credentials.expiry().is_none_or(|end| end > now + ENDS_SOON)
        };
        if let Some(credentials) = self.credentials.as_ref().filter(|held| lasts(held)) {
            return Ok(credentials.clone());
        }
        let provider = self
            .config
            .credentials_provider()
            .ok_or_else(|| forbidden("there is nobody who could give credentials".to_owned()))?;
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| forbidden(no_credentials(&error)))?;
        Ok(self.credentials.insert(credentials).clone())
    }
}

/// Region and credentials as the official chain has them.
async fn find(settings: &Ec2Settings) -> Result<Found, Ec2Error> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Builder::new().tls_provider(ring()).build_https());
    if let Some(region) = &settings.region {
        loader = loader.region(aws_config::Region::new(region.clone()));
    }
    let config = loader.load().await;
    let region = config
        .region()
        .map(ToString::to_string)
        .ok_or_else(|| forbidden("no region is known".to_owned()))?;
    let url = settings.endpoint.clone().unwrap_or_else(|| own(&region));
    Ok(Found {
        config,
        region,
        url,
        credentials: None,
    })
}

/// The region's own endpoint.
pub(super) fn own(region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://ec2.{region}.{domain}/")
}

fn no_credentials(error: &CredentialsError) -> String {
    format!("no credentials: {}", chain(error))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.chars().take(300).collect()
}

fn ring() -> tls::Provider {
    tls::Provider::Rustls(CryptoMode::Ring)
}

fn unclear(message: String) -> Ec2Error {
    Ec2Error {
        means: Means::Unclear,
        code: String::new(),
        message,
    }
}

fn forbidden(message: String) -> Ec2Error {
    Ec2Error {
        means: Means::Forbidden,
        code: String::new(),
        message,
    }
}
