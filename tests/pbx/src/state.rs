//! The PBX in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::fault::{Fault, What};

/// Calls that are kept; a test that makes more looks at the last ones.
const MAX_CALLS: usize = 20_000;

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Media servers.
    MediaServers,
    /// Meeting servers.
    ConferenceServers,
    /// Queue servers.
    CallQueueServers,
    /// IVR servers.
    IvrServers,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::MediaServers,
        Self::ConferenceServers,
        Self::CallQueueServers,
        Self::IvrServers,
    ];

    /// Its path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::MediaServers => "media_servers",
            Self::ConferenceServers => "conference_servers",
            Self::CallQueueServers => "call_queue_servers",
            Self::IvrServers => "ivr_servers",
        }
    }
}

/// A server in the portal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    /// What was entered: name, enabled, addresses, limits.
    pub fields: Map<String, Value>,
    /// Built in.
    pub internal: bool,
    /// Whether the PBX hears of it.
    pub online: bool,
    /// Sessions or participants.
    pub sessions: u64,
    /// How often somebody has changed it.
    pub changes: u32,
}

impl Server {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.fields
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether it gets sessions.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.fields
            .get("enabled")
            .and_then(Value::as_bool)
            .unwrap_or(true)
    }
}

/// An entry of the whitelist.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filter {
    /// What was entered: cidr, target, expire_at, description.
    pub fields: Map<String, Value>,
}

impl Filter {
    /// Its network.
    #[must_use]
    pub fn cidr(&self) -> &str {
        self.text("cidr")
    }

    /// What was written there.
    #[must_use]
    pub fn description(&self) -> &str {
        self.text("description")
    }

    /// When it lapses; empty when never.
    #[must_use]
    pub fn expires(&self) -> &str {
        self.text("expire_at")
    }

    fn text(&self, name: &str) -> &str {
        self.fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// A call and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path after `/api`.
    pub path: String,
    /// The query.
    pub query: String,
    /// Whether a bearer was shown.
    pub bearer: bool,
    /// The body, if there was one.
    pub request: Option<Value>,
    /// The status of the answer.
    pub status: u16,
    /// Its body, if there was one.
    pub answer: Option<Value>,
    /// Whether a fault made the answer, or let nobody see it.
    pub faulted: bool,
}

/// Everything the stand-in knows.
#[derive(Debug)]
pub struct State {
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The version of the PBX.
    pub version: String,
    /// Calls at present.
    pub calls: u64,
    /// Whether the account has two-factor authentication.
    pub two_factor: bool,
    /// Whether the account lacks the permission.
    pub forbidden: bool,
    /// No page is longer.
    pub page: usize,
    /// How long a token lasts.
    pub token_life: Duration,
    /// Whether a second server of a name, or a second entry of a network, is refused.
    pub refuse_duplicates: bool,
    /// Whether the PBX hears at once of a server that is registered.
    pub online_at_once: bool,
    /// Whether answers have more fields than are documented.
    pub news: bool,
    /// The servers of each kind.
    pub servers: BTreeMap<Kind, BTreeMap<String, Server>>,
    /// The whitelist.
    pub filters: BTreeMap<String, Filter>,
    /// What is to be suffered.
    pub faults: Vec<Fault>,
    /// What was called and answered.
    pub record: Vec<Call>,
    /// The networks that were let in after each change of the whitelist, whoever has made it.
    pub moments: Vec<BTreeSet<String>>,
    /// Calls that the API does not have.
    pub violations: Vec<String>,
    /// How often somebody has signed in.
    pub sign_ins: u32,
    /// How often a token was refreshed.
    pub refreshes: u32,
    pub(crate) access: BTreeMap<String, Instant>,
    pub(crate) refresh: BTreeMap<String, Instant>,
    counted: u64,
}

impl State {
    pub(crate) fn new(username: &str, password: &str, version: &str) -> Self {
        let mut state = Self {
            username: username.to_owned(),
            password: password.to_owned(),
            version: version.to_owned(),
            calls: 0,
            two_factor: false,
            forbidden: false,
            page: 100,
            token_life: Duration::from_secs(1800),
            refuse_duplicates: false,
            online_at_once: false,
            news: false,
            servers: BTreeMap::new(),
            filters: BTreeMap::new(),
            faults: Vec::new(),
            record: Vec::new(),
            moments: Vec::new(),
            violations: Vec::new(),
            sign_ins: 0,
            refreshes: 0,
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            counted: 700_551_909_773_148_160,
        };
        for kind in Kind::ALL {
            let mut fields = Map::new();
            fields.insert("name".to_owned(), format!("default {}", kind.path()).into());
            fields.insert("enabled".to_owned(), true.into());
            if kind == Kind::ConferenceServers {
                fields.insert("max_rooms".to_owned(), 100.into());
                fields.insert("max_participants".to_owned(), 500.into());
            }
            let id = state.put(kind, fields);
            if let Some(server) = state.server_by_id(kind, &id) {
                server.internal = true;
                server.online = true;
                server.changes = 0;
            }
        }
        state
    }

    /// An id as the PBX makes them.
    pub(crate) fn id(&mut self) -> String {
        self.counted += 1;
        data_encoding::BASE64URL_NOPAD.encode(self.counted.to_string().as_bytes())
    }

    /// Enters a server as somebody in the portal does.
    pub fn put(&mut self, kind: Kind, fields: Map<String, Value>) -> String {
        let id = self.id();
        let server = Server {
            fields,
            internal: false,
            online: self.online_at_once,
            sessions: 0,
            changes: 0,
        };
        self.servers
            .entry(kind)
            .or_default()
            .insert(id.clone(), server);
        id
    }

    /// Enters an entry of the whitelist as somebody in the portal does.
    pub fn let_in(&mut self, fields: Map<String, Value>) -> String {
        let id = self.id();
        self.filters.insert(id.clone(), Filter { fields });
        id
    }

    /// The servers of a name, of whatever kind; built-in ones have none of ours.
    pub fn named<'a>(&'a mut self, name: &'a str) -> impl Iterator<Item = &'a mut Server> {
        self.servers
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .filter(move |server| server.name() == name)
    }

    /// A server.
    pub fn server_by_id(&mut self, kind: Kind, id: &str) -> Option<&mut Server> {
        self.servers.get_mut(&kind)?.get_mut(id)
    }

    /// Tokens are over from now on. With the refresh tokens too there is only the password.
    pub fn expire_tokens(&mut self, refresh_too: bool) {
        self.access.clear();
        if refresh_too {
            self.refresh.clear();
        }
    }

    /// The fault that befalls a call, counted down.
    pub(crate) fn fault(&mut self, method: &str, path: &str) -> Option<What> {
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.befalls(method, path))?;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.what.clone())
    }

    pub(crate) fn note(&mut self, call: Call) {
        if call.method == "POST" && call.path.starts_with("/ip_filters") {
            let moment = self.let_in_now();
            self.moments.push(moment);
        }
        if self.record.len() < MAX_CALLS {
            self.record.push(call);
        }
    }

    /// The networks that are let in.
    #[must_use]
    pub fn let_in_now(&self) -> BTreeSet<String> {
        let accepts = |filter: &&Filter| filter.text("target") == "ACCEPT";
        let accepting = self.filters.values().filter(accepts);
        accepting.map(|filter| filter.cidr().to_owned()).collect()
    }

    /// The calls that changed something, as `METHOD path`.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.record
            .iter()
            .filter(|call| call.method == "POST" && !call.path.starts_with("/auth/"))
            .map(|call| format!("{} {}", call.method, call.path))
            .collect()
    }
}
