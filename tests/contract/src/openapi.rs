//! Calls against the description of the API.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use extend_pbx_standin::Call;
use serde_json::{Value, json};

use crate::schema::{Checker, Way};

/// What of the API this product uses: each has to have been asked.
const USED: [(&str, &str); 30] = [
    ("get", "/info"),
    ("post", "/auth/sign_in"),
    ("post", "/auth/refresh_token"),
    ("get", "/admin/status"),
    ("get", "/ip_filters"),
    ("post", "/ip_filters"),
    ("post", "/ip_filters/{id}"),
    ("post", "/ip_filters/{id}/destroy"),
    ("get", "/media_servers"),
    ("post", "/media_servers"),
    ("get", "/media_servers/{id}"),
    ("post", "/media_servers/{id}"),
    ("get", "/media_servers/{id}/status"),
    ("post", "/media_servers/{id}/destroy"),
    ("get", "/conference_servers"),
    ("post", "/conference_servers"),
    ("get", "/conference_servers/{id}"),
    ("post", "/conference_servers/{id}"),
    ("get", "/conference_servers/{id}/status"),
    ("post", "/conference_servers/{id}/destroy"),
    ("get", "/call_queue_servers"),
    ("post", "/call_queue_servers"),
    ("get", "/call_queue_servers/{id}"),
    ("post", "/call_queue_servers/{id}"),
    ("get", "/call_queue_servers/{id}/status"),
    ("post", "/call_queue_servers/{id}/destroy"),
    ("get", "/ivr_servers"),
    ("post", "/ivr_servers"),
    ("get", "/ivr_servers/{id}/status"),
    ("post", "/ivr_servers/{id}/destroy"),
];

/// The description of an API.
pub(crate) struct OpenApi {
    root: Value,
}

impl OpenApi {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let root: Value = serde_json::from_str(text).context("it is no JSON")?;
        let version = root
            .get("openapi")
            .and_then(Value::as_str)
            .unwrap_or_default();
        ensure!(version.starts_with("3."), "it is not of OpenAPI 3");
        ensure!(
            root.get("paths").is_some_and(Value::is_object),
            "there are no paths in it"
        );
        Ok(Self { root })
    }

    /// What is wrong with the calls, a line each.
    pub(crate) fn judge(&self, record: &[Call]) -> Vec<String> {
        record
            .iter()
            .filter_map(|call| {
                let why = self.call(call).err()?;
                Some(format!(
                    "{} {} ({}): {why}",
                    call.method, call.path, call.status
                ))
            })
            .collect()
    }

    /// Operations that we use and nobody has asked.
    pub(crate) fn unspoken(&self, record: &[Call]) -> Vec<String> {
        let asked: BTreeSet<(String, String)> = record
            .iter()
            .filter_map(|call| {
                let (template, _) = self.path(&call.path)?;
                Some((call.method.to_lowercase(), template.to_owned()))
            })
            .collect();
        USED.iter()
            .filter(|(method, path)| !asked.contains(&((*method).to_owned(), (*path).to_owned())))
            .map(|(method, path)| format!("{} {path}", method.to_uppercase()))
            .collect()
    }

    /// The path of the description that a path is one of; one without a parameter is nearer.
    fn path(&self, path: &str) -> Option<(&str, &Value)> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == parts.len()
                && wanted.iter().zip(&parts).all(|(wanted, part)| {
                    wanted == part || (wanted.starts_with('{') && !part.is_empty())
                })
        };
        let paths = self.root.get("paths")?.as_object()?;
        paths
            .iter()
            .filter(|(template, _)| fits(template))
            .min_by_key(|(template, _)| template.matches('{').count())
            .map(|(template, operations)| (template.as_str(), operations))
    }

    fn call(&self, call: &Call) -> Result<(), String> {
        let (_, operations) = self
            .path(&call.path)
            .ok_or_else(|| "there is no such path".to_owned())?;
        let operation = operations
            .get(call.method.to_lowercase())
            .ok_or_else(|| "there is no such method".to_owned())?;
        self.security(operation, call)?;
        self.query(operations, operation, &call.query)?;
        self.request(operation, call.request.as_ref())?;
        self.answer(operation, call)
    }

    /// Nobody shows a token where none is wanted, and somebody does where one is.
    fn security(&self, operation: &Value, call: &Call) -> Result<(), String> {
        let rules = operation
            .get("security")
            .or_else(|| self.root.get("security"));
        let wanted = rules
            .and_then(Value::as_array)
            .is_some_and(|all| !all.is_empty());
        match (wanted, call.bearer) {
            (true, false) if call.status != 401 => Err("a bearer is wanted".to_owned()),
            (false, true) => Err("a bearer is shown to everybody".to_owned()),
            _ => Ok(()),
        }
    }

    fn query(&self, operations: &Value, operation: &Value, query: &str) -> Result<(), String> {
        let lists = [operations, operation].map(|from| from.get("parameters"));
        let documented: Vec<&Value> = lists
            .into_iter()
            .flatten()
            .filter_map(Value::as_array)
            .flatten()
            .filter(|one| one.get("in").and_then(Value::as_str) == Some("query"))
            .collect();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            let parameter = documented
                .iter()
                .find(|one| one.get("name").and_then(Value::as_str) == Some(name))
                .ok_or_else(|| format!("the query parameter {name} is not documented"))?;
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            let value = match schema.get("type").and_then(Value::as_str) {
                Some("integer") => text.parse::<i64>().map(Value::from).unwrap_or_default(),
                _ => Value::from(text),
            };
            self.checker(Way::Request)
                .check(schema, &value)
                .map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }

    fn request(&self, operation: &Value, body: Option<&Value>) -> Result<(), String> {
        let documented = operation.get("requestBody");
        let schema = documented.and_then(json_schema);
        match (schema, body) {
            (Some(schema), Some(body)) => self
                .checker(Way::Request)
                .check(schema, body)
                .map_err(|why| format!("request: {why}")),
            (None, Some(body)) if !body.is_null() => {
                Err(format!("request: no body is documented, and it was {body}"))
            }
            (Some(_), None)
                if documented.and_then(|one| one.get("required")) == Some(&json!(true)) =>
            {
                Err("request: a body is wanted".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn answer(&self, operation: &Value, call: &Call) -> Result<(), String> {
        let responses = operation.get("responses");
        let exact = call.status.to_string();
        let kind = format!("{}XX", call.status / 100);
        let response = [exact.as_str(), kind.as_str(), "default"]
            .into_iter()
            .find_map(|status| responses?.get(status));
        let Some(response) = response else {
            // Every call may be refused: an expired token is, whatever is documented.
            if matches!(call.status, 401 | 403 | 404 | 429) {
                return Ok(());
            }
            return Err("the status is not documented".to_owned());
        };
        match (json_schema(response), &call.answer) {
            (Some(schema), Some(body)) => self
                .checker(Way::Answer)
                .check(schema, body)
                .map_err(|why| format!("answer: {why}")),
            (Some(_), None) => Err("answer: a body is documented".to_owned()),
            (None, Some(body)) if call.status < 400 => {
                Err(format!("answer: no body is documented, and it was {body}"))
            }
            // Errors are described in words only.
            (None, _) => Ok(()),
        }
    }

    fn checker(&self, way: Way) -> Checker<'_> {
        Checker {
            root: &self.root,
            way,
        }
    }
}

/// The schema of a body as JSON.
fn json_schema(of: &Value) -> Option<&Value> {
    of.get("content")?.get("application/json")?.get("schema")
}
