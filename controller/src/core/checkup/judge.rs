//! What only the controller can judge: two clocks side by side, addresses that operators name, the
//! PBX's own network, and which servers it knows of. Pure.

use std::time::Duration;

use extend_common::checkup::{Check, CheckName};
use extend_common::cloud::CloudFacts;
use extend_common::duration;
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::record::Desired;
use jiff::SignedDuration;

/// The checks that agents take no part in.
pub(super) const ALONE: [CheckName; 3] = [
    CheckName::ClockSkew,
    CheckName::ElasticAddress,
    CheckName::Network,
];

/// A heartbeat's way and its wait in a queue look like a skew of this.
const NOISE: Duration = Duration::from_secs(2);
/// Registrations, recordings and reports are told in wrong order from here on.
const WRONG: Duration = Duration::from_secs(30);

pub(super) fn clock_skew(ahead: Option<SignedDuration>) -> Check {
    let name = CheckName::ClockSkew;
    let Some(ahead) = ahead else {
        return Check::unknown(name, "the node has not told its time");
    };
    let skew = ahead.unsigned_abs();
    if skew <= NOISE {
        return Check::ok(name, "it agrees with the controller's");
    }
    let way = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let found = format!(
        "{} {way} the controller's",
        duration::show(Duration::from_secs(skew.as_secs()))
    );
    let fix = "timedatectl, on both machines";
    match skew <= WRONG {
        true => Check::warn(name, found, fix),
        false => Check::fail(name, found, fix),
    }
}

/// `meant` is what an operator has said it is, now or when the server was deployed.
pub(super) fn elastic_address(cloud: Option<&CloudFacts>, meant: Option<NodeAddr>) -> Check {
    let name = CheckName::ElasticAddress;
    match (cloud.map(|cloud| cloud.public), meant) {
        (Some(Some(told)), Some(meant)) if told != meant => Check::fail(
            name,
            format!("the instance's public address is {told}, and {meant} was said"),
            format!("-A {told}, or associate {meant} with the instance"),
        ),
        // Whether it is an Elastic one the instance does not know.
        (Some(Some(told)), _) => Check::ok(name, format!("{told}")),
        (Some(None), Some(meant)) => Check::warn(
            name,
            format!("the instance has no public address, and {meant} was said"),
            format!("associate {meant} with the instance"),
        ),
        (Some(None), None) => Check::fail(
            name,
            "the instance has no public address",
            "allocate an Elastic IP and associate it with the instance",
        ),
        (None, Some(meant)) => {
            Check::unknown(name, format!("{meant} was said, and no cloud says so"))
        }
        (None, None) => {
            Check::unknown(name, "no cloud tells a public address").with_fix("-A ELASTIC_IP")
        }
    }
}

/// `pbx` is what clouds say of those of the PBX's nodes that have agents.
pub(super) fn network(cloud: Option<&CloudFacts>, pbx: &[&CloudFacts]) -> Check {
    let name = CheckName::Network;
    let Some(cloud) = cloud else {
        return Check::unknown(name, "no cloud tells which network it is in");
    };
    let Some(first) = pbx.first() else {
        let why =
            "no cloud tells of the PBX's nodes: `nodes` under [pbx], and an agent on one of them";
        return Check::unknown(name, format!("{}, {}; {why}", cloud.vpc, cloud.subnet));
    };
    let any = |same: &dyn Fn(&CloudFacts) -> bool| pbx.iter().any(|other| same(other));
    let known = |text: &str| !text.is_empty();
    if !known(&cloud.vpc) || !known(&first.vpc) {
        return Check::unknown(name, "the cloud names no VPC");
    }
    if !any(&|other| other.vpc == cloud.vpc) {
        let found = format!("it is in {}, and the PBX in {}", cloud.vpc, first.vpc);
        return Check::fail(name, found, "an instance in the VPC of the PBX");
    }
    let groups = |other: &CloudFacts| {
        other
            .security_groups
            .iter()
            .any(|g| cloud.security_groups.contains(g))
    };
    if !any(&groups) {
        let found = format!(
            "its security groups ({}) are none of the PBX's ({})",
            cloud.security_groups.join(", "),
            first.security_groups.join(", ")
        );
        return Check::fail(
            name,
            found,
            "attach the PBX's security group to the instance",
        );
    }
    if !any(&|other| other.subnet == cloud.subnet) {
        let found = format!("it is in {}, and the PBX in {}", cloud.subnet, first.subnet);
        return Check::warn(name, found, "an instance in the subnet of the PBX");
    }
    Check::ok(name, format!("{}, {}, as the PBX", cloud.vpc, cloud.subnet))
}

/// What is on a node beside the role that is to be there.
pub(super) struct Tenants<'a> {
    /// It is one of the PBX's own nodes.
    pub(super) is_pbx: bool,
    /// Its server.
    pub(super) server: Option<&'a Desired>,
    /// The role that is to be there.
    pub(super) role: Option<&'a RoleName>,
    /// Official containers that nobody claims.
    pub(super) unclaimed: Vec<&'a str>,
}

pub(super) fn one_role(tenants: &Tenants<'_>) -> Check {
    let name = CheckName::OneRole;
    let fix = "another node";
    if tenants.is_pbx {
        return Check::fail(name, "it is one of the PBX's own nodes", fix);
    }
    let other = tenants
        .server
        .filter(|server| tenants.role.is_some_and(|role| server.role != *role));
    if let Some(server) = other {
        return Check::fail(
            name,
            format!("it carries {} ({})", server.name, server.role),
            fix,
        );
    }
    match (tenants.server, tenants.unclaimed.as_slice()) {
        (Some(_), [container, ..]) => Check::fail(
            name,
            format!("{container} is there too, and belongs to nobody"),
            fix,
        ),
        _ => Check::ok(name, "no other server is known there"),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
