//! The words of the API: what is asked and what is answered.
//!
//! Owns the JSON. An answer may hold more than is read here, and words that are not known; what is
//! needed and missing makes it malformed.

use std::fmt;
use std::net::Ipv4Addr;

use extend_common::roles::Resource;
use extend_common::wire::shown_text;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::portal::Registration;

/// Longer than any id that was seen (26 characters).
const MAX_ID: usize = 256;
/// The longest description that an entry of the whitelist can have.
const MAX_DESCRIPTION: usize = 255;

/// What the PBX calls one of its things: opaque.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PbxId(String);

/// The text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no id: 1 to 256 characters without spaces are wanted")]
pub struct NoId;

impl PbxId {
    /// As the PBX wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As one part of a path, whatever is in it.
    pub(super) fn escaped(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    }
}

impl TryFrom<String> for PbxId {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if text.is_empty() || text.len() > MAX_ID || text.chars().any(odd) {
            return Err(NoId);
        }
        Ok(Self(text))
    }
}

impl From<PbxId> for String {
    fn from(id: PbxId) -> Self {
        id.0
    }
}

impl fmt::Display for PbxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PbxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One server of a kind, in words.
#[must_use]
pub(super) fn title(resource: Resource) -> &'static str {
    match resource {
        Resource::MediaServers => "media server",
        Resource::ConferenceServers => "meeting server",
        Resource::CallQueueServers => "queue server",
        Resource::IvrServers => "IVR server",
    }
}

/// A server as the portal lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: PbxId,
    /// The name that was entered.
    pub name: String,
    /// Whether the PBX gives it new sessions.
    pub enabled: bool,
    /// Built in: never changed by us. So is one of a type that nobody has heard of.
    pub internal: bool,
    /// Its addresses: of a media server the private one and then the public one, of others the one.
    pub addresses: Vec<Ipv4Addr>,
}

#[derive(Deserialize)]
struct RawServer {
    id: PbxId,
    #[serde(default)]
    name: String,
    // The API's own default.
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    ipv4: Option<String>,
    #[serde(default)]
    private_ipv4: Option<String>,
    #[serde(default)]
    public_ipv4: Option<String>,
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = RawServer::deserialize(from)?;
        let mut addresses: Vec<Ipv4Addr> = Vec::new();
        // A built-in server may have none, or an empty text.
        for text in [raw.private_ipv4, raw.public_ipv4, raw.ipv4]
            .into_iter()
            .flatten()
        {
            if let Ok(address) = text.trim().parse::<Ipv4Addr>()
                && !addresses.contains(&address)
            {
                addresses.push(address);
            }
        }
        Ok(Self {
            id: raw.id,
            name: shown_text(raw.name),
            enabled: raw.enabled,
            internal: raw.kind.is_some_and(|kind| kind != "EXTERNAL"),
            addresses,
        })
    }
}

/// What a meeting server is registered with when nobody has said what it may carry: the API wants
/// both numbers and has no default for either.
const ROOMS: u32 = 100;
const PARTICIPANTS: u32 = 500;

#[derive(Serialize)]
pub(super) struct ServerBody<'a> {
    name: &'a str,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_ipv4: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_ipv4: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_rooms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_participants: Option<u32>,
}

/// A registration as the API takes it. What the fleet leaves open is enabled.
pub(super) fn server_body(new: &Registration) -> ServerBody<'_> {
    let mut body = ServerBody {
        name: new.name.as_str(),
        enabled: new.enabled.unwrap_or(true),
        ipv4: None,
        private_ipv4: None,
        public_ipv4: None,
        max_concurrency: None,
        max_rooms: None,
        max_participants: None,
    };
    match new.resource {
        Resource::MediaServers => {
            body.private_ipv4 = Some(new.private);
            body.public_ipv4 = new.public;
            body.max_concurrency = new.limits.max_sessions;
        }
        Resource::ConferenceServers => {
            body.max_rooms = Some(new.limits.max_rooms.unwrap_or(ROOMS));
            body.max_participants = Some(new.limits.max_participants.unwrap_or(PARTICIPANTS));
        }
        Resource::CallQueueServers | Resource::IvrServers => {}
    }
    if new.resource != Resource::MediaServers {
        body.ipv4 = Some(new.public.unwrap_or(new.private));
    }
    body
}

/// Whether the PBX hears of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Online,
    /// It does not.
    Offline,
    /// It has answered with another word, or with none.
    Unknown,
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(from)?.as_str() {
            "ONLINE" => Self::Online,
            "OFFLINE" => Self::Offline,
            _ => Self::Unknown,
        })
    }
}

/// How a server is, as the PBX sees it. A count is none where the PBX does not tell it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerStatus {
    /// Whether it is there.
    #[serde(default = "unknown", rename = "status")]
    pub presence: Presence,
    /// Sessions of a media server.
    #[serde(default, deserialize_with = "count")]
    pub current_concurrency: Option<u64>,
    /// Rooms of a meeting server.
    #[serde(default, deserialize_with = "count")]
    pub rooms_count: Option<u64>,
    /// Participants of a meeting server.
    #[serde(default, deserialize_with = "count")]
    pub participants_count: Option<u64>,
    /// Its processor, in per cent.
    #[serde(default, deserialize_with = "count")]
    pub cpu_usage: Option<u64>,
    /// Its memory, in per cent.
    #[serde(default, deserialize_with = "count")]
    pub memory_usage: Option<u64>,
}

impl ServerStatus {
    /// Sessions that it has, where the PBX counts them: queue and IVR servers have no count.
    #[must_use]
    pub fn sessions(&self) -> Option<u64> {
        self.current_concurrency.or(self.participants_count)
    }
}

fn unknown() -> Presence {
    Presence::Unknown
}

/// A count that is negative or null is none: unknown is never zero.
fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let count = Option::<i64>::deserialize(from)?;
    Ok(count.and_then(|count| u64::try_from(count).ok()))
}

/// What an entry of the whitelist does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Lets in.
    Accept,
    /// Keeps out.
    Deny,
    /// A word that is not known.
    Unknown,
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(from)?.as_str() {
            "ACCEPT" => Self::Accept,
            "DENY" => Self::Deny,
            _ => Self::Unknown,
        })
    }
}

/// An entry of the PBX's whitelist (in the portal: IP Blacklist).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IpFilter {
    /// Its id.
    pub id: PbxId,
    /// The network, as the PBX writes it.
    pub cidr: String,
    /// What it does.
    pub target: Target,
    /// When it lapses, if ever.
    #[serde(default, rename = "expire_at", deserialize_with = "expiry")]
    pub expires: Option<Timestamp>,
    /// What somebody has written there.
    #[serde(default, deserialize_with = "described")]
    pub description: String,
}

/// A time as RFC 3339 has it. An empty text is none.
fn expiry<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    match Option::<String>::deserialize(from)?
        .as_deref()
        .map(str::trim)
    {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

fn described<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(shown_text(
        Option::<String>::deserialize(from)?.unwrap_or_default(),
    ))
}

/// An entry to be made that lets one address in, or how one of ours is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIpFilter {
    /// The address: a `/32`.
    pub address: Ipv4Addr,
    /// When it lapses, if ever.
    pub expires: Option<Timestamp>,
    /// Whose it is.
    pub description: String,
}

#[derive(Serialize)]
pub(super) struct FilterBody {
    cidr: String,
    target: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_at: Option<String>,
    description: String,
}

impl NewIpFilter {
    pub(super) fn body(&self) -> FilterBody {
        FilterBody {
            cidr: format!("{}/32", self.address),
            target: "ACCEPT",
            expire_at: self.expires.map(whole_seconds),
            description: self.description.chars().take(MAX_DESCRIPTION).collect(),
        }
    }
}

/// RFC 3339 in UTC, as the API's example has it: `2017-07-21T17:32:28Z`.
fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}

/// What the administrator's start page shows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AdminStatus {
    /// The version of the PBX, if it tells.
    #[serde(default)]
    pub version: Option<String>,
    /// Calls at present, if it tells.
    #[serde(default, deserialize_with = "count")]
    pub current_calls: Option<u64>,
}

/// What the PBX says of itself to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Info {
    /// Its private address.
    #[serde(default)]
    pub private_ipv4: Option<String>,
    /// Its public address.
    #[serde(default)]
    pub public_ipv4: Option<String>,
}

/// The id of what was made.
#[derive(Deserialize)]
pub(super) struct Created {
    pub(super) id: PbxId,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::*;
    use crate::portal::Limits;

    fn new(resource: Resource) -> Registration {
        Registration {
            name: "media1".parse().unwrap(),
            resource,
            private: Ipv4Addr::new(172, 31, 16, 139),
            public: Some(Ipv4Addr::new(54, 215, 234, 52)),
            limits: Limits {
                max_sessions: Some(2000),
                max_rooms: Some(100),
                max_participants: None,
            },
            enabled: None,
        }
    }

    #[test]
    fn every_role_is_registered_with_its_own_fields() {
        let body = |new: &Registration| to_value(server_body(new)).unwrap();
        assert_eq!(
            body(&new(Resource::MediaServers)),
            json!({"name": "media1", "enabled": true, "private_ipv4": "172.31.16.139",
                "public_ipv4": "54.215.234.52", "max_concurrency": 2000})
        );
        assert_eq!(
            body(&new(Resource::ConferenceServers)),
            json!({"name": "media1", "enabled": true, "ipv4": "54.215.234.52",
                "max_rooms": 100, "max_participants": 500})
        );
        let ipv4 = json!({"name": "media1", "enabled": true, "ipv4": "54.215.234.52"});
        assert_eq!(body(&new(Resource::CallQueueServers)), ipv4);
        assert_eq!(body(&new(Resource::IvrServers)), ipv4);

        let alone = |resource| Registration {
            public: None,
            limits: Limits::default(),
            enabled: Some(false),
            ..new(resource)
        };
        assert_eq!(
            body(&alone(Resource::MediaServers)),
            json!({"name": "media1", "enabled": false, "private_ipv4": "172.31.16.139"})
        );
        assert_eq!(
            body(&alone(Resource::IvrServers)),
            json!({"name": "media1", "enabled": false, "ipv4": "172.31.16.139"}),
            "there is no other address"
        );
    }

    #[test]
    fn what_was_registered_is_recognised_by_its_addresses() {
        for resource in Resource::ALL {
            for public in [new(resource).public, None] {
                let new = Registration {
                    public,
                    ..new(resource)
                };
                let mut shown = to_value(server_body(&new)).unwrap();
                shown["id"] = json!("NzAw");
                let server: Server = from_value(shown).unwrap();
                assert_eq!(server.addresses, new.addresses(), "{resource:?}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_tolerated_and_never_taken_for_something_known() {
        let server = |kind: Value| -> Server {
            from_value(json!({"id": "x", "name": "a", "type": kind, "news": [1], "ipv4": ""}))
                .unwrap()
        };
        assert!(!server(json!("EXTERNAL")).internal);
        assert!(server(json!("INTERNAL")).internal);
        assert!(server(json!("CLOUD")).internal, "hands off");
        assert!(server(json!("EXTERNAL")).enabled, "the API's default");

        let status = |value: Value| -> ServerStatus { from_value(value).unwrap() };
        let odd = status(json!({"status": "STARTING", "current_concurrency": -1}));
        assert_eq!((odd.presence, odd.sessions()), (Presence::Unknown, None));
        assert_eq!(status(json!({})).presence, Presence::Unknown);
        let meeting = status(json!({"status": "ONLINE", "participants_count": 3}));
        assert_eq!(
            (meeting.presence, meeting.sessions()),
            (Presence::Online, Some(3))
        );

        let filter: IpFilter = from_value(
            json!({"id": "x", "cidr": "10.0.0.0/8", "target": "MAYBE", "expire_at": ""}),
        )
        .unwrap();
        assert_eq!((filter.target, filter.expires), (Target::Unknown, None));
    }

    #[test]
    fn an_id_is_one_part_of_a_path_whatever_is_in_it() {
        let id = PbxId::try_from("../a b".to_owned());
        assert_eq!(id, Err(NoId));
        let id = PbxId::try_from("../ä?#".to_owned()).unwrap();
        assert_eq!(id.escaped(), "%2E%2E%2F%C3%A4%3F%23");
        assert!(PbxId::try_from(String::new()).is_err());
        assert!(PbxId::try_from("x".repeat(257)).is_err());
    }

    #[test]
    fn a_time_is_written_as_the_example_of_the_api() {
        let entry = NewIpFilter {
            address: Ipv4Addr::new(172, 31, 16, 139),
            expires: Some("2036-11-28T19:00:00.25Z".parse().unwrap()),
            description: "Extend: media1 (private address)".to_owned(),
        };
        assert_eq!(
            to_value(entry.body()).unwrap(),
            json!({"cidr": "172.31.16.139/32", "target": "ACCEPT",
                "expire_at": "2036-11-28T19:00:00Z",
                "description": "Extend: media1 (private address)"})
        );
    }
}
