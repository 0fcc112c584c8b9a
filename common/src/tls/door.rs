//! Who may begin a handshake, as the acceptor asks it: before the first byte, and until the last.
//!
//! Owns the only way in which a list that changes reaches connections. The controller keeps the
//! list and says how it is read; nothing here knows nodes or tokens. What a connection says of its
//! own source (a PROXY line, a forwarded header) is never looked at: the address is the kernel's.
//!
//! Invariant: a door without a keeper stays as it was left. A list that can no longer be read, or
//! whose keeper has died, is the last good one, and never an open door.

use std::fmt;
use std::future::{self, Future};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

/// A list of sources, as it is at every moment. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    list: Arc<dyn List>,
}

/// What a door asks of its list, whatever that consists of.
trait List: Send + Sync {
    fn admits(&self, source: Ipv4Addr) -> bool;
    fn shut_to(&self, source: Ipv4Addr) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A list that somebody keeps, and how it is read.
struct Kept<L> {
    list: watch::Receiver<L>,
    admits: fn(&L, Ipv4Addr) -> bool,
}

impl Door {
    /// The door that `admits` reads from `list`. It is asked on the accepting task, and must answer
    /// from memory, at once.
    pub fn new<L: Send + Sync + 'static>(
        list: watch::Receiver<L>,
        admits: fn(&L, Ipv4Addr) -> bool,
    ) -> Self {
        Self {
            list: Arc::new(Kept { list, admits }),
        }
    }

    /// The source that nodes are known by, if somebody is expected from there. Only IPv4 is: also
    /// when a listener on IPv6 sees it mapped.
    pub(super) fn source(&self, address: IpAddr) -> Option<Ipv4Addr> {
        match address.to_canonical() {
            IpAddr::V4(source) => self.admits(source).then_some(source),
            IpAddr::V6(_) => None,
        }
    }

    /// Whether somebody is expected from this source.
    #[must_use]
    pub fn admits(&self, source: Ipv4Addr) -> bool {
        self.list.admits(source)
    }

    /// Resolves once nobody is expected from this source any more; at once if nobody is.
    pub(super) fn shut_to(&self, source: Ipv4Addr) -> impl Future<Output = ()> + Send + use<> {
        self.list.shut_to(source)
    }
}

impl<L: Send + Sync + 'static> List for Kept<L> {
    fn admits(&self, source: Ipv4Addr) -> bool {
        (self.admits)(&self.list.borrow(), source)
    }

    fn shut_to(&self, source: Ipv4Addr) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (mut list, admits) = (self.list.clone(), self.admits);
        Box::pin(async move {
            let shut = list.wait_for(|list| !admits(list, source)).await.is_ok();
            if !shut {
                // Nobody keeps it any more: it stays as it was.
                future::pending::<()>().await;
            }
        })
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv6Addr;

    use proptest::prelude::*;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;

    type Sources = HashSet<Ipv4Addr>;

    fn door(list: watch::Receiver<Sources>) -> Door {
        Door::new(list, |list, source| list.contains(&source))
    }

    const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

    #[tokio::test]
    async fn a_door_whose_keeper_has_died_stays_as_it_was_left() {
        let (keeper, list) = watch::channel(Sources::from([NODE]));
        let door = door(list);
        let shut = AbortOnDropHandle::new(tokio::spawn(door.shut_to(NODE)));
        drop(keeper);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!shut.is_finished(), "nobody has shut it");
        assert!(door.admits(NODE) && !door.admits(Ipv4Addr::LOCALHOST));
    }

    #[tokio::test]
    async fn who_waits_for_it_to_shut_is_told_and_not_of_other_changes() {
        let (keeper, list) = watch::channel(Sources::from([NODE]));
        let door = door(list);
        let shut = tokio::spawn(door.shut_to(NODE));
        keeper.send_modify(|sources| {
            sources.insert(Ipv4Addr::LOCALHOST);
        });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!shut.is_finished());
        keeper.send_modify(|sources| {
            sources.remove(&NODE);
        });
        shut.await.unwrap();
        door.shut_to(NODE).await;
    }

    /// Few enough that sources meet the list often, and at the edges of what an address can be.
    fn near() -> impl Strategy<Value = Ipv4Addr> {
        prop_oneof![
            (0_u8..4).prop_map(|last| Ipv4Addr::new(10, 0, 0, last)),
            Just(Ipv4Addr::UNSPECIFIED),
            Just(Ipv4Addr::BROADCAST),
            any::<u32>().prop_map(Ipv4Addr::from),
        ]
    }

    fn any_source() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            near().prop_map(IpAddr::V4),
            near().prop_map(|source| IpAddr::V6(source.to_ipv6_mapped())),
            // The deprecated "compatible" form is no IPv4 address.
            near().prop_map(|source| IpAddr::V6(source.to_ipv6_compatible())),
            any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
        ]
    }

    /// The plainest matcher there is: by what stands there, octet by octet.
    fn naive(list: &[Ipv4Addr], source: IpAddr) -> Option<Ipv4Addr> {
        let octets = match source {
            IpAddr::V4(source) => source.octets(),
            IpAddr::V6(source) => match source.octets() {
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => [a, b, c, d],
                _ => return None,
            },
        };
        let mut found = None;
        for listed in list {
            if listed.octets() == octets {
                found = Some(*listed);
            }
        }
        found
    }

    proptest! {
        #[test]
        fn it_admits_what_a_naive_matcher_finds(
            lists in prop::collection::vec(prop::collection::vec(near(), 0..6), 1..4),
            sources in prop::collection::vec(any_source(), 1..12),
        ) {
            let (keeper, list) = watch::channel(Sources::new());
            let door = door(list);
            for list in lists {
                keeper.send_replace(list.iter().copied().collect());
                for source in &sources {
                    prop_assert_eq!(door.source(*source), naive(&list, *source), "{}", source);
                }
            }
        }
    }
}
