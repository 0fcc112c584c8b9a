//! Traps: places in an agent's or a controller's work where a test stops it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use extend_agent::faults::{FaultPoint, Faults};
use extend_controller::engine::{CrashHook, CrashPoint};
use tokio::sync::Notify;

/// Counts the points that are reached and, when it is set, holds whoever reaches the chosen one
/// there for ever: the test then kills it, or lets it go on.
pub struct Trap<P> {
    state: Arc<Mutex<State<P>>>,
    sprung: Arc<Notify>,
    release: Arc<Notify>,
}

struct State<P> {
    seen: BTreeMap<P, usize>,
    order: Vec<P>,
    set: Option<(P, usize)>,
}

impl<P> Clone for Trap<P> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            sprung: self.sprung.clone(),
            release: self.release.clone(),
        }
    }
}

impl<P: Ord + Copy> Default for Trap<P> {
    fn default() -> Self {
        let state = State {
            seen: BTreeMap::new(),
            order: Vec::new(),
            set: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            sprung: Arc::default(),
            release: Arc::default(),
        }
    }
}

impl<P: Ord + Copy> Trap<P> {
    fn state(&self) -> std::sync::MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was reached, and springs when `point` is reached for the `nth` time (from 1).
    pub fn set(&self, point: P, nth: usize) {
        let mut state = self.state();
        state.seen.clear();
        state.order.clear();
        state.set = Some((point, nth));
    }

    /// Forgets what was reached.
    pub fn clear(&self) {
        let mut state = self.state();
        state.seen.clear();
        state.order.clear();
        state.set = None;
    }

    /// What was reached, in order.
    pub fn reached(&self) -> Vec<P> {
        self.state().order.clone()
    }

    /// Waits until it has sprung.
    pub async fn sprung(&self) {
        self.sprung.notified().await;
    }

    /// Lets whoever is held go on.
    pub fn release(&self) {
        self.release.notify_one();
    }

    async fn pass(&self, point: P) {
        let is_chosen = {
            let mut state = self.state();
            state.order.push(point);
            let seen = state.seen.entry(point).or_default();
            *seen += 1;
            let now = (point, *seen);
            let is_chosen = state.set == Some(now);
            if is_chosen {
                state.set = None;
            }
            is_chosen
        };
        if is_chosen {
            self.sprung.notify_one();
            self.release.notified().await;
        }
    }
}

#[async_trait]
impl Faults for Trap<FaultPoint> {
    async fn at(&self, point: FaultPoint) {
        self.pass(point).await;
    }
}

impl CrashHook for Trap<CrashPoint> {
    fn at(&self, point: CrashPoint) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.pass(point))
    }
}
