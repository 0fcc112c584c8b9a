//! The security group of the PBX's nodes as an enforcer: one rule that lets all traffic of a
//! server's Elastic IP in, with the server's name beside it.
//!
//! Only rules that let all traffic in can let a server in; every other rule of the group takes up
//! room. A rule of ours that a person has narrowed to a protocol or a port is no longer one.

use ipnet::IpNet;

use super::{Enforcer, Fault, FaultKind};
use crate::aws::{Ec2, Ec2Error, Means, Rule};
use crate::whitelist::{EnforcerKind, Entry, Limit, Policy, Step, Verdict, is_ours, parse_net};

/// The protocol of a rule that is about all traffic.
const ALL_TRAFFIC: &str = "-1";

/// What the controller's role has to be allowed.
const ACTIONS: &str = "ec2:DescribeSecurityGroupRules, ec2:DescribeSecurityGroups, ec2:AuthorizeSecurityGroupIngress, ec2:UpdateSecurityGroupRuleDescriptionsIngress and ec2:RevokeSecurityGroupIngress";

/// Keeps one security group.
#[derive(Debug)]
pub struct SecurityGroup {
    ec2: Ec2,
    group: String,
    quota: usize,
    /// Rules that take up room and let no address in by themselves, at the last look.
    others: usize,
}

impl SecurityGroup {
    /// Keeps `group`, in which there may be `quota` inbound rules.
    pub fn new(ec2: Ec2, group: String, quota: usize) -> Self {
        Self {
            ec2,
            group,
            quota,
            others: 0,
        }
    }

    fn fault(&self, doing: &str, error: &Ec2Error) -> Fault {
        let group = &self.group;
        let (kind, hint) = match error.means {
            Means::Throttled => (
                FaultKind::Everything,
                "it is tried again, more slowly".to_owned(),
            ),
            Means::Full => (
                FaultKind::Everything,
                format!(
                    "have AWS raise the quota `Inbound or outbound rules per security group`, and set quota in [aws] to it; or take rules of {group} away that nobody needs"
                ),
            ),
            Means::Forbidden => (
                FaultKind::Everything,
                format!("give this machine a role that allows {ACTIONS}, and see its clock"),
            ),
            Means::NoGroup => (
                FaultKind::Everything,
                "see security_group and region in [aws] of controller.toml".to_owned(),
            ),
            Means::Unclear => (
                FaultKind::Unclear,
                "it is looked again before anything is repeated; see whether EC2 can be reached from this machine".to_owned(),
            ),
            Means::Duplicate | Means::NotFound | Means::Refused => (
                FaultKind::ThisStep,
                format!("see the rules of {group} in the EC2 console"),
            ),
        };
        Fault {
            kind,
            sentence: format!("{doing} {group}: {error}"),
            hint,
            wait: None,
        }
    }
}

impl Enforcer for SecurityGroup {
    fn kind(&self) -> EnforcerKind {
        EnforcerKind::SecurityGroup
    }

    fn policy(&self) -> Policy {
        Policy {
            kinds: self.kind().kinds(),
            expiry: None,
            limit: Some(Limit {
                quota: self.quota,
                others: self.others,
            }),
        }
    }

    async fn look(&mut self) -> Result<Vec<Entry>, Fault> {
        let rules = match self.ec2.rules(&self.group).await {
            Ok(rules) => rules,
            Err(error) => return Err(self.fault("looking at the rules of", &error)),
        };
        let (entries, others) = entries(&rules);
        self.others = others;
        Ok(entries)
    }

    async fn apply(&mut self, step: &Step) -> Result<(), Fault> {
        let group = &self.group;
        let (result, good, doing) = match step {
            Step::Add {
                address, holder, ..
            } => (
                self.ec2
                    .authorize(group, *address, &holder.description())
                    .await,
                Means::Duplicate,
                format!("letting {address} in for {} by", holder.name),
            ),
            Step::Renew {
                address, holder, ..
            } => (
                self.ec2
                    .describe(group, *address, &holder.description())
                    .await,
                Means::NotFound,
                format!("naming {} beside {address} in", holder.name),
            ),
            Step::Remove { id, address } => (
                self.ec2.revoke(group, id).await,
                Means::NotFound,
                format!("taking the rule of {address} from"),
            ),
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.means == good => Ok(()),
            Err(error) => Err(self.fault(&doing, &error)),
        }
    }
}

/// The inbound rules that let all traffic of an IPv4 network in, and how many others count for
/// the same quota: EC2 counts rules about IPv6 networks apart, and those about groups and lists of
/// prefixes here as there.
fn entries(rules: &[Rule]) -> (Vec<Entry>, usize) {
    let inbound: Vec<&Rule> = rules
        .iter()
        .filter(|rule| !rule.is_egress && rule.cidr_ipv6.is_none())
        .collect();
    let entries: Vec<Entry> = inbound.iter().filter_map(|rule| entry(rule)).collect();
    let others = inbound.len() - entries.len();
    (entries, others)
}

fn entry(rule: &Rule) -> Option<Entry> {
    let net = parse_net(rule.cidr_ipv4.as_deref()?).ok()?;
    if rule.ip_protocol != ALL_TRAFFIC || !matches!(net, IpNet::V4(_)) {
        return None;
    }
    Some(Entry {
        id: rule.id.clone(),
        net,
        verdict: Verdict::Accept,
        expires: None,
        ours: is_ours(&rule.description),
        description: rule.description.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, v4: Option<&str>, protocol: &str, description: &str) -> Rule {
        Rule {
            id: id.to_owned(),
            is_egress: false,
            ip_protocol: protocol.to_owned(),
            cidr_ipv4: v4.map(str::to_owned),
            cidr_ipv6: None,
            description: description.to_owned(),
        }
    }

    #[test]
    fn only_inbound_rules_about_all_traffic_let_somebody_in_and_the_others_take_up_room() {
        let egress = Rule {
            is_egress: true,
            ..rule("sgr-1", Some("0.0.0.0/0"), "-1", "")
        };
        let ipv6 = Rule {
            cidr_ipv6: Some("::/0".to_owned()),
            ..rule("sgr-2", None, "-1", "")
        };
        let rules = [
            egress,
            ipv6,
            rule(
                "sgr-3",
                Some("203.0.113.7/32"),
                "-1",
                "Extend: M (public address)",
            ),
            rule("sgr-4", Some("198.51.100.0/24"), "-1", "office"),
            rule(
                "sgr-5",
                Some("203.0.113.8/32"),
                "tcp",
                "Extend: N (public address)",
            ),
            // The group itself: its nodes among each other.
            rule("sgr-6", None, "-1", ""),
        ];
        let (entries, others) = entries(&rules);
        let found: Vec<(&str, bool)> = entries
            .iter()
            .map(|entry| (entry.id.as_str(), entry.ours))
            .collect();
        assert_eq!(found, [("sgr-3", true), ("sgr-4", false)]);
        assert_eq!(others, 2);
    }
}
