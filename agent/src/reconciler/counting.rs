//! Has sessions counted: every second while the plan waits for them or the server does not answer,
//! and now and then for people.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Reconciler;
use crate::core::plan::View;
use crate::sessions::{self, Counted, Found, SessionSource, Tally};

/// What is counted, and what was found.
pub(super) struct Counting {
    wanted: watch::Sender<Option<Counted>>,
    pub(super) found: watch::Receiver<Found>,
    /// What is known of the present run's sessions, for the present record.
    pub(super) tally: Option<Tally>,
}

impl Counting {
    /// Begins to count as soon as anything is wanted.
    pub(super) fn start(source: Arc<dyn SessionSource>) -> Self {
        let (wanted, wanted_from) = watch::channel(None);
        let (found_to, found) = watch::channel(None);
        tokio::spawn(sessions::run(source, wanted_from, found_to));
        Self {
            wanted,
            found,
            tally: None,
        }
    }

    fn want(&self, what: Option<Counted>) {
        self.wanted.send_if_modified(|held| {
            let changed = *held != what;
            *held = what;
            changed
        });
    }
}

impl Reconciler {
    /// Says what is to be counted, and takes in what was found of it.
    pub(super) fn count_sessions(&mut self, now: Timestamp) {
        let run = self.with_view(|view| {
            let (stamp, instance) = run_of(view)?;
            Some((stamp, instance, view.asks_for_sessions(now)))
        });
        let how = self.how_to_count();
        let run = run.flatten().filter(|(.., asked)| *asked || how.is_ok());
        let Some((stamp, instance, asked)) = run else {
            self.counting.want(None);
            self.counting.tally = None;
            return;
        };
        let every = if asked {
            sessions::SOON
        } else {
            sessions::SELDOM
        };
        let wanted = how.map(|how| Counted {
            stamp,
            instance,
            how,
            every,
        });
        self.counting.tally = Some(match &wanted {
            Err(why) => Tally::never(why.clone()),
            Ok(wanted) => match self.counting.found.borrow().as_ref() {
                Some((of, tally)) if of == wanted => tally.clone(),
                _ => Tally::begun(),
            },
        });
        self.counting.want(wanted.ok());
    }

    /// How the sessions of the role are counted, or why nobody knows.
    pub(super) fn how_to_count(&self) -> Result<extend_common::roles::SessionsDefinition, String> {
        let Some(role) = self.definition() else {
            return Err("this node has no definition of the role".to_owned());
        };
        let Some(how) = &role.sessions else {
            let title = &role.title;
            return Err(format!(
                "nobody knows how the sessions of a {title} are counted"
            ));
        };
        let network = &role.main_container().network;
        if network != "host" {
            return Err(format!(
                "its container has a network of its own ({network})"
            ));
        }
        Ok(how.clone())
    }
}

fn run_of(
    view: &View<'_>,
) -> Option<(
    extend_common::record::Stamp,
    extend_common::record::Instance,
)> {
    let current = view.current().filter(|current| current.is_up())?;
    Some((view.entry.record.id.stamp, current.instance()))
}
