//! Lists, changes, and what went wrong with them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use extend_common::roles::Resource;
use extend_pbx_standin::{After, Fault, Kind, What};
use serde_json::json;

use super::{Rig, registration, settings};
use crate::pbx::{NewIpFilter, Pbx, PbxError, Presence};

fn entry(last: u8) -> NewIpFilter {
    NewIpFilter {
        address: Ipv4Addr::new(172, 31, 16, last),
        expires: Some("2036-11-28T19:00:00Z".parse().unwrap()),
        description: "Extend: media1 (private address)".to_owned(),
    }
}

fn fields(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn every_kind_of_server_is_registered_changed_looked_at_and_taken_away() {
    let rig = Rig::new().await;
    rig.standin.state().news = true;
    for resource in Resource::ALL {
        let new = registration("server1", resource);
        let id = rig.pbx.create_server(&new).await.unwrap();
        let listed = rig.pbx.servers(resource).await.unwrap();
        assert_eq!(listed.len(), 2, "{resource:?}: the built-in one too");
        assert_eq!(listed.iter().filter(|server| server.internal).count(), 1);
        let server = rig.pbx.server(resource, &id).await.unwrap();
        assert_eq!(server.addresses, new.addresses(), "{resource:?}");
        assert!(server.enabled && !server.internal);

        rig.pbx.set_enabled(resource, &id, false).await.unwrap();
        assert!(!rig.pbx.server(resource, &id).await.unwrap().enabled);
        for server in rig.standin.state().named("server1") {
            server.online = true;
            server.sessions = 7;
        }
        let status = rig.pbx.server_status(resource, &id).await.unwrap();
        assert_eq!(status.presence, Presence::Online);
        let counted = resource.counts_sessions().then_some(7);
        assert_eq!(
            status.sessions(),
            counted,
            "{resource:?}: unknown is not zero"
        );

        rig.pbx.destroy_server(resource, &id).await.unwrap();
        assert_eq!(rig.pbx.servers(resource).await.unwrap().len(), 1);
        // Away is away.
        rig.pbx.destroy_server(resource, &id).await.unwrap();
    }
    rig.assert_by_the_book();
}

#[tokio::test]
async fn entries_of_the_whitelist_are_made_renewed_and_taken_away() {
    let rig = Rig::new().await;
    let id = rig.pbx.create_ip_filter(&entry(139)).await.unwrap();
    rig.standin
        .state()
        .let_in(fields(json!({"cidr": "10.0.0.0/8", "target": "DENY"})));
    let listed = rig.pbx.ip_filters().await.unwrap();
    assert_eq!(listed.len(), 2);
    let ours = listed.iter().find(|filter| filter.id == id).unwrap();
    assert_eq!(
        (ours.cidr.as_str(), ours.expires),
        ("172.31.16.139/32", entry(139).expires)
    );
    let later = NewIpFilter {
        expires: Some("2046-11-28T19:00:00Z".parse().unwrap()),
        ..entry(139)
    };
    rig.pbx.update_ip_filter(&id, &later).await.unwrap();
    assert_eq!(
        rig.standin.state().filters[id.as_str()].expires(),
        "2046-11-28T19:00:00Z"
    );
    rig.pbx.destroy_ip_filter(&id).await.unwrap();
    assert_eq!(rig.pbx.ip_filters().await.unwrap().len(), 1);
    rig.assert_by_the_book();
}

#[tokio::test]
async fn lists_are_read_whole_whatever_the_size_of_a_page() {
    let rig = Rig::new().await;
    for last in 0..250_u32 {
        let cidr = format!("10.1.{}.{}/32", last / 200, last % 200);
        let new = fields(json!({"cidr": cidr, "target": "ACCEPT"}));
        rig.standin.state().let_in(new);
    }
    for page in [100, 37] {
        rig.standin.state().page = page;
        rig.standin.state().record.clear();
        let listed = rig.pbx.ip_filters().await.unwrap();
        let cidrs: BTreeSet<_> = listed.iter().map(|filter| &filter.cidr).collect();
        assert_eq!((listed.len(), cidrs.len()), (250, 250));
        let pages = rig
            .standin
            .state()
            .record
            .iter()
            .filter(|call| call.path == "/ip_filters")
            .count();
        assert_eq!(pages, 250_usize.div_ceil(page));
    }
    rig.assert_by_the_book();
}

#[tokio::test]
async fn a_question_is_asked_again_and_a_change_is_not() {
    let rig = Rig::new().await;
    rig.pbx.admin_status().await.unwrap();
    for what in [
        What::Break,
        What::Refuse {
            status: 503,
            wait: None,
        },
        What::Refuse {
            status: 429,
            wait: Some(0),
        },
    ] {
        let fault = Fault::of("GET", "/ip_filters", 2, what.clone());
        rig.standin.state().faults.push(fault);
        rig.pbx
            .ip_filters()
            .await
            .unwrap_or_else(|error| panic!("{what:?}: {error}"));
    }
    for after in [After::Break, After::Status(500), After::Garbage] {
        let fault = Fault::of("POST", "/ivr_servers", 1, What::Apply(after));
        rig.standin.state().faults.push(fault);
        let new = registration("ivr1", Resource::IvrServers);
        let error = rig.pbx.create_server(&new).await.unwrap_err();
        assert!(error.outcome_unknown(), "{after:?}: {error}");
        let made = rig.standin.state().named("ivr1").count();
        assert_eq!(made, 1, "{after:?}: applied, and not a second time");
        rig.standin
            .state()
            .servers
            .get_mut(&Kind::IvrServers)
            .unwrap()
            .retain(|_, s| s.internal);
    }
    // Nothing was done, and the PBX says so.
    let fault = Fault::of(
        "POST",
        "/ivr_servers",
        2,
        What::Refuse {
            status: 429,
            wait: None,
        },
    );
    rig.standin.state().faults.push(fault);
    let new = registration("ivr1", Resource::IvrServers);
    rig.pbx.create_server(&new).await.unwrap();
    assert_eq!(rig.standin.state().named("ivr1").count(), 1);
    rig.assert_by_the_book();
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let rig = Rig::new().await;
    let mut settings = settings(&rig.standin.url(), rig.path());
    settings.limits.answer = Duration::from_millis(300);
    let pbx = Pbx::new(settings);
    pbx.admin_status().await.unwrap();
    let fault = Fault::of("POST", "/ip_filters", 1, What::Apply(After::Silence));
    rig.standin.state().faults.push(fault);
    let error = pbx.create_ip_filter(&entry(139)).await.unwrap_err();
    assert!(error.outcome_unknown(), "{error}");
    assert!(
        error.to_string().contains("no answer within 300ms"),
        "{error}"
    );
    assert_eq!(rig.standin.state().filters.len(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_with_the_words_of_the_pbx() {
    let rig = Rig::new().await;
    rig.standin.state().refuse_duplicates = true;
    rig.pbx.create_ip_filter(&entry(139)).await.unwrap();
    let error = rig.pbx.create_ip_filter(&entry(139)).await.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(
        (refusal.status, refusal.code.as_str()),
        (400, "ALREADY_EXISTS")
    );
    assert!(
        error
            .to_string()
            .contains("let 172.31.16.139 in at the PBX: the PBX refused: the CIDR is there")
    );
    assert!(!error.outcome_unknown() && !error.passes());
}

#[tokio::test]
async fn a_built_in_server_cannot_be_taken_away() {
    let rig = Rig::new().await;
    let listed = rig.pbx.servers(Resource::MediaServers).await.unwrap();
    let error = rig
        .pbx
        .destroy_server(Resource::MediaServers, &listed[0].id)
        .await
        .unwrap_err();
    assert!(matches!(error, PbxError::Refused { .. }), "{error}");
}
