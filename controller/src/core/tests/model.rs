//! The core under random submissions, reports (stale and hostile ones among them), lost
//! connections, deaths of the controller before and after commits, cancels and timeouts. After
//! every step the invariants hold; at the end everything comes to rest.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use ulid::Ulid;

use extend_common::clock::after;
use extend_common::ids::{NodeAddr, OperationId, RequestId};
use extend_common::operation::{Target, Verb};
use extend_common::record::{RecordHash, Stamp};
use extend_common::status::{ContainerState, OutcomeKind};

use super::bench::{Bench, GUIDE, node, submission};
use crate::core::turn::Turn;

/// The nodes of the model: the guide's, and a second media server's.
const NODES: [&str; 5] = [
    "172.31.16.137",
    "172.31.16.138",
    "172.31.16.139",
    "172.31.16.140",
    "172.31.16.141",
];

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    Submit {
        verb: Verb,
        who: Who,
        options: &'static str,
        timeout: u64,
        request: u8,
    },
    Run {
        at: usize,
        image: bool,
        timeout: u64,
        request: u8,
    },
    Cancel(usize),
    Connect(usize),
    Disconnect(usize),
    Vanish(usize),
    Work(usize, OutcomeKind),
    Report(usize),
    Lie(usize, Lie),
    Crash(usize),
    /// The official script makes a container where there is none.
    Script(usize),
    Pass(u64),
    Restart,
    /// The controller dies during the next input, with its writes committed or not.
    Die {
        committed: bool,
    },
}

#[derive(Debug, Clone)]
enum Who {
    All,
    Role(&'static str),
    Nodes(Vec<usize>),
}

/// What a stale or hostile agent says.
#[derive(Debug, Clone, Copy)]
enum Lie {
    OldSession,
    OtherHash,
    HighStamp,
    OldStamp,
    AnothersRecord,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..NODES.len();
    let verbs = prop::sample::select(vec![
        Verb::Start,
        Verb::Stop,
        Verb::Restart,
        Verb::Upgrade,
        Verb::Rm,
        Verb::Adopt,
        Verb::Upgrade,
        Verb::Drain,
        Verb::Undrain,
    ]);
    let options = prop::sample::select(vec![
        "",
        "",
        " --queue",
        " --queue --force",
        " --force --serial",
        " --force --max-unavailable 2 --queue",
        " --force --canary 1 --bake 20",
        " --force --max-failures 1",
        " --drain 30",
        " --to-previous",
    ]);
    let roles = prop::sample::select(vec!["media-server-only", "ivr-server-only"]);
    let who = prop_oneof![
        2 => Just(Who::All),
        2 => roles.prop_map(Who::Role),
        5 => prop::collection::vec(at.clone(), 1..3).prop_map(Who::Nodes),
    ];
    let kinds = prop::sample::select(vec![
        OutcomeKind::Succeeded,
        OutcomeKind::Succeeded,
        OutcomeKind::Failed,
        OutcomeKind::RolledBack,
        OutcomeKind::Declined,
    ]);
    let lies = prop::sample::select(vec![
        Lie::OldSession,
        Lie::OtherHash,
        Lie::HighStamp,
        Lie::OldStamp,
        Lie::AnothersRecord,
    ]);
    let timeout = 5_u64..90;
    let step = prop_oneof![
        8 => (verbs, who, options, timeout.clone(), any::<u8>()).prop_map(
            |(verb, who, options, timeout, request)| Step::Submit {
                verb,
                who,
                options,
                timeout,
                request,
            }
        ),
        5 => (at.clone(), any::<bool>(), timeout, any::<u8>())
            .prop_map(|(at, image, timeout, request)| Step::Run { at, image, timeout, request }),
        3 => (0_usize..4).prop_map(Step::Cancel),
        6 => at.clone().prop_map(Step::Connect),
        4 => at.clone().prop_map(Step::Disconnect),
        1 => at.clone().prop_map(Step::Vanish),
        12 => (at.clone(), kinds).prop_map(|(at, kind)| Step::Work(at, kind)),
        3 => at.clone().prop_map(Step::Report),
        4 => (at.clone(), lies).prop_map(|(at, lie)| Step::Lie(at, lie)),
        2 => at.clone().prop_map(Step::Crash),
        3 => at.prop_map(Step::Script),
        5 => (1_u64..70).prop_map(Step::Pass),
        2 => Just(Step::Restart),
        2 => any::<bool>().prop_map(|committed| Step::Die { committed }),
    ];
    prop::collection::vec(step, 1..60)
}

/// The bench, and what must never be seen to change.
pub(super) struct Model {
    pub(super) bench: Bench,
    pub(super) ended: BTreeMap<(OperationId, NodeAddr), Target>,
    pub(super) generations: BTreeMap<NodeAddr, u64>,
    requests: BTreeMap<RequestId, OperationId>,
    /// Set by [`Step::Die`] until the next input.
    dies: Option<bool>,
    counter: u128,
}

impl Model {
    fn new() -> Self {
        let mut bench = Bench::new();
        for at in NODES {
            bench.join(node(at));
        }
        for (role, name, at) in GUIDE {
            bench.deploy(&format!("-s {role} -n {name} -a {at}"));
        }
        Self {
            bench,
            ended: BTreeMap::new(),
            requests: BTreeMap::new(),
            generations: BTreeMap::new(),
            dies: None,
            counter: 0,
        }
    }

    /// Commits a turn, or lets the controller die in the middle of it.
    fn commit<T>(&mut self, turn: Turn<T>) -> Option<T> {
        match self.dies.take() {
            None => Some(self.bench.commit(turn)),
            Some(true) => {
                self.bench.commit_and_die(turn);
                None
            }
            Some(false) => {
                self.bench.restart();
                None
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Submit {
                verb,
                who,
                options,
                timeout,
                request,
            } => {
                let line = match who {
                    Who::All => String::new(),
                    Who::Role(_) if verb == Verb::Adopt => String::new(),
                    Who::Role(role) => format!("-s {role}"),
                    Who::Nodes(nodes) => {
                        let nodes: Vec<_> = nodes.into_iter().map(|at| NODES[at]).collect();
                        format!("-a {}", nodes.join(","))
                    }
                };
                self.submit(verb, &format!("{line}{options}"), timeout, request);
            }
            Step::Run {
                at,
                image,
                timeout,
                request,
            } => {
                let (role, name, at) = GUIDE.get(at).copied().unwrap_or((
                    "media-server-only",
                    "media-server-2",
                    NODES[4],
                ));
                let image = if image { " -i portsip/pbx:22.4" } else { "" };
                let line = format!("-s {role} -n {name} -a {at}{image}");
                self.submit(Verb::Run, &line, timeout, request);
            }
            Step::Cancel(which) => {
                let open = self.bench.fleet.newest(10, true);
                if let Some(operation) = open.get(which) {
                    let turn =
                        self.bench
                            .fleet
                            .cancel(&operation.id.to_string(), "bert", self.bench.now);
                    self.commit(turn);
                }
            }
            Step::Connect(at) => {
                let at = node(NODES[at]);
                let hello = self.bench.agents[&at].hello();
                let facts = super::bench::facts(at);
                let turn = self.bench.fleet.hello(at, facts, hello, self.bench.now);
                if let Some(answer) = self.commit(turn) {
                    answer.unwrap();
                }
            }
            Step::Disconnect(at) => {
                let at = node(NODES[at]);
                let agent = self.bench.agents.get_mut(&at).unwrap();
                if let Some(session) = agent.session.take() {
                    let turn = self.bench.fleet.session_closed(
                        session,
                        at,
                        crate::core::request::SessionEnd::Closed,
                        self.bench.now,
                    );
                    self.commit(turn);
                }
            }
            Step::Vanish(at) => self.agent(at).session = None,
            Step::Work(at, kind) => {
                let now = self.bench.now;
                let agent = self.agent(at);
                // A record comes to its end once.
                if agent.outcome.is_none() {
                    agent.work(kind, "because", now);
                }
                self.report(at, None);
            }
            Step::Report(at) => self.report(at, None),
            Step::Lie(at, lie) => self.report(at, Some(lie)),
            Step::Crash(at) => {
                self.agent(at).lose_container();
                self.report(at, None);
            }
            Step::Script(at) => self.script(at),
            Step::Pass(seconds) => self.pass(seconds),
            Step::Restart => self.bench.restart(),
            Step::Die { committed } => self.dies = Some(committed),
        }
    }

    /// The official script makes a container, if there is none, and the node tells of it.
    fn script(&mut self, at: usize) {
        let (role, name, _) =
            GUIDE
                .get(at)
                .copied()
                .unwrap_or(("media-server-only", "media-server-2", ""));
        let agent = self.agent(at);
        if agent.container.is_none() && agent.official.is_none() {
            agent.script(role, name, ContainerState::Running);
        }
        self.pass(2);
    }

    fn agent(&mut self, at: usize) -> &mut super::agent::Agent {
        self.bench.agents.get_mut(&node(NODES[at])).unwrap()
    }

    fn submit(&mut self, verb: Verb, line: &str, timeout: u64, request: u8) {
        self.counter += 1;
        let mut wanted = submission(verb, line);
        // A few ids, so that they come again; with a few of them another verb does.
        wanted.request = RequestId(Ulid(u128::from(request % 24) + 1));
        wanted.timeout = Some(Duration::from_secs(timeout));
        let id = OperationId(Ulid((self.counter << 64) | self.counter));
        let known = self.requests.get(&wanted.request).copied();
        let turn = self.bench.fleet.submit(&wanted, id, self.bench.now);
        let made = turn
            .answer
            .as_ref()
            .ok()
            .and_then(|done| done.operation.clone());
        if let (Some(known), Some(made)) = (known, &made) {
            assert_eq!(known, made.id, "one request id, two operations");
        }
        let survives = self.dies != Some(false);
        self.commit(turn);
        if let Some(made) = made.filter(|_| survives) {
            self.requests.insert(wanted.request, made.id);
        }
    }

    fn report(&mut self, at: usize, lie: Option<Lie>) {
        let address = node(NODES[at]);
        let agent = &self.bench.agents[&address];
        let (Some(mut session), Some(mut status)) = (agent.session, agent.status()) else {
            return;
        };
        match lie {
            None => {}
            Some(Lie::OldSession) => session.0 -= 1,
            Some(Lie::OtherHash) => status.record.hash = RecordHash([9; 32]),
            Some(Lie::HighStamp) => {
                status.record.stamp = Stamp {
                    epoch: u64::MAX,
                    generation: u64::MAX,
                };
            }
            Some(Lie::OldStamp) => status.record.stamp.generation -= 1,
            Some(Lie::AnothersRecord) => {
                let other = &self.bench.agents[&node(NODES[(at + 1) % NODES.len()])];
                if let Some(record) = &other.record {
                    status.record = record.id;
                }
            }
        }
        let turn = self
            .bench
            .fleet
            .report(session, address, status, self.bench.now);
        self.commit(turn);
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds.div_ceil(2) {
            self.bench.now = after(self.bench.now, Duration::from_secs(2));
            for agent in self.bench.agents.clone().into_values() {
                if let Some(session) = agent.session {
                    let now = self.bench.now;
                    let beat = crate::core::request::Heartbeat {
                        unclaimed: agent.unclaimed(),
                        looked: true,
                        ..Default::default()
                    };
                    let turn = self.bench.fleet.heartbeat(session, agent.node, beat, now);
                    self.commit(turn);
                }
            }
            let turn = self.bench.fleet.tick(self.bench.now);
            self.commit(turn);
        }
    }

    /// Everybody comes back, does as told, and all comes to rest.
    fn rest(&mut self) {
        self.dies = None;
        self.pass(200);
        for at in 0..NODES.len() {
            self.step(Step::Connect(at));
        }
        // What an assignment leads to may lead to another.
        for _ in 0..24 {
            for at in 0..NODES.len() {
                self.step(Step::Work(at, OutcomeKind::Succeeded));
            }
        }
        self.pass(200);
        self.check();
        assert_eq!(self.bench.fleet.newest(10, true), []);
        for (at, agent) in &self.bench.agents {
            let entry = &self.bench.fleet.nodes[at];
            assert!(entry.row.abandoned.is_none());
            let Some(record) = &entry.row.record else {
                continue;
            };
            assert_eq!(
                agent.record.as_ref(),
                Some(record),
                "{at} has not converged"
            );
            // A removal that failed is to be tried again, by an operator.
            let outcome = agent.outcome.as_ref().map(|outcome| outcome.kind);
            let failed = outcome.is_some_and(|kind| kind != OutcomeKind::Succeeded);
            let gone = record.desired.run_state.is_tombstone();
            assert!(!gone || failed, "{at} is done with its removal");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_whatever_happens(steps in steps()) {
        let mut model = Model::new();
        for step in steps {
            model.step(step);
            model.check();
        }
        model.rest();
    }
}
