//! The examiner with simulated hosts: in time whatever hangs, and whoever asks.

use std::net::SocketAddrV4;
use std::sync::mpsc;

use extend_common::checkup::{CheckName, Verdict};
use extend_common::firewall::{FirewallChange, FirewallState, FirewallTold};
use extend_common::roles::RoleSet;

use super::*;
use crate::core::spec::NodeFacts;
use crate::docker::memory::MemoryDocker;
use crate::host::{BusyPort, HostAnswer, HostError, HostVerb, MemoryHost, RoleNeeds};

fn examiner(host: impl Host) -> (Examiner, MemoryDocker) {
    let roles = RoleSet::built_in().unwrap();
    let docker = MemoryDocker::new(roles.clone());
    let settings = Settings {
        facts: NodeFacts {
            node: "127.0.9.1".parse().unwrap(),
            data: "/var/lib/portsip".into(),
        },
        roles: Arc::new(roles),
        repositories: vec!["portsip/*".to_owned()],
        credentials: "/nonexistent".into(),
    };
    let examiner = Examiner::new(Parts {
        docker: Arc::new(docker.clone()),
        host: Arc::new(host),
        figures: Figures::none(),
        cloud: Cloud::none(),
        settings: Arc::new(settings),
        view: watch::channel(AgentView::default()).1,
    });
    (examiner, docker)
}

fn wanted(ports: &[(&str, u32)]) -> v1::CheckupWanted {
    let port = |(address, port): &(&str, u32)| v1::CheckupPort {
        address: (*address).to_owned(),
        port: *port,
        purpose: "REST\u{1b} API".to_owned(),
        needed: true,
    };
    v1::CheckupWanted {
        id: "1".to_owned(),
        role: "media-server-only".to_owned(),
        ports: ports.iter().map(port).collect(),
    }
}

async fn told(examiner: &Examiner, wanted: v1::CheckupWanted) -> Vec<Check> {
    let told = examiner.answer(wanted).await;
    assert_eq!(told.id, "1");
    Check::list(told.checks)
}

#[track_caller]
fn verdict(checks: &[Check], name: CheckName) -> Verdict {
    checks
        .iter()
        .find(|check| check.name == name)
        .unwrap()
        .verdict
}

#[tokio::test]
async fn a_checkup_is_told_with_what_the_engine_and_the_network_say() {
    let host = MemoryHost::new();
    let (examiner, _docker) = examiner(host.clone());
    let checks = told(&examiner, wanted(&[("54.151.30.9", 8887)])).await;
    let not_ok: Vec<_> = checks
        .iter()
        .filter(|check| check.verdict != Verdict::Ok)
        .collect();
    assert_eq!(not_ok.len(), 1, "{not_ok:#?}");
    // Nothing simulated keeps a clock.
    assert_eq!(not_ok[0].name, CheckName::Clock);
    let to: SocketAddrV4 = "54.151.30.9:8887".parse().unwrap();
    host.set_unreachable(to, Some(NotReached::Failed("refused".to_owned())));
    host.set_facts(|facts| facts.os = None);
    let checks = told(&examiner, wanted(&[("54.151.30.9", 8887)])).await;
    assert_eq!(verdict(&checks, CheckName::PbxReachable), Verdict::Fail);
    assert_eq!(verdict(&checks, CheckName::OsRelease), Verdict::Unknown);
}

#[tokio::test]
async fn who_asks_for_anything_is_answered_within_bounds() {
    let (examiner, _docker) = examiner(MemoryHost::new());
    let mut hostile = wanted(&[
        ("pbx.example.com", 1),
        ("10.0.0.1", 99_999),
        ("10.0.0.1", 0),
    ]);
    hostile.role = "../../etc".to_owned();
    let checks = told(&examiner, hostile).await;
    let check = checks
        .iter()
        .find(|check| check.name == CheckName::PbxReachable)
        .unwrap();
    assert_eq!(check.verdict, Verdict::Unknown);
    assert!(!check.found.contains('\u{1b}'), "{check:?}");
    assert_eq!(verdict(&checks, CheckName::DiskSize), Verdict::Unknown);
    let many = vec![("10.0.0.1", 1); 999];
    let checks = told(&examiner, wanted(&many)).await;
    let check = checks
        .iter()
        .find(|check| check.name == CheckName::PbxReachable)
        .unwrap();
    assert_eq!(check.found.matches("10.0.0.1:1").count(), MAX_DOORS);
}

/// A host that learns one thing, and hangs until it is let go.
struct Hanging(Mutex<mpsc::Receiver<()>>);

impl Host for Hanging {
    fn act(&self, _: HostVerb, _: &RoleNeeds) -> Result<HostAnswer, HostError> {
        Ok(HostAnswer::default())
    }

    fn busy_port(
        &self,
        _: &[extend_common::roles::PortRange],
        _: extend_common::ids::NodeAddr,
    ) -> Result<Option<BusyPort>, HostError> {
        Ok(None)
    }

    fn examine(&self, _: &Look, found: &Mutex<Facts>) {
        found.lock().unwrap().os = Facts::exemplary().os;
        // Ends with its sender at the latest.
        let _ = self.0.lock().unwrap().recv();
    }

    fn firewall(&self, _: &FirewallChange) -> Result<FirewallTold, HostError> {
        Ok(FirewallTold::of(FirewallState::Absent))
    }

    fn reach(&self, _: SocketAddrV4, _: Duration) -> Result<(), NotReached> {
        Ok(())
    }

    fn free_space(&self, _: &std::path::Path) -> Option<u64> {
        None
    }
}

#[tokio::test]
async fn what_hangs_is_unknown_and_takes_nothing_else_with_it() {
    let (go, held) = mpsc::channel();
    let (examiner, docker) = examiner(Hanging(Mutex::new(held)));
    docker.freeze_daemon(true);
    let first = told(&examiner, wanted(&[])).await;
    assert_eq!(verdict(&first, CheckName::OsRelease), Verdict::Ok);
    assert_eq!(verdict(&first, CheckName::Updates), Verdict::Unknown);
    assert_eq!(verdict(&first, CheckName::Docker), Verdict::Unknown);
    assert_eq!(verdict(&first, CheckName::OneRole), Verdict::Unknown);
    // The next one does not join it.
    docker.freeze_daemon(false);
    let second = told(&examiner, wanted(&[])).await;
    assert_eq!(verdict(&second, CheckName::OsRelease), Verdict::Unknown);
    assert_ne!(verdict(&second, CheckName::OneRole), Verdict::Unknown);
    drop(go);
}
