//! Who gets as far as a TLS handshake.
//!
//! Owns the two questions asked of a source address before a byte of TLS is exchanged: is somebody
//! expected from there, and are there not too many from there already. Called by the acceptor. It
//! knows nothing of nodes and tokens: the [`Door`] is the controller's to answer.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::connection::TurnedAway;
use super::door::Door;

/// The door and the places behind it.
#[derive(Clone)]
pub(super) struct Gate {
    door: Door,
    places: Arc<Places>,
}

/// How many connections each source holds. A source without one has no entry, so that this cannot
/// outgrow the connections there are.
struct Places {
    per_source: usize,
    taken: Mutex<HashMap<Ipv4Addr, usize>>,
}

/// One of the places of a source. It is given back when this is dropped: at the end of a failed
/// handshake, or of the connection.
pub(super) struct Place {
    pub(super) source: Ipv4Addr,
    places: Arc<Places>,
}

impl Gate {
    pub(super) fn new(door: Door, per_source: usize) -> Self {
        Self {
            door,
            places: Arc::new(Places {
                per_source,
                taken: Mutex::default(),
            }),
        }
    }

    /// Lets a source in, or says why not.
    pub(super) fn enter(&self, source: IpAddr) -> Result<Place, TurnedAway> {
        let source = self.door.source(source).ok_or(TurnedAway::AtDoor)?;
        self.places.with(|taken| {
            let held = taken.entry(source).or_default();
            if *held >= self.places.per_source {
                return Err(TurnedAway::Crowded(*held));
            }
            *held += 1;
            Ok(Place {
                source,
                places: Arc::clone(&self.places),
            })
        })
    }

    /// Resolves once a source that was let in is no longer expected.
    pub(super) fn shut_to(&self, source: Ipv4Addr) -> impl Future<Output = ()> + Send + use<> {
        self.door.shut_to(source)
    }
}

impl Places {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<Ipv4Addr, usize>) -> T) -> T {
        f(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|taken| {
            if let Some(held) = taken.get_mut(&self.source) {
                *held -= 1;
                if *held == 0 {
                    taken.remove(&self.source);
                }
            }
        });
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

    fn only(node: Ipv4Addr) -> Door {
        Door::new(watch::channel(node).1, |node, source| *node == source)
    }

    fn open() -> Door {
        Door::new(watch::channel(()).1, |(), _| true)
    }

    #[test]
    fn only_the_expected_addresses_enter_mapped_or_not() {
        let gate = Gate::new(only(NODE), 8);
        assert_eq!(gate.enter(NODE.into()).unwrap().source, NODE);
        assert_eq!(
            gate.enter(NODE.to_ipv6_mapped().into()).unwrap().source,
            NODE
        );
        for other in [
            "10.0.0.8",
            "::ffff:10.0.0.8",
            "::10.0.0.7",
            "fe80::1",
            "0.0.0.0",
        ] {
            let refused = gate.enter(other.parse().unwrap());
            assert!(matches!(refused, Err(TurnedAway::AtDoor)), "{other}");
        }
    }

    #[test]
    fn a_source_has_its_number_of_places_and_gets_them_back() {
        let gate = Gate::new(open(), 2);
        let first = gate.enter(NODE.into()).unwrap();
        let second = gate.enter(NODE.into()).unwrap();
        assert!(matches!(
            gate.enter(NODE.into()),
            Err(TurnedAway::Crowded(2))
        ));
        assert!(
            gate.enter(Ipv4Addr::LOCALHOST.into()).is_ok(),
            "another is not held up"
        );

        drop(first);
        let third = gate.enter(NODE.into()).unwrap();
        drop((second, third));
        assert!(
            gate.places.with(|taken| taken.is_empty()),
            "nothing is kept of who is gone"
        );
    }
}
