//! What is asked: forms of EC2's Query API. Pure.

use std::net::Ipv4Addr;

/// The version of the API that the forms are written in.
const VERSION: &str = "2016-11-15";

/// So many rules a page: the most that may be.
const PAGE: &str = "1000";

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Query<'a> {
    /// A page of a group's rules.
    Rules {
        group: &'a str,
        page: Option<&'a str>,
    },
    /// Whether a group is there.
    Group(&'a str),
    /// Lets all traffic of one address in.
    Authorize {
        group: &'a str,
        address: Ipv4Addr,
        description: &'a str,
    },
    /// Has such a rule tell something else.
    Describe {
        group: &'a str,
        address: Ipv4Addr,
        description: &'a str,
    },
    /// Takes a rule away.
    Revoke { group: &'a str, rule: &'a str },
}

impl Query<'_> {
    /// What it is called.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Rules { .. } => "DescribeSecurityGroupRules",
            Self::Group(_) => "DescribeSecurityGroups",
            Self::Authorize { .. } => "AuthorizeSecurityGroupIngress",
            Self::Describe { .. } => "UpdateSecurityGroupRuleDescriptionsIngress",
            Self::Revoke { .. } => "RevokeSecurityGroupIngress",
        }
    }

    /// The body of the request.
    pub(super) fn form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", self.action());
        form.append_pair("Version", VERSION);
        match self {
            Self::Rules { group, page } => {
                form.append_pair("Filter.1.Name", "group-id");
                form.append_pair("Filter.1.Value.1", group);
                form.append_pair("MaxResults", PAGE);
                if let Some(page) = page {
                    form.append_pair("NextToken", page);
                }
            }
            Self::Group(group) => {
                form.append_pair("GroupId.1", group);
            }
            Self::Authorize {
                group,
                address,
                description,
            }
            | Self::Describe {
                group,
                address,
                description,
            } => {
                form.append_pair("GroupId", group);
                form.append_pair("IpPermissions.1.IpProtocol", "-1");
                let range = format!("{address}/32");
                form.append_pair("IpPermissions.1.IpRanges.1.CidrIp", &range);
                form.append_pair("IpPermissions.1.IpRanges.1.Description", description);
            }
            Self::Revoke { group, rule } => {
                form.append_pair("GroupId", group);
                form.append_pair("SecurityGroupRuleId.1", rule);
            }
        }
        form.finish()
    }
}
