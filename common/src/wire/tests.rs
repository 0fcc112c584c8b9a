//! Round trips, and hostile messages.

use extend_proto::v1;

use super::*;
use crate::record::{
    Deployment, Desired, Drain, ImageRequest, Instance, Parameters, PullPolicy, RunState,
    SecretVersion, ServerRecord, Stamp,
};
use crate::roles::Digest;
use crate::status::{ContainerState, Difference, Found, ResolvedImage, Unclaimed};

fn record() -> ServerRecord {
    ServerRecord::seal(
        Stamp {
            epoch: 3,
            generation: 7,
        },
        Desired {
            node: "172.31.16.139".parse().unwrap(),
            name: "media-server-1".parse().unwrap(),
            role: "media-server-only".parse().unwrap(),
            definition: Digest([7; 32]),
            run_state: RunState::Running,
            deployment: Deployment(5),
            image: ImageRequest {
                reference: "portsip/pbx:22".to_owned(),
                pull: PullPolicy::Always,
                allow_older: false,
                pin: None,
                newest: None,
            },
            parameters: Parameters {
                pbx_address: "54.151.30.9".to_owned(),
                public_address: Some("54.215.234.52".parse().unwrap()),
            },
            replace: Some(Instance {
                container_id: "ab".repeat(32),
                started_at: "t".to_owned(),
            }),
            secrets: vec![SecretVersion {
                name: "token".to_owned(),
                version: 2,
            }],
            operation: None,
            adopted: Some("cd".repeat(32)),
            staged: Some(ImageRequest {
                reference: "portsip/pbx:22".to_owned(),
                pull: PullPolicy::Always,
                allow_older: true,
                pin: Some("portsip/pbx@sha256:ab".to_owned()),
                newest: Some("22.6.3".to_owned()),
            }),
            drain: Drain::First {
                limit_seconds: 1800,
            },
        },
    )
}

#[test]
fn a_record_survives_the_wire() {
    let wire = v1::ServerRecord::from(record());
    assert_eq!(ServerRecord::try_from(wire).unwrap(), record());
}

#[test]
fn a_record_with_an_unknown_or_missing_field_is_an_error_and_never_a_default() {
    let broken: [fn(&mut v1::ServerRecord); 12] = [
        |r| r.staged.as_mut().unwrap().newest = "2".repeat(65),
        |r| r.drain.as_mut().unwrap().mode = 0,
        |r| r.drain.as_mut().unwrap().mode = 99,
        |r| r.run_state = 0,
        |r| r.run_state = 99,
        |r| r.image = None,
        |r| r.id = None,
        |r| r.node = "::1".to_owned(),
        |r| r.definition_digest = "00".to_owned(),
        |r| r.id.as_mut().unwrap().hash.truncate(31),
        |r| r.adopted = "../../volumes".to_owned(),
        |r| r.adopted = "c".repeat(129),
    ];
    for (index, break_it) in broken.iter().enumerate() {
        let mut wire = v1::ServerRecord::from(record());
        break_it(&mut wire);
        assert!(ServerRecord::try_from(wire).is_err(), "case {index}");
    }
}

#[test]
fn a_record_that_adopts_nothing_is_written_as_before_there_was_adoption() {
    let mut record = record();
    record.desired.adopted = None;
    let text = serde_json::to_string(&record).unwrap();
    assert!(!text.contains("adopted"), "{text}");
    assert_eq!(serde_json::from_str::<ServerRecord>(&text).unwrap(), record);
}

#[test]
fn a_record_without_a_bound_keeps_its_hash() {
    let mut record = record();
    record.desired.staged.as_mut().unwrap().newest = None;
    let text = serde_json::to_string(&record).unwrap();
    assert!(!text.contains("newest"), "{text}");
    // As it was sealed before there was a bound.
    let hash = ServerRecord::seal(record.id.stamp, record.desired).id.hash;
    assert_eq!(
        hash.to_string(),
        "ba719175c09451d74c27f35e09b0bf73faf1bf81dcdce77fc7fc481375a2bffd"
    );
}

#[test]
fn an_unclaimed_container_survives_the_wire_and_is_bounded() {
    let found = Found {
        name: "media-server-1".parse().unwrap(),
        parameters: record().desired.parameters,
        instance: record().desired.replace.unwrap(),
        state: ContainerState::Running,
        image: ResolvedImage {
            reference: "portsip/pbx:22".to_owned(),
            identity: "sha256:00".to_owned(),
            version: "22.3".to_owned(),
        },
        differences: vec![Difference {
            text: "stop timeout 10 s, wanted 300 s".to_owned(),
            usual: true,
        }],
    };
    let unclaimed = Unclaimed {
        container_name: "portsip.mediaserver".to_owned(),
        container_id: "ab".repeat(32),
        role: "media-server-only".parse().unwrap(),
        found: Ok(Box::new(found)),
    };
    let wire = v1::Unclaimed::from(unclaimed.clone());
    assert_eq!(Unclaimed::try_from(wire.clone()).unwrap(), unclaimed);
    let mut hostile = wire.clone();
    let differences = &mut hostile.found.as_mut().unwrap().differences;
    *differences = vec![
        v1::Difference {
            text: "\u{1b}x".repeat(1000),
            usual: false,
        };
        1000
    ];
    let read = Unclaimed::try_from(hostile).unwrap().found.unwrap();
    assert_eq!(read.differences.len(), 24);
    let text = &read.differences[0].text;
    assert!(text.len() < 1000 && !text.contains('\u{1b}'), "{text}");
    let old = v1::Unclaimed {
        found: None,
        ..wire
    };
    let why = Unclaimed::try_from(old).unwrap().found.unwrap_err();
    assert!(why.contains("older"), "{why}");
}

#[test]
fn a_seal_depends_on_stamp_and_content() {
    let one = record();
    let other_stamp = ServerRecord::seal(
        Stamp {
            epoch: 3,
            generation: 8,
        },
        one.desired.clone(),
    );
    assert_ne!(one.id.hash, other_stamp.id.hash);
    let mut desired = one.desired.clone();
    desired.run_state = RunState::Stopped;
    assert_ne!(
        one.id.hash,
        ServerRecord::seal(one.id.stamp, desired).id.hash
    );
    assert_eq!(one.id.hash, record().id.hash);
}

#[test]
fn texts_from_nodes_are_bounded_and_cannot_steer_a_terminal() {
    let text = shown_text("\u{1b}]0;owned\u{7}".to_owned() + &"ä".repeat(4000));
    assert!(text.len() < 2200 && !text.contains('\u{1b}') && !text.contains('\u{7}'));
    let lines = bounded_log_tail((0..100).map(|n| format!("line {n}")).collect());
    assert_eq!(lines.len(), MAX_LOG_LINES);
    assert_eq!(lines.last().unwrap(), "line 99");
}
