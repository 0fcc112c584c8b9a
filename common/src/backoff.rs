//! How long to wait before the next try: exponential, bounded, with jitter.

use std::time::Duration;

/// A policy of waiting. Pure: the caller counts the attempts and brings the randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the first retry.
    pub first: Duration,
    /// No wait is longer.
    pub most: Duration,
}

impl Backoff {
    /// The wait before retry number `attempt` (from 0), drawn evenly from the upper half of the
    /// exponential step by `random` in 0.0..1.0. The jitter keeps a fleet from coming back in
    /// step after its controller was away.
    pub fn wait(&self, attempt: u32, random: f64) -> Duration {
        let step = self
            .first
            .saturating_mul(2_u32.saturating_pow(attempt.min(30)))
            .min(self.most);
        step.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
    }
}

/// A number in 0.0..1.0 for [`Backoff::wait`]; edges only.
pub fn jitter() -> f64 {
    use ring::rand::SecureRandom;
    let mut bytes = [0_u8; 4];
    match ring::rand::SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        // Without randomness the longest wait is the safe one.
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_jitter_stays_in_the_upper_half() {
        let policy = Backoff {
            first: Duration::from_secs(1),
            most: Duration::from_secs(10),
        };
        assert_eq!(policy.wait(0, 1.0), Duration::from_secs(1));
        assert_eq!(policy.wait(2, 1.0), Duration::from_secs(4));
        assert_eq!(policy.wait(2, 0.0), Duration::from_secs(2));
        assert_eq!(policy.wait(40, 1.0), Duration::from_secs(10));
    }
}
