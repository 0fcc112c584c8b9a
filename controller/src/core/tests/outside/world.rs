//! A fleet on a bench, with a portal and enforcers that do what is wanted when they are told to.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use extend_common::clock::after;
use extend_common::ids::NodeAddr;
use extend_common::roles::Resource;
use extend_common::status::{Health, OutcomeKind};

use super::super::bench::{Bench, GUIDE, node, settings};
use crate::core::{OutsideSettings, Settings};
use crate::portal::{Portal, PortalEntry, PortalSeen, Problem, Step, Target, diff};
use crate::whitelist::{AddressKind, EnforcerKind, Round, Seen, Standing, State};

/// The Elastic IPs of the guide's nodes, in the order of its servers.
pub(super) const ELASTIC: [&str; 4] = [
    "54.215.234.53",
    "54.215.234.54",
    "54.215.234.52",
    "54.215.234.55",
];

pub(super) fn elastic(at: &str) -> Ipv4Addr {
    let place = GUIDE.iter().position(|(_, _, node)| *node == at).unwrap();
    ELASTIC[place].parse().unwrap()
}

pub(super) fn problem(sentence: &str, lasting: bool) -> Problem {
    Problem {
        sentence: sentence.to_owned(),
        hint: "give the account more".to_owned(),
        lasting,
    }
}

/// The bench and what is outside it.
pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) portal: Portal,
    /// Nothing is done in the portal any more.
    pub(super) frozen: bool,
    kinds: Vec<EnforcerKind>,
    denied: Vec<Ipv4Addr>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::of(OutsideSettings {
            portal: true,
            ..OutsideSettings::default()
        })
    }

    /// With a security group too.
    pub(super) fn with_group() -> Self {
        let mut world = Self::of(OutsideSettings {
            portal: true,
            security_group: true,
            ..OutsideSettings::default()
        });
        world.kinds.push(EnforcerKind::SecurityGroup);
        world
    }

    fn of(outside: OutsideSettings) -> Self {
        Self {
            bench: Bench::with(Settings {
                outside,
                ..settings()
            }),
            portal: Portal {
                version: "22.6.3".to_owned(),
                ..Portal::default()
            },
            frozen: false,
            kinds: vec![EnforcerKind::Pbx],
            denied: Vec::new(),
        }
    }

    /// The guide's fleet, registered, let in, deployed and online.
    pub(super) fn guide() -> Self {
        let mut world = Self::new();
        world.turn();
        for ((role, name, at), public) in GUIDE.into_iter().zip(ELASTIC) {
            world.bench.join(node(at));
            let line = format!("-s {role} -n {name} -a {at} -A {public}");
            let id = world
                .bench
                .accept(extend_common::operation::Verb::Run, &line)
                .id;
            world.turn();
            world.bench.succeed(node(at));
            world.online(at, true);
            world.turn();
            let operation = world.bench.operation(id);
            assert_eq!(operation.summary(), "succeeded", "{operation:#?}");
        }
        world
    }

    /// A second passes, what is wanted is done, and everybody looks.
    pub(super) fn turn(&mut self) {
        self.turn_of(&self.kinds.clone());
    }

    /// The same, where only some of the enforcers do.
    pub(super) fn turn_of(&mut self, kinds: &[EnforcerKind]) {
        self.apply();
        self.enforce_of(kinds);
        // What that has changed is done and seen, too.
        self.apply();
    }

    /// Time passes, a look every five seconds.
    pub(super) fn tend(&mut self, time: Duration) {
        let end = after(self.bench.now, time);
        while self.bench.now < end {
            self.bench.pass(Duration::from_secs(4));
            self.turn();
        }
    }

    /// What the portal is to be is done there, and it is looked at.
    pub(super) fn apply(&mut self) {
        if !self.frozen {
            let wanted = self.bench.fleet.portal_wanted();
            for _ in 0..2 {
                for step in diff(&wanted, &self.portal).steps {
                    self.step(step);
                }
            }
        }
        self.look();
    }

    fn step(&mut self, step: Step) {
        let id = |target: &Target, entry: &PortalEntry| entry.id == target.id;
        match step {
            Step::Destroy(target) => self.portal.entries.retain(|entry| !id(&target, entry)),
            Step::Enable(_, target) => self.enable(&target.name, true),
            Step::Disable(_, target) => self.enable(&target.name, false),
            Step::Create(_, new) => self.portal.entries.push(PortalEntry {
                resource: new.resource,
                id: format!("{} at {:?}", new.name, new.addresses()),
                name: new.name.to_string(),
                internal: false,
                enabled: new.enabled.unwrap_or(true),
                addresses: new.addresses(),
                online: Some(false),
                sessions: new.resource.counts_sessions().then_some(0),
            }),
        }
    }

    /// A look at the portal as it is.
    pub(super) fn look(&mut self) {
        let result = Ok(self.portal.clone());
        self.see(result);
    }

    fn see(&mut self, result: Result<Portal, Problem>) {
        let at = after(self.bench.now, Duration::from_millis(1));
        self.bench.now = after(self.bench.now, Duration::from_millis(2));
        self.bench.tick();
        let seen = PortalSeen { at, result };
        let turn = self.bench.fleet.portal_seen(seen, self.bench.now);
        self.bench.commit(turn);
    }

    /// A look that shows nothing.
    pub(super) fn fail(&mut self, why: &str) {
        self.see(Err(problem(why, false)));
    }

    /// A look after which the PBX has refused something for a node's server.
    pub(super) fn refuse(&mut self, at: &str, problem: Problem) {
        let mut portal = self.portal.clone();
        portal.problems = BTreeMap::from([(node(at), problem)]);
        self.see(Ok(portal));
    }

    /// Every enforcer does what is wanted, and tells.
    pub(super) fn enforce(&mut self) {
        self.enforce_of(&self.kinds.clone());
    }

    fn enforce_of(&mut self, kinds: &[EnforcerKind]) {
        for kind in kinds {
            let list = self.bench.fleet.let_in();
            let cares =
                |kind_of: AddressKind| *kind == EnforcerKind::Pbx || kind_of == AddressKind::Public;
            let standings = list.wanted.iter().filter(|(_, holder)| cares(holder.kind));
            let standings = standings.map(|(address, holder)| Standing {
                address: *address,
                holder: holder.clone(),
                state: match self.denied.contains(address) {
                    true => State::Denied,
                    false => State::InForce,
                },
                by: None,
                note: String::new(),
            });
            let seen = Seen {
                standings: standings.collect(),
                gone: list.withdrawn.keys().copied().collect(),
                ..Seen::default()
            };
            self.bench.now = after(self.bench.now, Duration::from_millis(2));
            let round = Round {
                enforcer: *kind,
                at: self.bench.now,
                result: Ok(seen),
            };
            let turn = self.bench.fleet.enforced(round, self.bench.now);
            self.bench.commit(turn);
        }
    }

    /// Whatever keeps a server's sessions away is done, and its agent's word is all that is left.
    pub(super) fn settle_drain(&mut self) {
        self.turn();
        self.turn();
    }

    /// The addresses that are to be let in, private ones first.
    pub(super) fn wanted(&self) -> Vec<Ipv4Addr> {
        let list = self.bench.fleet.let_in();
        list.wanted.into_keys().rev().collect()
    }

    pub(super) fn withdrawn(&self) -> Vec<Ipv4Addr> {
        let list = self.bench.fleet.let_in();
        list.withdrawn.into_keys().rev().collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<&PortalEntry> {
        self.portal.entries.iter().find(|entry| entry.name == name)
    }

    pub(super) fn entry(&self, name: &str) -> &PortalEntry {
        self.find(name).unwrap()
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut PortalEntry)) {
        let mut entries = self.portal.entries.iter_mut();
        change(entries.find(|entry| entry.name == name).unwrap());
    }

    pub(super) fn enable(&mut self, name: &str, enabled: bool) {
        self.change(name, |entry| entry.enabled = enabled);
    }

    pub(super) fn sessions(&mut self, name: &str, sessions: Option<u64>) {
        self.change(name, |entry| entry.sessions = sessions);
    }

    pub(super) fn rename(&mut self, name: &str, to: &str) {
        self.change(name, |entry| to.clone_into(&mut entry.name));
    }

    pub(super) fn drop_entry(&mut self, name: &str) {
        self.portal.entries.retain(|entry| entry.name != name);
    }

    pub(super) fn online(&mut self, at: &str, online: bool) {
        let (_, name, _) = GUIDE.iter().find(|(_, _, node)| *node == at).unwrap();
        self.change(name, |entry| entry.online = Some(online));
    }

    pub(super) fn built_in(&mut self, path: &str, online: bool) {
        let resource = Resource::ALL
            .into_iter()
            .find(|r| r.path() == path)
            .unwrap();
        self.portal.entries.push(PortalEntry {
            resource,
            id: format!("internal-{path}"),
            name: "built-in".to_owned(),
            internal: true,
            enabled: true,
            addresses: Vec::new(),
            online: Some(online),
            sessions: None,
        });
    }

    /// The PBX keeps an address out.
    pub(super) fn keep_out(&mut self, at: &str) {
        self.denied.push(node(at).ip());
    }

    /// The agent comes to the end of what it was told.
    pub(super) fn work(&mut self, at: &str, kind: OutcomeKind) {
        let at = node(at);
        let agent = &self.bench.agents[&at];
        if agent.session.is_some() && agent.record.is_some() && agent.outcome.is_none() {
            self.bench.work(at, kind, "as it was told");
        }
    }

    /// The agent tells of its server's health.
    pub(super) fn ail(&mut self, at: &str, health: Health) {
        let at: NodeAddr = node(at);
        self.bench.agents.get_mut(&at).unwrap().health = Some(health);
        self.bench.report(at);
    }
}
