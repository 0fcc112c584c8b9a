//! Signing in, staying so, and being refused.

use std::time::Duration;

use extend_common::roles::Resource;
use extend_pbx_standin::{Fault, What};

use super::{Rig, write_password};
use crate::pbx::PbxError;

#[tokio::test]
async fn one_session_is_enough_for_all_calls_and_all_clones() {
    let rig = Rig::new().await;
    let other = rig.pbx.clone();
    let (one, two) = tokio::join!(rig.pbx.admin_status(), other.admin_status());
    assert_eq!(one.unwrap().version.as_deref(), Some("22.3.0"));
    two.unwrap();
    rig.pbx.servers(Resource::IvrServers).await.unwrap();
    assert_eq!(rig.standin.state().sign_ins, 1);
    // Reachability needs no account.
    rig.standin.state().record.clear();
    let info = rig.pbx.info().await.unwrap();
    assert_eq!(info.private_ipv4.as_deref(), Some("172.31.16.133"));
    assert!(!rig.standin.state().record[0].bearer);
    rig.assert_by_the_book();
}

#[tokio::test]
async fn tokens_that_are_over_in_the_middle_of_work_are_followed_by_a_new_session() {
    let rig = Rig::new().await;
    rig.pbx.admin_status().await.unwrap();
    rig.standin.state().expire_tokens(true);
    rig.pbx.admin_status().await.unwrap();
    assert_eq!(rig.standin.state().sign_ins, 2);
    rig.assert_by_the_book();
}

#[tokio::test]
async fn a_pbx_that_takes_no_token_is_not_asked_for_ever() {
    let rig = Rig::new().await;
    let fault = Fault::of(
        "GET",
        "/admin",
        100,
        What::Refuse {
            status: 401,
            wait: None,
        },
    );
    rig.standin.state().faults.push(fault);
    let error = rig.pbx.admin_status().await.unwrap_err();
    assert!(matches!(error, PbxError::Unauthorised { .. }), "{error}");
    let state = rig.standin.state();
    assert_eq!((state.sign_ins, state.record.len()), (2, 4), "once a call");
}

/// Lets so much time pass at once; what is on the network goes on in its own time.
async fn later(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

#[tokio::test]
async fn tokens_are_refreshed_before_they_end() {
    let rig = Rig::new().await;
    let counts = || {
        let state = rig.standin.state();
        (state.refreshes, state.sign_ins)
    };
    rig.pbx.admin_status().await.unwrap();
    later(Duration::from_secs(1700)).await;
    rig.pbx.admin_status().await.unwrap();
    assert_eq!(counts(), (0, 1));
    later(Duration::from_secs(50)).await;
    rig.pbx.admin_status().await.unwrap();
    assert_eq!(counts(), (1, 1));
    // Nobody asked while both lasted: there is the password.
    later(Duration::from_secs(9000)).await;
    rig.pbx.admin_status().await.unwrap();
    assert_eq!(counts(), (1, 2));
    let late =
        |call: &extend_pbx_standin::Call| call.status == 401 && call.path != "/auth/refresh_token";
    let used = rig.standin.state().record.iter().any(late);
    assert!(!used, "no call was made with a token that is over");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_tried_again_until_it_is_another() {
    let rig = Rig::new().await;
    write_password(rig.path(), "wrong\n");
    for _ in 0..5 {
        let error = rig.pbx.admin_status().await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, PbxError::Unauthorised { .. }), "{text}");
        assert!(text.contains("as extend: wrong username"), "{text}");
        assert!(!text.contains("horse") && !format!("{error:?}").contains("horse"));
        assert!(error.hint().contains("pbx.password_file"));
    }
    assert_eq!(
        rig.standin.state().sign_ins,
        1,
        "the account would be locked"
    );
    write_password(rig.path(), "correct horse\n");
    rig.pbx.admin_status().await.unwrap();
    assert_eq!(rig.standin.state().sign_ins, 2);
}

#[tokio::test]
async fn two_factor_authentication_is_named_as_what_is_in_the_way() {
    let rig = Rig::new().await;
    rig.standin.state().two_factor = true;
    let error = rig.pbx.admin_status().await.unwrap_err();
    assert!(matches!(error, PbxError::TwoFactor { .. }), "{error}");
    assert!(error.to_string().contains("two-factor"));
    assert!(error.hint().contains("account of its own"));
    rig.pbx.admin_status().await.unwrap_err();
    assert_eq!(rig.standin.state().sign_ins, 1);
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let rig = Rig::new().await;
    rig.standin.state().forbidden = true;
    let error = rig.pbx.ip_filters().await.unwrap_err();
    assert!(matches!(error, PbxError::Forbidden { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("\"System Settings: Full Access\""),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let rig = Rig::new().await;
    rig.pbx.admin_status().await.unwrap();
    let shown = format!("{:?}", rig.pbx);
    assert!(
        shown.contains("extend") && !shown.contains("horse"),
        "{shown}"
    );
    assert!(!shown.contains("access."), "{shown}");
}
