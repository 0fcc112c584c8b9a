//! What is wrong outside the nodes: addresses that are not let in, and places that cannot be looked at.

use jiff::Timestamp;

use super::super::super::event::cut;
use super::super::super::fleet::Fleet;
use super::super::{Finding, Findings, Rule, Subject};
use super::WORDS;
use crate::whitelist::State;

/// What an alert about the portal as such is about.
pub(super) const PORTAL: &str = "portal";

impl Fleet {
    pub(super) fn find_outside(&self, now: Timestamp, findings: &mut Findings) {
        for kind in self.enforcers() {
            let name = kind.name();
            let of = |what: String| Subject {
                what,
                node: None,
                name: None,
                role: None,
            };
            let result = self.outside.rounds.get(&kind).map(|round| &round.result);
            let seen = match result {
                None => continue,
                Some(Err(problem)) => {
                    let finding =
                        failing(of(name), &problem.sentence, &problem.hint, problem.since);
                    findings.add(Rule::EnforcerFailing, finding);
                    continue;
                }
                Some(Ok(seen)) => seen,
            };
            if let Some(problem) = &seen.trouble {
                findings.add(
                    Rule::EnforcerFailing,
                    failing(
                        of(name.clone()),
                        &problem.sentence,
                        &problem.hint,
                        problem.since,
                    ),
                );
            }
            for standing in &seen.standings {
                let (rule, words) = match standing.state {
                    State::Missing => (Rule::WhitelistMissing, "is not let in"),
                    State::Denied => (Rule::WhitelistDenied, "is kept out by an entry"),
                    State::Expiring => (
                        Rule::WhitelistExpiring,
                        "is let in by an entry that lapses soon",
                    ),
                    State::InForce | State::Leaving => continue,
                };
                let holder = &standing.holder;
                let address = standing.address;
                findings.add(
                    rule,
                    Finding {
                        subject: Subject {
                            what: format!("{name} {address}"),
                            node: Some(holder.node),
                            name: Some(holder.name.clone()),
                            role: Some(holder.role.clone()),
                        },
                        since: now,
                        what: format!(
                            "{kind}: {address} of {} ({}) {words}",
                            holder.name, holder.role
                        ),
                        done: cut(&standing.note, WORDS),
                        todo: "extend whitelist sync; extend whitelist list".to_owned(),
                    },
                );
            }
        }
        let look = self.outside.look.as_ref().map(|look| &look.result);
        if let Some(Err(problem)) = look {
            let subject = Subject {
                what: PORTAL.to_owned(),
                node: None,
                name: None,
                role: None,
            };
            findings.add(
                Rule::EnforcerFailing,
                failing(subject, &problem.sentence, &problem.hint, now),
            );
        }
    }
}

fn failing(subject: Subject, sentence: &str, hint: &str, since: Timestamp) -> Finding {
    Finding {
        what: format!("{}: {}", subject.what, cut(sentence, WORDS)),
        subject,
        since,
        done: "it is tried again, with growing pauses; what is in force stays".to_owned(),
        todo: match hint.is_empty() {
            true => "extend whitelist list".to_owned(),
            false => cut(hint, WORDS),
        },
    }
}
