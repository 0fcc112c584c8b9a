//! Operations as documents, as `extend op` and the verbs print them.

use std::net::IpAddr;

use extend_common::checkup::Accepted;
use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::operation::{self, Operation, PhaseEntry, TargetState, Verb};
use extend_common::service::DumpFile;
use extend_common::status::{self, Phase};
use extend_common::wire::shown_text;
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::{Record, not_understood, strategy};
use crate::cli::failure::Failure;

/// The document of `extend op list`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operations {
    /// Newest first.
    pub(crate) operations: Vec<Document>,
}

/// One operation: the document of `extend op show` and of every verb that was carried out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Document {
    /// Which operation.
    pub(crate) id: OperationId,
    /// What was asked for.
    pub(crate) verb: Verb,
    /// `open`, or the worst state that any of its servers ended in.
    pub(crate) state: String,
    /// Which servers were meant.
    pub(crate) selector: Selector,
    /// Who asked.
    pub(crate) by: String,
    /// From where, as the operator's command line said.
    pub(crate) from: Option<IpAddr>,
    /// Why, in the operator's words.
    pub(crate) message: Option<String>,
    /// When it was submitted.
    pub(crate) begun_at: Timestamp,
    /// When the last of its servers ended; null while it is open.
    pub(crate) ended_at: Option<Timestamp>,
    /// When it ends at the latest.
    pub(crate) deadline_at: Timestamp,
    /// How it goes from server to server.
    pub(crate) strategy: strategy::Document,
    /// How long sessions are waited for; null when they are not.
    pub(crate) drain_seconds: Option<u64>,
    /// The operation that this one tries again.
    pub(crate) retry_of: Option<OperationId>,
    /// What the operation as a whole waits for, in words.
    pub(crate) note: Option<String>,
    /// What only a person can do after it, a sentence each.
    pub(crate) next_steps: Vec<String>,
    /// What was overridden of the checkup, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) accepted: Vec<Accepted>,
    /// What became of each server.
    pub(crate) targets: Vec<Target>,
}

/// Which servers were meant; what does not narrow is null or empty.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Selector {
    /// `-s`
    pub(crate) r#type: Option<RoleName>,
    /// `-a`
    pub(crate) addresses: Vec<NodeAddr>,
    /// `-n`
    pub(crate) name: Option<ServerName>,
}

/// One server within an operation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Target {
    /// Its portal name.
    pub(crate) name: ServerName,
    /// Its role.
    pub(crate) r#type: RoleName,
    /// Its node.
    pub(crate) address: NodeAddr,
    /// Where the target is.
    pub(crate) state: TargetState,
    /// The phase it is in, or was in last.
    pub(crate) phase: Phase,
    /// What is being done, in words.
    pub(crate) detail: Option<String>,
    /// Why it ended as it did, or what it waits for; with success, a warning.
    pub(crate) reason: Option<String>,
    /// What its node told after the end.
    pub(crate) late: Option<String>,
    /// What the plan said.
    pub(crate) summary: Option<String>,
    /// The image before.
    pub(crate) image_before: Option<String>,
    /// The image after.
    pub(crate) image_after: Option<String>,
    /// The image before, exactly: `repo@sha256:…` or an image id.
    pub(crate) identity_before: Option<String>,
    /// The same of the image after.
    pub(crate) identity_after: Option<String>,
    /// What was to be known before.
    pub(crate) warning: Option<String>,
    /// In which wave it has its turn, from 0.
    pub(crate) wave: u32,
    /// When it began.
    pub(crate) begun_at: Option<Timestamp>,
    /// When it ended.
    pub(crate) ended_at: Option<Timestamp>,
    /// The record that carries it out.
    pub(crate) record: Option<Record>,
    /// The phases it went through, oldest first.
    pub(crate) phases: Vec<Entered>,
    /// What was seen when it failed.
    pub(crate) evidence: Option<Evidence>,
}

/// When a target entered a phase.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entered {
    /// The phase.
    pub(crate) phase: Phase,
    /// When.
    pub(crate) at: Timestamp,
    /// When it was left; null while the target is in it.
    pub(crate) until: Option<Timestamp>,
}

/// What was seen of a container before anything was done about its failure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Evidence {
    /// Docker's id of it.
    pub(crate) container_id: Option<String>,
    /// Its exit code, if it had ended.
    pub(crate) exit_code: Option<i64>,
    /// Whether the kernel had killed it for lack of memory.
    pub(crate) oom_killed: bool,
    /// The last lines of its output, oldest first.
    pub(crate) log_tail: Vec<String>,
    /// What the probes, and Docker's own health check, said last.
    pub(crate) health_output: Vec<String>,
    /// Crash dumps that its run has left, the newest first.
    pub(crate) dumps: Vec<Dump>,
}

/// A crash dump.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Dump {
    /// Its name in the server's directory of dumps.
    pub(crate) name: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was written last, by the node's clock.
    pub(crate) at: Timestamp,
}

impl Dump {
    /// In a line.
    pub(crate) fn line(&self) -> String {
        DumpFile {
            name: self.name.clone(),
            bytes: self.bytes,
            at: self.at,
        }
        .to_string()
    }
}

/// Reads an operation off the wire, with every text made fit to be shown.
pub(crate) fn read(operation: v1::Operation) -> Result<Operation, Failure> {
    let mut operation = Operation::try_from(operation).map_err(|e| not_understood(&e))?;
    let clean = |text: &mut String| *text = shown_text(std::mem::take(text));
    clean(&mut operation.by);
    clean(&mut operation.message);
    clean(&mut operation.note);
    for target in &mut operation.targets {
        for text in [
            &mut target.detail,
            &mut target.reason,
            &mut target.late,
            &mut target.summary,
            &mut target.image_before,
            &mut target.image_after,
            &mut target.identity_before,
            &mut target.identity_after,
            &mut target.warning,
        ] {
            clean(text);
        }
        if let Some(evidence) = &mut target.evidence {
            clean(&mut evidence.container_id);
        }
    }
    Ok(operation)
}

impl From<&Operation> for Document {
    fn from(operation: &Operation) -> Self {
        let selector = &operation.selector;
        let ended = operation.ended.is_some();
        Self {
            id: operation.id,
            verb: operation.verb,
            state: if ended {
                operation.summary()
            } else {
                "open".to_owned()
            },
            selector: Selector {
                r#type: selector.role.clone(),
                addresses: selector.nodes.clone(),
                name: selector.name.clone(),
            },
            by: operation.by.clone(),
            from: operation.from,
            message: some(&operation.message),
            begun_at: operation.begun,
            ended_at: operation.ended,
            deadline_at: operation.deadline,
            strategy: (&operation.strategy).into(),
            drain_seconds: operation.drain.map(|limit| limit.as_secs()),
            retry_of: operation.retry_of,
            note: some(&operation.note).filter(|_| !ended),
            next_steps: operation.next_steps.clone(),
            accepted: operation.accepted.clone(),
            targets: operation.targets.iter().map(Target::from).collect(),
        }
    }
}

impl From<&operation::Target> for Target {
    fn from(target: &operation::Target) -> Self {
        Self {
            name: target.name.clone(),
            r#type: target.role.clone(),
            address: target.node,
            state: target.state,
            phase: target.phase(),
            detail: some(&target.detail),
            reason: some(&target.reason),
            late: some(&target.late),
            summary: some(&target.summary),
            image_before: some(&target.image_before),
            image_after: some(&target.image_after),
            identity_before: some(&target.identity_before),
            identity_after: some(&target.identity_after),
            warning: some(&target.warning),
            wave: target.wave,
            begun_at: target.begun,
            ended_at: target.ended,
            record: target.stamp.map(Record::from),
            phases: entered(target).collect(),
            evidence: target.evidence.as_ref().map(Evidence::from),
        }
    }
}

/// The phases of a target, each with its end.
pub(super) fn entered(target: &operation::Target) -> impl Iterator<Item = Entered> {
    let next = target.phases.iter().skip(1).map(|entry| Some(entry.at));
    let untils = next.chain([target.ended]);
    let entered = |(entry, until): (&PhaseEntry, _)| Entered {
        phase: entry.phase,
        at: entry.at,
        until,
    };
    target.phases.iter().zip(untils).map(entered)
}

impl From<&status::Evidence> for Evidence {
    fn from(evidence: &status::Evidence) -> Self {
        Self {
            container_id: some(&evidence.container_id),
            exit_code: evidence.exit_code,
            oom_killed: evidence.oom_killed,
            log_tail: evidence.log_tail.clone(),
            health_output: evidence.health_output.clone(),
            dumps: evidence
                .dumps
                .iter()
                .map(|dump| Dump {
                    name: dump.name.clone(),
                    bytes: dump.bytes,
                    at: dump.at,
                })
                .collect(),
        }
    }
}

pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}
