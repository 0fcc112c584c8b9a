//! How an opening is written in firewalld: one port, for one address, and nothing else.
//!
//! ```text
//! rule priority="7443" family="ipv4" source address="172.31.16.139" port port="7444" protocol="tcp" accept
//! ```
//!
//! The priority is the mark: rules of people have none, or one that they chose for its order. One
//! above 0 comes after everything that is denied without a priority, so that an opening of ours
//! takes back nothing that a person has closed.

use extend_common::firewall::{Opening, is_a_hosts};

const BEFORE_ADDRESS: &str = "rule priority=\"7443\" family=\"ipv4\" source address=\"";
const BEFORE_PORT: &str = "\" port port=\"";
const AFTER_PORT: &str = "\" protocol=\"tcp\" accept";

/// The rule of an opening, as firewalld prints it.
pub(super) fn text(opening: Opening) -> String {
    let Opening { port, source } = opening;
    format!("{BEFORE_ADDRESS}{source}{BEFORE_PORT}{port}{AFTER_PORT}")
}

/// The opening that a rule is; none when it is not one of ours.
pub(super) fn read(rule: &str) -> Option<Opening> {
    let rest = rule.trim().strip_prefix(BEFORE_ADDRESS)?;
    let (source, port) = rest.strip_suffix(AFTER_PORT)?.split_once(BEFORE_PORT)?;
    let opening = Opening {
        port: port.parse().ok()?,
        source: source.parse().ok()?,
    };
    is_a_hosts(opening.source).then_some(opening)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_ours_reads_back_and_no_other_does() {
        let opening = Opening {
            port: 7444,
            source: "172.31.16.139".parse().unwrap(),
        };
        let written = text(opening);
        assert_eq!(read(&format!("\t{written}")), Some(opening));
        for other in [
            written.replace("7443", "7"),
            written.replace(" priority=\"7443\"", ""),
            written.replace("accept", "drop"),
            written.replace("accept", "accept limit value=\"1/m\""),
            written.replace(".139", ".139/32"),
            written.replace("tcp", "udp"),
            written.replace("7444", "7444-7450"),
            "rule service name=\"ssh\" accept".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }
}
