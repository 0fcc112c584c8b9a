//! What is told of somebody else's container, and which ones are left alone.

use extend_common::ids::ServerName;
use extend_common::record::{Drain, ImageRequest, Parameters, PullPolicy, RunState};
use extend_common::roles::{RestartPolicy, RoleSet};

use super::*;
use crate::core::spec::render_given;
use crate::docker::{Container, Inspected, MountKind, Setup, SetupMount};

struct Case {
    definition: RoleDefinition,
    facts: NodeFacts,
    repositories: Vec<String>,
    image: Image,
    seen: Inspected,
}

fn name() -> ServerName {
    "media-server-1".parse().unwrap()
}

fn parameters() -> Parameters {
    Parameters {
        pbx_address: "54.151.30.9".to_owned(),
        public_address: None,
    }
}

/// A container as domain.md describes the official ones.
fn official() -> Case {
    let roles = RoleSet::built_in().unwrap();
    let definition = roles.find("media-server-only").unwrap().unwrap().clone();
    let facts = NodeFacts {
        node: "172.31.16.139".parse().unwrap(),
        data: "/var/lib/portsip".into(),
    };
    let spec = render_given(&definition, &facts, (&name(), &parameters()), "sha256:aa");
    Case {
        seen: Inspected {
            container: Container {
                id: "c0ffee".to_owned(),
                name: spec.name.clone(),
                owner: None,
                state: ContainerState::Running,
                started_at: "2026-01-01T00:00:00Z".to_owned(),
                exit_code: 0,
                oom_killed: false,
                error: String::new(),
                policy: RestartPolicy::UnlessStopped,
                restart_count: 0,
                image_id: "sha256:aa".to_owned(),
                stop_signal: String::new(),
                health: None,
                health_log: Vec::new(),
            },
            setup: Setup::official(&spec, "portsip/pbx:22"),
        },
        definition,
        facts,
        repositories: vec!["portsip/*".to_owned()],
        image: Image {
            id: "sha256:aa".to_owned(),
            repo_digests: Vec::new(),
            labels: [("product", "PBX"), ("version", "22.3.0")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            size: 0,
        },
    }
}

impl Case {
    fn examine(&self) -> Result<Found, Unfit> {
        let rules = Rules {
            definition: &self.definition,
            facts: &self.facts,
            repositories: &self.repositories,
        };
        examine(rules, &self.seen, Some(&self.image))
    }

    fn differences(&self) -> Vec<String> {
        let found = self.examine().unwrap();
        let mark = |one: &Difference| if one.usual { ' ' } else { '!' };
        let told = found.differences.iter();
        told.map(|one| format!("{} {}", mark(one), one.text))
            .collect()
    }

    fn odd(&self) -> Vec<String> {
        let mut told = self.differences();
        told.retain(|line| line.starts_with('!'));
        told
    }

    fn refused(&self) -> String {
        self.examine().unwrap_err().into_words()
    }

    fn command(&mut self, words: &[&str]) -> &mut Self {
        self.seen.setup.command = words.iter().map(ToString::to_string).collect();
        self
    }
}

#[test]
fn the_official_container_is_read_and_its_differences_are_the_known_ones() {
    let case = official();
    let found = case.examine().unwrap();
    assert_eq!((found.name, found.parameters), (name(), parameters()));
    assert_eq!(found.image.reference, "portsip/pbx:22");
    assert_eq!(found.image.version, "22.3.0");
    assert_eq!(found.instance.container_id, "c0ffee");
    let golden = [
        "  image by its tag (portsip/pbx:22), wanted by its digest",
        "  /var/lib/portsip/pbx is a volume bound to /var/lib/portsip/media-server-only, wanted a \
         plain bind mount",
        "  /etc/localtime is writable, wanted read-only",
        "  stop timeout 10 s, wanted 300 s",
        "  no log limit, wanted 5 files of 50m",
        "  labels of Docker Compose",
    ];
    assert_eq!(case.differences(), golden);
}

#[test]
fn what_we_would_make_ourselves_does_not_differ() {
    let mut case = official();
    let facts = (&name(), &parameters());
    let spec = render_given(&case.definition, &case.facts, facts, "sha256:aa");
    case.seen.setup = Setup::from(&spec);
    case.seen.setup.image = "portsip/pbx:22".to_owned();
    assert_eq!(
        case.differences(),
        ["  image by its tag (portsip/pbx:22), wanted by its digest"]
    );
}

#[test]
fn everything_else_that_differs_is_told_as_not_usual() {
    type Change = fn(&mut Setup);
    let cases: [(Change, &str); 17] = [
        (
            |s| s.user = "root".to_owned(),
            "! user root, wanted portsip",
        ),
        (|s| s.user.clear(), "! user the image's, wanted portsip"),
        (
            |s| s.entrypoint = Some(vec!["/bin/sh".to_owned()]),
            "! entrypoint /bin/sh, wanted the image's",
        ),
        (|s| s.command.push("-q".to_owned()), "! extra option -q"),
        (|s| s.command.retain(|w| w != "-E"), "! no option -E"),
        (
            |s| s.command.push("twice".to_owned()),
            "! command in another order, or with other values",
        ),
        (
            |s| s.environment.push("TOKEN=geheim".to_owned()),
            "! extra variable TOKEN",
        ),
        (
            |s| s.environment = vec!["LD_LIBRARY_PATH=/x".to_owned()],
            "! another value of LD_LIBRARY_PATH",
        ),
        (|s| s.environment.clear(), "! no variable LD_LIBRARY_PATH"),
        (
            |s| s.network = "bridge".to_owned(),
            "! network bridge, wanted host",
        ),
        (
            |s| s.capabilities.push("SYS_ADMIN".to_owned()),
            "! extra capability SYS_ADMIN",
        ),
        (
            |s| s.policy = "always".to_owned(),
            "! restart policy always, wanted unless-stopped",
        ),
        (
            |s| s.stop_timeout_seconds = Some(60),
            "! stop timeout 60 s, wanted 300 s",
        ),
        (
            |s| s.log.max_size = Some("10m".to_owned()),
            "! log limit 1 files of 10m, wanted 5 files of 50m",
        ),
        (
            |s| s.log.driver = "syslog".to_owned(),
            "! log driver syslog, wanted json-file (5 files of 50m)",
        ),
        (
            |s| s.extras.push("privileged".to_owned()),
            "! extra: privileged",
        ),
        (
            |s| {
                s.mounts.push(SetupMount {
                    kind: MountKind::Bind,
                    source: "/root".to_owned(),
                    target: "/root".to_owned(),
                    read_only: false,
                });
            },
            "! extra mount /root on /root",
        ),
    ];
    for (change, told) in cases {
        let mut case = official();
        change(&mut case.seen.setup);
        assert_eq!(case.odd(), [told]);
    }
}

#[test]
fn data_that_lies_elsewhere_is_told_for_what_it_means() {
    let mut case = official();
    let data = &mut case.seen.setup.mounts[0];
    data.source = "/var/lib/docker/volumes/pbx-data/_data".to_owned();
    assert_eq!(
        case.odd(),
        ["! /var/lib/portsip/pbx is the volume pbx-data \
             (/var/lib/docker/volumes/pbx-data/_data), wanted /var/lib/portsip/media-server-only: \
             the next upgrade will not see what lies there"]
    );
    case.seen.setup.mounts.remove(0);
    assert_eq!(
        case.odd(),
        ["! nothing mounted on /var/lib/portsip/pbx, wanted /var/lib/portsip/media-server-only"]
    );
}

#[test]
fn no_value_that_may_be_a_secret_is_told() {
    let mut case = official();
    case.seen.setup.environment.push("TOKEN=geheim".to_owned());
    case.command(&[
        "/usr/local/bin/mediaserver",
        "-a",
        "54.151.30.9",
        "-x",
        "172.31.16.139",
        "-n",
        "media-server-1",
        "-t",
        "geheim",
    ]);
    let told = format!("{:?}", case.examine());
    assert!(told.contains("-t") && !told.contains("geheim"), "{told}");
    case.command(&["/usr/local/bin/mediaserver", "-t", "geheim"]);
    assert!(!case.refused().contains("geheim"), "{}", case.refused());
}

#[test]
fn what_cannot_be_read_without_doubt_is_left_alone() {
    let binary = "/usr/local/bin/mediaserver";
    let (pbx, own) = ("54.151.30.9", "172.31.16.139");
    let good = [binary, "-a", pbx, "-x", own, "-n", "media-server-1"];
    for (words, why) in [
        (&[] as &[&str], "it has none"),
        (
            &["/bin/sleep", "inf"],
            "it does not run /usr/local/bin/mediaserver",
        ),
        (&good[..5], "it has no -n"),
        (&[binary, "-a", pbx, "-n", "x"], "it has no -x"),
        (&[binary, "-a", "-x", own, "-n", "x"], "it has no -a"),
        (
            &[binary, "-a", pbx, "-x", own, "-n", "x", "-n", "y"],
            "it has -n twice",
        ),
        (
            &[binary, "-a", pbx, "-x", own, "-n", ""],
            "`` is no server name",
        ),
    ] {
        let told = official().command(words).refused();
        let wanted = format!("its command cannot be read: {why}");
        assert!(told.starts_with(&wanted), "{words:?}: {told}");
    }
    assert!(
        official().command(&good).examine().is_ok(),
        "the order is free"
    );
}

#[test]
fn one_for_another_address_is_another_nodes_business() {
    let mut case = official();
    case.facts.node = "172.31.16.140".parse().unwrap();
    let unfit = case.examine().unwrap_err();
    assert!(matches!(unfit, Unfit::Elsewhere(_)), "{unfit:?}");
    assert!(unfit.into_words().contains("172.31.16.139"));
}

#[test]
fn images_from_elsewhere_and_of_other_products_are_left_alone() {
    let mut case = official();
    case.seen.setup.image = "evil/pbx:22".to_owned();
    assert!(
        case.refused()
            .contains("images from `evil/pbx` are not allowed")
    );
    let mut case = official();
    case.image
        .labels
        .insert("product".to_owned(), "SBC".to_owned());
    assert!(case.refused().contains("is not a PBX image"));
    // Whatever version runs is a fact.
    let mut case = official();
    case.image
        .labels
        .insert("version".to_owned(), "21.9".to_owned());
    let found = case.examine().unwrap();
    assert_eq!((found.image.version.as_str(), case.odd().len()), ("", 1));
}

#[test]
fn one_of_ours_and_one_on_its_way_out_are_left_alone() {
    let mut case = official();
    case.seen.container.owner = Some(crate::docker::Ownership {
        node: case.facts.node,
        server: name(),
        role: case.definition.role.clone(),
        deployment: Deployment(3),
    });
    assert!(case.refused().contains("labels"));
    let mut case = official();
    case.seen.container.state = ContainerState::Removing;
    assert!(case.refused().contains("removing"));
}

fn record_of(found: &Found, run_state: RunState) -> Desired {
    Desired {
        node: "172.31.16.139".parse().unwrap(),
        name: found.name.clone(),
        role: "media-server-only".parse().unwrap(),
        definition: extend_common::roles::Digest([0; 32]),
        run_state,
        deployment: Deployment(4),
        image: ImageRequest {
            reference: found.image.reference.clone(),
            pull: PullPolicy::Always,
            allow_older: false,
            pin: None,
            newest: None,
        },
        parameters: found.parameters.clone(),
        replace: None,
        secrets: Vec::new(),
        operation: None,
        adopted: Some(found.instance.container_id.clone()),
        staged: None,
        drain: Drain::Off,
    }
}

#[test]
fn a_record_must_say_what_the_second_look_shows() {
    let found = official().examine().unwrap();
    let (now, later) = (
        Stamp {
            epoch: 1,
            generation: 4,
        },
        Stamp {
            epoch: 1,
            generation: 5,
        },
    );
    let good = record_of(&found, RunState::Running);
    assert_eq!(agrees(&good, now, &found), Ok(()));
    let mut other_name = good.clone();
    other_name.name = "media-server-2".parse().unwrap();
    let mut other_pbx = good.clone();
    other_pbx.parameters.pbx_address = "10.0.0.1".to_owned();
    let mut other_image = good;
    other_image.image.reference = "portsip/pbx:21".to_owned();
    for bad in [other_name, other_pbx, other_image] {
        assert!(agrees(&bad, now, &found).is_err(), "{bad:?}");
    }
    let stopped = record_of(&found, RunState::Stopped);
    let told = agrees(&stopped, now, &found).unwrap_err();
    assert_eq!(told, "it has been started meanwhile");
    // Once it is taken over, a record may want it otherwise: the ledger was lost since.
    assert_eq!(agrees(&stopped, later, &found), Ok(()));
}

#[test]
fn a_mount_that_is_compared_keeps_its_direction() {
    let mut case = official();
    case.seen.setup.mounts[0].read_only = true;
    assert_eq!(
        case.odd(),
        ["! /var/lib/portsip/pbx is read-only, wanted writable"]
    );
}
