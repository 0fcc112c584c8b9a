//! The built-in roles against the facts of the official scripts, and the rules of definitions.

use std::path::Path;

use super::*;

#[test]
fn the_built_in_roles_are_the_official_containers() {
    let set = RoleSet::built_in().unwrap();
    let official = [
        (
            "media-server-only",
            "portsip.mediaserver",
            "/usr/local/bin/mediaserver",
            "8840-8845",
        ),
        (
            "queue-server-only",
            "portsip.callqueue",
            "/usr/local/bin/callqueue",
            "8916-8921",
        ),
        (
            "meeting-server-only",
            "portsip.conference",
            "/usr/local/bin/conf",
            "8928-8933",
        ),
        (
            "vr-server-only",
            "portsip.virtualreceptionist",
            "/usr/local/bin/vr",
            "8922-8927",
        ),
    ];
    assert_eq!(set.iter().count(), official.len());
    for (role, container, binary, ports) in official {
        let definition = set.find(role).unwrap().unwrap();
        let main = definition.main_container();
        assert_eq!(main.name, container);
        assert_eq!(
            main.command,
            [
                binary,
                "-D",
                "/var/lib/portsip/pbx",
                "-E",
                "-a",
                "{pbx_address}",
                "-x",
                "{node}",
                "-n",
                "{name}",
                "start"
            ]
        );
        let probed = definition.probes[0].tcp_ports().unwrap();
        assert_eq!(probed.to_string(), ports);
        assert_eq!(main.mounts[0].source, format!("{{data}}/{role}"));
        assert_eq!(set.by_container(container).unwrap().role.as_str(), role);
    }
}

#[test]
fn the_guide_writes_two_words_for_ivr() {
    let set = RoleSet::built_in().unwrap();
    for word in ["vr-server-only", "ivr-server-only"] {
        assert_eq!(
            set.find(word).unwrap().unwrap().role.as_str(),
            "vr-server-only"
        );
    }
    assert!(set.find("im-server-only").unwrap().is_none());
}

#[test]
fn a_digest_follows_the_content_and_not_the_layout() {
    let text = include_str!("builtin/media-server-only.toml");
    let digest = |text: &str| {
        RoleDefinition::parse(Path::new("media.toml"), text)
            .unwrap()
            .digest()
    };
    assert_eq!(
        digest(text),
        digest(&format!("# another comment\n\n{text}"))
    );
    assert_ne!(digest(text), digest(&text.replace("300s", "301s")));
}

#[test]
fn a_definition_that_breaks_a_rule_is_refused() {
    let text = include_str!("builtin/media-server-only.toml");
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        RoleDefinition::parse(Path::new("media.toml"), &text.replace(from, to)).unwrap_err()
    };
    let line = |needle: &str| text.lines().position(|line| line.contains(needle)).unwrap() + 1;
    let placeholder = refused("{pbx_address}", "{pbx}");
    assert_eq!(
        placeholder.to_string(),
        format!(
            "reading the role definition media.toml, line {}: `{{pbx}}` is no placeholder (in \
             `{{pbx}}`)",
            line("{pbx_address}")
        )
    );
    assert!(!placeholder.hint().is_empty());
    let unknown = refused("stop_grace", "stop_grase");
    assert_eq!(unknown.key(), Some("timing.stop_grase"));
    assert_eq!(unknown.line(), Some(line("stop_grace")));
    assert_eq!(unknown.hint(), "did you mean `stop_grace`?");
    let short = RoleDefinition::parse(Path::new("media.toml"), &text[..text.len() / 2]);
    assert!(short.is_err(), "a definition that is cut short");
    refused("portsip.mediaserver", "portsip/mediaserver");
    refused("8840-8845", "8845-8840");
    refused("[timing]", "[timing]\nsurprise = 1");
    refused("{data}/media-server-only/dump", "{data}/../etc");
    refused("interval = \"5s\"", "interval = \"0s\"");
    let tcp = "kind = \"tcp\"";
    let twice = refused(
        "kind = \"udp\"\nports = \"8840-8845\"",
        &format!("{tcp}\nports = \"8840-8841\""),
    );
    assert!(twice.to_string().contains("asked by two probes"), "{twice}");
    let named = refused("{data}/media-server-only/dump", "{data}/{name}");
    assert!(
        named.to_string().contains("no placeholder for a directory"),
        "{named}"
    );
    let parameter = "net.ipv4.ip_unprivileged_port_start";
    for (from, to) in [
        (parameter, "kernel.core_pattern"),
        (parameter, "net"),
        (parameter, "net.ipv4/../../kernel"),
        (parameter, "net..ipv4"),
        ("= \"0\" }", "= \"0\\nnet.ipv4.ip_forward = 1\" }"),
        ("= \"0\" }", "= \"\" }"),
    ] {
        let words = refused(from, to).to_string();
        assert!(words.contains("kernel parameter"), "{words}");
    }
}

#[test]
fn what_a_role_changes_on_its_host_is_told_in_a_few_lines() {
    let set = RoleSet::built_in().unwrap();
    let media = set.find("media-server-only").unwrap().unwrap();
    assert_eq!(
        media.host_changes(),
        [
            "directory {data} (755)",
            "directory {data}/media-server-only (755 888:888), with callqueue, dump, log, mcu, \
             mcu/record",
            "kernel parameter net.ipv4.ip_unprivileged_port_start = 0",
            "firewalld service extend-media-server-only, where firewalld runs: 35000-65000/udp \
             8840-8845/udp 8840-8845/tcp",
        ]
    );
    assert_eq!(
        media.host_reversals(),
        [
            "kernel parameter net.ipv4.ip_unprivileged_port_start: as it was before",
            "firewalld service extend-media-server-only: removed",
        ]
    );
    let mut bare = media.clone();
    bare.host = HostDefinition::default();
    bare.firewall = FirewallDefinition::default();
    assert_eq!(bare.host_changes().len(), 2);
    assert!(bare.host_reversals().is_empty());
}

#[test]
fn the_administrators_files_replace_and_extend() {
    let directory = tempfile::tempdir().unwrap();
    let text = include_str!("builtin/media-server-only.toml");
    std::fs::write(
        directory.path().join("media.toml"),
        text.replace("300s", "60s"),
    )
    .unwrap();
    std::fs::write(directory.path().join("note.txt"), "not a role").unwrap();
    let set = RoleSet::load(directory.path()).unwrap();
    let media = set.find("media-server-only").unwrap().unwrap();
    assert_eq!(media.timing.stop_grace.as_secs(), 60);
    assert_eq!(set.iter().count(), 4);

    let path = directory.path().join("second.toml");
    std::fs::write(&path, text).unwrap();
    let twice = RoleSet::load(directory.path()).unwrap_err();
    let words = twice.to_string();
    assert!(
        words.contains("media.toml") && words.contains("second.toml"),
        "neither of two files is chosen: {words}"
    );
    assert!(!twice.hint().is_empty());
    let alias = text
        .replace("\"media-server-only\"", "\"media2-server-only\"")
        .replace("aliases = []", "aliases = [\"ivr-server-only\"]");
    std::fs::write(&path, alias).unwrap();
    let words = RoleSet::load(directory.path()).unwrap_err().to_string();
    assert!(words.contains("`ivr-server-only`"), "{words}");

    std::fs::write(&path, "role = ").unwrap();
    let words = RoleSet::load(directory.path()).unwrap_err().to_string();
    assert!(words.contains("second.toml, line 1"), "{words}");
    std::fs::write(&path, [0xff_u8; 9]).unwrap();
    let words = RoleSet::load(directory.path()).unwrap_err().to_string();
    assert!(words.contains("second.toml"), "{words}");
}
