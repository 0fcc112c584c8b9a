//! What is wanted outside the nodes, derived from the fleet as it is.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::Verb;
use extend_common::record::Desired;
use extend_common::roles::Resource;

use super::super::fleet::Fleet;
use super::super::node::Node;
use super::Gate;
use super::row::Left;
use crate::portal::{Former, Limits, PortalWanted, Registration};
use crate::whitelist::{AddressKind, EnforcerKind, Holder, LetIn};

/// A server as others than its node have to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::core) struct Site {
    pub(in crate::core) name: ServerName,
    pub(in crate::core) role: RoleName,
    pub(in crate::core) public: Option<Ipv4Addr>,
}

impl Site {
    pub(in crate::core) fn of(desired: &Desired) -> Self {
        Self {
            name: desired.name.clone(),
            role: desired.role.clone(),
            public: desired
                .parameters
                .public_address
                .map(|address| address.ip()),
        }
    }
}

impl Fleet {
    /// Whether anything outside the nodes is kept at all.
    pub(in crate::core) fn keeps_outside(&self) -> bool {
        let outside = &self.settings.outside;
        outside.portal || outside.security_group || !outside.pbx_nodes.is_empty()
    }

    /// Who has to tell that an address is gone, or that it is let in: of firewalld those of the
    /// PBX's nodes that have joined.
    pub(in crate::core) fn enforcers(&self) -> Vec<EnforcerKind> {
        let outside = &self.settings.outside;
        let pbx = outside.portal.then_some(EnforcerKind::Pbx);
        let group = outside
            .security_group
            .then_some(EnforcerKind::SecurityGroup);
        let joined = |node: &&NodeAddr| {
            let entry = self.nodes.get(node);
            entry.is_some_and(|e| e.row.enrolment.is_some() && e.revoked().is_none())
        };
        let firewalls = outside.pbx_nodes.iter().filter(joined);
        let firewalls = firewalls.map(|node| EnforcerKind::Firewalld(*node));
        pbx.into_iter().chain(group).chain(firewalls).collect()
    }

    /// What a `run` is about to put on a node, as far as that is wanted already: where there is a
    /// server, its sessions come to their end first.
    pub(in crate::core) fn coming(&self, node: NodeAddr) -> Option<(Site, Limits)> {
        let planned = self.planned(node)?;
        let entry = self.operations.get(&self.nodes.get(&node)?.open()?)?;
        let row = entry.target(node)?;
        let is_due = row.registered || row.gate == Some(Gate::Registering);
        (is_due || self.present(node).is_none()).then_some(planned)
    }

    /// What a `run` whose record is not committed yet is about to put on a node.
    pub(in crate::core) fn planned(&self, node: NodeAddr) -> Option<(Site, Limits)> {
        let entry = self.operations.get(&self.nodes.get(&node)?.open()?)?;
        let row = entry.target(node)?;
        let before = row.target.stamp.is_none();
        if entry.row.verb != Verb::Run || !before || row.target.state.has_ended() {
            return None;
        }
        let options = &entry.row.options;
        let present = self.nodes.get(&node).and_then(Node::intended);
        let known = present.and_then(|present| present.parameters.public_address);
        let site = Site {
            name: row.target.name.clone(),
            role: row.target.role.clone(),
            public: options.public_address.or(known).map(|address| address.ip()),
        };
        let known = self.outside.rows.get(&node).map(|row| row.limits);
        Some((site, options.limits.or(known.unwrap_or_default())))
    }

    /// Whether this store can be believed that something has left a node: an older one may not know
    /// that it has come back, and its agent will say so.
    fn knows_what_left(&self, node: NodeAddr) -> bool {
        let unheard = |site: &Node| site.last_seen.is_none() && !self.warm;
        let site = self.nodes.get(&node);
        self.recovering.is_none() && site.is_none_or(|s| s.ahead().is_none() && !unheard(s))
    }

    /// Remembers what a server that is about to come may carry: an entry that somebody deletes
    /// comes back with it.
    pub(in crate::core) fn keep_limits(&mut self, node: NodeAddr) {
        let Some((_, limits)) = self.coming(node) else {
            return;
        };
        let known = self.outside.rows.get(&node).map(|row| row.limits);
        if known.unwrap_or_default() != limits {
            self.change_outside(node, |row| row.limits = limits);
        }
    }

    /// The server that a node's record tells of, also one that is about to go: it is let in until
    /// its node confirms.
    pub(in crate::core) fn present(&self, node: NodeAddr) -> Option<Site> {
        let record = self.nodes.get(&node)?.row.record.as_ref()?;
        Some(Site::of(&record.desired))
    }

    /// Which menu item a role's servers stand under.
    pub(in crate::core) fn resource(&self, role: &RoleName) -> Option<Resource> {
        self.settings.roles.get(role)?.resource
    }

    /// Which addresses must be let in, and which no longer.
    pub fn let_in(&self) -> LetIn {
        let mut list = LetIn::default();
        if !self.keeps_outside() {
            return list;
        }
        for node in self.nodes.keys() {
            let coming = self.coming(*node).map(|(site, _)| site);
            for site in self.present(*node).into_iter().chain(coming) {
                for (address, holder) in holders(*node, &site, true) {
                    list.wanted.insert(address, holder);
                }
            }
        }
        for (node, row) in &self.outside.rows {
            if !self.knows_what_left(*node) {
                continue;
            }
            for left in &row.left {
                for (address, holder) in holders(*node, &site_of(left), left.whole) {
                    if !list.wanted.contains_key(&address) {
                        list.withdrawn.insert(address, holder);
                    }
                }
            }
        }
        list
    }

    /// What the portal is to be.
    pub fn portal_wanted(&self) -> PortalWanted {
        let mut wanted = PortalWanted::default();
        if !self.settings.outside.portal {
            return wanted;
        }
        for node in self.nodes.keys() {
            if let Some(registration) = self.registration(*node) {
                wanted.registered.insert(*node, registration);
            }
        }
        let former = |(node, left): (&NodeAddr, &Left)| {
            let resource = self.resource(&left.role)?;
            let former = registration(*node, &site_of(left), resource, Limits::default());
            Some(Former {
                addresses: former.known(),
                name: former.name,
                resource,
            })
        };
        let left = self.outside.rows.iter();
        let left = left.flat_map(|(node, row)| row.left.iter().map(move |left| (node, left)));
        // An address cannot be changed there: the entry goes before it comes again.
        let moving = self.nodes.keys().filter_map(|node| {
            self.coming(*node)?;
            let present = self.present(*node)?;
            let resource = self.resource(&present.role)?;
            Some(Former {
                addresses: known_at(*node, &present, resource),
                name: present.name,
                resource,
            })
        });
        wanted.former = left
            .filter(|(node, left)| left.registered && self.knows_what_left(**node))
            .filter_map(former)
            .chain(moving)
            .filter(|former| !is_wanted(&wanted.registered, former))
            .collect();
        wanted
    }

    /// How the server of a node is to be registered.
    pub(in crate::core) fn registration(&self, node: NodeAddr) -> Option<Registration> {
        let row = self.outside.rows.get(&node);
        let (site, limits) = match self.coming(node) {
            Some(coming) => coming,
            None => {
                let limits = row.map(|row| row.limits).unwrap_or_default();
                (self.present(node)?, limits)
            }
        };
        let resource = self.resource(&site.role)?;
        let disabled = row.and_then(|row| row.disabled.as_ref());
        Some(Registration {
            enabled: disabled.map(|disabled| disabled.over),
            ..registration(node, &site, resource, limits)
        })
    }
}

/// Whether what is to go is what another `run` has asked for again.
fn is_wanted(registered: &BTreeMap<NodeAddr, Registration>, former: &Former) -> bool {
    registered.values().any(|registration| {
        registration.name == former.name
            && registration.resource == former.resource
            && registration.known() == former.addresses
    })
}

pub(super) fn site_of(left: &Left) -> Site {
    Site {
        name: left.name.clone(),
        role: left.role.clone(),
        public: left.public,
    }
}

/// The addresses that a server is registered with.
pub(super) fn registered_at(node: NodeAddr, site: &Site, resource: Resource) -> Vec<Ipv4Addr> {
    registration(node, site, resource, Limits::default()).addresses()
}

/// Every address that is known of a server.
pub(super) fn known_at(node: NodeAddr, site: &Site, resource: Resource) -> Vec<Ipv4Addr> {
    registration(node, site, resource, Limits::default()).known()
}

fn registration(node: NodeAddr, site: &Site, resource: Resource, limits: Limits) -> Registration {
    Registration {
        name: site.name.clone(),
        resource,
        private: node.ip(),
        public: site.public,
        limits,
        enabled: None,
    }
}

/// The addresses of a server, each with whom it is let in for.
pub(super) fn holders(
    node: NodeAddr,
    site: &Site,
    with_private: bool,
) -> impl Iterator<Item = (Ipv4Addr, Holder)> {
    let private = with_private.then_some((node.ip(), AddressKind::Private));
    let public = site.public.map(|address| (address, AddressKind::Public));
    let (name, role) = (site.name.clone(), site.role.clone());
    private
        .into_iter()
        .chain(public)
        .map(move |(address, kind)| {
            let holder = Holder {
                node,
                name: name.clone(),
                role: role.clone(),
                kind,
            };
            (address, holder)
        })
}
