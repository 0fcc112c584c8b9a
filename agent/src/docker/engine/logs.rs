//! The last lines of a container's output.

use std::collections::VecDeque;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt, pin_mut};

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
