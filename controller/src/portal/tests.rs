//! What a look at the portal leads to.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const PRIVATE: Ipv4Addr = Ipv4Addr::new(172, 31, 16, 139);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(54, 215, 234, 52);

fn registration(name: &str, resource: Resource) -> Registration {
    Registration {
        name: name.parse().unwrap(),
        resource,
        private: PRIVATE,
        public: Some(PUBLIC),
        limits: Limits::default(),
        enabled: None,
    }
}

fn entry(id: &str, new: &Registration) -> PortalEntry {
    PortalEntry {
        resource: new.resource,
        id: id.to_owned(),
        name: new.name.to_string(),
        internal: false,
        enabled: true,
        addresses: new.addresses(),
        online: None,
        sessions: None,
    }
}

fn former(new: &Registration) -> Former {
    Former {
        name: new.name.clone(),
        resource: new.resource,
        addresses: new.known(),
    }
}

fn node() -> NodeAddr {
    NodeAddr::try_from(PRIVATE).unwrap()
}

fn wanted(new: &Registration) -> PortalWanted {
    PortalWanted {
        registered: BTreeMap::from([(node(), new.clone())]),
        former: Vec::new(),
    }
}

fn portal(entries: Vec<PortalEntry>) -> Portal {
    Portal {
        entries,
        ..Portal::default()
    }
}

fn steps(wanted: &PortalWanted, entries: Vec<PortalEntry>) -> Vec<String> {
    let steps = diff(wanted, &portal(entries)).steps;
    steps.iter().map(ToString::to_string).collect()
}

fn problem(wanted: &PortalWanted, entries: Vec<PortalEntry>) -> String {
    let diff = diff(wanted, &portal(entries));
    assert_eq!(diff.steps, []);
    diff.problems[&node()].sentence.clone()
}

#[test]
fn a_server_is_registered_once() {
    for resource in Resource::ALL {
        let new = registration("server1", resource);
        assert_eq!(steps(&wanted(&new), vec![]), ["register server1"]);
        let found = vec![entry("a", &new)];
        assert_eq!(steps(&wanted(&new), found), Vec::<String>::new());
        // The same name under another menu item is another server.
        let other = Resource::ALL.into_iter().find(|o| *o != resource).unwrap();
        let foreign = vec![entry("a", &registration("server1", other))];
        assert_eq!(steps(&wanted(&new), foreign), ["register server1"]);
    }
}

/// An administrator has added it before, as the guide has it, with what he knew of its addresses.
#[test]
fn an_entry_that_was_made_by_hand_is_the_servers() {
    let mut new = registration("queue1", Resource::CallQueueServers);
    let by_hand = |addresses: &[Ipv4Addr]| {
        let mut found = entry("a", &new);
        found.addresses = addresses.to_vec();
        vec![found]
    };
    let elsewhere = Ipv4Addr::new(172, 31, 16, 99);
    assert_eq!(
        steps(&wanted(&new), by_hand(&[PRIVATE])),
        Vec::<String>::new()
    );
    assert!(problem(&wanted(&new), by_hand(&[elsewhere])).contains("the name stands there"));
    let (private, other) = (by_hand(&[PRIVATE]), by_hand(&[elsewhere]));
    // It goes with the server, and with nobody else's.
    let gone = |entries| {
        let mut left = wanted(&new);
        left.registered.clear();
        left.former = vec![Former {
            addresses: vec![PRIVATE, PUBLIC],
            ..former(&new)
        }];
        steps(&left, entries)
    };
    assert_eq!(gone(private), ["unregister queue1"]);
    assert_eq!(gone(other.clone()), Vec::<String>::new());
    // Where nobody has said which its Elastic IP is, its name is enough.
    new.public = None;
    assert_eq!(steps(&wanted(&new), other), Vec::<String>::new());
}

#[test]
fn it_is_enabled_or_disabled_only_where_that_is_wanted() {
    let mut new = registration("ivr1", Resource::IvrServers);
    let mut found = entry("a", &new);
    found.enabled = false;
    assert!(
        steps(&wanted(&new), vec![found.clone()]).is_empty(),
        "as it is found"
    );
    new.enabled = Some(true);
    assert_eq!(steps(&wanted(&new), vec![found.clone()]), ["enable ivr1"]);
    new.enabled = Some(false);
    assert!(steps(&wanted(&new), vec![found.clone()]).is_empty());
    found.enabled = true;
    // Twice in the portal: it gets sessions as long as one of them is enabled.
    let twice = vec![
        found.clone(),
        PortalEntry {
            id: "b".to_owned(),
            ..found
        },
    ];
    assert_eq!(
        steps(&wanted(&new), twice),
        ["disable ivr1", "disable ivr1"]
    );
}

#[test]
fn only_an_entry_of_the_same_name_and_addresses_goes() {
    let old = registration("media1", Resource::MediaServers);
    let gone = PortalWanted {
        registered: BTreeMap::new(),
        former: vec![former(&old)],
    };
    assert_eq!(steps(&gone, vec![entry("a", &old)]), ["unregister media1"]);
    let other = |change: fn(&mut PortalEntry)| {
        let mut entry = entry("a", &old);
        change(&mut entry);
        vec![entry]
    };
    for kept in [
        other(|entry| entry.name = "media2".to_owned()),
        other(|entry| entry.addresses = vec![Ipv4Addr::new(172, 31, 16, 99)]),
        other(|entry| entry.addresses.clear()),
        other(|entry| entry.internal = true),
        other(|entry| entry.resource = Resource::IvrServers),
    ] {
        assert!(steps(&gone, kept.clone()).is_empty(), "{kept:?}");
    }
    // The server was run again, as it was.
    let back = PortalWanted {
        former: vec![former(&old)],
        ..wanted(&old)
    };
    assert!(steps(&back, vec![entry("a", &old)]).is_empty());
}

#[test]
fn a_name_is_free_again_before_it_is_registered_anew() {
    let new = registration("media1", Resource::MediaServers);
    let old = Registration {
        public: None,
        ..new.clone()
    };
    let moved = PortalWanted {
        former: vec![former(&old)],
        ..wanted(&new)
    };
    assert_eq!(steps(&moved, vec![entry("a", &old)]), ["unregister media1"]);
    assert_eq!(steps(&moved, vec![]), ["register media1"]);
    // Another name at the same addresses.
    let renamed = PortalWanted {
        former: vec![former(&registration("old1", Resource::MediaServers))],
        ..wanted(&new)
    };
    let found = vec![entry("a", &registration("old1", Resource::MediaServers))];
    assert_eq!(steps(&renamed, found), ["unregister old1"]);
}

#[test]
fn what_stands_in_the_way_is_left_and_told() {
    let new = registration("queue1", Resource::CallQueueServers);
    let elsewhere = Registration {
        public: Some(Ipv4Addr::new(54, 1, 1, 1)),
        ..new.clone()
    };
    assert_eq!(
        problem(&wanted(&new), vec![entry("a", &elsewhere)]),
        "cannot register queue1 in the portal: the name stands there with 54.1.1.1 and not with \
         54.215.234.52, and addresses cannot be changed"
    );
    let other = registration("queue-1", Resource::CallQueueServers);
    assert_eq!(
        problem(&wanted(&new), vec![entry("a", &other)]),
        "cannot register queue1 in the portal: 54.215.234.52 stands there under the name queue-1"
    );
    let mut internal = entry("a", &new);
    internal.internal = true;
    assert_eq!(
        problem(&wanted(&new), vec![internal]),
        "cannot register queue1 in the portal: the PBX's built-in server has that name"
    );
}

/// Entries and wishes over few names and addresses, so that they meet.
fn any_server() -> impl Strategy<Value = Registration> {
    (
        0..2_usize,
        0..3_u8,
        1..4_u8,
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(resource, name, address, enabled)| Registration {
            name: format!("s{name}").parse().unwrap(),
            private: Ipv4Addr::new(10, 0, 0, address),
            public: None,
            enabled,
            ..registration("x", Resource::ALL[resource])
        })
}

fn any_entry() -> impl Strategy<Value = PortalEntry> {
    (any_server(), any::<bool>(), any::<bool>()).prop_map(|(server, internal, enabled)| {
        PortalEntry {
            internal,
            enabled,
            ..entry("", &server)
        }
    })
}

fn any_wanted() -> impl Strategy<Value = PortalWanted> {
    let some = prop::collection::vec(any_server(), 0..4);
    (some, prop::collection::vec(any_server(), 0..3)).prop_map(|(registered, gone)| PortalWanted {
        registered: registered
            .into_iter()
            .map(|new| (NodeAddr::try_from(new.private).unwrap(), new))
            .collect(),
        former: gone.iter().map(former).collect(),
    })
}

/// What the portal is when a step has been done.
fn done(portal: &mut Portal, step: &Step, made: &mut u32) {
    *made += 1;
    let mut set = |target: &Target, enabled: bool| {
        for entry in portal
            .entries
            .iter_mut()
            .filter(|entry| entry.id == target.id)
        {
            entry.enabled = enabled;
        }
    };
    match step {
        Step::Enable(_, target) => set(target, true),
        Step::Disable(_, target) => set(target, false),
        Step::Destroy(target) => portal.entries.retain(|entry| entry.id != target.id),
        Step::Create(_, new) => portal.entries.push(PortalEntry {
            enabled: new.enabled.unwrap_or(true),
            ..entry(&format!("new{made}"), new)
        }),
    }
}

proptest! {
    #[test]
    fn it_comes_to_rest_and_touches_nothing_else(
        wanted in any_wanted(),
        mut entries in prop::collection::vec(any_entry(), 0..8),
    ) {
        for (at, entry) in entries.iter_mut().enumerate() {
            entry.id = format!("e{at}");
        }
        let named = |entry: &PortalEntry| {
            wanted.registered.values().any(|new| new.stands_as(entry))
                || wanted.former.iter().any(|former| former.stands_as(entry))
        };
        let foreign: Vec<PortalEntry> = entries
            .iter()
            .filter(|entry| entry.internal || !named(entry))
            .cloned()
            .collect();
        let mut portal = portal(entries);
        let mut made = 0;
        for _ in 0..3 {
            for step in diff(&wanted, &portal).steps {
                done(&mut portal, &step, &mut made);
            }
        }
        let rest = diff(&wanted, &portal);
        prop_assert_eq!(rest.steps, vec![]);
        for entry in foreign {
            prop_assert!(portal.entries.contains(&entry), "{entry:?}");
        }
        for (node, new) in &wanted.registered {
            let there = portal.entries.iter().filter(|entry| new.stands_as(entry)).count();
            prop_assert!(there > 0 || rest.problems.contains_key(node), "{new:?}");
        }
    }
}
