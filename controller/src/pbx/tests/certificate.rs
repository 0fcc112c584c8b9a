//! Whom the client speaks to.

use std::fs;

use extend_common::tls::Fingerprint;
use extend_pbx_standin::{Options, StandIn};

use super::{Rig, settings, write_password};
use crate::pbx::trust::presented;
use crate::pbx::{Pbx, PbxError};

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused_before_anything_is_sent() {
    let mut rig = Rig::new().await;
    let pinned = Fingerprint::of(rig.standin.certificate());
    rig.standin.change_certificate().unwrap();
    let shown = Fingerprint::of(rig.standin.certificate());
    let error = rig.pbx.admin_status().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, PbxError::Certificate { .. }), "{text}");
    assert!(
        text.contains(&pinned.to_string()) && text.contains(&shown.to_string()),
        "{text}"
    );
    assert!(error.hint().contains("sudo extend pbx trust"));
    assert_eq!(rig.standin.state().record, []);
}

#[tokio::test]
async fn a_changed_pin_is_taken_at_once_and_the_old_connections_go() {
    let mut rig = Rig::new().await;
    rig.pbx.admin_status().await.unwrap();
    let first = rig.standin.pem().to_owned();
    rig.standin.change_certificate().unwrap();
    // Written aside and renamed, as `extend pbx trust` does.
    let path = rig.path().join("pbx.crt");
    let write = |text: &str| {
        extend_common::files::write_atomic(&path, text.as_bytes(), 0o644).unwrap();
    };
    write(rig.standin.pem());
    rig.pbx.admin_status().await.unwrap();
    // Either of two will do.
    write(&format!("{first}{}", rig.standin.pem()));
    rig.pbx.admin_status().await.unwrap();
    // The connection that is open was made with the certificate that is pinned no longer.
    write(&first);
    let error = rig.pbx.admin_status().await.unwrap_err();
    assert!(matches!(error, PbxError::Certificate { .. }), "{error}");
}

#[tokio::test]
async fn without_a_pin_the_systems_authorities_decide_and_a_broken_pin_is_none() {
    let rig = Rig::new().await;
    let path = rig.path().join("pbx.crt");
    for broken in ["", "-----BEGIN CERTIFICATE-----\nx", "no pem"] {
        fs::write(&path, broken).unwrap();
        let error = rig.pbx.admin_status().await.unwrap_err();
        assert!(matches!(error, PbxError::Pin { .. }), "{broken:?}: {error}");
    }
    fs::remove_file(&path).unwrap();
    let error = rig.pbx.admin_status().await.unwrap_err();
    assert!(
        matches!(error, PbxError::Certificate { .. } | PbxError::Pin { .. }),
        "{error}"
    );
    assert_eq!(rig.standin.state().record, []);
}

#[tokio::test]
async fn a_pbx_that_speaks_nothing_newer_than_tls_1_2_is_spoken_to() {
    let rig = Rig::with(Options {
        tls12: true,
        ..Options::default()
    })
    .await;
    rig.pbx.admin_status().await.unwrap();
}

#[tokio::test]
async fn the_certificate_is_shown_without_anything_being_asked() {
    let rig = Rig::new().await;
    let shown = presented(&rig.standin.url().parse().unwrap())
        .await
        .unwrap();
    assert_eq!(shown.der, *rig.standin.certificate());
    assert_eq!(shown.names, ["pbx.example.com", "127.0.0.1"]);
    assert!(shown.not_before < shown.not_after);
    assert_eq!(rig.standin.state().record, []);
}

#[tokio::test]
async fn nobody_there_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let standin = StandIn::start(Options::default()).await.unwrap();
    fs::write(directory.path().join("pbx.crt"), standin.pem()).unwrap();
    write_password(directory.path(), "correct horse");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("https://{address}");
    let pbx = Pbx::new(settings(&url, directory.path()));
    let error = pbx.info().await.unwrap_err();
    assert!(matches!(error, PbxError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(!error.outcome_unknown());
}
