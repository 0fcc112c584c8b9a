//! A message that was taken is one that was taken, whatever the store does.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{Rig, config, media};
use crate::core::alerts::{AlertSettings, Delivery, ReceiverFilter, Severity};
use crate::core::request::SessionEnd;
use crate::engine::NoCrash;
use crate::store::CommitFault;

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_commit_failed_is_told_until_it_is_kept() {
    for fault in [CommitFault::BeforeApplying, CommitFault::AfterApplying] {
        let mut rig = Rig::with_media().await;
        let receivers = vec![ReceiverFilter {
            name: "noc".to_owned(),
            severity: Severity::Warning,
            roles: Vec::new(),
        }];
        let mut config = config(rig.clock, Arc::new(NoCrash));
        config.alerts = Arc::new(AlertSettings {
            receivers,
            ..AlertSettings::default()
        });
        rig.start_again(config).await;
        let session = rig.connect(media()).await.unwrap();
        let ended = rig
            .handle
            .session_closed(session, media(), SessionEnd::Closed);
        ended.await.unwrap();
        let mut wanted = rig.handle.wanted();
        let made = wanted.wait_for(|wanted| !wanted.notices.is_empty());
        let made = tokio::time::timeout(Duration::from_secs(600), made).await;
        let notice = made.unwrap().unwrap().notices["noc"][0].number;
        rig.store.fail_commits(1, fault);
        let delivery = Delivery {
            receiver: "noc".to_owned(),
            notice,
            result: Ok(()),
        };
        assert_eq!(rig.handle.delivered(delivery).await, Ok(()), "{fault:?}");
        let still = rig.handle.wanted().borrow().notices.clone();
        assert!(still.is_empty(), "{fault:?}: {still:?}");
    }
}
