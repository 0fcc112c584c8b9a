//! What the portal and the enforcers tell. It changes memory, opens gates, and what people have to
//! know of it becomes an event.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::since;
use extend_common::event::EventKind;

use super::super::event::own;
use super::super::fleet::Fleet;
use super::super::turn::Turn;
use crate::portal::{Portal, PortalSeen, Problem};
use crate::whitelist::{EnforcerKind, Round, Seen, Standing, State};

/// What was last seen of the portal longer ago than this is no news to decide by.
const STALE: Duration = Duration::from_secs(90);
/// So many sentences of one round become events; the rest is counted.
const MOST_TOLD: usize = 16;

impl Fleet {
    /// Takes in a look at the portal.
    pub fn portal_seen(&mut self, seen: PortalSeen, now: Timestamp) -> Turn<()> {
        if !self.settings.outside.portal {
            return self.turn(());
        }
        self.tell_portal(&seen, now);
        let at = seen.at;
        let version = self
            .sees_portal()
            .map(|(_, portal)| portal.version.clone())
            .ok();
        if let Ok(portal) = &seen.result
            && version.as_ref() != Some(&portal.version)
        {
            self.wake_for_version();
        }
        if let Ok(portal) = &seen.result {
            self.outside.portal = Some((at, portal.clone()));
        }
        self.outside.look = Some(seen);
        if self
            .outside
            .look
            .as_ref()
            .is_some_and(|look| look.result.is_ok())
        {
            self.settle_disabled(at, now);
            self.forget_left();
        }
        self.tend_portal(now);
        self.pass_gates(now);
        self.turn(())
    }

    /// Takes in what an enforcer has come to.
    pub fn enforced(&mut self, round: Round, now: Timestamp) -> Turn<()> {
        self.tell_round(&round, now);
        let is_ok = round.result.is_ok();
        self.outside.keep_drift(&round);
        self.outside.rounds.insert(round.enforcer, round);
        if is_ok {
            self.forget_left();
        }
        self.pass_gates(now);
        self.turn(())
    }

    /// The portal as it was seen last, when that is not too long ago to decide by.
    pub(in crate::core) fn sees_portal(&self) -> Result<(Timestamp, &Portal), String> {
        match (&self.outside.look, &self.outside.portal) {
            (Some(PortalSeen { result: Err(p), .. }), _) => Err(p.sentence.clone()),
            (Some(_), Some((at, portal))) if since(*at, self.ticked) < STALE => Ok((*at, portal)),
            (_, Some(_)) => Err("it has not been looked at for a while".to_owned()),
            (_, None) => Err("it has not been looked at yet".to_owned()),
        }
    }

    fn tell_portal(&mut self, seen: &PortalSeen, now: Timestamp) {
        let trouble = |look: &PortalSeen| look.result.as_ref().err().map(said);
        let before = self.outside.look.as_ref();
        let (was, is) = (before.and_then(trouble), trouble(seen));
        let text = match (was, is) {
            (was, Some(is)) if was.as_ref() != Some(&is) => is,
            (Some(_), None) => "the portal can be seen again".to_owned(),
            _ => String::new(),
        };
        if !text.is_empty() {
            self.note(own(EventKind::Portal, now, text));
        }
        let known = self.outside.portal.as_ref();
        let known = known
            .map(|(_, portal)| portal.problems.clone())
            .unwrap_or_default();
        let Ok(portal) = &seen.result else { return };
        let news = portal.problems.iter();
        let news = news.filter(|(node, problem)| known.get(node) != Some(*problem));
        for (node, problem) in news.take(MOST_TOLD) {
            {
                let event = own(EventKind::Portal, now, said(problem));
                self.note_about(*node, event);
            }
        }
    }

    fn tell_round(&mut self, round: &Round, now: Timestamp) {
        let kind = round.enforcer;
        let before = self.outside.rounds.get(&kind);
        let was = before.map(|round| &round.result);
        let mut told = Vec::new();
        match (&round.result, was) {
            (Err(problem), Some(Err(known))) if known.sentence == problem.sentence => {}
            (Err(problem), _) => told.push(with_hint(&problem.sentence, &problem.hint)),
            (Ok(_), Some(Err(_))) => told.push(format!("{kind} can be seen again")),
            (Ok(_), _) => {}
        }
        if let Ok(seen) = &round.result {
            let known = was.and_then(|was| was.as_ref().ok());
            told.extend(seen.drift.iter().cloned());
            told.extend(news(kind, seen, known));
        }
        let more = told.len().saturating_sub(MOST_TOLD);
        told.truncate(MOST_TOLD);
        if more > 0 {
            told.push(format!("{kind}: {more} more (extend whitelist list)"));
        }
        for text in told {
            let event = own(EventKind::Whitelist, now, text);
            match kind {
                EnforcerKind::Firewalld(node) => self.note_about(node, event),
                EnforcerKind::Pbx | EnforcerKind::SecurityGroup => self.note(event),
            }
        }
    }
}

/// What is wrong at an enforcer and was not a round ago.
fn news(kind: EnforcerKind, seen: &Seen, known: Option<&Seen>) -> Vec<String> {
    let mut told = Vec::new();
    let denied = |one: &&Standing| one.state == State::Denied;
    for standing in seen.standings.iter().filter(denied) {
        let is_new = known.is_none_or(|known| {
            let before = known.standings.iter();
            let mut before = before.filter(|one| one.address == standing.address);
            before.next().is_none_or(|one| one.state != standing.state)
        });
        let (address, name) = (standing.address, &standing.holder.name);
        if is_new {
            told.push(format!("{kind}: an entry keeps {address} of {name} out"));
        }
    }
    if let Some(over) = &seen.over_limit
        && known.is_none_or(|known| known.over_limit.as_ref() != Some(over))
    {
        told.push(format!("{kind}: {over}"));
    }
    if let Some(trouble) = &seen.trouble {
        let before = known.and_then(|known| known.trouble.as_ref());
        if before.is_none_or(|known| known.sentence != trouble.sentence) {
            told.push(with_hint(&trouble.sentence, &trouble.hint));
        }
    }
    told
}

fn said(problem: &Problem) -> String {
    with_hint(&problem.sentence, &problem.hint)
}

fn with_hint(sentence: &str, hint: &str) -> String {
    match hint.is_empty() {
        true => sentence.to_owned(),
        false => format!("{sentence} (hint: {hint})"),
    }
}
