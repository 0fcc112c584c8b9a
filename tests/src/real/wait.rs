//! Waiting for what is to be seen.

use std::time::{Duration, Instant};

/// Between two looks.
const PACE: Duration = Duration::from_millis(20);

/// Looks again and again until there is an answer.
///
/// # Panics
/// When there is none after `bound`; says what was seen last.
pub fn until<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(
                began.elapsed() < bound,
                "waited {bound:?} for this: {what}\nlast seen: {seen}"
            ),
        }
        pace();
    }
}

/// Lets others do something.
pub(super) fn pace() {
    std::thread::park_timeout(PACE);
}
