//! Which image is the way back, and which ones go: one deployment's image is kept for the next.

use super::*;

impl Life {
    /// An upgrade to the image of a version, by its steps about images.
    fn upgrade(&mut self, version: &str) -> Vec<String> {
        self.image = version.to_owned();
        self.log.clear();
        self.assign(|desired, generation| {
            desired.deployment = Deployment(generation);
            desired.adopted = None;
        })
        .settle();
        let about_images = |step: &String| step.contains("sha256");
        let steps = std::mem::take(&mut self.log).into_iter();
        steps.filter(about_images).collect()
    }

    fn previous(&self) -> Option<&str> {
        self.entry.previous.as_ref().map(|i| i.version.as_str())
    }
}

const NOTHING: [String; 0] = [];

#[test]
fn the_image_before_stays_and_the_one_before_that_goes() {
    let mut life = Life::running();
    assert_eq!(life.previous(), None);
    assert_eq!(life.upgrade("22.4"), NOTHING);
    assert_eq!(life.previous(), Some("22.3"));
    assert_eq!(life.upgrade("22.5"), ["remove portsip/pbx@sha256:22.3"]);
    assert_eq!(life.previous(), Some("22.4"));
    // Back again: the one that failed people is the way forward.
    assert_eq!(life.upgrade("22.4"), NOTHING);
    assert_eq!(life.previous(), Some("22.5"));
    assert_eq!(life.upgrade("22.6"), ["remove portsip/pbx@sha256:22.5"]);
}

#[test]
fn it_goes_only_when_the_record_has_come_to_its_end() {
    let mut life = Life::running();
    life.upgrade("22.4");
    life.image = "22.5".to_owned();
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    let end = life.log.iter().position(|step| step == "settle Succeeded");
    let gone = life.log.iter().position(|step| step.contains("sha256"));
    assert!(end.unwrap() < gone.unwrap(), "{:?}", life.log);
}

#[test]
fn an_upgrade_that_finds_nothing_or_fails_changes_neither() {
    let mut life = Life::running();
    life.upgrade("22.4");
    assert_eq!(life.upgrade("22.4"), NOTHING, "nothing to change");
    assert_eq!(life.previous(), Some("22.3"));
    life.crashes = vec!["22.5".to_owned()];
    assert_eq!(life.upgrade("22.5"), NOTHING, "rolled back");
    assert_eq!(life.outcome().0, OutcomeKind::RolledBack);
    assert_eq!(life.previous(), Some("22.3"));
    // What failed is not needed once another has succeeded.
    let gone = life.upgrade("22.6");
    let expected = [
        "remove portsip/pbx@sha256:22.3",
        "remove portsip/pbx@sha256:22.5",
    ];
    assert_eq!(gone, expected);
    assert_eq!(life.previous(), Some("22.4"));
}

#[test]
fn what_the_agent_has_not_fetched_stays() {
    let mut life = Life::adopted();
    life.upgrade("22.4");
    let taken_over = life.previous().map(str::to_owned);
    assert_eq!(taken_over.as_deref(), Some("22.3"));
    assert_eq!(life.upgrade("22.5"), NOTHING, "PortSIP's script has it");
    assert_eq!(life.upgrade("22.6"), ["remove portsip/pbx@sha256:22.4"]);
}

#[test]
fn what_somebody_uses_stays_and_is_tried_again_after_the_next_deployment() {
    let mut life = Life::running();
    life.upgrade("22.4");
    life.in_use = vec!["portsip/pbx@sha256:22.3".to_owned()];
    assert_eq!(life.upgrade("22.5"), ["remove portsip/pbx@sha256:22.3"]);
    assert_eq!(life.outcome().0, OutcomeKind::Succeeded);
    life.settle();
    assert_eq!(life.log, NOTHING, "once is enough");
    life.in_use.clear();
    let gone = life.upgrade("22.6");
    assert_eq!(gone.len(), 2, "{gone:?}");
}

#[test]
fn a_docker_that_does_not_answer_is_not_asked_for_ever() {
    let mut life = Life::running();
    life.upgrade("22.4");
    life.pulling = true;
    life.upgrade("22.5");
    assert!(matches!(life.decide().next, Planned::Meanwhile(..)));
    life.aside = Some(Trouble {
        stamp: life.entry.record.id.stamp,
        kind: StepKind::RemoveImage,
        tries: MAX_TRIES,
        reason: "docker does not answer".to_owned(),
    });
    assert_eq!(life.decide().next, Planned::Wait(None));
    assert_eq!(life.outcome(), (OutcomeKind::Succeeded, ""));
}

#[test]
fn what_was_fetched_ahead_and_never_deployed_goes_with_the_next_success() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.assign(|desired, _| desired.staged = Some(desired.image.clone()))
        .settle();
    life.assign(|_, _| {}).settle();
    let gone = life.upgrade("22.5");
    assert_eq!(gone, ["remove portsip/pbx@sha256:22.4"]);
    assert_eq!(life.previous(), Some("22.3"));
}

#[test]
fn a_removed_server_has_no_way_back() {
    let mut life = Life::running();
    life.upgrade("22.4");
    life.assign(|desired, _| desired.run_state = RunState::Removed)
        .settle();
    assert_eq!(life.previous(), None);
}
