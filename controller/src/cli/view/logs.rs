//! Log files, as `extend logs --list` shows them.

use extend_common::logs::{LogFileEntry, LogPath};
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::output::table::Table;
use crate::cli::output::text;

/// The document of `extend logs --list`.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Files {
    /// In the order of their names.
    pub(crate) files: Vec<File>,
    /// There are more than are listed.
    pub(crate) cut: bool,
}

/// One file.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct File {
    /// Below the log directory; what `--file` takes.
    pub(crate) name: LogPath,
    /// In bytes.
    pub(crate) size: u64,
    /// When it was last written.
    pub(crate) modified_at: Timestamp,
}

impl From<LogFileEntry> for File {
    fn from(entry: LogFileEntry) -> Self {
        Self {
            name: entry.path,
            size: entry.size,
            modified_at: entry.modified,
        }
    }
}

/// The files as a table.
pub(crate) fn files_table(files: &[File], now: Timestamp) -> Table {
    let mut table = Table::new(vec!["NAME", "BYTES", "MODIFIED"]);
    for file in files {
        table.row(vec![
            file.name.to_string().into(),
            file.size.to_string().into(),
            text::moment(file.modified_at, now).into(),
        ]);
    }
    table
}
