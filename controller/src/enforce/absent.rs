//! An enforcer that is configured and cannot be in this build: it says so, with every look.

use super::{Enforcer, Fault, FaultKind};
use crate::whitelist::{EnforcerKind, Entry, Policy, Step};

/// Looks at nothing, and says why.
#[derive(Debug)]
pub struct Absent {
    kind: EnforcerKind,
    fault: Fault,
}

impl Absent {
    /// Stands where this enforcer would be.
    pub fn new(kind: EnforcerKind, sentence: &str, hint: &str) -> Self {
        let fault = Fault {
            kind: FaultKind::Everything,
            sentence: sentence.to_owned(),
            hint: hint.to_owned(),
            wait: None,
        };
        Self { kind, fault }
    }
}

impl Enforcer for Absent {
    fn kind(&self) -> EnforcerKind {
        self.kind
    }

    fn policy(&self) -> Policy {
        Policy {
            kinds: self.kind.kinds(),
            expiry: None,
            limit: None,
        }
    }

    async fn look(&mut self) -> Result<Vec<Entry>, Fault> {
        Err(self.fault.clone())
    }

    async fn apply(&mut self, _: &Step) -> Result<(), Fault> {
        Err(self.fault.clone())
    }
}
