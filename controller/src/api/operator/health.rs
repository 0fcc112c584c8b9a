//! How servers are and were, as a message.

use extend_common::clock::since;
use extend_common::service::AgedService;
use extend_proto::v1;
use jiff::Timestamp;

use crate::api::show;
use crate::core::history::{Change, SCALES, Scale, Step};
use crate::core::view::HealthView;

/// One server.
pub(super) fn view(view: HealthView, now: Timestamp) -> v1::HealthView {
    let HealthView {
        server,
        service,
        steps,
        changes,
    } = view;
    let service = service.map(|sample| AgedService {
        age: since(sample.at, now),
        figures: sample.figures,
    });
    let scales = SCALES.iter().zip(steps);
    v1::HealthView {
        server: Some(show::server(server, now)),
        service: service.map(Into::into),
        scales: scales
            .map(|(scale, steps)| self::scale(*scale, steps))
            .collect(),
        changes: changes.into_iter().map(change).collect(),
    }
}

fn scale(scale: Scale, steps: Vec<Step>) -> v1::HealthScale {
    v1::HealthScale {
        step_seconds: scale.length,
        length: u32::try_from(scale.most).unwrap_or(u32::MAX),
        steps: steps.iter().map(|step| self::step(scale, step)).collect(),
    }
}

fn step(scale: Scale, step: &Step) -> v1::HealthStep {
    let figures = step.figures();
    v1::HealthStep {
        at_ms: i64::from(step.index) * i64::from(scale.length) * 1_000,
        known_seconds: step.known.into(),
        healthy_seconds: step.healthy.into(),
        worst: step
            .worst()
            .map(|health| health.to_wire())
            .unwrap_or_default(),
        processor_permille: figures.processor.map(Into::into),
        memory_permille: figures.memory.map(Into::into),
        disk_free_permille: figures.disk_free.map(Into::into),
        sessions: figures.sessions.map(Into::into),
        service_memory_mib: figures.service_memory.map(Into::into),
        slowest_probe_ms: figures.slowest.map(Into::into),
    }
}

fn change(change: Change) -> v1::HealthChange {
    v1::HealthChange {
        at_ms: change.at.as_millisecond(),
        health: change.health.to_wire(),
        reason: change.reason,
    }
}
