//! A server under random luck: probes fail and pass, processes end, operators say something,
//! the agent is killed. Whatever happens, the agent keeps to its rules.

use std::time::Duration;

use extend_common::clock::since;
use extend_common::roles::{Point, Transport};
use extend_common::status::SessionCount;
use proptest::prelude::*;

use super::*;
use crate::core::restart::{BUDGET, BUDGET_WINDOW};
use crate::sessions::{Flow, QUIET};

const FIRST: Drain = Drain::First { limit_seconds: 600 };

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Hangs,
    Answers,
    Ends(i64),
    DockerRestarts,
    Restart,
    Stop,
    Start,
    Stage,
    PullEnds,
    DrainedStop,
    DrainedRestart,
    Held,
    Sessions(Option<u64>),
    Media(Flow),
    RestartsHeld(u64),
    Alone(bool),
    /// On TCP, and to SIP; neither is nowhere.
    AnswersAt(bool, bool),
    AgentKilled,
    Time(u64),
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => Just(Luck::Hangs),
        3 => Just(Luck::Answers),
        2 => prop_oneof![Just(1), Just(137), Just(139)].prop_map(Luck::Ends),
        2 => Just(Luck::DockerRestarts),
        1 => Just(Luck::Restart),
        1 => Just(Luck::Stop),
        1 => Just(Luck::Start),
        1 => Just(Luck::Stage),
        1 => Just(Luck::PullEnds),
        1 => Just(Luck::DrainedStop),
        1 => Just(Luck::DrainedRestart),
        1 => Just(Luck::Held),
        3 => prop_oneof![Just(None), Just(Some(0)), Just(Some(41))].prop_map(Luck::Sessions),
        3 => prop_oneof![Just(Flow::Flows), Just(Flow::Still), Just(Flow::Unknown)].prop_map(Luck::Media),
        1 => (1_u64..300).prop_map(Luck::RestartsHeld),
        1 => any::<bool>().prop_map(Luck::Alone),
        2 => any::<(bool, bool)>().prop_map(|(tcp, sip)| Luck::AnswersAt(tcp, sip)),
        2 => Just(Luck::AgentKilled),
        5 => (1_u64..400).prop_map(Luck::Time),
    ]
}

/// A life with its rules checked at every step.
struct Watched {
    life: Life,
    /// When the agent began restarts since the operator's last word or the quarantine's end.
    charged: Vec<Timestamp>,
}

impl Life {
    fn answer_at(&mut self, tcp: bool, sip: bool) {
        let points = [
            (Point::Tcp(8840), tcp),
            (Point::Sip(Transport::Tcp, 8916), sip),
        ];
        let (yes, no) = points.into_iter().partition::<Vec<_>, _>(|(_, here)| *here);
        let now = self.now;
        self.signs.answered = yes.into_iter().map(|(point, _)| (point, now)).collect();
        self.signs.silent = no.into_iter().map(|(point, _)| point).collect();
    }
}

impl Watched {
    fn happens(&mut self, luck: Luck) {
        let life = &mut self.life;
        let now = life.now;
        match luck {
            Luck::Hangs => life.verdict = Verdict::Unhealthy("no answer".to_owned()),
            Luck::Answers => life.verdict = Verdict::Healthy,
            Luck::Ends(code) => {
                if let Some(current) = life.observed.current.clone() {
                    life.exit(&current.id, code);
                }
            }
            Luck::DockerRestarts => {
                if let Some(current) = life.observed.current.as_mut().filter(|c| c.is_up()) {
                    current.restart_count += 1;
                    current.started_at = now.to_string();
                    life.seen = now;
                }
            }
            Luck::Restart => {
                let named = life.observed.current.as_ref().map(Container::instance);
                life.assign(|desired, _| {
                    desired.replace = named;
                    desired.run_state = RunState::Running;
                });
                self.charged.clear();
            }
            Luck::Stop => {
                life.assign(|desired, _| desired.run_state = RunState::Stopped);
                self.charged.clear();
            }
            Luck::Start => {
                life.assign(|desired, _| desired.run_state = RunState::Running);
                self.charged.clear();
            }
            Luck::Stage => {
                life.pulling = true;
                life.assign(|desired, _| desired.staged = Some(desired.image.clone()));
                self.charged.clear();
            }
            Luck::PullEnds => life.pulling = false,
            Luck::DrainedStop => {
                life.assign(|desired, _| {
                    desired.run_state = RunState::Stopped;
                    desired.drain = FIRST;
                });
                self.charged.clear();
            }
            Luck::DrainedRestart => {
                let named = life.observed.current.as_ref().map(Container::instance);
                life.assign(|desired, _| {
                    desired.replace = named;
                    desired.run_state = RunState::Running;
                    desired.drain = FIRST;
                });
                self.charged.clear();
            }
            Luck::Held => {
                life.assign(|desired, _| desired.drain = Drain::Hold { limit_seconds: 600 });
                self.charged.clear();
            }
            Luck::Sessions(sessions) => {
                let note = String::new();
                let count = SessionCount { sessions, note };
                let tally = Tally::begun().after(count.clone()).after(count.clone());
                life.sessions = Some(tally.after(count));
            }
            Luck::Media(flow) => {
                if let Some(tally) = &mut life.sessions {
                    *tally = (0..QUIET).fold(tally.clone(), |tally, _| tally.and_media(flow));
                }
            }
            Luck::RestartsHeld(seconds) => {
                life.hold = Some(Hold {
                    until: after(now, Duration::from_secs(seconds)),
                    reason: "many fail".to_owned(),
                });
            }
            Luck::Alone(alone) => life.alone = alone,
            Luck::AnswersAt(tcp, sip) => life.answer_at(tcp, sip),
            Luck::AgentKilled => {
                life.verdict = Verdict::Starting;
                life.death = None;
                life.seen = now;
            }
            Luck::Time(seconds) => self.pass(Duration::from_secs(seconds)),
        }
        self.life.verdict_since = self.life.now;
    }

    fn pass(&mut self, time: Duration) {
        let end = after(self.life.now, time);
        for _ in 0..500 {
            match self.life.next() {
                Next::Do(step) => self.step(&step),
                Next::Wait(Some(at)) if at <= end => self.life.pass_until(at),
                Next::Wait(_) => {
                    self.life.now = end;
                    return;
                }
            }
        }
        panic!("it never comes to rest: {:#?}", self.life.log);
    }

    /// A service that runs is not ended by the agent's own doing while restarts are held, while
    /// somebody waits for its sessions, or while it carries calls and its time is not over.
    fn heeds_calls(&self, step: &Step) {
        let Step::Stop {
            restart: Some(at),
            instance,
            ..
        } = step
        else {
            return;
        };
        let life = &self.life;
        let held = life.hold.as_ref().is_some_and(|hold| *at < hold.until);
        assert!(!held, "a restart while restarts are held");
        let carries = life.sessions.as_ref().and_then(Tally::carries);
        if carries != Some(true) {
            return;
        }
        let entry = &life.entry;
        let drained = entry.record.desired.drain != Drain::Off && entry.outcome.is_none();
        assert!(!drained, "a restart while its sessions are waited for");
        let mercy = entry.spared.as_ref().filter(|s| s.instance == *instance);
        let is_over = mercy.is_some_and(|spared| spared.until <= *at);
        assert!(is_over, "a restart while it carries calls: {mercy:?}");
    }

    fn step(&mut self, step: &Step) {
        let entry = &self.life.entry;
        let charge = match step {
            Step::Stop { restart, .. } | Step::Start { restart, .. } => *restart,
            _ => None,
        };
        if let Some(at) = charge {
            let is_on_its_own = entry.outcome.is_some() || entry.is_beside_the_server();
            assert!(is_on_its_own, "a restart during an operation");
            assert!(entry.quarantine.is_none(), "a restart in quarantine");
            assert_eq!(entry.run_state(), RunState::Running);
            self.charged.push(at);
            let recent = |then: &&Timestamp| since(**then, at) < BUDGET_WINDOW;
            let count = self.charged.iter().filter(recent).count();
            assert!(count <= BUDGET, "over budget: {:?}", self.charged);
        }
        self.heeds_calls(step);
        if let Step::Stop { restart: None, .. } = step
            && entry.record.desired.drain == FIRST
            && entry.stopping.is_none()
        {
            let is_over = self.life.sessions.as_ref().is_some_and(Tally::is_over);
            let has_ended = entry.outcome.is_some();
            assert!(is_over && !has_ended, "calls are cut: {step:?}");
        }
        let touches = matches!(
            step,
            Step::Stop { .. } | Step::Start { .. } | Step::Kill { .. }
        );
        let is_settled = entry.outcome.is_some() || entry.is_beside_the_server();
        let is_on_its_own = is_settled && entry.stopping.is_none();
        let current = self.life.observed.current.as_ref();
        let run = current.map(Container::instance);
        let attempt = entry.attempt.as_ref().map(|attempt| attempt.before.clone());
        let finishes_restart = run.is_some() && (run == entry.healing || run == attempt);
        assert!(
            !(touches && is_on_its_own && entry.quarantine.is_some()) || finishes_restart,
            "touched in quarantine: {step:?}"
        );
        if matches!(step, Step::Release) {
            self.charged.clear();
        }
        // As after a kill: what the agent goes on with is what is on disk.
        self.life.apply(step);
        let text = serde_json::to_string(&self.life.entry).unwrap();
        self.life.entry = serde_json::from_str(&text).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// One that was taken over keeps to the same rules, and stays the same container.
    #[test]
    fn a_server_that_was_taken_over_is_like_any_other(
        lucks in proptest::collection::vec(luck(), 1..60)
    ) {
        let mut watched = Watched {
            life: Life {
                spare: Some(Duration::from_secs(300)),
                ..Life::adopted()
            },
            charged: Vec::new(),
        };
        let theirs = watched.life.observed.current.as_ref().unwrap().id.clone();
        for luck in lucks {
            watched.happens(luck);
            watched.pass(Duration::from_secs(1));
            let current = watched.life.observed.current.as_ref();
            prop_assert_eq!(current.map(|c| &c.id), Some(&theirs));
            prop_assert_eq!(watched.life.entry.adopted.as_ref().map(|a| &a.id), Some(&theirs));
        }
    }

    #[test]
    fn never_over_budget_never_in_an_operation_never_in_quarantine(
        lucks in proptest::collection::vec(luck(), 1..60)
    ) {
        let mut watched = Watched {
            life: Life {
                spare: Some(Duration::from_secs(300)),
                ..Life::running()
            },
            charged: Vec::new(),
        };
        for luck in lucks {
            watched.happens(luck);
            watched.pass(Duration::from_secs(1));
        }
    }
}
