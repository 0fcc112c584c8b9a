//! What is counted outlives the memory that it was counted in, and is counted once it is true.

use extend_common::operation::{TargetState, Verb};

use super::rig::Rig;
use crate::store::CommitFault;

#[tokio::test(start_paused = true)]
async fn a_lost_memory_takes_nothing_off_a_count_and_adds_nothing_to_it() {
    let mut rig = Rig::with_media().await;
    let begun = |rig: &Rig| rig.handle.meter().counts().begun;
    let runs = begun(&rig)[&Verb::Run];
    assert!(runs > 0);
    assert_eq!(
        rig.handle.meter().counts().ended[&(Verb::Run, TargetState::Succeeded)],
        runs
    );
    let before = rig.handle.meter().commits.clone();
    rig.store.fail_commits(1, CommitFault::BeforeApplying);
    let stop = rig.submission(Verb::Stop, "");
    assert!(rig.handle.submit(stop).await.is_err());
    let counts = rig.handle.meter().counts();
    assert_eq!(counts.begun.get(&Verb::Stop), None, "it was not committed");
    assert_eq!(counts.begun[&Verb::Run], runs, "and nothing was forgotten");
    assert_eq!(counts.failed, 1);
    drop(before);
    rig.submit(Verb::Stop, "").await;
    assert_eq!(begun(&rig)[&Verb::Stop], 1);
    let figures = rig.handle.figures().await.unwrap();
    assert_eq!(figures.open[&Verb::Stop], 1);
}
