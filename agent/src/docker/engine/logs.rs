//! A container's output: its last lines as evidence, and all of it for whoever reads along.

use std::collections::VecDeque;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, pin_mut};
use jiff::Timestamp;
use tokio::time::timeout;

use super::trouble::{explain, silent};
use crate::docker::{DockerError, OutputPart, OutputQuery};

/// More lines are no evidence but an archive.
const MAX_LINES: usize = 1_000;
/// Of each line.
const MAX_LINE_BYTES: usize = 1024;
/// Of all lines together; the oldest are left out first.
const MAX_BYTES: usize = 64 * 1024;

/// Reads them, stdout and stderr in the order in which they came, oldest first.
pub(super) async fn tail(
    client: &bollard::Docker,
    id: &str,
    lines: usize,
) -> Result<Vec<String>, Error> {
    let lines = lines.min(MAX_LINES);
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .follow(false)
        .tail(&lines.to_string())
        .build();
    collect(client.logs(id, Some(options)), lines).await
}

/// Takes one item for each line. A line of more than 16 KiB comes in several, of which only the
/// last ends with a newline: what follows the first is past our limit for a line in any case.
pub(super) async fn collect(
    output: impl Stream<Item = Result<LogOutput, Error>>,
    lines: usize,
) -> Result<Vec<String>, Error> {
    pin_mut!(output);
    let mut kept = VecDeque::new();
    let mut bytes = 0;
    let (mut stdout_open, mut stderr_open) = (false, false);
    while let Some(item) = output.next().await {
        let item = item?;
        let open = match item {
            LogOutput::StdErr { .. } => &mut stderr_open,
            _ => &mut stdout_open,
        };
        let text = item.into_bytes();
        let is_rest = std::mem::replace(open, text.last() != Some(&b'\n'));
        if is_rest {
            continue;
        }
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = String::from_utf8_lossy(&line[..line.len().min(MAX_LINE_BYTES)]).into_owned();
        bytes += line.len();
        kept.push_back(line);
        while kept.len() > lines || bytes > MAX_BYTES {
            bytes -= kept.pop_front().map_or(bytes, |line: String| line.len());
        }
    }
    Ok(kept.into())
}

/// Docker's time before a line is this long at most, the space after it included.
const MAX_STAMP: usize = 40;

/// Reads along. Docker counts `since` in whole seconds here: what is older within the second is
/// left out by its time. The limit is that of the answer's head, and of every part of an output
/// that is not followed; nothing ever tells whether a followed one is only silent.
pub(super) fn output(
    client: &bollard::Docker,
    id: &str,
    query: OutputQuery,
    limit: Duration,
) -> BoxStream<'static, Result<OutputPart, DockerError>> {
    let OutputQuery {
        tail,
        since,
        follow,
    } = query;
    let doing = format!("reading the output of {id}");
    let second = since.map_or(0, |at| i32::try_from(at.as_second()).unwrap_or(i32::MAX));
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .since(second)
        .tail(&tail.to_string())
        .follow(follow)
        .build();
    // bollard counts whole seconds, and only until the head of the answer.
    let head = Duration::from_secs(limit.as_secs().max(1));
    let items = client.clone().with_timeout(head).logs(id, Some(options));
    let state = (Box::pin(items), doing, false);
    let parts = stream::unfold(state, move |(mut items, doing, over)| async move {
        if over {
            return None;
        }
        let next = if follow {
            Ok(items.next().await)
        } else {
            timeout(limit.max(head), items.next()).await
        };
        let part = match next {
            Ok(None) => return None,
            Ok(Some(Ok(item))) => Ok(part(item)),
            Ok(Some(Err(Error::RequestTimeoutError))) => Err(silent(head, &doing)),
            Ok(Some(Err(error))) => Err(explain(&doing, error)),
            Err(_) => Err(silent(limit.max(head), &doing)),
        };
        let over = part.is_err();
        Some((part, (items, doing, over)))
    });
    let is_new = move |part: &OutputPart| match (part.at, since) {
        (Some(at), Some(since)) => at > since,
        _ => true,
    };
    Box::pin(parts.filter(move |item| {
        let wanted = item.as_ref().map_or(true, is_new);
        async move { wanted }
    }))
}

/// Takes Docker's time off a part.
fn part(item: LogOutput) -> OutputPart {
    let bytes = item.into_bytes();
    let stamp = bytes.iter().take(MAX_STAMP).position(|byte| *byte == b' ');
    let parsed = stamp.and_then(|end| {
        let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
        Some((text.parse::<Timestamp>().ok()?, bytes.get(end + 1..)?))
    });
    match parsed {
        Some((at, rest)) => OutputPart {
            at: Some(at),
            bytes: rest.to_vec(),
        },
        None => OutputPart {
            at: None,
            bytes: bytes.to_vec(),
        },
    }
}
