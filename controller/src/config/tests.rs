//! The configuration file: the example is true, and errors lead to the line.

use super::*;

const EXAMPLE: &str = include_str!("../../../packaging/controller.toml");
const ADDRESS: &str = "address = \"172.31.16.133\"";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/extend/controller.toml"), text)
}

/// The example with the one key set that has to be.
fn completed() -> String {
    EXAMPLE.replace(&format!("#{ADDRESS}"), ADDRESS)
}

fn wrong(text: &str) -> ConfigError {
    parse(text).unwrap_err()
}

/// The example with its commented keys made real.
fn example_in_full() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.contains(" = ") && !key.starts_with(' ') => key.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE
        .lines()
        .map(uncomment)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_smallest_file_and_the_example_give_the_defaults() {
    let small = parse(ADDRESS).unwrap();
    assert_eq!(parse(&completed()).unwrap(), small);
    assert_eq!(small.state_dir, Path::new("/var/lib/extend"));
    assert_eq!(small.listen, Listen::default());
    assert_eq!(small.image_pull, PullPolicy::Always);
    assert_eq!(small.pbx.address, None);
}

#[test]
fn the_commented_keys_of_the_example_are_the_defaults_too() {
    let mut full = parse(&example_in_full()).unwrap();
    assert_eq!(
        full.pbx.address.take().as_deref(),
        Some("54.151.30.9"),
        "an example, without default"
    );
    assert!(full.pbx.api.take().is_some() && full.pbx.username.take().is_some());
    let Aws {
        security_group,
        region,
        endpoint,
        ..
    } = &mut full.aws;
    assert!(
        [security_group, region, endpoint]
            .iter_mut()
            .all(|key| key.take().is_some())
    );
    assert_eq!(full, parse(&completed()).unwrap());
}

/// A package starts what it installs: never at an address that is only an example.
#[test]
fn the_example_is_not_usable_before_the_address_is_set() {
    let error = wrong(EXAMPLE);
    assert!(error.to_string().contains("address"), "{error}");
    assert!(!error.hint().is_empty());
}

/// Every key of the structs stands in the example: removing one from it would not be seen above.
#[test]
fn the_example_names_every_key() {
    let text = example_in_full();
    let keys = [
        "address",
        "standby",
        "state_dir",
        "socket",
        "socket_group",
        "roles_dir",
        "agent_package_dir",
        "image",
        "image_pull",
        "pbx.address",
        "pbx.api",
        "pbx.username",
        "pbx.password_file",
        "pbx.certificate",
        "pbx.nodes",
        "pbx.poll",
        "listen.agents",
        "listen.enrolment",
        "listen.http",
        "timing.heartbeat",
        "timing.leaf_lifetime",
        "audit.keep",
        "whitelist.expiry",
        "aws.security_group",
        "aws.region",
        "aws.endpoint",
        "aws.quota",
        "alerts.repeat",
        "alerts.group",
    ];
    for key in keys {
        let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
        let of_table = text
            .split("\n[")
            .find(|part| part.split(']').next() == Some(table) || table.is_empty());
        let named = of_table.is_some_and(|part| {
            part.lines()
                .any(|line| line.starts_with(&format!("{name} = ")))
        });
        assert!(named, "{key}");
    }
    let lines = text
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#'));
    assert_eq!(lines.count(), keys.len(), "and no other");
}

#[test]
fn an_error_names_file_line_key_cause_and_hint() {
    let error = wrong("address = \"172.31.16.133\"\n\n[timing]\n# short\nleaf_lifetime = \"9s\"\n");
    assert_eq!(
        error.to_string(),
        "reading the configuration /etc/extend/controller.toml, line 5, key \
         `timing.leaf_lifetime`: 9s is too short"
    );
    assert_eq!(error.hint(), "write a duration from 10s to 720h");
}

/// Each line is refused at its key, with its cause and a hint.
#[track_caller]
fn all_wrong(cases: &[(&str, &str, &str)]) {
    for &(line, key, cause) in cases {
        let mut text = String::from("# a comment\n");
        if key != "address" {
            text.push_str("address = \"172.31.16.133\"\n");
        }
        let expected = text.lines().count() + 1;
        text.push_str(line);
        text.push_str("\n# the end\n");
        let error = wrong(&text);
        assert_eq!(error.key(), Some(key), "{line}: {error}");
        assert_eq!(error.line(), Some(expected), "{line}: {error}");
        assert!(error.to_string().contains(cause), "{line}: {error}");
        assert!(
            !error.hint().is_empty() && !error.to_string().contains(char::is_control),
            "{error}"
        );
    }
}

#[test]
fn each_wrong_value_is_told_at_its_key() {
    all_wrong(&[
        ("pbx.api = \"http://pbx\"", "pbx.api", "not the address"),
        ("pbx.api = \"https://a@pbx\"", "pbx.api", "not the address"),
        ("audit.keep = \"12h\"", "audit.keep", "too short"),
        ("audit.keep = \"11000d\"", "audit.keep", "too long"),
        ("audit.keep = \"1y\"", "audit.keep", "is no duration"),
        ("address = \"pbx\"", "address", "no IPv4 address"),
        (
            "address = \"0.0.0.0\"",
            "address",
            "cannot be the address of a node",
        ),
        ("state_dir = \"lib\"", "state_dir", "not an absolute path"),
        ("socket_group = \"a b\"", "socket_group", "name of a group"),
        ("image = \"\"", "image", "no image reference"),
        ("image = \"-v\"", "image", "no image reference"),
        ("image = \"a b\"", "image", "no image reference"),
        ("image_pull = \"never\"", "image_pull", "never"),
        (
            "pbx.address = \"-x\"",
            "pbx.address",
            "neither an address nor a name",
        ),
        (
            "pbx.address = \"a b\"",
            "pbx.address",
            "neither an address nor a name",
        ),
        (
            "listen.agents = \"7443\"",
            "listen.agents",
            "no address with a port",
        ),
        (
            "listen.http = \"224.0.0.1:1\"",
            "listen.http",
            "nothing can listen",
        ),
        (
            "listen.enrolment = \"127.0.0.1:7443\"",
            "listen.enrolment",
            "taken by `listen.agents`",
        ),
        (
            "timing.heartbeat = \"1\"",
            "timing.heartbeat",
            "no duration",
        ),
        ("timing.heartbeat = \"1h\"", "timing.heartbeat", "too long"),
        ("timing.heartbeat = 1", "timing.heartbeat", "invalid type"),
        (
            "heartbeat = \"1s\"",
            "heartbeat",
            "unknown field `heartbeat`",
        ),
        (
            "listen.agent = \"0.0.0.0:1\"",
            "listen.agent",
            "unknown field `agent`",
        ),
    ]);
}

#[test]
fn each_wrong_value_of_the_world_outside_is_told_at_its_key() {
    all_wrong(&[
        (
            "pbx.api = \"https://pbx/api\"",
            "pbx.api",
            "not the address",
        ),
        (
            "pbx.api = \"https://pbx\"",
            "pbx.api",
            "`pbx.username` is not",
        ),
        (
            "pbx.username = \"\"",
            "pbx.username",
            "cannot be an account",
        ),
        (
            "pbx.password_file = \"a\"",
            "pbx.password_file",
            "not an absolute",
        ),
        ("pbx.nodes = [\"pbx\"]", "pbx.nodes", "no IPv4 address"),
        ("pbx.poll = \"1ms\"", "pbx.poll", "too short"),
        ("whitelist.expiry = \"1d\"", "whitelist.expiry", "too short"),
        (
            "aws.security_group = \"web\"",
            "aws.security_group",
            "no security group",
        ),
        ("aws.region = \"US\"", "aws.region", "no region"),
        ("aws.endpoint = \"ftp://a\"", "aws.endpoint", "no endpoint"),
        ("aws.quota = 0", "aws.quota", "not a quota"),
    ]);
}

#[test]
fn an_unknown_key_leads_to_the_nearest() {
    let hint = |line: &str| {
        wrong(&format!("address = \"10.0.0.1\"\n{line}\n"))
            .hint()
            .to_owned()
    };
    assert_eq!(
        hint("listen.agent = \"0.0.0.0:1\""),
        "did you mean `agents`?"
    );
    assert_eq!(
        hint("[pbx]\nadress = \"1.2.3.4\""),
        "did you mean `address`?"
    );
    assert_eq!(hint("sockets = \"/x\""), "did you mean `socket`?");
    assert!(hint("colour = 1").contains("[table]"));
}

#[test]
fn a_missing_address_and_a_broken_line_are_told() {
    let error = wrong("image = \"a\"\n");
    assert!(
        error.to_string().contains("missing field `address`"),
        "{error}"
    );
    assert_eq!(error.hint(), "add it to the file");
    let error = wrong("address = \"172.31.16.133\"\nimage = portsip\n");
    assert_eq!(
        (error.line(), error.key()),
        (Some(2), Some("image")),
        "{error}"
    );
    assert!(!error.to_string().contains('\n'), "one line: {error}");
}

#[test]
fn a_file_that_is_not_there_or_too_long_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("controller.toml");
    let error = Config::load(&path).unwrap_err();
    assert!(error.hint().contains("address = "), "{error}");
    std::fs::write(&path, "#".repeat(65 * 1024)).unwrap();
    assert!(
        Config::load(&path)
            .unwrap_err()
            .to_string()
            .contains("66560 bytes")
    );
    std::fs::write(&path, "address = \"172.31.16.133\"").unwrap();
    assert!(check(&path).is_ok());
}

#[test]
fn faces_may_share_a_port_on_different_addresses_and_ask_for_any() {
    let faces = |agents: &str, enrolment: &str| {
        parse(&format!(
            "address = \"127.0.0.1\"\n[listen]\nagents = \"{agents}\"\nenrolment = \"{enrolment}\""
        ))
    };
    assert!(faces("127.0.0.1:1", "127.0.0.2:1").is_ok());
    assert!(faces("127.0.0.1:0", "127.0.0.1:0").is_ok());
    assert!(faces("127.0.0.1:1", "127.0.0.1:1").is_err());
    assert!(faces("0.0.0.0:1", "127.0.0.1:1").is_err());
}

#[test]
fn agents_may_dial_the_controller_and_then_its_standby_addresses() {
    let at = |last| SocketAddrV4::new([172, 31, 16, last].into(), 7443);
    let config = |standby: &str| {
        parse(&format!(
            "address = \"172.31.16.134\"\nstandby = [{standby}]"
        ))
        .unwrap()
    };
    assert_eq!(config("").controllers(), [at(134)]);
    // The same list may stand in every node's file, whichever of them is the controller now.
    let all = "\"172.31.16.133\", \"172.31.16.134\", \"172.31.16.135\"";
    assert_eq!(config(all).controllers(), [at(134), at(133), at(135)]);
    let many = ["\"172.31.16.133\""; 8].join(", ");
    let error = wrong(&format!("address = \"172.31.16.134\"\nstandby = [{many}]"));
    assert_eq!(
        (error.line(), error.key()),
        (Some(2), Some("standby")),
        "{error}"
    );
    assert!(error.hint().contains("name 7 at most"), "{}", error.hint());
}

#[test]
fn receivers_and_rules_of_alerts_are_told_where_they_are_wrong() {
    let receiver = |words: &str| {
        let text = format!("{ADDRESS}\n[[alerts.receivers]]\nname = \"a\"\n{words}\n");
        wrong(&text).to_string()
    };
    for (words, cause) in [
        ("kind = \"pager\"", "unknown variant"),
        ("kind = \"webhook\"", "one of `url` and `url_file`"),
        ("kind = \"webhook\"\nurl = \"ftp://a\"", "neither https://"),
        (
            "kind = \"webhook\"\nurl_file = \"a\"",
            "not an absolute path",
        ),
        (
            "kind = \"webhook\"\nurl = \"https://a\"\nhost = \"b\"",
            "belongs to the kind email",
        ),
        ("kind = \"command\"\ncommand = [\"page\"]", "absolute path"),
        (
            "kind = \"email\"\nhost = \"h\"\nfrom = \"a@b\"",
            "1 to 32 addresses",
        ),
        (
            "kind = \"email\"\nhost = \"h\"\nfrom = \"a@b.c\"\nto = [\"a@b.c\"]\ntls = \"none\"\n\
             username = \"u\"\npassword_file = \"/p\"",
            "unencrypted",
        ),
    ] {
        let told = receiver(words);
        assert!(told.contains(cause), "{words}: {told}");
    }
    for (words, cause) in [
        (
            "kind = \"command\"\ncommand = [\"/p\"]\nca_file = \"/c\"",
            "webhook or email",
        ),
        (
            "kind = \"email\"\nhost = \" \"\nfrom = \"a@b.c\"\nto = [\"a@b.c\"]",
            "needs `host`",
        ),
    ] {
        let told = receiver(words);
        assert!(told.contains(cause), "{words}: {told}");
    }
    for key in ["url_file", "token_file", "ca_file"] {
        let told = receiver(&format!("kind = \"webhook\"\n{key} = \"T0PSECRET\""));
        assert!(told.contains(&format!("`{key}` of")), "{told}");
        assert!(!told.contains("T0PSECRET"), "{told}");
    }
    let secret = "https://hooks.example.com/T0PSECRET";
    let told = receiver(&format!("kind = \"email\"\nurl = \"{secret}\""));
    assert!(!told.contains("T0PSECRET"), "{told}");
    let text = format!(
        "{ADDRESS}\n[[alerts.receivers]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"{secret}\"\n"
    );
    let config = parse(&text).unwrap();
    assert!(!format!("{config:?}").contains("T0PSECRET"));
    let error = wrong(&format!(
        "{ADDRESS}\n[alerts.rules.server-unhealty]\noff = true\n"
    ));
    assert_eq!(error.hint(), "did you mean `server-unhealthy`?");
    let windows = |zone: &str| {
        format!(
            "{ADDRESS}\n[[alerts.windows]]\nfrom = \"22:00\"\nto = \"02:00\"\nzone = \"{zone}\"\n"
        )
    };
    assert!(parse(&windows("UTC")).is_ok());
    assert!(
        wrong(&windows("Mars/Base"))
            .to_string()
            .contains("no time zone")
    );
}

#[test]
fn roles_that_alerts_name_and_nobody_has_are_told() {
    let config = parse(&format!(
        "{ADDRESS}\n[[alerts.receivers]]\nname = \"noc\"\nkind = \"webhook\"\nurl = \"https://a\"\n\
         roles = [\"media-server-only\", \"media-only\"]\n\
         [[alerts.windows]]\nfrom = \"22:00\"\nto = \"02:00\"\nrole = \"queue-only\"\n"
    ));
    let roles = crate::core::tests::bench::settings().roles;
    assert_eq!(
        config.unwrap().alerts.unknown_roles(&roles),
        [
            "receiver noc of alerts names media-only, and no role has that name",
            "a window of alerts names queue-only, and no role has that name",
        ]
    );
}
