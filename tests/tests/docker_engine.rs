//! The contract of `extend_agent::docker::Docker`, held by both of its implementations: the
//! client of a real Docker Engine with the stand-in image, and the Engine in memory. And what
//! only the real one can show: that an inspection equals the official container.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

#[path = "docker_engine/bench.rs"]
mod bench;
#[path = "docker_engine/inspect.rs"]
mod inspect;
#[path = "docker_engine/life.rs"]
mod life;
#[path = "docker_engine/memory.rs"]
mod memory;
#[path = "docker_engine/objects.rs"]
mod objects;
#[path = "docker_engine/real.rs"]
mod real;
#[path = "docker_engine/registry.rs"]
mod registry;

/// A test for each rule of the contract and each of its two keepers.
macro_rules! both_keep {
    ($($part:ident { $($rule:ident),* $(,)? })*) => {
        mod in_memory {
            $(mod $part {
                $(#[tokio::test(start_paused = true)]
                async fn $rule() {
                    crate::$part::$rule(&crate::memory::MemoryBench::new()).await;
                })*
            })*
        }

        mod on_the_engine {
            $(mod $part {
                $(#[tokio::test]
                async fn $rule() {
                    crate::$part::$rule(&crate::real::RealBench::new()).await;
                })*
            })*
        }
    };
}

both_keep! {
    life {
        a_container_is_made_started_and_ended,
        a_crash_is_mended_by_the_policy,
        the_policy_can_be_changed,
        a_container_between_restarts_is_live,
        a_change_of_policy_calls_no_restart_off,
        a_deaf_process_is_killed,
        a_signal_calls_off_even_the_policy_always,
        every_signal_through_the_engine_disarms_the_policy,
        a_start_that_fails_leaves_its_reason,
        a_paused_container_is_live,
        a_start_and_an_end_are_hinted_at,
    }
    objects {
        a_name_belongs_to_one_container,
        what_does_not_exist_is_missing,
        only_what_does_not_run_is_removed,
        every_container_is_listed,
        output_has_an_end,
        output_is_read_along_to_the_end_of_the_process,
        an_image_has_several_names,
        nonsense_is_refused,
    }
}
