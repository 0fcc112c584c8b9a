//! What is asked and answered, as EC2 documents it.

use std::net::Ipv4Addr;

use super::answer::{page, refusal};
use super::client::own;
use super::query::Query;
use super::{Ec2, Ec2Settings, Means};

#[test]
fn calls_are_forms() {
    let rules = Query::Rules {
        group: "sg-1",
        page: Some("a+b/="),
    };
    assert_eq!(
        rules.form(),
        "Action=DescribeSecurityGroupRules&Version=2016-11-15&Filter.1.Name=group-id&Filter.1.Value.1=sg-1&MaxResults=1000&NextToken=a%2Bb%2F%3D"
    );
    let authorize = Query::Authorize {
        group: "sg-1",
        address: Ipv4Addr::new(203, 0, 113, 7),
        description: "Extend: M (public address)",
    };
    assert_eq!(
        authorize.form(),
        "Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-1&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=203.0.113.7%2F32&IpPermissions.1.IpRanges.1.Description=Extend%3A+M+%28public+address%29"
    );
    let revoke = Query::Revoke {
        group: "sg-1",
        rule: "sgr-2",
    };
    assert_eq!(
        revoke.form(),
        "Action=RevokeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-1&SecurityGroupRuleId.1=sgr-2"
    );
}

#[test]
fn rules_are_read_with_what_else_is_told_of_them() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeSecurityGroupRulesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>8f7724cf</requestId>
  <securityGroupRuleSet>
    <item>
      <securityGroupRuleArn>arn:aws:ec2:eu-west-1:1:security-group-rule/sgr-1</securityGroupRuleArn>
      <securityGroupRuleId>sgr-1</securityGroupRuleId>
      <groupId>sg-1</groupId>
      <groupOwnerId>111122223333</groupOwnerId>
      <isEgress>false</isEgress>
      <ipProtocol>-1</ipProtocol>
      <fromPort>-1</fromPort>
      <toPort>-1</toPort>
      <cidrIpv4>203.0.113.7/32</cidrIpv4>
      <description>R&amp;D office</description>
      <tagSet><item><key>a</key><value>b</value></item></tagSet>
    </item>
    <item>
      <securityGroupRuleId>sgr-2</securityGroupRuleId>
      <isEgress>false</isEgress>
      <ipProtocol>-1</ipProtocol>
      <referencedGroupInfo><groupId>sg-1</groupId></referencedGroupInfo>
      <tagSet/>
    </item>
  </securityGroupRuleSet>
  <nextToken>abc</nextToken>
</DescribeSecurityGroupRulesResponse>"#;
    let read = page(text).unwrap();
    assert_eq!(read.next.as_deref(), Some("abc"));
    assert_eq!(read.rules.len(), 2);
    assert_eq!(read.rules[0].description, "R&D office");
    assert_eq!(read.rules[0].cidr_ipv4.as_deref(), Some("203.0.113.7/32"));
    assert_eq!(read.rules[1].cidr_ipv4, None);
}

#[test]
fn an_answer_without_a_list_is_not_a_group_without_rules() {
    let empty = "<R><securityGroupRuleSet/><requestId>1</requestId></R>";
    assert_eq!(page(empty).unwrap().rules, []);
    for text in [
        "",
        "<html><body>Sign in to the network</body></html>",
        "<R><requestId>1</requestId></R>",
        "<R><securityGroupRuleSet><item><groupId>sg-1</groupId></item></securityGroupRuleSet></R>",
        "<R><securityGroupRuleSet><item>",
    ] {
        assert_eq!(page(text).unwrap_err().means, Means::Unclear, "{text}");
    }
}

#[test]
fn refusals_are_told_apart() {
    let answer = |code: &str| {
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>It says why.</Message></Error></Errors><RequestID>1</RequestID></Response>"
        )
    };
    for (status, code, means) in [
        (400, "InvalidPermission.Duplicate", Means::Duplicate),
        (400, "InvalidPermission.NotFound", Means::NotFound),
        (400, "InvalidSecurityGroupRuleId.NotFound", Means::NotFound),
        (503, "RequestLimitExceeded", Means::Throttled),
        (400, "RulesPerSecurityGroupLimitExceeded", Means::Full),
        (403, "UnauthorizedOperation", Means::Forbidden),
        (401, "AuthFailure", Means::Forbidden),
        (400, "InvalidGroup.NotFound", Means::NoGroup),
        (400, "InvalidParameterValue", Means::Refused),
        (500, "InternalError", Means::Unclear),
        (503, "Unavailable", Means::Unclear),
    ] {
        let error = refusal(status, &answer(code));
        assert_eq!(error.means, means, "{code}");
        assert_eq!(error.to_string(), format!("{code} (It says why)"));
    }
    let error = refusal(502, "<html>Bad gateway</html>");
    assert_eq!(error.means, Means::Unclear);
    assert_eq!(error.to_string(), "HTTP status 502");
}

#[test]
fn every_region_has_an_endpoint() {
    assert_eq!(own("eu-west-1"), "https://ec2.eu-west-1.amazonaws.com/");
    assert_eq!(
        own("cn-north-1"),
        "https://ec2.cn-north-1.amazonaws.com.cn/"
    );
}

#[test]
fn what_is_printed_of_it_has_no_credentials() {
    let ec2 = Ec2::new(Ec2Settings::default());
    assert_eq!(
        format!("{ec2:?}"),
        "Ec2 { settings: Ec2Settings { region: None, endpoint: None }, .. }"
    );
}
