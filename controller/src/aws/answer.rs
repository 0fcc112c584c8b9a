//! What is answered, read from XML. Pure.
//!
//! An answer that does not have what it must have is none: a page of rules without its list is an
//! error, and never a group without rules.

use serde::Deserialize;

use super::error::{Ec2Error, Means};

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Its id.
    #[serde(rename = "securityGroupRuleId")]
    pub id: String,
    /// It is about what goes out.
    pub is_egress: bool,
    /// Which protocol; `-1` is all traffic.
    pub ip_protocol: String,
    /// From which IPv4 network.
    pub cidr_ipv4: Option<String>,
    /// From which IPv6 network.
    pub cidr_ipv6: Option<String>,
    /// What stands beside it.
    #[serde(default)]
    pub description: String,
}

/// A page of rules, and where the next one begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) rules: Vec<Rule>,
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    security_group_rule_set: Items,
    #[serde(default)]
    next_token: String,
}

#[derive(Deserialize)]
struct Items {
    #[serde(default)]
    item: Vec<Rule>,
}

/// Reads a page of rules.
pub(super) fn page(text: &str) -> Result<Page, Ec2Error> {
    let answer: Rules = quick_xml::de::from_str(text).map_err(|error| Ec2Error {
        means: Means::Unclear,
        code: String::new(),
        message: format!("the answer is no list of rules: {error}"),
    })?;
    Ok(Page {
        rules: answer.security_group_rule_set.item,
        next: Some(answer.next_token).filter(|token| !token.is_empty()),
    })
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "Errors")]
    errors: Errors,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(rename = "Error")]
    error: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
}

/// Reads why a call was refused.
pub(super) fn refusal(status: u16, text: &str) -> Ec2Error {
    let first = quick_xml::de::from_str::<Refusal>(text)
        .ok()
        .and_then(|refusal| refusal.errors.error.into_iter().next());
    match first {
        Some(error) => Ec2Error {
            means: Means::of(status, &error.code),
            message: error.message.chars().take(300).collect(),
            code: error.code,
        },
        None => Ec2Error {
            means: Means::of(status, ""),
            code: String::new(),
            message: format!("HTTP status {status}"),
        },
    }
}
