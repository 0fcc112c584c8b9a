//! `extend adopt`: what is sent, and how a plan with differences is shown.

use extend_proto::v1;

use crate::fixtures;
use crate::harness::Place;
use crate::stub::OnSubmit;

fn difference(text: &str, usual: bool) -> v1::Difference {
    v1::Difference {
        text: text.to_owned(),
        usual,
    }
}

/// One server with two differences, one as it should be.
fn plan() -> Vec<v1::PlannedTarget> {
    let mut plan = vec![fixtures::plan()[2].clone(), fixtures::plan()[3].clone()];
    plan[0].summary =
        "take over portsip.mediaserver as it is: container deadbeef0123 of portsip/pbx:22, running"
            .to_owned();
    plan[0].wave = 0;
    plan[0].differences = vec![
        difference(
            "restart policy \u{1b}[2Jalways, wanted unless-stopped",
            false,
        ),
        difference("stop timeout 10 s, wanted 300 s", true),
    ];
    plan[1].summary = "already taken over".to_owned();
    plan
}

fn answering(operation: Option<v1::Operation>) -> Place {
    let place = Place::new();
    let plan = plan();
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse { plan, operation })]);
    place
}

#[test]
fn addresses_or_all_are_sent() {
    for (line, nodes) in [
        ("adopt -a 172.31.16.139", vec!["172.31.16.139"]),
        (
            "adopt -a 172.31.16.140,172.31.16.139 -m day-one",
            vec!["172.31.16.139", "172.31.16.140"],
        ),
        ("adopt --all", vec![]),
    ] {
        let place = Place::new();
        let ran = place.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        let submit = place.script.only_submit();
        assert_eq!(submit.verb(), v1::Verb::Adopt, "{line}");
        let selector = submit.selector.unwrap();
        assert_eq!(selector.nodes, nodes, "{line}");
        assert!(selector.role.is_empty() && selector.name.is_empty());
    }
}

#[test]
fn it_does_not_guess_which_servers_are_meant() {
    for line in [
        "adopt",
        "adopt --all -a 172.31.16.139",
        "adopt -n media-server-1",
        "adopt -a media-server-1",
    ] {
        let place = Place::new();
        let ran = place.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.err);
        assert!(ran.err.contains("hint:"), "{line}: {}", ran.err);
        assert!(line != "adopt" || ran.err.contains("--all"), "{}", ran.err);
        assert!(place.script.submits().is_empty(), "{line}");
    }
}

#[test]
fn a_plan_shows_the_differences_and_marks_the_unusual_ones() {
    let place = answering(None);
    let ran = place.run("adopt --all --plan");
    assert_eq!(ran.code, 10, "{}", ran.err);
    assert!(place.script.only_submit().plan_only);
    insta::assert_snapshot!(ran.out, @r"
    NAME            TYPE               ADDRESS
    media-server-1  media-server-only  172.31.16.139
    ivr-server-1    vr-server-only     172.31.16.140

    media-server-1:
      take over portsip.mediaserver as it is: container deadbeef0123 of portsip/pbx:22, running
      image portsip/pbx:22
    ivr-server-1:
      none: already taken over

    media-server-1 (172.31.16.139) is not as an upgrade will make it (!: nor as the official script makes it):
      ! restart policy \u{1b}[2Jalways, wanted unless-stopped
        stop timeout 10 s, wanted 300 s
    ");
    assert_eq!(ran.err, "adopt: 1 of 2 servers would change\n");
    let document: serde_json::Value =
        serde_json::from_str(&answering(None).run("adopt --all --plan -o json").out).unwrap();
    let told = &document["plan"][0]["differences"];
    assert_eq!(told[1]["text"], "stop timeout 10 s, wanted 300 s");
    assert_eq!(
        (&told[0]["usual"], &told[1]["usual"]),
        (&false.into(), &true.into())
    );
    assert_eq!(document["plan"][1].get("differences"), None);
}

#[test]
fn what_is_unusual_is_told_when_it_is_taken_over() {
    let place = answering(Some(fixtures::succeeded()));
    let ran = place.run("adopt -a 172.31.16.139,172.31.16.140");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let wanted = "media-server-1 (172.31.16.139) is not as the official script makes it: restart \
                  policy";
    assert!(ran.err.contains(wanted), "{}", ran.err);
    assert!(
        !ran.err.contains("stop timeout") && !ran.err.contains('\u{1b}'),
        "{}",
        ran.err
    );
}
