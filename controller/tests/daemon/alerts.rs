//! A receiver that is away while an alert fires is told when it is back, by a controller that has
//! been started anew meanwhile.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use extend_proto::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::support::{Controller, Place, node, until};

/// Receivers of every kind, the rule without its time, and groups of a second.
fn alerts(place: &Place, port: u16) -> String {
    let secret = place.root().join("hook.url");
    std::fs::write(&secret, format!("http://127.0.0.1:{port}/T0PSECRET")).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!(
        "{}\n[alerts]\ngroup = \"1s\"\n\
         [alerts.rules.node-offline]\nfor = \"0s\"\n\
         [[alerts.receivers]]\nname = \"hook\"\nkind = \"webhook\"\nurl_file = \"{}\"\n\
         [[alerts.receivers]]\nname = \"program\"\nkind = \"command\"\n\
         command = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n",
        place.config_text(),
        secret.display(),
        place.root().join("told").display(),
    )
}

async fn listed(controller: &Controller) -> v1::AlertsView {
    let mut operator = controller.operator().await;
    let answer = operator.list_alerts(v1::ListAlertsRequest {}).await;
    answer.unwrap().into_inner()
}

/// Takes one request and answers it well.
async fn taken(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = Vec::new();
    let mut piece = [0; 4096];
    while !asked.ends_with(b"}") {
        let count = stream.read(&mut piece).await.unwrap();
        assert_ne!(count, 0, "it broke off");
        asked.extend(piece.get(..count).unwrap());
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    String::from_utf8(asked).unwrap()
}

#[tokio::test]
async fn a_receiver_that_was_away_is_told_by_the_next_controller() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let config = alerts(&place, at.port());
    let controller = place.start_with(&config).await;
    let agent = controller.joined(node(2)).await;
    drop(agent.session().await);
    // Its silence has to be noticed first, and that everybody had the time to come back.
    let waits = async {
        loop {
            let view = listed(&controller).await;
            let of = |name: &str| view.receivers.iter().find(|one| one.name == name);
            let (hook, program) = (of("hook").unwrap(), of("program").unwrap());
            let alone = hook.waiting == 1 && !hook.trouble.is_empty() && program.waiting == 0;
            if alone && !view.firing.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = timeout(Duration::from_secs(60), waits).await;
    assert!(waited.is_ok(), "{:?}", listed(&controller).await);
    let view = listed(&controller).await;
    assert!(!format!("{view:?}").contains("T0PSECRET"), "{view:?}");
    let told = std::fs::read_to_string(place.root().join("told")).unwrap();
    assert!(told.contains("\"rule\":\"node-offline\""), "{told}");
    controller.daemon.shutdown().await;
    let listener = TcpListener::bind(at).await.unwrap();
    let controller = place.start_with(&config).await;
    let asked = taken(&listener).await;
    assert!(asked.contains("\"rule\":\"node-offline\""), "{asked}");
    until("it was taken", || async {
        let view = listed(&controller).await;
        view.receivers
            .iter()
            .all(|one| one.waiting == 0 && one.trouble.is_empty())
    })
    .await;
    controller.daemon.shutdown().await;
}
