//! What operators are told of the whitelist, and that it is made so when they ask.

use extend_pbx_standin::State;
use extend_proto::v1;
use serde_json::json;

use super::portal::with_pbx;
use super::support::{Controller, Place, until};

/// Somebody makes an entry in the PBX; gives back its id.
fn put(state: &mut State, cidr: &str, description: &str) -> String {
    let fields = json!({
        "cidr": cidr,
        "target": "ACCEPT",
        "expire_at": "2036-01-01T00:00:00Z",
        "description": description,
    });
    state.let_in(fields.as_object().unwrap().clone())
}

async fn listed(controller: &Controller) -> v1::WhitelistView {
    let mut operator = controller.operator().await;
    let answer = operator.list_whitelist(v1::ListWhitelistRequest {}).await;
    answer.unwrap().into_inner()
}

async fn synced(controller: &Controller, prune: Vec<v1::OrphanRef>) -> v1::WhitelistView {
    let mut operator = controller.operator().await;
    let request = v1::SyncWhitelistRequest { prune };
    operator.sync_whitelist(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_sync_shows_what_is_there_now_and_takes_the_orphans_that_are_named() {
    let place = Place::new();
    let (standin, controller) = with_pbx(&place).await;
    until("the PBX has been looked at", || async {
        listed(&controller).await.enforcers[0].looked_ms != 0
    })
    .await;
    let (old, stays) = {
        let mut state = standin.state();
        put(&mut state, "198.51.100.9/32", "office");
        (
            put(
                &mut state,
                "203.0.113.1/32",
                "Extend: GONE_1 (public address)",
            ),
            put(
                &mut state,
                "203.0.113.2/32",
                "Extend: GONE_2 (public address)",
            ),
        )
    };
    // Seen at once, and left.
    let view = synced(&controller, Vec::new()).await;
    let orphans: Vec<&str> = view.enforcers[0]
        .orphans
        .iter()
        .map(|entry| entry.id.as_str())
        .collect();
    assert_eq!(orphans.len(), 2);
    assert!(orphans.contains(&old.as_str()) && orphans.contains(&stays.as_str()));
    assert!(!view.enforcers[0].late);

    let orphan = v1::OrphanRef {
        enforcer: "pbx".to_owned(),
        id: old,
    };
    let view = synced(&controller, vec![orphan]).await;
    assert_eq!(view.enforcers[0].orphans.len(), 1);
    assert_eq!(view.enforcers[0].orphans[0].id, stays);
    let told = &view.enforcers[0].drift[0].sentence;
    assert!(
        told.starts_with(
            "the orphan 203.0.113.1/32 (`Extend: GONE_1 (public address)`) was taken away for "
        ),
        "{told}"
    );
    assert_eq!(standin.state().filters.len(), 2);
    // What nobody knows is refused.
    let mut operator = controller.operator().await;
    let request = v1::SyncWhitelistRequest {
        prune: vec![v1::OrphanRef {
            enforcer: "firewall".to_owned(),
            id: stays,
        }],
    };
    let refused = operator.sync_whitelist(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    controller.daemon.shutdown().await;
}

#[tokio::test]
async fn with_nobody_to_see_to_it_there_is_only_the_door() {
    let place = Place::new();
    let controller = place.start().await;
    let view = synced(&controller, Vec::new()).await;
    assert_eq!((view.enforcers, view.rows), (vec![], vec![]));
    assert_eq!(view.door_nodes, 0);
    controller.joined(super::support::node(7)).await;
    assert_eq!(listed(&controller).await.door_nodes, 1);
    controller.daemon.shutdown().await;
}

#[cfg(not(feature = "aws"))]
#[tokio::test]
async fn a_security_group_that_this_build_cannot_keep_is_told() {
    let place = Place::new();
    let key = "aws.security_group = \"sg-0123456789abcdef0\"\n[listen]";
    let text = place.config_text().replacen("[listen]", key, 1);
    let controller = place.start_with(&text).await;
    let view = synced(&controller, Vec::new()).await;
    assert_eq!(view.enforcers[0].name, "security-group");
    assert_eq!(
        view.enforcers[0].problem,
        "sg-0123456789abcdef0 is not kept: this controller was built without EC2"
    );
    assert_eq!(
        view.enforcers[0].hint,
        "install the package, or build with --features extend-controller/aws"
    );
    controller.daemon.shutdown().await;
}
