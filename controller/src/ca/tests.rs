//! Leaves have the key of their request, and the controller's own certificate stays fresh.

use extend_common::tls::NodeKey;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn authority(clock: &Clock) -> Arc<Authority> {
    Arc::new(Authority::create(clock.now()).unwrap())
}

#[test]
fn renewal_is_due_at_half_the_life_and_never_at_once() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    assert_eq!(until_renewal(now, clock::after(now, DAY)), DAY / 2);
    assert_eq!(until_renewal(now, clock::after(now, SOONEST)), SOONEST);
    assert_eq!(
        until_renewal(now, now),
        SOONEST,
        "an authority near its end is no busy loop"
    );
}

#[tokio::test(start_paused = true)]
async fn a_leaf_carries_the_key_of_its_request() {
    let clock = Clock::system();
    let issuer = LeafIssuer::new(authority(&clock), clock, DAY);
    let key = NodeKey::generate().unwrap();
    let node: NodeAddr = "172.31.16.139".parse().unwrap();
    let leaf = issuer.issue(node, &key.csr().unwrap()).unwrap();
    assert_eq!(leaf.spki, key.spki());
    assert_eq!(leaf.spki_hash, KeyHash::of(&key.spki()));
    let left = clock::since(clock.now(), leaf.not_after);
    assert!(
        left <= DAY && left >= DAY - Duration::from_secs(2),
        "{left:?}"
    );
    assert_eq!(
        PeerNode::from_certificate(&leaf.der).unwrap().node,
        node.ip()
    );
    assert!(issuer.issue(node, b"no request").is_err());
}

#[tokio::test(start_paused = true)]
async fn the_own_certificate_is_exchanged_at_half_life_again_and_again() {
    let clock = Clock::system();
    let own = OwnCertificate::issue(authority(&clock), clock, DAY).unwrap();
    let live = own.live();
    let shutdown = CancellationToken::new();
    let keeping = tokio::spawn(own.keep_fresh(shutdown.clone()));
    let mut serials = vec![live.serial()];
    let around = Duration::from_secs(5);
    for round in 0..4 {
        let rest = if round == 0 {
            DAY / 2 - around
        } else {
            DAY / 2 - around * 2
        };
        tokio::time::sleep(rest).await;
        assert_eq!(
            Some(&live.serial()),
            serials.last(),
            "round {round}: too early"
        );
        tokio::time::sleep(around * 2).await;
        assert!(
            !serials.contains(&live.serial()),
            "round {round}: not exchanged"
        );
        serials.push(live.serial());
        let left = clock::since(clock.now(), live.not_after());
        assert!(
            left > DAY - Duration::from_secs(60),
            "round {round}: {left:?} left"
        );
    }
    shutdown.cancel();
    keeping.await.unwrap();
}

#[test]
fn the_authority_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let now = Timestamp::now();
    let first = open_authority(&state, now).unwrap().fingerprint();
    assert_eq!(open_authority(&state, now).unwrap().fingerprint(), first);
    std::fs::remove_file(state.join(extend_common::tls::authority::KEY_FILE)).unwrap();
    let error = open_authority(&state, now).unwrap_err();
    assert!(
        error.hint().unwrap().contains("extend controller restore"),
        "{error}"
    );
}
