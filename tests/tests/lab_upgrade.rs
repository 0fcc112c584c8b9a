//! Everything reboots, loses its power or its network in the middle of an upgrade of all servers,
//! and the upgrade comes to the same end. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use extend_tests::lab::{
    Before, IVR, Lab, MEETING, May, PRIMARY, QUEUE, SERVERS, SOON, faults, invariants, node_of,
};
use extend_tests::real::{Server, until};
use jiff::Timestamp;
use serde_json::Value;

/// An upgrade of all takes half a minute; what was rebooted has to boot meanwhile.
const ENDS: Duration = Duration::from_secs(240);
/// What a server goes through in its turn; a look may miss the short ones.
const REPLACING: [&str; 4] = ["stopping", "creating", "starting", "verifying"];

/// An upgrade of all servers, to a version that was just released under the same tag.
struct Upgrade<'a> {
    lab: &'a Lab,
    before: Before,
    version: String,
    id: String,
    /// Whose Engine was started anew: it has forgotten what it did before.
    reborn: BTreeSet<&'static str>,
    /// What was told of the targets' phases before anything went wrong.
    seen: BTreeMap<String, Vec<String>>,
}

impl<'a> Upgrade<'a> {
    fn begin(lab: &'a Lab, more: &[&str]) -> Self {
        let version = lab.release_newer();
        let before = Before::look(lab);
        let asked = lab.extend(&[&["upgrade", "--detach"], more].concat());
        let id = asked.expect(0, "it is recorded").stdout.trim().to_owned();
        Self {
            lab,
            before,
            version,
            id,
            reborn: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Waits until it has come so far.
    #[track_caller]
    fn await_so_far(&mut self, what: &str, so: impl Fn(&[Value]) -> bool) {
        let targets = until(what, SOON, || {
            let shown = self.lab.operation(&self.id);
            assert!(shown["ended_at"].is_null(), "it is too late: {shown:#}");
            let targets = shown["targets"].as_array().unwrap();
            if so(targets) {
                Ok(targets.clone())
            } else {
                Err(format!("{shown:#}"))
            }
        });
        let seen = |target: &Value| (target["name"].as_str().unwrap().to_owned(), phases(target));
        self.seen = targets.iter().map(seen).collect();
    }

    fn was_reborn(&mut self, server: Server) {
        self.before.was_reborn(node_of(server));
        self.reborn.insert(server.name);
    }

    /// It comes to its end by itself, after the moment in which something went wrong: everything
    /// was replaced once, by the same build, and nothing else was touched.
    fn ends_as_if_nothing_had_been(self, wrong: Timestamp) {
        let ended = until("the upgrade should end", ENDS, || {
            let shown = self.lab.extend(&["op", "show", &self.id, "-o", "json"]);
            // The controller may have to come back first.
            if shown.code != 0 || shown.json()["ended_at"].is_null() {
                return Err(shown.to_string());
            }
            Ok(shown.json())
        });
        assert_eq!(ended["state"], "succeeded", "{ended:#}");
        let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        assert!(
            time(&ended["ended_at"]) > wrong,
            "it was over before anything went wrong: {ended:#}"
        );
        let targets = ended["targets"].as_array().unwrap();
        assert_eq!(targets.len(), SERVERS.len());
        let builds: BTreeSet<_> = targets
            .iter()
            .map(|target| target["identity_after"].as_str().unwrap())
            .collect();
        assert_eq!(builds.len(), 1, "all run the same build: {ended:#}");
        for server in SERVERS {
            let target = targets.iter().find(|one| one["name"] == server.name);
            let target = target.unwrap();
            assert_eq!(target["state"], "succeeded", "{ended:#}");
            self.check_phases(server, target);
            self.check_container(server, target["identity_after"].as_str().unwrap());
        }
        let all = SERVERS.map(|server| (server, May::BeReplaced));
        self.before.check(self.lab, &all);
        for server in SERVERS {
            let shown = self.lab.server(server);
            assert_eq!(shown["version"], self.version.as_str(), "{shown:#}");
        }
    }

    /// What was told of a target before is told still, and goes on without a gap in its times. Who
    /// was away hears of the present phase afterwards, not of those that have passed: whose turn
    /// came later is seen in every part of it.
    fn check_phases(&self, server: Server, target: &Value) {
        let told = phases(target);
        let seen = &self.seen[server.name];
        let story = format!("{}: {told:?}, before: {seen:?}", server.name);
        assert!(told.starts_with(seen), "{story}");
        let fetched = told.iter().position(|phase| phase == "ready");
        let (ahead, turn) = told.split_at(fetched.expect(&story));
        assert!(ahead.contains(&"pulling".to_owned()), "{story}");
        assert_eq!(turn.last().unwrap(), "settled", "{story}");
        let is_replaced = |phase: &String| REPLACING.contains(&phase.as_str());
        if seen.len() <= ahead.len() + 1 {
            assert!(turn.iter().any(is_replaced), "{story}");
        }
        let entered = target["phases"].as_array().unwrap();
        let begins = entered.iter().skip(1).map(|one| &one["at"]);
        let ends = entered.iter().map(|one| &one["until"]);
        let has_no_gap = begins.chain([&target["ended_at"]]).eq(ends);
        assert!(has_no_gap, "{}: {target:#}", server.name);
    }

    /// Another container serves, made once, of the build that the operation names.
    fn check_container(&self, server: Server, build: &str) {
        let node = node_of(server);
        let seen = node.find(server.container).unwrap();
        assert_eq!(seen["Config"]["Image"], build, "{}", server.name);
        assert_ne!(seen["Id"], self.before.instance(server).id.as_str());
        if self.reborn.contains(server.name) {
            return;
        }
        let history = invariants::history(node, self.before.at());
        for action in ["create", "start"] {
            let count = history.iter().filter(|one| one["Action"] == action);
            assert_eq!(count.count(), 1, "{}: {action}: {history:#?}", server.name);
        }
    }
}

fn phases(target: &Value) -> Vec<String> {
    let entered = target["phases"].as_array().unwrap();
    let phase = |one: &Value| one["phase"].as_str().unwrap().to_owned();
    entered.iter().map(phase).collect()
}

fn is(target: &Value, states: &[&str]) -> bool {
    states.iter().any(|state| target["state"] == *state)
}

#[test]
fn the_primary_reboots_and_loses_its_power_in_the_middle_of_an_upgrade_of_all() {
    let lab = Lab::healthy_fleet();
    let mut upgrade = Upgrade::begin(&lab, &[]);
    upgrade.await_so_far("some target should be under way", |targets| {
        targets
            .iter()
            .any(|target| target["phase"] == "ready" || is(target, &["running"]))
    });
    let down = Timestamp::now();
    lab.primary.reboot();
    upgrade.ends_as_if_nothing_had_been(down);

    // One after the other, so that most have not had their turn.
    let mut upgrade = Upgrade::begin(&lab, &["--serial"]);
    upgrade.await_so_far("one should be done and another under way", |targets| {
        let any = |state| targets.iter().any(|target| is(target, &[state]));
        any("succeeded") && any("running")
    });
    let down = Timestamp::now();
    lab.primary.cut_power();
    lab.primary.restore_power();
    upgrade.ends_as_if_nothing_had_been(down);
}

#[test]
fn nodes_engines_and_networks_fail_in_the_middle_of_an_upgrade_of_all() {
    let lab = Lab::healthy_fleet();
    // While images are fetched, and while containers are replaced.
    for parts in [["pulling", "ready"], ["stopping", "creating"]] {
        let mut upgrade = Upgrade::begin(&lab, &[]);
        upgrade.await_so_far("some target should be so far", |targets| {
            let is_so_far = |target: &Value| parts.iter().any(|part| target["phase"] == *part);
            targets.iter().any(is_so_far)
        });
        let wrong = Timestamp::now();
        let cut = faults::cut_between(node_of(QUEUE), PRIMARY);
        node_of(MEETING).shell("systemctl restart docker.service");
        upgrade.was_reborn(MEETING);
        node_of(IVR).reboot();
        upgrade.was_reborn(IVR);
        lab.await_node(node_of(QUEUE), "be offline", SOON, |shown| {
            shown["state"] == "offline"
        });
        cut.mend();
        upgrade.ends_as_if_nothing_had_been(wrong);
    }
}
