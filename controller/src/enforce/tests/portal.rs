//! The registrations, kept by the task, on the strict stand-in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::Backoff;
use extend_common::clock::Clock;
use extend_common::ids::NodeAddr;
use extend_common::roles::Resource;
use extend_pbx_standin::{After, Fault, Kind, What};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::enforce::PortalTask;
use crate::pbx::Pbx;
use crate::pbx::tests::{Rig, registration, settings};
use crate::portal::{Former, Portal, PortalSeen, PortalWanted, Registration};

fn node() -> NodeAddr {
    Ipv4Addr::new(172, 31, 16, 139).try_into().unwrap()
}

fn wanted(new: &Registration) -> PortalWanted {
    PortalWanted {
        registered: BTreeMap::from([(node(), new.clone())]),
        former: Vec::new(),
    }
}

fn gone(new: &Registration) -> PortalWanted {
    PortalWanted {
        registered: BTreeMap::new(),
        former: vec![Former {
            name: new.name.clone(),
            resource: new.resource,
            addresses: new.addresses(),
        }],
    }
}

struct Going {
    wanted: watch::Sender<Arc<PortalWanted>>,
    seen: mpsc::Receiver<PortalSeen>,
    task: JoinHandle<()>,
}

impl Going {
    fn start(pbx: &Pbx, wanted: PortalWanted) -> Self {
        let (wanted, receiver) = watch::channel(Arc::new(wanted));
        let (sender, seen) = mpsc::channel(1);
        let task = PortalTask {
            pbx: pbx.clone(),
            wanted: receiver,
            seen: sender,
            poll: Duration::from_millis(10),
            backoff: Backoff {
                first: Duration::from_millis(5),
                most: Duration::from_millis(40),
            },
            clock: Clock::system(),
            random: || 1.0,
        };
        let task = tokio::spawn(task.run(CancellationToken::new()));
        Self { wanted, seen, task }
    }

    async fn next(&mut self) -> PortalSeen {
        let seen = tokio::time::timeout(Duration::from_secs(20), self.seen.recv());
        seen.await.expect("it looks").expect("it goes on")
    }

    /// Looks on until the portal is so.
    async fn until(&mut self, so: impl Fn(&Portal) -> bool) -> Portal {
        for _ in 0..500 {
            if let Ok(portal) = self.next().await.result
                && so(&portal)
            {
                return portal;
            }
        }
        panic!("it never was so");
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn has(name: &'static str, resource: Resource) -> impl Fn(&Portal) -> bool {
    move |portal| portal.entry(resource, name).is_some()
}

/// No built-in server was changed.
fn assert_internal_untouched(rig: &Rig) {
    let state = rig.standin.state();
    let servers = state.servers.values().flat_map(BTreeMap::values);
    let internal: Vec<_> = servers.filter(|server| server.internal).collect();
    assert_eq!(internal.len(), 4);
    assert!(internal.iter().all(|server| server.changes == 0));
}

#[tokio::test]
async fn a_server_is_registered_seen_disabled_enabled_and_unregistered() {
    for resource in Resource::ALL {
        let rig = Rig::new().await;
        let mut new = registration("server1", resource);
        let mut going = Going::start(&rig.pbx, wanted(&new));
        let portal = going.until(has("server1", resource)).await;
        assert_eq!(portal.version, "22.3.0");
        let entry = portal.entry(resource, "server1").unwrap();
        assert!(entry.enabled && entry.is_at(&new.addresses()));
        assert_eq!(entry.online, Some(false));
        let internal = portal.entries.iter().filter(|entry| entry.internal);
        assert!(internal.clone().count() == 4 && internal.clone().all(|e| e.online == Some(true)));

        for server in rig.standin.state().named("server1") {
            server.online = true;
            server.sessions = 7;
        }
        let online = |portal: &Portal| {
            portal
                .entry(resource, "server1")
                .is_some_and(|e| e.online == Some(true))
        };
        let portal = going.until(online).await;
        let sessions = portal.entry(resource, "server1").unwrap().sessions;
        assert_eq!(sessions, resource.counts_sessions().then_some(7));

        for enabled in [false, true] {
            new.enabled = Some(enabled);
            going.wanted.send_replace(Arc::new(wanted(&new)));
            let so = |portal: &Portal| {
                portal
                    .entry(resource, "server1")
                    .is_some_and(|e| e.enabled == enabled)
            };
            going.until(so).await;
        }
        going.wanted.send_replace(Arc::new(gone(&new)));
        going
            .until(|portal| !has("server1", resource)(portal))
            .await;
        assert_internal_untouched(&rig);
        rig.assert_by_the_book();
    }
}

#[tokio::test]
async fn answers_that_are_lost_throttled_or_broken_register_nothing_twice() {
    let lost = [
        What::Apply(After::Break),
        What::Apply(After::Status(500)),
        What::Apply(After::Garbage),
        What::Apply(After::Silence),
        What::Refuse {
            status: 429,
            wait: Some(0),
        },
        What::Break,
    ];
    for what in lost {
        let rig = Rig::new().await;
        let mut settings = settings(&rig.standin.url(), rig.path());
        settings.limits.answer = Duration::from_millis(500);
        let pbx = Pbx::new(settings);
        let new = registration("queue1", Resource::CallQueueServers);
        let once = Fault::of("POST", "/call_queue_servers", 1, what.clone());
        rig.standin.state().faults.push(once);
        let mut going = Going::start(&pbx, wanted(&new));
        if matches!(what, What::Break) {
            // Nothing was done, and nobody knows it yet: no second try for now.
            let problem = going
                .until(|portal| portal.problems.contains_key(&node()))
                .await;
            assert!(!problem.problems[&node()].lasting);
        } else {
            going.until(has("queue1", Resource::CallQueueServers)).await;
        }
        for _ in 0..3 {
            going.next().await;
        }
        let made = rig.standin.state().named("queue1").count();
        assert_eq!(made, usize::from(!matches!(what, What::Break)), "{what:?}");
        assert_internal_untouched(&rig);
    }
}

#[tokio::test]
async fn what_the_pbx_does_late_is_not_done_a_second_time() {
    let rig = Rig::new().await;
    let mut settings = settings(&rig.standin.url(), rig.path());
    settings.limits.answer = Duration::from_millis(50);
    let pbx = Pbx::new(settings);
    let late = Fault::of("POST", "/ivr_servers", 1, What::Late { ms: 400 });
    rig.standin.state().faults.push(late);
    let new = registration("ivr1", Resource::IvrServers);
    let mut going = Going::start(&pbx, wanted(&new));
    let portal = going.until(has("ivr1", Resource::IvrServers)).await;
    assert_eq!(portal.problems, BTreeMap::new(), "it is there");
    for _ in 0..3 {
        going.next().await;
    }
    assert_eq!(rig.standin.state().named("ivr1").count(), 1);
}

#[tokio::test]
async fn a_registration_that_never_came_is_made_when_it_can_no_longer_come() {
    let rig = Rig::new().await;
    let fault = Fault::of("POST", "/ivr_servers", 1, What::Break);
    rig.standin.state().faults.push(fault);
    let new = registration("ivr1", Resource::IvrServers);
    let mut going = Going::start(&rig.pbx, wanted(&new));
    going
        .until(|portal| portal.problems.contains_key(&node()))
        .await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(16)).await;
    tokio::time::resume();
    let portal = going.until(has("ivr1", Resource::IvrServers)).await;
    assert_eq!(portal.problems, BTreeMap::new());
    assert_eq!(rig.standin.state().named("ivr1").count(), 1);
}

#[tokio::test]
async fn what_a_person_changes_is_put_right_and_what_is_foreign_stays() {
    let rig = Rig::new().await;
    let put = |value: serde_json::Value| {
        let fields = value.as_object().unwrap().clone();
        rig.standin.state().put(Kind::MediaServers, fields)
    };
    let foreign = put(json!({"name": "media9", "enabled": false, "private_ipv4": "172.31.16.9"}));
    let mut new = registration("media1", Resource::MediaServers);
    new.enabled = Some(true);
    let mut going = Going::start(&rig.pbx, wanted(&new));
    going.until(has("media1", Resource::MediaServers)).await;
    for server in rig.standin.state().named("media1") {
        server.fields.insert("enabled".to_owned(), json!(false));
    }
    let enabled = |portal: &Portal| {
        portal
            .entry(Resource::MediaServers, "media1")
            .is_some_and(|entry| entry.enabled)
    };
    while rig
        .standin
        .state()
        .named("media1")
        .any(|server| !server.enabled())
    {
        going.next().await;
    }
    going.until(enabled).await;
    // Taken away by hand: there again.
    let remove = |servers: &mut BTreeMap<String, extend_pbx_standin::Server>| {
        servers.retain(|_, server| server.name() != "media1");
    };
    remove(
        rig.standin
            .state()
            .servers
            .get_mut(&Kind::MediaServers)
            .unwrap(),
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(16)).await;
    tokio::time::resume();
    while rig.standin.state().named("media1").count() == 0 {
        going.next().await;
    }
    assert_eq!(rig.standin.state().named("media1").count(), 1);
    let state = rig.standin.state();
    let there = &state.servers[&Kind::MediaServers][&foreign];
    assert_eq!((there.changes, there.enabled()), (0, false));
    drop(state);
    assert_internal_untouched(&rig);
    rig.assert_by_the_book();
}

#[tokio::test]
async fn what_the_pbx_refuses_is_told_and_ends_when_it_is_done() {
    let rig = Rig::new().await;
    let refuse = What::Refuse {
        status: 400,
        wait: None,
    };
    let fault = Fault::of("POST", "/media_servers", 1000, refuse);
    rig.standin.state().faults.push(fault);
    let new = registration("media1", Resource::MediaServers);
    let mut going = Going::start(&rig.pbx, wanted(&new));
    let portal = going.until(|portal| !portal.problems.is_empty()).await;
    let problem = &portal.problems[&node()];
    assert!(problem.lasting);
    assert!(
        problem
            .sentence
            .contains("register media server media1: the PBX refused")
    );
    rig.standin.state().faults.clear();
    let portal = going.until(has("media1", Resource::MediaServers)).await;
    assert_eq!(portal.problems, BTreeMap::new());

    rig.standin.state().forbidden = true;
    let error = loop {
        if let Err(problem) = going.next().await.result {
            break problem;
        }
    };
    assert!(error.lasting && error.sentence.contains("System Settings: Full Access"));
    rig.standin.state().forbidden = false;
    going.until(has("media1", Resource::MediaServers)).await;
}

#[tokio::test]
async fn half_a_look_is_none() {
    let rig = Rig::new().await;
    let new = registration("ivr1", Resource::IvrServers);
    let mut fault = Fault::of(
        "GET",
        "/ivr_servers",
        0,
        What::Refuse {
            status: 500,
            wait: None,
        },
    );
    fault.times = None;
    rig.standin.state().faults.push(fault);
    let mut going = Going::start(&rig.pbx, wanted(&new));
    for _ in 0..3 {
        going.next().await.result.unwrap_err();
    }
    assert_eq!(
        rig.standin.state().changes(),
        Vec::<String>::new(),
        "nothing was concluded"
    );
    rig.standin.state().faults.clear();
    going.until(has("ivr1", Resource::IvrServers)).await;
}

/// The task is dropped wherever it is, and begun anew, until all is as it is wanted.
#[tokio::test]
async fn it_may_die_anywhere_and_registers_nothing_twice() {
    let rig = Rig::new().await;
    let mut want = PortalWanted::default();
    for (last, resource) in (140_u8..).zip(Resource::ALL) {
        let private = Ipv4Addr::new(172, 31, 16, last);
        let new = Registration {
            private,
            public: Some(Ipv4Addr::new(54, 0, 0, last)),
            enabled: Some(false),
            ..registration(&format!("server{last}"), resource)
        };
        want.registered.insert(private.try_into().unwrap(), new);
    }
    let old = registration("old1", Resource::MediaServers);
    let mut going = Going::start(&rig.pbx, wanted(&old));
    going.until(has("old1", Resource::MediaServers)).await;
    drop(going);
    want.former = gone(&old).former;

    let so = |portal: &Portal| {
        let all = want.registered.values();
        portal.entry(Resource::MediaServers, "old1").is_none()
            && all.clone().all(|new| {
                let entry = portal.entry(new.resource, new.name.as_str());
                entry.is_some_and(|entry| !entry.enabled)
            })
    };
    for calls in 1_usize.. {
        assert!(calls < 200, "it never comes to rest");
        let before = rig.standin.state().record.len();
        let mut going = Going::start(&rig.pbx, want.clone());
        let far = async {
            while rig.standin.state().record.len() < before + calls {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::select! {
            biased;
            _ = going.until(so) => true,
            () = far => false,
        };
        if settled {
            break;
        }
    }
    for new in want.registered.values() {
        let made = rig.standin.state().named(new.name.as_str()).count();
        assert_eq!(made, 1, "{}", new.name);
    }
    assert_eq!(rig.standin.state().named("old1").count(), 0);
    assert_internal_untouched(&rig);
    rig.assert_by_the_book();
}
