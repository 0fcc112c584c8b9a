//! What has answered somewhere is to answer there again: the next run, and the next version.

use std::time::Duration;

use extend_common::roles::{Point, Transport};
use extend_common::status::{Health, WarningKind};

use super::*;

const TCP: Point = Point::Tcp(8840);
const SIP: Point = Point::Sip(Transport::Udp, 8916);

impl Life {
    /// From now on it answers there, and not there.
    fn hears(&mut self, answered: &[Point], silent: &[Point]) {
        let now = self.now;
        self.signs.answered = answered.iter().map(|point| (*point, now)).collect();
        self.signs.silent = silent.iter().copied().collect();
        self.signs.unasked.clear();
    }

    /// A server whose every point has answered.
    fn that_answers_everywhere() -> Self {
        let mut life = Self::new();
        life.hears(&[TCP, SIP], &[]);
        life.settle();
        life.log.clear();
        life
    }

    fn asks_for(&mut self, image: &str) -> &mut Self {
        self.image = image.to_owned();
        self.assign(|desired, generation| desired.deployment = Deployment(generation))
    }

    fn wait_for_window(&mut self) {
        let window = self.roles.get(&role()).unwrap().timing.start_window;
        self.now = after(self.seen, window);
    }

    fn answered(&self) -> Vec<Point> {
        let serving = self.entry.serving.as_ref().unwrap();
        serving.answered.iter().copied().collect()
    }
}

#[test]
fn a_version_that_is_deaf_where_the_one_before_was_not_goes_back() {
    let mut life = Life::that_answers_everywhere();
    life.asks_for("22.4").hears(&[TCP], &[SIP]);
    let begun = life.now;
    life.settle();
    assert_eq!(
        life.outcome(),
        (
            OutcomeKind::RolledBack,
            "no answer to SIP OPTIONS on udp/8916, where the version before answered"
        )
    );
    let current = life.observed.current.as_ref().unwrap();
    assert_eq!(current.image_id, "22.3");
    assert!(
        extend_common::clock::since(begun, life.now) >= Duration::from_secs(60),
        "it had the whole of its start to answer there"
    );
}

#[test]
fn a_version_that_answers_there_late_is_taken() {
    let mut life = Life::that_answers_everywhere();
    life.asks_for("22.4").hears(&[TCP], &[SIP]);
    while life.next() != Next::Wait(Some(after(life.seen, Duration::from_secs(60)))) {
        match life.next() {
            Next::Do(step) => life.apply(&step),
            Next::Wait(until) => life.pass_until(until.unwrap()),
        }
    }
    life.hears(&[TCP, SIP], &[]);
    life.settle();
    assert_eq!(life.outcome(), (OutcomeKind::Succeeded, ""));
    assert_eq!(life.answered(), [TCP, SIP]);
}

#[test]
fn what_never_answered_there_is_not_held_against_the_next_version() {
    let mut life = Life::new();
    life.hears(&[TCP], &[SIP]);
    life.settle();
    life.asks_for("22.4").settle();
    assert_eq!(life.outcome(), (OutcomeKind::Succeeded, ""));
}

#[test]
fn a_point_that_nobody_asks_any_more_is_not_missed() {
    let mut life = Life::that_answers_everywhere();
    life.asks_for("22.4").hears(&[TCP], &[]);
    life.settle();
    assert_eq!(life.outcome(), (OutcomeKind::Succeeded, ""));
}

impl Life {
    /// An operator has it restarted.
    fn asks_for_restart(&mut self) {
        let current = self.observed.current.as_ref().map(Container::instance);
        self.assign(|desired, _| desired.replace = current);
    }
}

#[test]
fn a_restart_that_comes_back_deaf_to_sip_is_unhealthy_and_not_restarted_again() {
    let mut life = Life::that_answers_everywhere();
    life.asks_for_restart();
    life.hears(&[TCP], &[SIP]);
    life.settle();
    let lost = "no answer to SIP OPTIONS on udp/8916, where it answered before";
    assert_eq!(life.outcome(), (OutcomeKind::Succeeded, lost));
    let told = life.told();
    assert_eq!((told.health, &*told.reason), (Health::Unhealthy, lost));
    assert_eq!(told.warnings, [], "it is said once");
    life.log.clear();
    life.now = after(life.now, Duration::from_secs(3600));
    life.settle();
    assert_eq!(life.log, Vec::<String>::new());
    life.hears(&[TCP, SIP], &[]);
    assert_eq!(life.told().health, Health::Healthy);
}

#[test]
fn one_that_answers_to_sip_and_not_at_another_point_is_healthy_with_a_warning() {
    let mut life = Life::that_answers_everywhere();
    life.asks_for_restart();
    life.hears(&[SIP], &[TCP]);
    life.settle();
    let told = life.told();
    assert_eq!(told.health, Health::Healthy);
    let warnings: Vec<_> = told.warnings.iter().map(|w| (w.kind, &*w.reason)).collect();
    let lost = "no answer on tcp/8840, where it answered before";
    assert_eq!(warnings, [(WarningKind::Probe, lost)]);
    life.hears(&[TCP, SIP], &[]);
    assert_eq!(life.told().warnings, []);
}

#[test]
fn until_its_start_is_over_what_does_not_answer_everywhere_again_is_starting() {
    let mut life = Life::that_answers_everywhere();
    life.hang();
    while life.next() != Next::Wait(None) && life.entry.restarts_total == 0 {
        match life.next() {
            Next::Do(step) => life.apply(&step),
            Next::Wait(until) => life.pass_until(until.unwrap()),
        }
    }
    life.hears(&[TCP], &[]);
    life.signs.unasked = [SIP].into();
    life.verdict = Verdict::Healthy;
    life.seen = life.now;
    assert_eq!(life.told().health, Health::Starting, "not asked yet");
    life.hears(&[TCP], &[SIP]);
    let told = life.told();
    assert_eq!(
        (told.health, &*told.reason),
        (
            Health::Starting,
            "it answers; not yet at sip udp/8916, where it did before"
        )
    );
    life.wait_for_window();
    let told = life.told();
    assert_eq!(told.health, Health::Unhealthy);
    assert_eq!(
        told.reason,
        "no answer to SIP OPTIONS on udp/8916, where it answered before; restarted by the agent: \
         no answer on tcp/8840 for 3 × 5s"
    );
}

#[test]
fn an_answer_that_came_during_the_start_is_written_once_the_start_is_over() {
    let mut life = Life::new();
    life.hears(&[TCP], &[SIP]);
    life.settle();
    life.hears(&[TCP, SIP], &[]);
    assert_eq!(life.next(), Next::Wait(None));
    life.wait_for_window();
    life.log.clear();
    life.settle();
    assert_eq!(life.log, ["markproven"]);
    assert_eq!(life.answered(), [TCP, SIP]);
}

#[test]
fn an_answer_that_came_later_is_not_waited_for_the_next_time() {
    let mut life = Life::new();
    life.hears(&[TCP], &[SIP]);
    life.settle();
    life.wait_for_window();
    life.now = after(life.now, Duration::from_secs(1));
    let late = life.now;
    life.signs.answered.insert(SIP, late);
    life.signs.silent.clear();
    assert_eq!(life.next(), Next::Wait(None));
    assert_eq!(life.answered(), [TCP]);
}

#[test]
fn the_way_back_to_the_image_before_is_not_held_to_what_came_after_it() {
    let mut life = Life::new();
    life.hears(&[TCP], &[SIP]);
    life.settle();
    life.asks_for("22.4").hears(&[TCP, SIP], &[]);
    life.settle();
    life.wait_for_window();
    life.settle();
    assert_eq!(life.answered(), [TCP, SIP]);
    life.asks_for("22.3").hears(&[TCP], &[SIP]);
    life.settle();
    assert_eq!(life.outcome(), (OutcomeKind::Succeeded, ""));
    assert_eq!(life.answered(), [TCP]);
}

#[test]
fn what_nobody_could_ask_is_neither_put_back_nor_restarted() {
    let mut life = Life::that_answers_everywhere();
    life.silent = vec!["22.4".to_owned()];
    life.asks_for("22.4").hears(&[], &[]);
    life.signs.blind = Some("this host cannot ask: no port is left".to_owned());
    // Nobody can tell is no verdict.
    while life.entry.outcome.is_none() {
        if life.verdict == Verdict::NotProven {
            life.verdict = Verdict::Starting;
        }
        match life.next() {
            Next::Do(step) => life.apply(&step),
            Next::Wait(until) => life.pass_until(until.unwrap()),
        }
    }
    let words = "not proven: it runs, and nobody can tell whether it answers: this host cannot ask: \
                 no port is left";
    assert_eq!(life.outcome(), (OutcomeKind::Succeeded, words));
    life.log.clear();
    life.now = after(life.now, Duration::from_secs(3600));
    life.settle();
    assert_eq!(life.log, Vec::<String>::new());
}

#[test]
fn whoever_takes_no_calls_though_nobody_asked_for_that_is_told_to_people() {
    let mut life = Life::that_answers_everywhere();
    life.signs.draining = Some(life.now);
    let told = life.told();
    assert_eq!(told.warnings.len(), 1, "{told:?}");
    assert!(told.warnings[0].reason.contains("nobody has drained it"));
    life.assign(|desired, _| desired.drain = Drain::Hold { limit_seconds: 60 });
    assert_eq!(life.told().warnings, [], "an operator asked for it");
}
