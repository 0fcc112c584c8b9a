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

/// A document on a line of its own, for those that follow each other without end.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::local("cannot write JSON", &error))
}

/// A document that others follow.
pub(crate) fn yaml_document(value: &impl Serialize) -> Result<String, Failure> {
    serde_saphyr::to_string(value)
        .map(|text| format!("---\n{text}"))
        .map_err(|error| Failure::local("cannot write YAML", &error))
}
