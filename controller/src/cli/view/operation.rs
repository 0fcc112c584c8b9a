//! Operations, as `extend op` and the verbs show them.

use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::operation::{self, Operation, PhaseEntry, TargetState, Verb};
use extend_common::status::{self, Phase};
use extend_common::wire::{bounded_log_tail, shown_text};
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::{Record, not_understood};
use crate::cli::failure::Failure;
use crate::cli::output::Tone;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{age, moment};

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
    /// Why, in the operator's words.
    pub(crate) message: Option<String>,
    /// When it was submitted.
    pub(crate) begun_at: Timestamp,
    /// When the last of its servers ended; null while it is open.
    pub(crate) ended_at: Option<Timestamp>,
    /// When it ends at the latest.
    pub(crate) deadline_at: Timestamp,
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
}

/// Reads an operation off the wire, with every text made fit to be shown.
pub(crate) fn read(operation: v1::Operation) -> Result<Operation, Failure> {
    let mut operation = Operation::try_from(operation).map_err(|e| not_understood(&e))?;
    let clean = |text: &mut String| *text = shown_text(std::mem::take(text));
    clean(&mut operation.by);
    clean(&mut operation.message);
    for target in &mut operation.targets {
        for text in [
            &mut target.detail,
            &mut target.reason,
            &mut target.late,
            &mut target.summary,
            &mut target.image_before,
            &mut target.image_after,
        ] {
            clean(text);
        }
        if let Some(evidence) = &mut target.evidence {
            clean(&mut evidence.container_id);
            evidence.log_tail = bounded_log_tail(std::mem::take(&mut evidence.log_tail));
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
            state: if ended { operation.summary() } else { "open".to_owned() },
            selector: Selector {
                r#type: selector.role.clone(),
                addresses: selector.nodes.clone(),
                name: selector.name.clone(),
            },
            by: operation.by.clone(),
            message: some(&operation.message),
            begun_at: operation.begun,
            ended_at: operation.ended,
            deadline_at: operation.deadline,
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
            begun_at: target.begun,
            ended_at: target.ended,
            record: target.stamp.map(Record::from),
            phases: target.phases.iter().map(Entered::from).collect(),
            evidence: target.evidence.as_ref().map(Evidence::from),
        }
    }
}

impl From<&PhaseEntry> for Entered {
    fn from(entry: &PhaseEntry) -> Self {
        Self { phase: entry.phase, at: entry.at }
    }
}

impl From<&status::Evidence> for Evidence {
    fn from(evidence: &status::Evidence) -> Self {
        Self {
            container_id: some(&evidence.container_id),
            exit_code: evidence.exit_code,
            oom_killed: evidence.oom_killed,
            log_tail: evidence.log_tail.clone(),
        }
    }
}

/// How a state is meant.
pub(crate) fn tone(state: TargetState) -> Tone {
    match state {
        TargetState::Succeeded => Tone::Good,
        TargetState::Running | TargetState::Waiting => Tone::Busy,
        TargetState::Queued => Tone::Faint,
        TargetState::Failed
        | TargetState::RolledBack
        | TargetState::Skipped
        | TargetState::Cancelled
        | TargetState::TimedOut => Tone::Bad,
    }
}

/// Where a target is, in one or two words: the phase while its agent works on it.
pub(crate) fn state_word(target: &operation::Target) -> String {
    match (target.state, target.phase()) {
        (TargetState::Running, Phase::Pending | Phase::Settled) => "running".to_owned(),
        (TargetState::Running, phase) => phase.to_string(),
        (state, _) => state.to_string(),
    }
}

/// What there is to say about a target at this moment.
pub(crate) fn remark(target: &operation::Target) -> &str {
    let (first, second) = match target.state {
        TargetState::Running => (&target.detail, &target.reason),
        _ => (&target.reason, &target.detail),
    };
    if first.is_empty() { second } else { first }
}

/// How long a target has taken, or is taking.
pub(crate) fn took(target: &operation::Target, now: Timestamp) -> String {
    target.begun.map(|begun| age(begun, target.ended.unwrap_or(now))).unwrap_or_default()
}

/// Operations as a table.
pub(crate) fn operations_table(operations: &[Operation], wide: bool, now: Timestamp) -> Table {
    let heading = vec!["ID", "VERB", "SERVERS", "STATE", "BY", "BEGUN", "TOOK", "MESSAGE"];
    let mut table = Table::new(heading);
    for operation in operations {
        let id = if wide { operation.id.to_string() } else { operation.id.short() };
        let state = operation.summary();
        let tone = match (operation.ended, state.as_str()) {
            (None, _) => Tone::Busy,
            (Some(_), "succeeded") => Tone::Good,
            (Some(_), _) => Tone::Bad,
        };
        table.row(vec![
            id.into(),
            operation.verb.to_string().into(),
            operation.selector.to_string().into(),
            Cell::toned(state, tone),
            operation.by.clone().into(),
            format!("{} ago", age(operation.begun, now)).into(),
            age(operation.begun, operation.ended.unwrap_or(now)).into(),
            operation.message.clone().into(),
        ]);
    }
    table
}

/// The servers of one operation as a table.
pub(crate) fn targets_table(operation: &Operation, wide: bool, now: Timestamp) -> Table {
    let mut heading = vec!["NAME", "TYPE", "ADDRESS", "STATE", "TOOK"];
    if wide {
        heading.extend(["RECORD", "IMAGE BEFORE", "IMAGE AFTER", "PHASES"]);
    }
    heading.push("REASON");
    let mut table = Table::new(heading);
    for target in &operation.targets {
        let mut cells = vec![
            Cell::from(target.name.as_str()),
            target.role.as_str().into(),
            target.node.to_string().into(),
            Cell::toned(state_word(target), tone(target.state)),
            took(target, now).into(),
        ];
        if wide {
            cells.push(target.stamp.map(|stamp| stamp.to_string()).unwrap_or_default().into());
            cells.push(target.image_before.clone().into());
            cells.push(target.image_after.clone().into());
            cells.push(phases(target).into());
        }
        cells.push(remark(target).into());
        table.row(cells);
    }
    table
}

/// The facts of an operation above its table.
pub(crate) fn heading(operation: &Operation, now: Timestamp) -> String {
    let ended = operation.ended.map(|at| {
        format!("{} (after {})", moment(at), age(operation.begun, at))
    });
    let deadline = operation.ended.is_none().then(|| {
        format!("{} ({})", moment(operation.deadline), super::node::until(operation.deadline, now))
    });
    let facts = [
        ("Operation", Some(operation.id.to_string())),
        ("Verb", Some(operation.verb.to_string())),
        ("Servers", Some(operation.selector.to_string())),
        ("State", Some(operation.summary())),
        ("By", Some(operation.by.clone())),
        ("Message", some(&operation.message)),
        ("Begun", Some(moment(operation.begun))),
        ("Ended", ended),
        ("Ends by", deadline),
    ];
    let lines =
        facts.into_iter().filter_map(|(what, value)| Some(format!("{what:<10} {}\n", value?)));
    lines.collect()
}

/// How long each phase took: `stopping 3s, starting 1s`.
fn phases(target: &operation::Target) -> String {
    let ends = target.phases.iter().skip(1).map(|entry| Some(entry.at)).chain([target.ended]);
    let spans = target.phases.iter().zip(ends).filter(|(entry, _)| entry.phase != Phase::Settled);
    let words = spans.map(|(entry, end)| match end {
        Some(end) => format!("{} {}", entry.phase, age(entry.at, end)),
        None => entry.phase.to_string(),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}
