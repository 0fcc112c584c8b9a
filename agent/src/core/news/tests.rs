//! Each test reads as what an operator is told, in order.

use extend_common::record::{
    Deployment, Desired, Drain, ImageRequest, Instance, Parameters, PullPolicy, RunState,
    ServerRecord, Stamp,
};
use extend_common::roles::Digest;
use extend_common::status::Evidence;

use super::*;
use crate::core::entry::Quarantine;

struct Story {
    entry: Entry,
    health: Health,
    reason: String,
    docker: String,
    warnings: Vec<Warning>,
    agent: String,
    mark: Mark,
    now: Timestamp,
}

fn entry(name: &str) -> Entry {
    let desired = Desired {
        node: "172.31.16.139".parse().unwrap(),
        name: name.parse().unwrap(),
        role: "media-server-only".parse().unwrap(),
        definition: Digest([0; 32]),
        run_state: RunState::Running,
        deployment: Deployment(1),
        image: ImageRequest {
            reference: "portsip/pbx:22".to_owned(),
            pull: PullPolicy::Always,
            allow_older: false,
            pin: None,
            newest: None,
        },
        parameters: Parameters {
            pbx_address: "54.151.30.9".to_owned(),
            public_address: None,
        },
        replace: None,
        secrets: Vec::new(),
        operation: None,
        adopted: None,
        staged: None,
        drain: Drain::Off,
    };
    Entry::new(ServerRecord::seal(Stamp::default(), desired))
}

impl Story {
    fn healthy() -> Self {
        let mut story = Self {
            entry: entry("media-1"),
            health: Health::Healthy,
            reason: String::new(),
            docker: String::new(),
            warnings: Vec::new(),
            agent: String::new(),
            mark: Mark::default(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
        };
        assert_eq!(story.told(), ["health: healthy"]);
        story
    }

    fn events(&mut self) -> Vec<Event> {
        let condition = Condition {
            health: self.health,
            reason: self.reason.clone(),
        };
        let known = Known {
            node: "172.31.16.139".parse().unwrap(),
            entry: Some(&self.entry),
            condition: Some(&condition),
            warnings: &self.warnings,
            docker_trouble: &self.docker,
            agent_trouble: &self.agent,
        };
        let (mark, events) = news(&self.mark, &known, self.now);
        assert_eq!(
            news(&mark, &known, self.now),
            (mark.clone(), Vec::new()),
            "told once"
        );
        self.mark = mark;
        events
    }

    fn told(&mut self) -> Vec<String> {
        let words = |event: Event| format!("{}: {}", event.kind, event.text);
        self.events().into_iter().map(words).collect()
    }

    fn be(&mut self, health: Health, reason: &str) -> Vec<String> {
        (self.health, self.reason) = (health, reason.to_owned());
        self.told()
    }

    fn incident(&mut self, ailment: Ailment, in_a_row: u32, reason: &str) {
        self.now = self
            .now
            .saturating_add(jiff::SignedDuration::from_secs(1))
            .unwrap();
        self.entry.incident = Some(Incident {
            at: self.now,
            ailment,
            instance: Instance {
                container_id: "c1".to_owned(),
                started_at: "t".to_owned(),
            },
            restart_count: 0,
            in_a_row,
            reason: reason.to_owned(),
            evidence: Some(Evidence {
                exit_code: Some(139),
                ..Evidence::default()
            }),
        });
    }
}

#[test]
fn a_hang_is_told_with_its_restart_its_evidence_and_its_end() {
    let mut story = Story::healthy();
    let told = story.be(Health::Unhealthy, "no answer on tcp/8840");
    assert_eq!(told, ["health: unhealthy: no answer on tcp/8840"]);
    story.incident(Ailment::Hangs, 1, "no answer on tcp/8840");
    assert_eq!(story.told(), Vec::<String>::new());
    story.entry.restarts_total = 1;
    let events = story.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].text, "restarting it: no answer on tcp/8840");
    assert_eq!(events[0].evidence.as_ref().unwrap().exit_code, Some(139));
    assert_eq!(events[0].name.as_ref().unwrap().as_str(), "media-1");
    assert_eq!(story.be(Health::Starting, ""), Vec::<String>::new());
    assert_eq!(story.be(Health::Healthy, ""), ["health: healthy again"]);
}

#[test]
fn a_crash_is_told_once_and_a_crash_loop_less_and_less_often() {
    let mut story = Story::healthy();
    let mut told = Vec::new();
    for count in 1..=100 {
        story.incident(Ailment::Ended, count, "it exited with code 3");
        told.extend(story.told());
        // In a loop it may even answer for a moment.
        told.extend(story.be(Health::Healthy, ""));
        story.health = Health::Starting;
    }
    let crashes: Vec<_> = told.iter().filter(|t| t.starts_with("crash")).collect();
    assert_eq!(crashes.len(), 8, "1, 2, 3, 5, 10, 20, 50, 100: {told:#?}");
    assert_eq!(crashes[0], "crash: it exited with code 3");
    assert_eq!(
        crashes[7],
        "crash: it exited with code 3 (the 100th in a row)"
    );
    assert_eq!(told.len(), 16, "{told:#?}");
}

#[test]
fn what_happened_before_the_agent_was_killed_is_told_after_it() {
    let mut story = Story::healthy();
    let mark = story.mark.clone();
    story.incident(Ailment::Hangs, 1, "no answer");
    story.entry.restarts_total = 1;
    story.told();
    // The mark of the journal is older than the ledger.
    story.mark = mark;
    assert_eq!(
        story.told(),
        ["restart: restarting it: no answer", "health: healthy again"]
    );
}

#[test]
fn a_quarantine_is_told_when_it_begins_and_ends() {
    let mut story = Story::healthy();
    story.entry.quarantine = Some(Quarantine {
        since: story.now,
        reason: "no answer".to_owned(),
    });
    assert_eq!(
        story.be(Health::Quarantined, "x"),
        ["quarantine: quarantined: restarted too often, and still: no answer"]
    );
    story.entry.quarantine = None;
    assert_eq!(
        story.be(Health::Healthy, ""),
        [
            "quarantine: the quarantine is over",
            "health: healthy again"
        ]
    );
}

#[test]
fn a_stop_and_a_start_by_an_operator_are_told_and_what_is_between_is_not() {
    let mut story = Story::healthy();
    assert_eq!(story.be(Health::Stopped, ""), ["health: stopped"]);
    assert_eq!(story.be(Health::Starting, ""), Vec::<String>::new());
    assert_eq!(story.be(Health::Healthy, ""), ["health: healthy"]);
}

#[test]
fn the_troubles_of_docker_and_of_the_agent_are_the_nodes() {
    let mut story = Story::healthy();
    story.docker = "docker unresponsive: no answer".to_owned();
    story.agent = "disk full".to_owned();
    let events = story.events();
    assert_eq!(events.len(), 2);
    assert!(
        events
            .iter()
            .all(|event| event.name.is_none() && event.node.is_some())
    );
    story.docker.clear();
    story.agent.clear();
    assert_eq!(
        story.told(),
        [
            "docker: docker answers again",
            "agent: the agent can write its own state again"
        ]
    );
}

#[test]
fn another_server_on_the_node_is_another_story() {
    let mut story = Story::healthy();
    story.entry = entry("media-2");
    story.entry.restarts_total = 7;
    assert_eq!(story.told(), ["health: healthy"]);
}

#[test]
fn restarts_are_told_also_after_the_ledger_was_lost() {
    let mut story = Story::healthy();
    story.entry.restarts_total = 7;
    story.told();
    story.entry.restarts_total = 0;
    story.told();
    story.entry.restarts_total = 1;
    assert!(story.told().iter().any(|told| told.starts_with("restart")));
}
