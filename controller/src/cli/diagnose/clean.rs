//! What goes into an archive, without secrets: texts by lines however they come in pieces, and
//! documents by their strings.

use extend_common::redact::{REDACTED, Redactor, is_sensitive};
use serde::Serialize;
use serde_json::Value;

use super::archive::Spool;
use crate::cli::failure::Failure;

/// A line that is longer is cut: it would have to be in memory whole.
const MAX_LINE: usize = 64 * 1024;

/// A text on its way into a part.
#[derive(Default)]
pub(super) struct Lines {
    redactor: Redactor,
    line: Vec<u8>,
    /// The rest of the line is left out.
    is_cut: bool,
    /// Whether it is a text at all, once its beginning has been seen.
    is_text: Option<bool>,
}

/// How compressed files begin: gzip, zip, xz, zstd.
const COMPRESSED: [&[u8]; 4] = [
    &[0x1f, 0x8b],
    b"PK\x03\x04",
    &[0xfd, b'7', b'z', b'X', b'Z'],
    &[0x28, 0xb5, 0x2f, 0xfd],
];

impl Lines {
    /// Takes a piece.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut Spool) -> Result<(), Failure> {
        if !bytes.is_empty() {
            let is_text = || !COMPRESSED.iter().any(|begin| bytes.starts_with(begin));
            self.is_text.get_or_insert_with(is_text);
        }
        if !self.is_text() {
            return Ok(());
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.is_cut |= text.len() > room;
            self.line.extend(text.iter().take(room));
            if ends {
                self.end(out)?;
            }
        }
        Ok(())
    }

    /// Whether it may be a text. Of what is compressed no secret could be taken out.
    pub(super) fn is_text(&self) -> bool {
        self.is_text.unwrap_or(true)
    }

    /// The end of a line, and of the text.
    pub(super) fn end(&mut self, out: &mut Spool) -> Result<(), Failure> {
        let line = std::mem::take(&mut self.line);
        let cut = if std::mem::take(&mut self.is_cut) {
            " [cut]"
        } else {
            ""
        };
        let told = self.redactor.line(&String::from_utf8_lossy(&line));
        out.write(format!("{told}{cut}\n").as_bytes())
    }

    /// The end of the text, which may have come without a newline.
    pub(super) fn finish(mut self, out: &mut Spool) -> Result<(), Failure> {
        match self.line.is_empty() {
            true => Ok(()),
            false => self.end(out),
        }
    }
}

/// A document without the secrets in its texts.
pub(super) fn document(value: &impl Serialize) -> Result<String, Failure> {
    let failed = |error: serde_json::Error| Failure::local("cannot write JSON", &error);
    let mut value = serde_json::to_value(value).map_err(failed)?;
    clean(&mut value, &mut Redactor::default());
    serde_json::to_string_pretty(&value).map_err(failed)
}

fn clean(value: &mut Value, redactor: &mut Redactor) {
    match value {
        Value::String(text) => *text = redactor.line(text),
        // The lines of one output: a key may go over several.
        Value::Array(items) => {
            let mut redactor = Redactor::default();
            items.iter_mut().for_each(|item| clean(item, &mut redactor));
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                // When a secret expires is none.
                match is_sensitive(name) && !name.ends_with("_at") && holds_text(field) {
                    true => *field = REDACTED.into(),
                    false => clean(field, &mut Redactor::default()),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether there can be a secret in it: not in a number, and not in nothing.
fn holds_text(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_their_form_and_lose_their_secrets() {
        let told = document(&serde_json::json!({
            "name": "media-server-1",
            "token_expires_at": "2026-11-30T22:53:00Z",
            "evidence": {"log_tail": [
                "Authorization: Bearer hunter2",
                "-----BEGIN PRIVATE KEY-----",
                "hunter2",
                "-----END PRIVATE KEY-----",
                "fine",
            ]},
            "bytes": 7,
            "parameters": {"im_token": "hunter2", "api_tokens": ["hunter2"], "token": null},
        }));
        let told: Value = serde_json::from_str(&told.unwrap()).unwrap();
        assert_eq!(told["token_expires_at"], "2026-11-30T22:53:00Z");
        assert_eq!(told["bytes"], 7);
        assert_eq!(told["evidence"]["log_tail"][0], "Authorization: [redacted]");
        assert_eq!(told["evidence"]["log_tail"][4], "fine");
        assert_eq!(told["parameters"]["im_token"], REDACTED);
        assert_eq!(told["parameters"]["token"], Value::Null);
        assert!(!told.to_string().contains("hunter2"));
    }
}
