//! A value against a schema, as OpenAPI 3 writes them.
//!
//! Stricter than JSON Schema where drift would hide: an object may have documented properties only,
//! and a keyword that is not known here is an error, never a constraint that is passed over.

use serde_json::{Map, Value};

/// Schemas in schemas.
const MAX_DEPTH: usize = 32;

/// Which way a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the PBX: what is read-only must not be in it.
    Request,
    /// From the PBX: what is write-only must not be in it.
    Answer,
}

/// Checks values; `root` resolves references.
pub(crate) struct Checker<'a> {
    pub(crate) root: &'a Value,
    pub(crate) way: Way,
}

/// These say something to people.
const WORDS: [&str; 9] = [
    "description",
    "example",
    "examples",
    "default",
    "title",
    "deprecated",
    "externalDocs",
    "xml",
    "$comment",
];

impl Checker<'_> {
    /// What is wrong with a value, and where.
    pub(crate) fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = self.flat(schema, 0)?;
        self.object(&schema, value, "", 0)
    }

    /// A schema with its references and its `allOf` in one.
    fn flat(&self, schema: &Value, depth: usize) -> Result<Map<String, Value>, String> {
        let Some(map) = schema.as_object() else {
            return Err(format!("{schema} is no schema"));
        };
        if depth > MAX_DEPTH {
            return Err("schemas refer to each other without end".to_owned());
        }
        let mut out = Map::new();
        for (key, part) in map {
            match key.as_str() {
                "$ref" => {
                    let found = part
                        .as_str()
                        .and_then(|path| path.strip_prefix('#'))
                        .and_then(|pointer| self.root.pointer(pointer))
                        .ok_or_else(|| format!("{part} leads nowhere"))?;
                    merge(&mut out, self.flat(found, depth + 1)?);
                }
                "allOf" => {
                    for one in part.as_array().into_iter().flatten() {
                        merge(&mut out, self.flat(one, depth + 1)?);
                    }
                }
                _ => {
                    let one = Map::from_iter([(key.clone(), part.clone())]);
                    merge(&mut out, one);
                }
            }
        }
        Ok(out)
    }

    fn object(
        &self,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<(), String> {
        let wrong = |why: String| {
            let at = if at.is_empty() { "the body" } else { at };
            Err(format!("{at}: {why}"))
        };
        if depth > MAX_DEPTH {
            return wrong("too deep".to_owned());
        }
        let yes = |key: &str| schema.get(key).and_then(Value::as_bool) == Some(true);
        if yes("readOnly") && self.way == Way::Request {
            return wrong("it is read-only, and was sent".to_owned());
        }
        if yes("writeOnly") && self.way == Way::Answer {
            return wrong("it is write-only, and was answered".to_owned());
        }
        if value.is_null() && yes("nullable") {
            return Ok(());
        }
        for (key, rule) in schema {
            let kept = match key.as_str() {
                "oneOf" | "anyOf" => {
                    let fits = self.branches(rule, value, at, depth)?;
                    fits == 1 || (key == "anyOf" && fits > 1)
                }
                "type" => is_type(rule, value),
                "enum" => rule.as_array().is_some_and(|all| all.contains(value)),
                "minimum" => value.as_f64() >= rule.as_f64(),
                "maximum" => value.as_f64() <= rule.as_f64(),
                "minLength" => length(value) >= rule.as_u64(),
                "maxLength" => length(value) <= rule.as_u64(),
                "minItems" => items(value) >= rule.as_u64(),
                "maxItems" => items(value) <= rule.as_u64(),
                "format" => is_format(rule.as_str().unwrap_or_default(), value),
                "required" => {
                    let names = rule.as_array().into_iter().flatten();
                    names
                        .filter_map(Value::as_str)
                        .all(|n| value.get(n).is_some())
                }
                "items" => {
                    let schema = self.flat(rule, depth)?;
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.object(&schema, item, &format!("{at}[{index}]"), depth + 1)?;
                    }
                    true
                }
                "properties" | "readOnly" | "writeOnly" | "nullable" => true,
                "additionalProperties" if rule.is_boolean() => true,
                word if WORDS.contains(&word) || word.starts_with("x-") => true,
                unknown => return wrong(format!("the keyword {unknown} is not known here")),
            };
            if !kept {
                return wrong(format!("{value} against {key} {rule}"));
            }
        }
        self.properties(schema, value, at, depth)
    }

    /// Only what is documented.
    fn properties(
        &self,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<(), String> {
        let (Some(given), false) = (value.as_object(), schema.contains_key("oneOf")) else {
            return Ok(());
        };
        let open = schema.get("additionalProperties").and_then(Value::as_bool) == Some(true);
        let documented = schema.get("properties").and_then(Value::as_object);
        for (name, value) in given {
            match documented.and_then(|all| all.get(name)) {
                Some(schema) => {
                    let schema = self.flat(schema, depth)?;
                    self.object(&schema, value, &format!("{at}.{name}"), depth + 1)?;
                }
                None if open => {}
                None => return Err(format!("{at}.{name}: it is not documented")),
            }
        }
        Ok(())
    }

    /// How many branches a value fits.
    fn branches(
        &self,
        all: &Value,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<usize, String> {
        let mut fits = 0;
        for branch in all.as_array().into_iter().flatten() {
            let branch = self.flat(branch, depth)?;
            if self.object(&branch, value, at, depth + 1).is_ok() {
                fits += 1;
            }
        }
        Ok(fits)
    }
}

/// Both: properties side by side, what is required by either.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) if key == "properties" => {
                old.extend(new);
            }
            (Some(Value::Array(old)), Value::Array(new)) if key == "required" => old.extend(new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn is_type(rule: &Value, value: &Value) -> bool {
    match rule.as_str().unwrap_or_default() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => false,
    }
}

fn is_format(format: &str, value: &Value) -> bool {
    match format {
        "int32" => value
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        "int64" => value.is_i64(),
        "float" | "double" => value.is_number(),
        // Written with an underscore in the API's own description.
        "date_time" | "date-time" => value
            .as_str()
            .is_some_and(|text| text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()),
        "binary" | "password" | "byte" => value.is_string(),
        _ => false,
    }
}

fn length(value: &Value) -> Option<u64> {
    let count = value.as_str()?.chars().count();
    u64::try_from(count).ok()
}

fn items(value: &Value) -> Option<u64> {
    u64::try_from(value.as_array()?.len()).ok()
}
