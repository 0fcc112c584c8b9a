//! The official container, from its description in domain.md §2.1 and the differences that are
//! wanted; nothing here is taken from the role definitions.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use extend_tests::real::fleet::PBX;
use extend_tests::real::{Fleet, Server};
use serde_json::json;

/// The id of the image that a reference names now.
pub(crate) fn image_id(fleet: &Fleet) -> String {
    let reference = "extend.test/pbx:22";
    fleet
        .engine()
        .docker(&["image", "inspect", "--format", "{{.Id}}", reference])
}

/// What domain.md §2.1 says about the container of each of the four roles, and what is wanted
/// beyond it.
pub(crate) fn assert_official(fleet: &Fleet, server: Server) {
    let seen = fleet.engine().inspect(server.container);
    let story = format!(
        "the container of {}, as the official script makes it",
        server.name
    );
    let (config, host) = (&seen["Config"], &seen["HostConfig"]);
    let command = json!([
        server.binary,
        "-D",
        "/var/lib/portsip/pbx",
        "-E",
        "-a",
        PBX,
        "-x",
        server.node,
        "-n",
        server.name,
        "start",
    ]);
    assert_eq!(config["Cmd"], command, "{story}");
    let entrypoint = json!(["/usr/local/bin/entrypoint"]);
    assert_eq!(
        config["Entrypoint"], entrypoint,
        "{story}: the image's entrypoint stays"
    );
    assert_eq!(config["User"], "portsip", "{story}");
    let environment = config["Env"].as_array().unwrap();
    let library = json!("LD_LIBRARY_PATH=/usr/local/lib");
    assert!(environment.contains(&library), "{story}: {environment:?}");
    assert_eq!(
        environment.len(),
        2,
        "{story}: and the image's own: {environment:?}"
    );
    assert_eq!(host["NetworkMode"], "host", "{story}");
    assert_eq!(host["CapAdd"], json!(["SYS_PTRACE"]), "{story}");
    assert_eq!(host["Privileged"], false, "{story}");
    assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped", "{story}");

    let source = fleet
        .data(server.node)
        .join(server.role)
        .display()
        .to_string();
    let mut mounts: Vec<_> = seen["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| {
            json!([
                mount["Type"],
                mount["Source"],
                mount["Destination"],
                mount["RW"]
            ])
        })
        .collect();
    mounts.sort_by_key(|mount| mount[2].to_string());
    let expected = [
        json!(["bind", "/etc/localtime", "/etc/localtime", false]),
        json!(["bind", source, "/var/lib/portsip/pbx", true]),
    ];
    assert_eq!(mounts, expected, "{story}");

    let wanted = "what is wanted beyond the official container";
    assert_eq!(config["StopTimeout"], 300, "{wanted}");
    let log = json!({ "Type": "json-file", "Config": { "max-size": "50m", "max-file": "5" } });
    assert_eq!(host["LogConfig"], log, "{wanted}");
    assert_eq!(
        config["Image"],
        image_id(fleet),
        "{wanted}: the image by its id, not by its tag"
    );
    let labels = &config["Labels"];
    assert_eq!(labels["io.extend.node"], server.node, "{wanted}");
    let compose = labels
        .as_object()
        .unwrap()
        .keys()
        .any(|key| key.contains("compose"));
    assert!(!compose, "{wanted}: no labels of compose: {labels}");
    assert_directories(&fleet.data(server.node), server);
}

fn assert_directories(data: &Path, server: Server) {
    let look = |path: &Path| {
        let found = fs::metadata(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        (found.mode() & 0o7777, found.uid(), found.gid())
    };
    assert_eq!(look(data).0, 0o755, "the data directory itself");
    let own = data.join(server.role);
    for below in ["", "callqueue", "dump", "log", "mcu", "mcu/record"] {
        let path = own.join(below);
        assert_eq!(look(&path), (0o755, 888, 888), "{}", path.display());
    }
}
