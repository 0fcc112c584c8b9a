//! A fleet on a bench: every turn is committed at once, effects are delivered to simulated agents,
//! and the controller can be restarted from what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ulid::Ulid;

use extend_common::clock::after;
use extend_common::ids::{NodeAddr, OperationId, RequestId};
use extend_common::operation::{Operation, Strategy, Target, TargetState, Verb};
use extend_common::record::{PullPolicy, RecordId};
use extend_common::roles::RoleSet;
use extend_common::status::{ContainerState, OutcomeKind};

use super::agent::Agent;
use crate::core::counted::Counted;
use crate::core::refusal::Refusal;
use crate::core::request::{
    DrainWish, KeyHash, PeerFacts, SelectorWords, SessionEnd, SessionNumber, Submission, Submitted,
    sha256,
};
use crate::core::turn::{CloseReason, Effect, Turn};
use crate::core::{Fleet, Kept, Key, Loading, OutsideSettings, Settings};
use crate::portal::Limits;
use crate::store::StoreId;

pub(crate) const START: i64 = 1_795_000_000;

/// The servers of the guide: type, name, address.
pub(crate) const GUIDE: [(&str, &str, &str); 4] = [
    ("meeting-server-only", "meeting-server-1", "172.31.16.137"),
    ("queue-server-only", "queue-server-1", "172.31.16.138"),
    ("media-server-only", "media-server-1", "172.31.16.139"),
    ("vr-server-only", "ivr-server-1", "172.31.16.140"),
];

/// The second media server of [`Bench::two_media`].
pub(crate) const SECOND_MEDIA: &str = "172.31.16.149";

pub(crate) fn node(text: &str) -> NodeAddr {
    text.parse().unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        roles: RoleSet::built_in().unwrap(),
        default_image: "portsip/pbx:22".to_owned(),
        pull: PullPolicy::Always,
        pbx_address: Some("54.151.30.9".to_owned()),
        heartbeat_interval: Duration::from_secs(1),
        controllers: Arc::new([SocketAddrV4::new([172, 31, 16, 133].into(), 7443)]),
        kept: Kept::default(),
        alerts: std::sync::Arc::default(),
        outside: OutsideSettings::default(),
    }
}

/// The key of a node's certificate.
pub(crate) fn facts(node: NodeAddr) -> PeerFacts {
    PeerFacts {
        key: KeyHash::of(node.to_string().as_bytes()),
        leaf_not_after: Timestamp::from_second(START + 24 * 3600).unwrap(),
    }
}

/// A command line without its verb's options.
pub(crate) fn submission(verb: Verb, line: &str) -> Submission {
    let mut words = line.split_whitespace();
    let mut submission = Submission {
        limits: Limits::default(),
        confirmed: true,
        request: RequestId(Ulid::nil()),
        verb,
        selector: SelectorWords::default(),
        image: None,
        public_address: None,
        plan_only: false,
        timeout: None,
        message: String::new(),
        force: false,
        by: "anna".to_owned(),
        strategy: Strategy::default(),
        drain: DrainWish::Unsaid,
        queue: false,
        to_previous: false,
        from: None,
        leads: BTreeMap::new(),
        retry_of: None,
        pins: BTreeMap::new(),
        accepted: Vec::new(),
        checkup: None,
    };
    while let Some(option) = words.next() {
        let flag = match option {
            "--force" => &mut submission.force,
            "--queue" => &mut submission.queue,
            "--unasked" => {
                submission.confirmed = false;
                continue;
            }
            "--to-previous" => &mut submission.to_previous,
            "--serial" => &mut submission.strategy.serial,
            _ => &mut false,
        };
        *flag = true;
        match option {
            "--force" | "--queue" | "--to-previous" | "--serial" => continue,
            "--now" => {
                submission.drain = DrainWish::Not;
                continue;
            }
            _ => {}
        }
        let value = words.next().unwrap();
        match option {
            "-s" => submission.selector.role = value.to_owned(),
            "-n" => submission.selector.name = Some(value.parse().unwrap()),
            "-a" => submission.selector.nodes = value.split(',').map(node).collect(),
            "-A" => submission.public_address = Some(node(value)),
            "-i" => submission.image = Some(value.to_owned()),
            "-m" => value.clone_into(&mut submission.message),
            "--max-unavailable" => submission.strategy.max_unavailable = value.parse().ok(),
            "--canary" => submission.strategy.canary = value.parse().unwrap(),
            "--bake" => submission.strategy.bake = Duration::from_secs(value.parse().unwrap()),
            "--max-failures" => submission.strategy.max_failures = value.parse().unwrap(),
            "--drain" if value == "role" => submission.drain = DrainWish::ByRole,
            "--drain" => {
                submission.drain = DrainWish::For(Duration::from_secs(value.parse().unwrap()));
            }
            "--timeout" => submission.timeout = Some(Duration::from_secs(value.parse().unwrap())),
            other => panic!("{other}"),
        }
    }
    submission
}

/// The bench.
pub(crate) struct Bench {
    pub(crate) fleet: Fleet,
    pub(crate) settings: Settings,
    pub(crate) store: StoreId,
    pub(crate) epoch: u64,
    pub(crate) now: Timestamp,
    pub(crate) rows: BTreeMap<String, Vec<u8>>,
    pub(crate) agents: BTreeMap<NodeAddr, Agent>,
    pub(crate) closed: Vec<(NodeAddr, SessionNumber, CloseReason)>,
    pub(crate) last_writes: BTreeSet<Key>,
    /// What was counted for the metrics.
    pub(crate) counted: Vec<Counted>,
    counter: u128,
}

impl Bench {
    /// A controller on an empty store.
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let now = Timestamp::from_second(START).unwrap();
        let store = StoreId(Ulid::from_parts(1, 1));
        let loading = Loading {
            settings: settings.clone(),
            store,
            epoch: 1,
            last_session: 0,
        };
        Self {
            fleet: Fleet::load(loading, [], now).unwrap(),
            settings,
            store,
            epoch: 1,
            now,
            rows: BTreeMap::new(),
            agents: BTreeMap::new(),
            closed: Vec::new(),
            last_writes: BTreeSet::new(),
            counted: Vec::new(),
            counter: 0,
        }
    }

    /// The guide's fleet, enrolled, connected, deployed and healthy.
    pub(crate) fn guide() -> Self {
        let mut bench = Self::new();
        for (role, name, at) in GUIDE {
            bench.join(node(at));
            bench.deploy(&format!("-s {role} -n {name} -a {at}"));
        }
        bench
    }

    /// The same, with a second media server at [`SECOND_MEDIA`].
    pub(crate) fn two_media() -> Self {
        let mut bench = Self::guide();
        bench.join(node(SECOND_MEDIA));
        bench.deploy(&format!(
            "-s media-server-only -n media-server-2 -a {SECOND_MEDIA}"
        ));
        bench
    }

    /// Enrols a node and connects its agent.
    pub(crate) fn join(&mut self, node: NodeAddr) {
        self.enrol(node);
        self.connect(node);
    }

    pub(crate) fn enrol(&mut self, node: NodeAddr) {
        let secret = [7; 16];
        let turn = self
            .fleet
            .mint_token(node, None, sha256(&secret), "anna", self.now);
        self.commit(turn).unwrap();
        let turn = self.fleet.spend_token(node, &secret, facts(node), self.now);
        self.commit(turn).unwrap();
        self.agents.entry(node).or_insert_with(|| Agent::new(node));
    }

    pub(crate) fn connect(&mut self, node: NodeAddr) {
        self.try_connect(node).unwrap();
    }

    pub(crate) fn try_connect(&mut self, node: NodeAddr) -> Result<SessionNumber, Refusal> {
        let hello = self.agents[&node].hello();
        let turn = self.fleet.hello(node, facts(node), hello, self.now);
        self.commit(turn)
    }

    pub(crate) fn disconnect(&mut self, node: NodeAddr) {
        let session = self.agents.get_mut(&node).unwrap().session.take().unwrap();
        let turn = self
            .fleet
            .session_closed(session, node, SessionEnd::Closed, self.now);
        self.commit(turn);
    }

    /// Lets the agent finish its record and tell so.
    pub(crate) fn work(&mut self, node: NodeAddr, kind: OutcomeKind, reason: &str) {
        let now = self.now;
        self.agents.get_mut(&node).unwrap().work(kind, reason, now);
        self.report(node);
    }

    pub(crate) fn succeed(&mut self, node: NodeAddr) {
        self.work(node, OutcomeKind::Succeeded, "");
    }

    /// Lets the agent tell what it sees.
    pub(crate) fn report(&mut self, node: NodeAddr) {
        let agent = &self.agents[&node];
        let (Some(session), Some(status)) = (agent.session, agent.status()) else {
            return;
        };
        let turn = self.fleet.report(session, node, status, self.now);
        self.commit(turn);
    }

    /// Lets the official script make a container on a node, which tells of it.
    pub(crate) fn script(&mut self, role: &str, name: &str, at: &str) {
        let agent = self.agents.get_mut(&node(at)).unwrap();
        agent.script(role, name, ContainerState::Running);
        self.heartbeats();
    }

    /// Runs a server to its end.
    pub(crate) fn deploy(&mut self, line: &str) -> Operation {
        let operation = self.accept(Verb::Run, line);
        let at = operation.targets[0].node;
        self.succeed(at);
        let operation = self.operation(operation.id);
        assert_eq!(
            operation.targets[0].state,
            TargetState::Succeeded,
            "{operation:#?}"
        );
        operation
    }

    pub(crate) fn submit(&mut self, submission: Submission) -> Result<Submitted, Refusal> {
        let turn = self.submitting(submission);
        self.commit(turn)
    }

    /// A submission that is not committed yet.
    pub(crate) fn submitting(
        &mut self,
        submission: Submission,
    ) -> Turn<Result<Submitted, Refusal>> {
        self.counter += 1;
        let submission = if submission.request.0 == Ulid::nil() {
            Submission {
                request: RequestId(Ulid(self.counter << 8)),
                ..submission
            }
        } else {
            submission
        };
        self.fleet.submit(&submission, self.next_id(), self.now)
    }

    /// Ids that differ in their endings and grow.
    fn next_id(&self) -> OperationId {
        OperationId(Ulid(
            (self.counter << 40) | (0x1234_5678 + self.counter * 77),
        ))
    }

    pub(crate) fn refuse(&mut self, verb: Verb, line: &str) -> Refusal {
        let before = self.rows.clone();
        let refusal = self.submit(submission(verb, line)).expect_err(line);
        assert_eq!(self.rows, before, "a refusal changes nothing");
        refusal
    }

    pub(crate) fn accept(&mut self, verb: Verb, line: &str) -> Operation {
        self.submit(submission(verb, line))
            .expect(line)
            .operation
            .expect(line)
    }

    /// An upgrade whose images have been fetched: the first targets have their turn.
    pub(crate) fn upgrade(&mut self, line: &str) -> Operation {
        let operation = self.accept(Verb::Upgrade, line);
        for target in &operation.targets {
            self.succeed(target.node);
        }
        self.operation(operation.id)
    }

    pub(crate) fn operation(&self, id: OperationId) -> Operation {
        self.fleet.operation(id).unwrap()
    }

    pub(crate) fn target(&self, id: OperationId, node: NodeAddr) -> Target {
        self.operation(id)
            .targets
            .into_iter()
            .find(|target| target.node == node)
            .unwrap()
    }

    pub(crate) fn states(&self, id: OperationId) -> Vec<TargetState> {
        self.operation(id)
            .targets
            .iter()
            .map(|target| target.state)
            .collect()
    }

    pub(crate) fn cancel(&mut self, id: OperationId) {
        let turn = self.fleet.cancel(&id.to_string(), "bert", self.now);
        self.commit(turn).unwrap();
    }

    /// Lets time pass in ticks, with every connected agent sending heartbeats.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = after(self.now, time);
        while self.now < end {
            self.now = after(self.now, Duration::from_millis(500)).min(end);
            self.heartbeats();
            let turn = self.fleet.tick(self.now);
            self.commit(turn);
        }
    }

    pub(crate) fn heartbeats(&mut self) {
        let sessions: Vec<_> = self
            .agents
            .values()
            .filter_map(|agent| {
                let session = agent.session?;
                Some((agent.node, session, agent.unclaimed(), agent.beat.clone()))
            })
            .collect();
        for (node, session, unclaimed, beat) in sessions {
            let heartbeat = crate::core::request::Heartbeat {
                unclaimed,
                looked: true,
                ..beat
            };
            let turn = self.fleet.heartbeat(session, node, heartbeat, self.now);
            self.commit(turn);
        }
    }

    pub(crate) fn tick(&mut self) {
        let turn = self.fleet.tick(self.now);
        self.commit(turn);
    }

    /// Commits a turn and delivers its effects.
    pub(crate) fn commit<T>(&mut self, turn: Turn<T>) -> T {
        self.write(&turn);
        for effect in turn.effects {
            self.deliver(effect);
        }
        turn.answer
    }

    /// Commits a turn whose effects are lost, as when the controller dies after the commit.
    pub(crate) fn commit_and_die<T>(&mut self, turn: Turn<T>) -> T {
        self.write(&turn);
        self.restart();
        turn.answer
    }

    fn write<T>(&mut self, turn: &Turn<T>) {
        for key in &turn.writes {
            match self.fleet.value(key) {
                Some(value) => drop(self.rows.insert(key.to_string(), value)),
                None => drop(self.rows.remove(&key.to_string())),
            }
        }
        for (key, value) in &turn.archived {
            self.rows.insert(key.to_string(), value.clone());
        }
        self.last_writes.clone_from(&turn.writes);
    }

    fn deliver(&mut self, effect: Effect) {
        match effect {
            Effect::Send { node, message, .. } => {
                if let Some(agent) = self.agents.get_mut(&node) {
                    agent.receive(message);
                }
            }
            Effect::Close {
                node,
                session,
                reason,
            } => {
                self.closed.push((node, session, reason));
                if let Some(agent) = self.agents.get_mut(&node)
                    && agent.session == Some(session)
                {
                    agent.session = None;
                }
            }
            Effect::Changed(_) | Effect::Door | Effect::Events | Effect::Outside => {}
            Effect::Counted(counted) => self.counted.push(counted),
        }
    }

    /// A new controller on what is committed. Every connection is gone.
    pub(crate) fn restart(&mut self) {
        self.epoch += 1;
        self.load();
        for agent in self.agents.values_mut() {
            agent.session = None;
        }
    }

    fn load(&mut self) {
        let loading = Loading {
            settings: self.settings.clone(),
            store: self.store,
            epoch: self.epoch,
            last_session: 0,
        };
        let rows = self
            .rows
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()));
        self.fleet = Fleet::load(loading, rows, self.now).unwrap();
    }

    /// The id of the node's present record.
    pub(crate) fn record(&self, node: NodeAddr) -> Option<RecordId> {
        self.fleet.nodes[&node]
            .row
            .record
            .as_ref()
            .map(|record| record.id)
    }
}
