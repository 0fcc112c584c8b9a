//! Whether a server is registered, let in and online, and if not, why, in words.

use jiff::Timestamp;

use extend_common::checkup::{Check, CheckName, Verdict};
use extend_common::clock::since;
use extend_common::ids::NodeAddr;
use extend_common::operation::{Target, TargetState, Verb};
use extend_common::status::Health;

use super::super::fleet::Fleet;
use super::super::node::Node;
use super::super::row::Options;
use super::gate::{CONNECTS_WITHIN, Stands};
use super::wanted::{Site, holders};
use crate::portal::{Portal, Registration};
use crate::whitelist::{AddressKind, EnforcerKind, Holder, State};

impl Fleet {
    /// Whether a server is registered as it is to be, and let in by everybody who can tell.
    pub(in crate::core) fn is_let_in(&self, node: NodeAddr, target: &Target) -> bool {
        self.is_known_as_wanted(node) && self.stands_registered(node, target) == Stands::Open
    }

    /// Whether the server of a node is registered, online and let in, as far as anybody can tell.
    pub(in crate::core) fn is_so_outside(&self, node: NodeAddr) -> bool {
        let Some(site) = self.present(node) else {
            return false;
        };
        if self.settings.outside.portal
            && let Some(registration) = self.registration(node)
        {
            let is_so = self.sees_portal().is_ok_and(|(_, portal)| {
                let entry = portal.entry(registration.resource, registration.name.as_str());
                entry.is_some_and(|e| registration.stands_as(e) && e.online == Some(true))
            });
            if !is_so {
                return false;
            }
        }
        self.who_keeps_out(node, &site).is_none()
    }

    /// Nothing that is about to come would change what is wanted outside.
    fn is_known_as_wanted(&self, node: NodeAddr) -> bool {
        match (self.planned(node), self.present(node)) {
            (Some((coming, _)), Some(present)) => coming == present,
            (Some(_), None) => false,
            (None, present) => present.is_some(),
        }
    }

    /// The options of the `run` that holds a node.
    fn options_at(&self, node: NodeAddr) -> Option<&Options> {
        let entry = self.operations.get(&self.nodes.get(&node)?.open()?)?;
        (entry.row.verb == Verb::Run).then_some(&entry.row.options)
    }

    /// The same as a gate.
    pub(super) fn stands_registered(&self, node: NodeAddr, target: &Target) -> Stands {
        let coming = self.coming(node).map(|(site, _)| site);
        let Some(site) = coming.or_else(|| self.present(node)) else {
            return Stands::Shut(String::new());
        };
        if let Some(options) = self.options_at(node)
            && let Err(why) = self.newest_image(options)
        {
            return Stands::Shut(format!("waits for the version of the PBX: {why}"));
        }
        if self.settings.outside.portal
            && let Some(registration) = self.registration(node)
        {
            let (at, portal) = match self.sees_portal() {
                Ok(seen) => seen,
                Err(why) => return Stands::Shut(format!("waits for the portal: {why}")),
            };
            match self.registered(node, &registration, (at, portal), target) {
                Stands::Open => {}
                other => return other,
            }
        }
        match self.who_keeps_out(node, &site) {
            Some(words) => Stands::Shut(words),
            None => Stands::Open,
        }
    }

    fn registered(
        &self,
        node: NodeAddr,
        wanted: &Registration,
        (at, portal): (Timestamp, &Portal),
        target: &Target,
    ) -> Stands {
        let (name, menu) = (&wanted.name, self.menu(target));
        let tried = target.begun.is_some_and(|begun| at > begun);
        if let Some(problem) = portal.problems.get(&node)
            && tried
        {
            return match problem.lasting {
                true => Stands::Never(TargetState::Failed, with_hint(problem)),
                false => Stands::Shut(with_hint(problem)),
            };
        }
        match portal.entry(wanted.resource, name.as_str()) {
            Some(entry) if entry.is_at(&wanted.addresses()) => Stands::Open,
            Some(entry) if wanted.stands_as(entry) && !self.goes_first(node) => Stands::Open,
            Some(entry) if tried && !self.goes_first(node) => {
                let there = shown(&entry.addresses);
                let wanted = shown(&wanted.addresses());
                Stands::Never(
                    TargetState::Failed,
                    format!(
                        "the portal has a server {name} among {menu} at {there}, and this one would \
                         be at {wanted}: an address cannot be changed there (hint: give it another \
                         name, or remove that entry in the portal)"
                    ),
                )
            }
            _ => Stands::Shut(format!("is being registered among {menu}")),
        }
    }

    /// Whether its own entry with other addresses is about to go.
    fn goes_first(&self, node: NodeAddr) -> bool {
        let moves = match (self.coming(node), self.present(node)) {
            (Some((coming, _)), Some(present)) => coming != present,
            _ => false,
        };
        let row = self.outside.rows.get(&node);
        moves || row.is_some_and(|row| row.left.iter().any(|left| left.registered))
    }

    /// Who does not let a server in yet, in words.
    fn who_keeps_out(&self, node: NodeAddr, site: &Site) -> Option<String> {
        for kind in self.enforcers() {
            let left = self.outside.rows.get(&node);
            let left = left.and_then(|row| row.left.iter().map(|left| left.since).max());
            let round = self.outside.rounds.get(&kind);
            // What was told before something of this node went may be going.
            let round = round.filter(|round| left.is_none_or(|since| round.at > since));
            let seen = match (kind, round.map(|round| &round.result)) {
                (_, Some(Ok(seen))) => seen,
                // One of the PBX's nodes that is away keeps nobody from the others.
                (EnforcerKind::Firewalld(_), _) => continue,
                (_, Some(Err(problem))) => {
                    return Some(format!("waits for {kind}: {}", problem.sentence));
                }
                (_, None) => return Some(format!("waits for the first look at {kind}")),
            };
            let lets_in = |holder: &Holder| match kind {
                EnforcerKind::SecurityGroup => holder.kind == AddressKind::Public,
                EnforcerKind::Pbx | EnforcerKind::Firewalld(_) => true,
            };
            let addresses = holders(node, site, true);
            for (address, _) in addresses.filter(|(_, holder)| lets_in(holder)) {
                let standing = seen.standings.iter().find(|one| one.address == address);
                match standing.map(|one| &one.state) {
                    Some(State::InForce | State::Expiring) => {}
                    Some(State::Denied) => {
                        return Some(format!("{kind}: an entry keeps {address} out"));
                    }
                    Some(State::Missing | State::Leaving) => {
                        let note = standing.map(|one| one.note.as_str()).unwrap_or_default();
                        let trouble = seen.trouble.as_ref().map(|p| p.sentence.as_str());
                        let over = seen.over_limit.as_ref().map(ToString::to_string);
                        let why = over
                            .or(trouble.map(str::to_owned))
                            .unwrap_or(note.to_owned());
                        let words = format!("waits until {kind} lets {address} in");
                        return Some(match why.is_empty() {
                            true => words,
                            false => format!("{words}: {why}"),
                        });
                    }
                    // firewalld does not run everywhere; the others have not heard of it yet.
                    None if matches!(kind, EnforcerKind::Firewalld(_)) => {}
                    None => return Some(format!("waits until {kind} lets {address} in")),
                }
            }
        }
        None
    }

    /// Whether the portal shows a server online, as a gate.
    pub(super) fn stands_online(
        &self,
        node: NodeAddr,
        target: &Target,
        begun: Timestamp,
        now: Timestamp,
    ) -> Stands {
        if !self.settings.outside.portal {
            return Stands::Open;
        }
        let is_over = since(begun, now) >= CONNECTS_WITHIN;
        let menu = self.menu(target);
        let (at, portal) = match self.sees_portal() {
            Ok(seen) => seen,
            Err(why) if is_over => {
                return Stands::Never(
                    TargetState::Failed,
                    format!("it runs; whether it is Online could not be seen: {why}"),
                );
            }
            Err(why) => return Stands::Shut(format!("waits for the portal: {why}")),
        };
        let Some(registration) = self.registration(node) else {
            return Stands::Open;
        };
        let entry = portal.entry(registration.resource, registration.name.as_str());
        if at > begun && entry.is_some_and(|entry| entry.online == Some(true)) {
            return Stands::Open;
        }
        if !is_over {
            return Stands::Shut(format!("waits until it is Online among {menu}"));
        }
        let why = self.why_offline(node, &registration, portal, &menu);
        let bound = extend_common::duration::show(CONNECTS_WITHIN);
        Stands::Never(
            TargetState::Failed,
            format!("it runs, and was not Online within {bound}: {why}"),
        )
    }

    /// Remembers whether a node reached the PBX when it was looked at, for when its server should
    /// not come online. In memory only.
    pub(in crate::core) fn note_reach(&mut self, node: NodeAddr, checks: &[Check]) {
        let reach = checks
            .iter()
            .find(|check| check.name == CheckName::PbxReachable);
        let Some(reach) = reach else {
            return;
        };
        match reach.verdict {
            Verdict::Ok | Verdict::Unknown => drop(self.outside.unreachable.remove(&node)),
            Verdict::Warn | Verdict::Fail => {
                let words = format!(
                    "its node did not reach the PBX when it was looked at: {} (hint: {}; extend \
                     doctor -a {node} looks again)",
                    reach.found, reach.fix
                );
                self.outside.unreachable.insert(node, words);
            }
        }
    }

    /// Why a server that runs is not online, as far as anybody can tell.
    fn why_offline(
        &self,
        node: NodeAddr,
        wanted: &Registration,
        portal: &Portal,
        menu: &str,
    ) -> String {
        let name = &wanted.name;
        let Some(entry) = portal.entry(wanted.resource, name.as_str()) else {
            let addresses = wanted.addresses();
            let other = portal.entries.iter().find(|entry| {
                !entry.internal
                    && entry.resource == wanted.resource
                    && entry.addresses.iter().any(|one| addresses.contains(one))
            });
            return match other {
                Some(other) => format!(
                    "the portal has it as {} among {menu}, and it was started as {name} (hint: the \
                     names have to be equal: remove that entry, and run it again)",
                    other.name
                ),
                None => format!(
                    "there is no {name} among {menu} any more (hint: somebody has removed it; run \
                     it again)"
                ),
            };
        };
        if !wanted.stands_as(entry) {
            return format!(
                "the portal has it at {} and not at {}",
                shown(&entry.addresses),
                shown(&wanted.addresses())
            );
        }
        if let Some(site) = self.present(node)
            && let Some(words) = self.who_keeps_out(node, &site)
        {
            return format!("it is not let in everywhere: {words} (hint: extend whitelist check)");
        }
        let site = self.nodes.get(&node);
        if let Some(seen) = site.and_then(Node::observation)
            && seen.health != Health::Healthy
        {
            let why = match seen.reason.is_empty() {
                true => String::new(),
                false => format!(" ({})", seen.reason),
            };
            return format!(
                "its container is {}{why} (hint: extend logs {name})",
                seen.health
            );
        }
        if let Some(words) = self.outside.unreachable.get(&node) {
            return words.clone();
        }
        format!(
            "it is registered, let in and well here, and the PBX does not say why (hint: extend \
             doctor -a {node} looks whether it reaches the PBX; extend logs {name})"
        )
    }

    fn menu(&self, target: &Target) -> String {
        let definition = self.settings.roles.get(&target.role);
        definition.map_or_else(|| "the portal's servers".to_owned(), |d| d.portal.clone())
    }
}

fn shown(addresses: &[std::net::Ipv4Addr]) -> String {
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    match shown.is_empty() {
        true => "no address".to_owned(),
        false => shown.join(" and "),
    }
}

fn with_hint(problem: &crate::portal::Problem) -> String {
    match problem.hint.is_empty() {
        true => problem.sentence.clone(),
        false => format!("{} (hint: {})", problem.sentence, problem.hint),
    }
}
