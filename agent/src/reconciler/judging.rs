//! What is to be thought of the current container: probe rounds and Docker's own word become a
//! verdict, with the time since when it has been so.

use extend_common::clock::after;
use extend_common::roles::RoleDefinition;
use extend_common::service::ServiceFigures;
use jiff::Timestamp;

use super::hints::Heard;
use super::{Aim, Reconciler, Round};
use crate::core::health::{Health, Signs, Verdict, WARM_UP};
use crate::core::observed::Owner;
use crate::core::plan::View;
use crate::core::waking::Waking;
use crate::docker::Death;
use crate::watchdog::Link;

/// What is known of the present run.
#[derive(Debug)]
pub(super) struct Judged {
    health: Option<Health>,
    verdict: Verdict,
    pub(super) signs: Signs,
    since: Timestamp,
    deaths: u64,
    death: Option<Death>,
    /// What the probes said last, also of a run that is over; by its container.
    pub(super) said: Option<(String, Vec<String>)>,
    /// Until then no failure counts: the agent, or the whole host, was not there to see.
    warm_until: Timestamp,
    waking: Waking,
}

impl Judged {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            health: None,
            verdict: Verdict::Starting,
            signs: Signs::default(),
            since: now,
            deaths: 0,
            death: None,
            said: None,
            warm_until: after(now, WARM_UP),
            waking: Waking::default(),
        }
    }

    /// The Engine has told of something.
    pub(super) fn hear(&mut self, heard: &Heard) {
        if self.deaths != heard.deaths {
            self.deaths = heard.deaths;
            self.death.clone_from(&heard.last);
        }
    }

    /// How a process ended is of no further use.
    pub(super) fn forget_death(&mut self) {
        self.death = None;
    }
}

impl Reconciler {
    pub(super) fn note_round(&mut self, round: Round) {
        let now = self.parts.clock.now();
        self.heed_sleep(now);
        let health = self.judged.health.as_mut();
        if let Some(health) = health.filter(|h| *h.instance() == round.instance) {
            let note = match round.eager {
                true => Health::note_eager,
                false => Health::note,
            };
            note(health, &round.probe, round.results, now);
            self.judged.said = Some((round.instance.container_id, health.words()));
        }
    }

    /// What stood still with the host needs a moment to come back.
    fn heed_sleep(&mut self, now: Timestamp) {
        let Some(wall) = self.parts.figures.wall_clock() else {
            return;
        };
        let judged = &mut self.judged;
        if judged.waking.look(now, wall) {
            tracing::warn!("the host was asleep, or its clock was set: failures do not count yet");
            judged.warm_until = after(now, WARM_UP);
            if let Some(health) = &mut judged.health {
                health.warm_up(judged.warm_until);
            }
        }
    }

    /// Points the prober at the present run, forgets what was known of another, and judges.
    pub(super) fn judge(&mut self, now: Timestamp) {
        let definition = self.definition();
        let uid = definition.and_then(|role| Some(role.sessions.as_ref()?.uid));
        let mut probes = definition.map_or_else(Vec::new, |role| role.probes.clone());
        probes.retain(|probe| probe.kind.is_of_node());
        let current = self
            .observed
            .as_ref()
            .and_then(|observed| observed.current.as_ref());
        let docker = current.and_then(|current| current.health);
        let live = current.filter(|c| c.state.is_live()).map(|c| c.instance());
        let judged = &mut self.judged;
        let another_run = judged.health.as_ref().map(Health::instance) != live.as_ref();
        if another_run {
            let warm_until = judged.warm_until;
            judged.health = live
                .clone()
                .map(|instance| Health::of(instance, now, warm_until));
        }
        if let Some(health) = &mut judged.health {
            health.expect(&probes);
        }
        let verdict = judged
            .health
            .as_ref()
            .map_or(Verdict::Starting, |health| health.verdict(docker));
        let same_kind = std::mem::discriminant(&verdict) == std::mem::discriminant(&judged.verdict);
        if another_run || !same_kind {
            judged.since = now;
        }
        judged.verdict = verdict;
        judged.signs = judged
            .health
            .as_ref()
            .map(|health| health.signs(&probes, now))
            .unwrap_or_default();
        let armed = judged.health.as_ref().is_some_and(Health::is_armed);
        let node = self.parts.settings.facts.node;
        let aim = live.filter(|_| !probes.is_empty()).map(|instance| Aim {
            instance,
            node,
            uid,
            probes,
            armed,
        });
        self.aim(aim);
    }

    /// How the service does, in figures.
    pub(super) fn figures(&self) -> ServiceFigures {
        let health = self.judged.health.as_ref();
        ServiceFigures {
            probes: health.map(Health::figures).unwrap_or_default(),
            sessions: self
                .counting
                .tally
                .as_ref()
                .map(|tally| tally.count.clone()),
            memory: health.and_then(|health| self.parts.gauges.memory(health.instance())),
            dumps: self.parts.gauges.dumps(),
        }
    }

    pub(super) fn aim(&self, aim: Option<Aim>) {
        self.aims.send_if_modified(|held| {
            let changed = *held != aim;
            *held = aim;
            changed
        });
    }

    pub(super) fn definition(&self) -> Option<&RoleDefinition> {
        let entry = self.parts.ledger.server.as_ref()?;
        self.parts.settings.roles.get(&entry.record.desired.role)
    }

    /// Everything that a decision depends on; none without a record, before the first look, and
    /// when the role is not known here.
    pub(super) fn with_view<T>(&self, ask: impl FnOnce(&View<'_>) -> T) -> Option<T> {
        let entry = self.parts.ledger.server.as_ref()?;
        let observed = self.observed.as_ref()?;
        let definition = self.definition()?;
        let container = definition.main_container();
        let owner = Owner {
            node: self.parts.settings.facts.node,
            role: entry.record.desired.role.clone(),
            adopted: entry.adopted.clone(),
        };
        let judged = &self.judged;
        let countable = self.how_to_count().ok();
        Some(ask(&View {
            entry,
            observed,
            verdict: &judged.verdict,
            verdict_since: judged.since,
            signs: &judged.signs,
            owner: &owner,
            official: &container.name,
            timing: &definition.timing,
            policy: container.restart,
            seen: judged
                .health
                .as_ref()
                .map_or_else(|| self.parts.clock.now(), Health::seen),
            death: judged.death.as_ref(),
            trouble: self.trouble.as_ref(),
            aside: self.aside.trouble.as_ref(),
            sessions: self.counting.tally.as_ref(),
            spare: countable.map(|sessions| sessions.spare),
            hold: self.hold.as_ref(),
            alone: *self.parts.link.borrow() != Link::Welcomed,
        }))
    }
}
