//! What a role can spare: how many of its servers may be out of service at once.

use extend_common::operation::Strategy;

use super::Item;

/// The servers of a role, counted. Those that operators have stopped are none of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Role {
    /// Its place in the order of roles.
    pub rank: u32,
    /// In sentences: `media server`.
    pub title: String,
    /// How many should run.
    pub should: usize,
    /// How many of these run well, and are not taken by any operation.
    pub available: usize,
    /// How many an operation has taken out of service, or is about to.
    pub taken: usize,
    /// How many of these are under way in the operation that is looked at.
    pub own: usize,
}

/// Why a server has to wait for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// As many are out of service as may be.
    Full,
    /// No other server of the role that should run runs well.
    LastHealthy,
}

impl Hold {
    pub(super) fn words(self, item: &Item<'_>, role: &Role) -> String {
        match self {
            // That goes without saying while its own servers are under way.
            Self::Full if role.own > 0 => String::new(),
            Self::Full => format!(
                "{} waits: other operations have put as many {}s out of service as may be",
                item.name, role.title
            ),
            Self::LastHealthy => format!(
                "{} waits: no other {} is healthy (--force would not wait)",
                item.name, role.title
            ),
        }
    }
}

impl Role {
    /// How many may be out of service at once.
    pub fn limit(&self, strategy: &Strategy) -> usize {
        strategy
            .max_unavailable
            .map_or(1, |share| share.of(self.should))
    }

    /// Takes a server out of service, if the role can spare it.
    ///
    /// What does not run well uses up what may be out of service, but one at a time always goes on
    /// as long as another one is healthy: otherwise one broken server would hold up the upgrade
    /// that mends it.
    ///
    /// # Errors
    /// Why it has to wait.
    pub fn take(&mut self, available: bool, strategy: &Strategy, force: bool) -> Result<(), Hold> {
        let limit = self.limit(strategy);
        if self.taken >= limit {
            return Err(Hold::Full);
        }
        if available {
            let out = self.should.saturating_sub(self.available);
            if self.taken > 0 && out >= limit {
                return Err(Hold::Full);
            }
            if self.is_last(available) && !force {
                return Err(Hold::LastHealthy);
            }
            self.available = self.available.saturating_sub(1);
        }
        self.taken += 1;
        Ok(())
    }

    /// Whether the role has other servers that should run, and none of them could take over from
    /// one that does (`available`) or does not run well itself.
    pub fn is_last(&self, available: bool) -> bool {
        self.should > 1 && self.available <= usize::from(available)
    }

    /// Whether nothing takes over while one of its servers is out of service.
    pub fn is_away_without(&self, available: bool) -> bool {
        self.available <= usize::from(available)
    }
}
