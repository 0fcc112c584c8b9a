//! firewalld on a node of the PBX: sources of its trusted zone, and the controller's own ports.
//!
//! ```text
//! change ─▶ notes ─▶ add: for now, for ever ─▶ remove: for now, for ever ─▶ notes ─▶ look ─▶ told
//! ```
//!
//! Does what it is told and tells what is there; what follows from that is the controller's to
//! decide. firewalld is told everything twice, for now and for ever, and neither reloaded nor
//! restarted (decision 0004). Nothing that is not ours is changed:
//!
//! - A source of the trusted zone bears no mark, so root's notes say which are ours. They are
//!   written before a source is added, and one that was there before is never noted.
//! - An opening is a rich rule of a form and a priority that nobody else uses ([`rule`]). It comes
//!   after what others deny, and stands in every zone through which hosts come.

mod command;
mod notes;
mod picture;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use extend_common::firewall::{FirewallChange, FirewallState, FirewallTold, Undone};

use self::command::{Command, Layer};
use self::notes::Notes;
use self::picture::Picture;
use super::{HostError, Places};

/// The zone that lets everything in.
const TRUSTED: &str = "trusted";
const APPLYING: &str = "changing firewalld through";

/// firewalld, and root's notes of what is ours in it.
pub(super) struct Zones<'a> {
    command: Command<'a>,
    places: &'a Places,
}

impl<'a> Zones<'a> {
    pub(super) fn of(places: &'a Places) -> Self {
        Self {
            command: Command::of(&places.firewall_cmd),
            places,
        }
    }

    /// What is ours by root's notes, on a node where nothing may be touched.
    pub(super) fn untouched(&self, state: FirewallState) -> Result<FirewallTold, HostError> {
        Ok(FirewallTold {
            sources: Notes::read(&self.places.notes)?.sources(),
            ..FirewallTold::of(state)
        })
    }

    /// Does what `change` says, and tells what is there then.
    pub(super) fn act(&self, change: &FirewallChange) -> Result<FirewallTold, HostError> {
        if let Some(problem) = change.problem() {
            return Err(HostError::new(APPLYING, self.command.path(), problem));
        }
        let state = self.command.state()?;
        if state != FirewallState::Running {
            return self.untouched(state);
        }
        let mut notes = Notes::open(&self.places.notes)?;
        let mut picture = self.look()?;
        notes
            .keep_only(|address| picture.has_source(address) || change.trust.contains(&address))?;
        let mut faults = Faults::default();
        if !change.is_empty() {
            self.trust(change, &picture, &mut notes, &mut faults)?;
            self.open(change, &picture, &mut faults);
            self.untrust(change, &picture, &notes, &mut faults);
            self.close(change, &picture, &mut faults);
            picture = self.look()?;
            notes.keep_only(|address| picture.has_source(address))?;
        }
        let is_ours = |address: Ipv4Addr| notes.has(address);
        let undone = picture.lacks(change, is_ours).map(|what| Undone {
            sentence: match faults.first {
                Some(cause) => format!("{APPLYING} {}: {cause}", self.command.path().display()),
                None => format!("{APPLYING} {}: {what}", self.command.path().display()),
            },
            hint: "firewall-cmd --get-active-zones; journalctl -u firewalld".to_owned(),
        });
        if !change.is_empty() {
            tracing::info!(?change, ?undone, "firewalld changed");
        }
        Ok(FirewallTold {
            state,
            sources: picture.sources(is_ours),
            openings: picture.openings(),
            undone,
        })
    }

    fn look(&self) -> Result<Picture, HostError> {
        let mut picture = Picture::new(self.command.default_zone()?);
        for layer in Layer::BOTH {
            picture.read(layer, &self.command.zones(layer)?);
            for set in picture.sets(layer) {
                // One that is gone meanwhile, or that is broken, covers nobody.
                if let Ok(entries) = self.command.entries(layer, &set) {
                    picture.read_set(layer, &set, &entries);
                }
            }
        }
        Ok(picture)
    }

    /// Adds what is missing of a source, in either layer.
    fn trust(
        &self,
        change: &FirewallChange,
        picture: &Picture,
        notes: &mut Notes,
        faults: &mut Faults,
    ) -> Result<(), HostError> {
        let missing = |layer| {
            let lacking = change.trust.iter().copied();
            lacking.filter(move |address| !picture.trusts(layer, *address))
        };
        let news: BTreeSet<Ipv4Addr> = Layer::BOTH.into_iter().flat_map(missing).collect();
        notes.add(&news)?;
        for layer in Layer::BOTH {
            let options = missing(layer).map(|address| format!("--add-source={address}"));
            let done = self.command.in_zone(layer, TRUSTED, options.collect());
            faults.note(done);
        }
        Ok(())
    }

    /// Takes out what is ours of a source, in both layers.
    fn untrust(
        &self,
        change: &FirewallChange,
        picture: &Picture,
        notes: &Notes,
        faults: &mut Faults,
    ) {
        let ours = change.untrust.iter().copied();
        let ours: Vec<Ipv4Addr> = ours.filter(|address| notes.has(*address)).collect();
        for layer in Layer::BOTH {
            let there = ours.iter().filter(|a| picture.trusts(layer, **a));
            let options = there.map(|address| format!("--remove-source={address}"));
            let done = self.command.in_zone(layer, TRUSTED, options.collect());
            faults.note(done);
        }
    }

    /// Adds what is missing of an opening, in every zone where it has to be.
    fn open(&self, change: &FirewallChange, picture: &Picture, faults: &mut Faults) {
        for (layer, zone) in picture.ways_in() {
            let missing = change.open.iter().copied();
            let missing = missing.filter(|opening| !picture.opens(layer, &zone, *opening));
            let options = missing.map(|opening| format!("--add-rich-rule={}", rule::text(opening)));
            faults.note(self.command.in_zone(layer, &zone, options.collect()));
        }
    }

    /// Takes out openings of ours, wherever they are.
    fn close(&self, change: &FirewallChange, picture: &Picture, faults: &mut Faults) {
        for (layer, zone) in picture.zones_with_openings() {
            let there = change.close.iter().copied();
            let there = there.filter(|opening| picture.opens(layer, &zone, *opening));
            let options =
                there.map(|opening| format!("--remove-rich-rule={}", rule::text(opening)));
            faults.note(self.command.in_zone(layer, &zone, options.collect()));
        }
    }
}

/// What went wrong on the way; the look afterwards says whether it matters.
#[derive(Default)]
struct Faults {
    first: Option<String>,
}

impl Faults {
    fn note(&mut self, done: Result<(), String>) {
        if let Err(cause) = done {
            self.first.get_or_insert(cause);
        }
    }
}
