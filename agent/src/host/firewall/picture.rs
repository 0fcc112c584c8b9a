//! What firewalld's zones are, read from what firewall-cmd prints. Pure.
//!
//! ```text
//! internal (active)
//!   target: default
//!   ingress-priority: 0          only from 2.1 on
//!   interfaces: eth1
//!   sources: 10.0.0.0/8 ipset:office
//!   rich rules:
//!     rule priority="7443" …
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use extend_common::firewall::{
    FirewallChange, MAX_OPENINGS, MAX_SOURCES, Opening, SeenOpening, ZoneSource,
};

use super::command::Layer;
use super::{TRUSTED, rule};

/// So many sets of others are read; what more of them let in is let in by an entry of ours as well.
const MAX_SETS: usize = 8;
/// The prefix of a source that is a set.
const SET: &str = "ipset:";

/// All zones, in both layers.
#[derive(Debug, Default)]
pub(super) struct Picture {
    default_zone: String,
    zones: BTreeMap<(Layer, String), Zone>,
    sets: BTreeMap<(Layer, String), Vec<Net>>,
}

#[derive(Debug, Default)]
struct Zone {
    accepts: bool,
    priority: i64,
    has_interfaces: bool,
    sources: Vec<String>,
    openings: BTreeSet<Opening>,
}

/// An IPv4 network.
type Net = (Ipv4Addr, u8);

impl Picture {
    pub(super) fn new(default_zone: String) -> Self {
        Self {
            default_zone,
            ..Self::default()
        }
    }

    /// Takes in what `--list-all-zones` has printed. What is not understood is passed over.
    pub(super) fn read(&mut self, layer: Layer, text: &str) {
        let mut current = None;
        for line in text.lines() {
            if !line.starts_with([' ', '\t']) {
                current = line.split_whitespace().next().map(str::to_owned);
                if let Some(name) = &current {
                    self.zones.entry((layer, name.clone())).or_default();
                }
                continue;
            }
            let zone = current.as_ref().map(|name| (layer, name.clone()));
            if let Some(zone) = zone.and_then(|zone| self.zones.get_mut(&zone)) {
                zone.read(line.trim());
            }
        }
    }

    /// The sets that are sources of zones in a layer.
    pub(super) fn sets(&self, layer: Layer) -> Vec<String> {
        let zones = self.zones.iter().filter(|((of, _), _)| *of == layer);
        let sources = zones.flat_map(|(_, zone)| &zone.sources);
        let names = sources.filter_map(|source| source.strip_prefix(SET));
        let names: BTreeSet<&str> = names.collect();
        names
            .into_iter()
            .take(MAX_SETS)
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn read_set(&mut self, layer: Layer, set: &str, entries: &str) {
        let nets = entries.split_whitespace().filter_map(net);
        let nets = nets.take(MAX_SOURCES).collect();
        self.sets.insert((layer, set.to_owned()), nets);
    }

    /// Whether the trusted zone has exactly this source.
    pub(super) fn trusts(&self, layer: Layer, address: Ipv4Addr) -> bool {
        let zone = self.zones.get(&(layer, TRUSTED.to_owned()));
        zone.is_some_and(|zone| zone.has(address))
    }

    /// Whether either layer has.
    pub(super) fn has_source(&self, address: Ipv4Addr) -> bool {
        Layer::BOTH.iter().any(|layer| self.trusts(*layer, address))
    }

    /// The zones through which hosts come: those that have an interface or a source, and the one of
    /// everything else; but for those that let everything in. Of zones in force that the permanent
    /// configuration does not have, only the one in force.
    pub(super) fn ways_in(&self) -> Vec<(Layer, String)> {
        let in_force = self.zones.iter().filter(|((layer, name), zone)| {
            let comes = zone.has_interfaces || !zone.sources.is_empty();
            *layer == Layer::Runtime && !zone.accepts && (comes || *name == self.default_zone)
        });
        let names = in_force.map(|((_, name), _)| name);
        names
            .flat_map(|name| Layer::BOTH.map(|layer| (layer, name.clone())))
            .filter(|zone| self.zones.contains_key(zone))
            .collect()
    }

    pub(super) fn opens(&self, layer: Layer, zone: &str, opening: Opening) -> bool {
        let zone = self.zones.get(&(layer, zone.to_owned()));
        zone.is_some_and(|zone| zone.openings.contains(&opening))
    }

    pub(super) fn zones_with_openings(&self) -> Vec<(Layer, String)> {
        let with = self
            .zones
            .iter()
            .filter(|(_, zone)| !zone.openings.is_empty());
        with.map(|(key, _)| key.clone()).collect()
    }

    /// The openings that are ours.
    pub(super) fn openings(&self) -> Vec<SeenOpening> {
        let all = self
            .zones
            .values()
            .flat_map(|zone| zone.openings.iter().copied());
        let all: BTreeSet<Opening> = all.collect();
        let ways = self.ways_in();
        let seen = all.into_iter().map(|opening| SeenOpening {
            opening,
            whole: self.is_whole(&ways, opening),
        });
        seen.take(MAX_OPENINGS).collect()
    }

    fn is_whole(&self, ways: &[(Layer, String)], opening: Opening) -> bool {
        ways.iter()
            .all(|(layer, zone)| self.opens(*layer, zone, opening))
    }

    /// The IPv4 sources of all zones, ours first.
    pub(super) fn sources(&self, is_ours: impl Fn(Ipv4Addr) -> bool) -> Vec<ZoneSource> {
        let mut all: BTreeMap<(bool, &str, Net), [bool; 2]> = BTreeMap::new();
        for ((layer, name), zone) in &self.zones {
            for net in zone
                .sources
                .iter()
                .flat_map(|source| self.nets(*layer, source))
            {
                let theirs = !(name == TRUSTED && net.1 == 32 && is_ours(net.0));
                let there = all.entry((theirs, name, net)).or_default();
                match layer {
                    Layer::Runtime => there[0] = true,
                    Layer::Permanent => there[1] = true,
                }
            }
        }
        let told = all.into_iter().map(|((theirs, name, net), there)| {
            let [runtime, permanent] = there;
            let layer = if runtime {
                Layer::Runtime
            } else {
                Layer::Permanent
            };
            ZoneSource {
                zone: name.to_owned(),
                address: net.0,
                prefix: net.1,
                accepts: self.zone(layer, name).is_some_and(|zone| zone.accepts),
                first: self.comes_first(layer, name),
                runtime,
                permanent,
                ours: !theirs,
            }
        });
        told.take(MAX_SOURCES).collect()
    }

    /// What of `change` is not so, in words.
    pub(super) fn lacks(
        &self,
        change: &FirewallChange,
        is_ours: impl Fn(Ipv4Addr) -> bool,
    ) -> Option<String> {
        let untrusted = |address: &&Ipv4Addr| {
            let mut layers = Layer::BOTH.iter();
            layers.any(|layer| !self.trusts(*layer, **address))
        };
        if let Some(address) = change.trust.iter().find(untrusted) {
            return Some(format!("{address} is no source of the zone {TRUSTED}"));
        }
        let mut stays = change.untrust.iter();
        if let Some(address) = stays.find(|a| is_ours(**a) && self.has_source(**a)) {
            return Some(format!("{address} is still a source of the zone {TRUSTED}"));
        }
        let ways = self.ways_in();
        let shut = change.open.iter().find(|o| !self.is_whole(&ways, **o));
        if let Some(Opening { port, source }) = shut {
            return Some(format!("port {port} is not open to {source}"));
        }
        let mut open = change.close.iter();
        let zones = self.zones_with_openings();
        let open = open.find(|o| zones.iter().any(|(layer, z)| self.opens(*layer, z, **o)));
        open.map(|Opening { port, source }| format!("port {port} is still open to {source}"))
    }

    fn zone(&self, layer: Layer, name: &str) -> Option<&Zone> {
        self.zones.get(&(layer, name.to_owned()))
    }

    /// Of two zones that have a packet's source, firewalld takes the one of the lower priority, and
    /// then the one whose name comes first.
    fn comes_first(&self, layer: Layer, name: &str) -> bool {
        let order = |of: &str| self.zone(layer, of).map_or(0, |zone| zone.priority);
        (order(name), name) < (order(TRUSTED), TRUSTED)
    }

    fn nets(&self, layer: Layer, source: &str) -> Vec<Net> {
        match source.strip_prefix(SET) {
            Some(set) => {
                let entries = self.sets.get(&(layer, set.to_owned()));
                entries.cloned().unwrap_or_default()
            }
            None => net(source).into_iter().collect(),
        }
    }
}

impl Zone {
    fn read(&mut self, line: &str) {
        if line.starts_with("rule ") {
            self.openings.extend(rule::read(line));
            return;
        }
        let Some((key, value)) = line.split_once(':') else {
            return;
        };
        let value = value.trim();
        match key {
            "target" => self.accepts = value == "ACCEPT",
            "ingress-priority" => self.priority = value.parse().unwrap_or_default(),
            "interfaces" => self.has_interfaces = !value.is_empty(),
            "sources" => self.sources = value.split_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        let mut nets = self.sources.iter().filter_map(|source| net(source));
        nets.any(|net| net == (address, 32))
    }
}

/// An IPv4 address, or a network with the length of its prefix or its mask.
fn net(text: &str) -> Option<Net> {
    let (address, prefix) = match text.split_once('/') {
        None => (text, 32),
        Some((address, prefix)) => (address, length(prefix)?),
    };
    Some((address.parse().ok()?, prefix)).filter(|(_, prefix)| *prefix <= 32)
}

fn length(prefix: &str) -> Option<u8> {
    if let Ok(length) = prefix.parse() {
        return Some(length);
    }
    let mask = u32::from(prefix.parse::<Ipv4Addr>().ok()?);
    let length = mask.leading_ones();
    let is_mask = mask.checked_shl(length).unwrap_or_default() == 0;
    is_mask.then(|| u8::try_from(length).ok())?
}
