//! The plan of an upgrade asks an agent where its reference leads.

use std::time::Duration;

use tokio::time::timeout;

use extend_common::operation::{PlannedTarget, Verb};

use super::rig::{QUEUE, Rig, SOON, media};
use crate::core::request::{ImageWanted, Lead, ToAgent};
use crate::core::tests::bench::node;

const NEWER: &str = "portsip/pbx@sha256:99";

/// The question, as the agent hears it.
async fn question(rig: &mut Rig) -> ImageWanted {
    let link = rig.links.get_mut(&media()).unwrap();
    let receiver = link.receiver.as_mut().unwrap();
    loop {
        match timeout(SOON, receiver.recv()).await.unwrap() {
            Some(ToAgent::ImageWanted(wanted)) => return wanted,
            Some(_) => {}
            None => panic!("the session has ended"),
        }
    }
}

async fn plan(rig: &mut Rig, answers: impl Fn(&Rig, &ImageWanted)) -> PlannedTarget {
    let mut wanted = rig.submission(Verb::Upgrade, "");
    wanted.plan_only = true;
    let handle = rig.handle.clone();
    let planning = tokio::spawn(async move { handle.submit(wanted).await });
    let asked = question(rig).await;
    assert_eq!(asked.reference, "portsip/pbx:22");
    answers(rig, &asked);
    let submitted = planning.await.unwrap().unwrap();
    assert_eq!(submitted.operation, None);
    submitted.plan.into_iter().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_in_the_plan() {
    let mut rig = Rig::with_media().await;
    let before = rig.store.image();
    let target = plan(&mut rig, |rig, asked| {
        // Nobody answers for another node, nor a question that was not asked.
        let lead = || Lead::To("other/pbx@sha256:66".to_owned());
        rig.handle.image_told(node(QUEUE), asked.id, lead());
        rig.handle
            .image_told(media(), ulid::Ulid::generate(), lead());
        rig.handle
            .image_told(media(), asked.id, Lead::To(NEWER.to_owned()));
    })
    .await;
    assert_eq!(target.identity_after, NEWER);
    assert_eq!(rig.store.image(), before, "nothing is written");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_is_not_waited_for() {
    let mut rig = Rig::with_media().await;
    let target = timeout(Duration::from_secs(11), plan(&mut rig, |_, _| {}))
        .await
        .unwrap();
    assert_eq!(target.identity_after, "");
    let words = "172.31.16.139 was asked: its agent did not answer within 10s";
    assert!(target.warning.contains(words), "{}", target.warning);
}

#[tokio::test(start_paused = true)]
async fn what_is_carried_out_asks_nobody() {
    let mut rig = Rig::with_media().await;
    rig.submit(Verb::Upgrade, "").await;
    rig.succeed(media()).await;
}
