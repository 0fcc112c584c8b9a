//! A controller with a PBX: what a `run` leads to there, and that its end waits for nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use extend_pbx_standin::{After, Fault, Options, StandIn, What};
use extend_proto::v1;

use super::support::{Controller, Place, Session, hello, node};

/// A PBX, and a controller that knows it.
pub(super) async fn with_pbx(place: &Place) -> (StandIn, Controller) {
    let standin = StandIn::start(Options::default()).await.unwrap();
    let at = |name: &str| place.root().join(name);
    fs::write(at("pbx.crt"), standin.pem()).unwrap();
    fs::write(at("pbx.password"), "correct horse\n").unwrap();
    fs::set_permissions(at("pbx.password"), fs::Permissions::from_mode(0o600)).unwrap();
    let text = place.config_text();
    let keys = format!(
        "pbx.api = \"{}\"\npbx.username = \"extend\"\npbx.password_file = \"{}\"\n\
         pbx.certificate = \"{}\"\npbx.poll = \"200ms\"\n",
        standin.url(),
        at("pbx.password").display(),
        at("pbx.crt").display(),
    );
    let text = text.replacen("[listen]", &format!("{keys}[listen]"), 1);
    let controller = place.start_with(&text).await;
    (standin, controller)
}

/// Waits until it is so at the PBX.
async fn until(standin: &StandIn, so: impl Fn(&mut extend_pbx_standin::State) -> bool) {
    let begun = Instant::now();
    while !so(&mut standin.state()) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            standin.state().changes()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_run_registers_the_server_and_lets_its_addresses_in() {
    let place = Place::new();
    let (standin, controller) = with_pbx(&place).await;
    until(&standin, |state| {
        state.record.iter().any(|call| call.path == "/admin/status")
    })
    .await;
    let agent = controller.joined(node(7)).await;
    let roles = extend_common::roles::RoleSet::built_in().unwrap();
    let mut first = agent.hello();
    first.definitions = roles
        .iter()
        .map(|role| v1::DefinitionDigest {
            role: role.role.to_string(),
            digest: role.digest().to_string(),
        })
        .collect();
    // One that cannot look at its host is not asked to, and not waited for.
    first.abilities = extend_common::ability::ALL
        .iter()
        .filter(|ability| **ability != extend_common::ability::CHECKUP)
        .map(ToString::to_string)
        .collect();
    let mut session = Session::begin(agent.agent().await).await.unwrap();
    session.say(hello(first)).await;
    session.hear().await.unwrap();
    let run = v1::SubmitRequest {
        request_id: "01JD8M3Q4T00000000005NZQ8P".to_owned(),
        verb: v1::Verb::Run.into(),
        selector: Some(v1::Selector {
            role: "media-server-only".to_owned(),
            name: "media1".to_owned(),
            nodes: vec![node(7).to_string()],
        }),
        public_address: "54.215.234.52".to_owned(),
        confirmed: true,
        ..v1::SubmitRequest::default()
    };
    controller.operator().await.submit(run).await.unwrap();
    until(&standin, |state| state.named("media1").count() == 1).await;
    until(&standin, |state| {
        let cidrs = state.let_in_now();
        cidrs.contains("127.0.1.7/32") && cidrs.contains("54.215.234.52/32")
    })
    .await;
    assert_eq!(standin.state().violations, Vec::<String>::new());
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn a_pbx_that_does_not_answer_holds_up_nobody_at_the_end() {
    let place = Place::new();
    let (standin, controller) = with_pbx(&place).await;
    standin.state().faults.push(Fault {
        method: None,
        path: String::new(),
        ending: String::new(),
        times: None,
        what: What::Apply(After::Silence),
    });
    let asked = standin.state().record.len();
    until(&standin, |state| state.record.len() > asked).await;
    let begun = Instant::now();
    controller.daemon.shutdown().await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}
