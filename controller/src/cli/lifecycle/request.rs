//! What is asked for, as a verb's options say it, and what is handed over for it.

use std::time::Duration;

use extend_common::checkup::Accepted;
use extend_common::ids::RequestId;
use extend_common::operation::{Strategy, Verb};
use extend_proto::v1;
use ulid::Ulid;

use crate::cli::args::{Sessions, SubmitArgs, seconds};
use crate::portal::Limits;

/// What is asked for, apart from how it is carried out.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) verb: Verb,
    pub(super) selector: v1::Selector,
    /// The servers in words.
    pub(super) servers: String,
    pub(super) image: String,
    pub(super) public_address: String,
    pub(super) force: bool,
    pub(super) to_previous: bool,
    /// None is the verb's default.
    pub(super) strategy: Option<Strategy>,
    pub(super) sessions: Sessions,
    /// The operator has said yes to what the controller asks.
    pub(super) confirmed: bool,
    /// What a server may carry, as it is registered.
    pub(super) limits: Limits,
    /// What of the checkup does not refuse it.
    pub(super) accepted: Vec<Accepted>,
}

impl Request {
    pub(super) fn new(verb: Verb, selector: v1::Selector, servers: String) -> Self {
        let (image, public_address) = (String::new(), String::new());
        Self {
            verb,
            selector,
            servers,
            image,
            public_address,
            force: false,
            to_previous: false,
            strategy: None,
            sessions: Sessions::Unsaid,
            confirmed: false,
            limits: Limits::default(),
            accepted: Vec::new(),
        }
    }

    /// What is handed over.
    pub(super) fn errand(&self, args: &SubmitArgs) -> Errand {
        self.errand_for(args, args.plan)
    }

    /// The same, only to be told what would happen.
    pub(super) fn inquiry(&self, args: &SubmitArgs) -> Errand {
        self.errand_for(args, true)
    }

    fn errand_for(&self, args: &SubmitArgs, plan_only: bool) -> Errand {
        Errand {
            verb: self.verb,
            strategy: self.strategy.unwrap_or_default(),
            what: format!("{} {}", self.verb, self.servers),
            call: Call::Submit(self.to_wire(args, plan_only)),
        }
    }

    fn to_wire(&self, args: &SubmitArgs, plan_only: bool) -> v1::SubmitRequest {
        let limit = match self.sessions {
            Sessions::For(limit) => Some(limit),
            Sessions::Unsaid | Sessions::ByType | Sessions::Now => None::<Duration>,
        };
        v1::SubmitRequest {
            request_id: fresh_id(),
            verb: self.verb.to_wire(),
            selector: Some(self.selector.clone()),
            image: self.image.clone(),
            public_address: self.public_address.clone(),
            plan_only,
            timeout_seconds: seconds(args.timeout),
            message: args.message.clone().unwrap_or_default(),
            force: self.force,
            strategy: self.strategy.map(Into::into),
            drain_seconds: seconds(limit),
            drain: self.sessions == Sessions::ByType,
            now: self.sessions == Sessions::Now,
            queue: args.queue,
            to_previous: self.to_previous,
            confirmed: self.confirmed,
            max_sessions: self.limits.max_sessions.unwrap_or_default(),
            max_rooms: self.limits.max_rooms.unwrap_or_default(),
            max_participants: self.limits.max_participants.unwrap_or_default(),
            accepted: self.accepted.iter().cloned().map(Into::into).collect(),
        }
    }
}

/// Made here, once: sending the same id again returns the same operation.
pub(crate) fn fresh_id() -> String {
    RequestId(Ulid::generate()).to_string()
}

/// A request as it is handed over, and what is to be said about it.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) verb: Verb,
    /// How it goes from server to server.
    pub(crate) strategy: Strategy,
    /// Operation and object, for sentences.
    pub(crate) what: String,
    pub(crate) call: Call,
}

/// What is sent, and sent again with the same id when the connection breaks.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// A verb.
    Submit(v1::SubmitRequest),
    /// An operation, once more.
    Retry(v1::RetryRequest),
}
