//! Data as documents: JSON and YAML with the same fields.

use serde::Serialize;

use crate::cli::args::Format;
use crate::cli::failure::Failure;

/// Prints `value` as a document, or says that a table is wanted.
pub(crate) fn render(format: Format, value: &impl Serialize) -> Result<Option<String>, Failure> {
    match format {
        Format::Table | Format::Wide => Ok(None),
        Format::Json => serde_json::to_string_pretty(value)
            .map(Some)
            .map_err(|error| Failure::local("cannot write JSON", &error)),
        Format::Yaml => serde_saphyr::to_string(value)
            .map(Some)
            .map_err(|error| Failure::local("cannot write YAML", &error)),
    }
}
