//! Refusals and failures as gRPC statuses.
//!
//! Owns which code each gets, and that the details of a refusal fit into a header. Used by every
//! face. It must not word anything that the core has words for.

use extend_common::ids::NodeAddr;
use extend_common::wire::{RefusalText, WireError};
use extend_proto::v1;
use prost::Message;
use tonic::{Code, Status};

use crate::core::refusal::{Refusal, RefusalKind};
use crate::engine::EngineError;

/// A status travels in trailers, and a client takes 16 KiB of headers: in base64 this is 8 KiB.
const MAX_DETAILS_BYTES: usize = 6 * 1024;
/// The sentence travels a second time as the status's message, percent-encoded.
const MAX_MESSAGE_BYTES: usize = 1024;

impl From<EngineError> for Status {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusal) => from_refusal(&refusal),
            EngineError::Stopped => Status::unavailable("the controller is stopping"),
            EngineError::Unread(cause) => {
                Status::internal(format!("the controller's archive cannot be read: {cause}"))
            }
            EngineError::StoreFailed(cause) => Status::internal(format!(
                "the controller's store failed, and it is not certain that this was recorded: \
                 {cause}"
            )),
        }
    }
}

/// What a rule of the controller refuses.
pub(super) fn from_refusal(refusal: &Refusal) -> Status {
    let code = match refusal.kind() {
        RefusalKind::Usage => Code::InvalidArgument,
        RefusalKind::Rule => Code::FailedPrecondition,
        RefusalKind::NotFound => Code::NotFound,
        RefusalKind::Denied => Code::PermissionDenied,
    };
    with_text(code, refusal.into())
}

/// What cannot be understood.
pub(super) fn from_wire(error: &WireError) -> Status {
    let text = RefusalText {
        code: "bad-request".to_owned(),
        sentence: format!("the request cannot be understood: {error}"),
        causes: Vec::new(),
        hint: String::new(),
    };
    with_text(Code::InvalidArgument, text)
}

/// Only the superuser may.
pub(super) fn root_only() -> Status {
    let text = RefusalText {
        code: "root-only".to_owned(),
        sentence: "only root may do this".to_owned(),
        causes: vec!["it shows or changes what every node's identity rests on".to_owned()],
        hint: "run the same command with sudo".to_owned(),
    };
    with_text(Code::PermissionDenied, text)
}

/// A node that is turned away on the enrolment face. One text for every reason: which of them it
/// was stands in the controller's log, and is nothing for a stranger.
pub(super) fn not_enrolled(node: NodeAddr) -> Status {
    let text = RefusalText {
        code: "node-refused".to_owned(),
        sentence: format!("the controller gives no certificate to {node}"),
        causes: vec![
            "the token or the key is not good for this node, or no longer".to_owned(),
            "a token is good once, until it expires or a newer one is made for the node".to_owned(),
        ],
        hint: format!("on the controller: extend node token -a {node}"),
    };
    with_text(Code::PermissionDenied, text)
}

pub(super) fn with_text(code: Code, text: RefusalText) -> Status {
    let message = clip(&text.sentence, MAX_MESSAGE_BYTES).to_owned();
    let mut refusal = v1::Refusal::from(text);
    let mut left_out = 0_usize;
    // A fleet of servers can each be a cause. The first ones tell what kind of thing it is.
    while refusal.encoded_len() > MAX_DETAILS_BYTES && refusal.causes.pop().is_some() {
        left_out += 1;
    }
    if left_out > 0 {
        refusal.causes.pop();
        refusal.causes.push(format!("… and {} more", left_out + 1));
    }
    if refusal.encoded_len() > MAX_DETAILS_BYTES {
        refusal.sentence.clone_from(&message);
        refusal.hint = clip(&refusal.hint, MAX_MESSAGE_BYTES).to_owned();
    }
    Status::with_details(code, message, refusal.encode_to_vec().into())
}

fn clip(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(status: &Status) -> v1::Refusal {
        v1::Refusal::decode(status.details()).unwrap()
    }

    fn text(causes: usize, length: usize) -> RefusalText {
        RefusalText {
            code: "busy".to_owned(),
            sentence: "s".repeat(length),
            causes: (0..causes)
                .map(|n| format!("server {n} is held: {}", "x".repeat(50)))
                .collect(),
            hint: "h".repeat(length),
        }
    }

    #[test]
    fn the_details_of_a_refusal_fit_into_a_header() {
        let status = with_text(Code::FailedPrecondition, text(10_000, 20));
        assert!(
            status.details().len() <= MAX_DETAILS_BYTES + 32,
            "{}",
            status.details().len()
        );
        let causes = details(&status).causes;
        let told = causes.len() - 1;
        assert!(told > 50, "{told}");
        assert_eq!(
            causes.last().unwrap(),
            &format!("… and {} more", 10_000 - told)
        );

        let status = with_text(Code::FailedPrecondition, text(0, 20_000));
        assert!(
            status.details().len() <= MAX_DETAILS_BYTES,
            "{}",
            status.details().len()
        );
    }

    #[test]
    fn a_small_refusal_arrives_whole() {
        let status = with_text(Code::NotFound, text(3, 20));
        assert_eq!(RefusalText::from(details(&status)), text(3, 20));
        assert_eq!(status.message(), "s".repeat(20));
    }

    #[test]
    fn every_refusal_of_the_edge_has_its_details() {
        let node = "172.31.16.139".parse().unwrap();
        let wire = from_wire(&WireError::new("node", "it is missing"));
        for (status, code) in [
            (wire, Code::InvalidArgument),
            (root_only(), Code::PermissionDenied),
            (not_enrolled(node), Code::PermissionDenied),
        ] {
            assert_eq!(status.code(), code);
            assert_eq!(details(&status).sentence, status.message());
        }
    }
}
