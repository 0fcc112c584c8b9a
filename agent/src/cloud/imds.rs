//! EC2's instance metadata, version 2: a token first, then what is asked for with it.

use std::str::FromStr;

use extend_common::cloud::{CloudFacts, MAX_GROUPS, is_id};

use super::http::{self, Base};

/// Good for one round of questions.
const TOKEN_SECONDS: &str = "60";
/// Tokens have 56 characters.
const MAX_TOKEN: usize = 512;
const META: &str = "/latest/meta-data/";

/// Asks for everything.
///
/// # Errors
/// When nobody answers, or answers otherwise than the metadata does. What an instance merely does
/// not have is no error.
pub(super) async fn ask(base: &Base) -> Result<CloudFacts, String> {
    let ttl = ("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
    let answer = http::ask(*base, "PUT", "/latest/api/token", ttl).await?;
    let plain = |c: char| c.is_ascii_graphic();
    let token = answer.body;
    if answer.status != 200
        || token.is_empty()
        || token.len() > MAX_TOKEN
        || !token.chars().all(plain)
    {
        return Err(format!("{base} gives no token (status {})", answer.status));
    }
    let metadata = Metadata { base: *base, token };
    let instance = metadata.id("instance-id").await?;
    if instance.is_empty() {
        return Err(format!("{base} names no instance"));
    }
    let mut facts = CloudFacts {
        public: metadata.parsed("public-ipv4").await?,
        private: metadata.parsed("local-ipv4").await?,
        instance,
        ..CloudFacts::default()
    };
    let Some(mac) = metadata.text("mac").await?.filter(|text| is_mac(text)) else {
        return Ok(facts);
    };
    let of_interface = |what: &str| format!("network/interfaces/macs/{mac}/{what}");
    facts.vpc = metadata.id(&of_interface("vpc-id")).await?;
    facts.subnet = metadata.id(&of_interface("subnet-id")).await?;
    let groups = metadata.text(&of_interface("security-group-ids")).await?;
    let groups = groups.unwrap_or_default();
    let groups = groups.lines().filter(|text| is_id(text)).take(MAX_GROUPS);
    facts.security_groups = groups.map(str::to_owned).collect();
    facts.security_groups.sort_unstable();
    Ok(facts)
}

struct Metadata {
    base: Base,
    token: String,
}

impl Metadata {
    /// None when the instance has no such thing.
    async fn text(&self, what: &str) -> Result<Option<String>, String> {
        let path = format!("{META}{what}");
        let token = ("X-aws-ec2-metadata-token", self.token.as_str());
        let answer = http::ask(self.base, "GET", &path, token).await?;
        match answer.status {
            200 => Ok(Some(answer.body.trim().to_owned())),
            404 => Ok(None),
            status => Err(format!("{}{path}: status {status}", self.base)),
        }
    }

    async fn parsed<T: FromStr>(&self, what: &str) -> Result<Option<T>, String> {
        let text = self.text(what).await?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Empty when there is none, or one that cannot be.
    async fn id(&self, what: &str) -> Result<String, String> {
        let text = self.text(what).await?;
        Ok(text.filter(|text| is_id(text)).unwrap_or_default())
    }
}

/// It becomes part of a path.
fn is_mac(text: &str) -> bool {
    let pair = |part: &str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    text.len() == 17 && text.split(':').all(pair)
}
