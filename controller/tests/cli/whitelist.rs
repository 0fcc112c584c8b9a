//! `extend whitelist`.

use extend_proto::v1;

use crate::fixtures::{self, entry};
use crate::harness::Place;

/// As it is when much is not as it should be.
fn troubled() -> v1::WhitelistView {
    let mut view = fixtures::whitelist();
    let office = entry("12", "54.183.0.128/25", "branch office", 2_083_831_980_000);
    let blocked = v1::WhitelistEntry {
        deny: true,
        ..entry("99", "172.31.16.139/32", "too many failures", 0)
    };
    view.rows[0].state = v1::WhitelistState::Denied.into();
    view.rows[0].by = Some(blocked.clone());
    view.rows[0].note = "an entry that Extend does not touch keeps it out".to_owned();
    view.rows[1].state = v1::WhitelistState::Expiring.into();
    view.rows[1].by = Some(office.clone());
    view.rows[2].state = v1::WhitelistState::Unknown.into();
    view.rows[2].by = None;
    view.rows.push(v1::WhitelistRow {
        state: v1::WhitelistState::Leaving.into(),
        name: "media-server-0".to_owned(),
        ..fixtures::let_in("54.183.0.99", true, "pbx")
    });
    view.enforcers[0].foreign = vec![office];
    view.enforcers[0].denies = vec![blocked];
    view.enforcers[0].orphans = vec![entry(
        "7",
        "54.183.0.7/32",
        "Extend: media-server-7 (public address)",
        0,
    )];
    view.enforcers[0].drift = vec![v1::WhitelistDrift {
        at_ms: fixtures::a_while_ago(),
        sentence: "the entry of 54.183.0.139 for media-server-1 (public address) had gone or been changed; it is there again".to_owned(),
    }];
    view.enforcers[1].problem =
        "looking at the rules of sg-1: UnauthorizedOperation (You may not)".to_owned();
    view.enforcers[1].hint = "give this machine a role that allows it".to_owned();
    view.enforcers[1].problem_since_ms = fixtures::a_while_ago();
    view
}

#[test]
fn the_whitelist_as_a_table() {
    let ran = Place::new().run("whitelist list");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out, @r#"
    ADDRESS        KIND     SERVER          ENFORCER        STATE     EXPIRES              NOTE
    172.31.16.139  private  media-server-1  pbx             in-force  2036-01-13 10:13:00  -
    54.183.0.139   public   media-server-1  pbx             in-force  2036-01-13 10:13:00  -
    54.183.0.139   public   media-server-1  security-group  in-force  never                -

    ENFORCER        STATE     LOOKED      NOTE
    pbx             looked    2h 30m ago  -
    security-group  looked    2h 30m ago  -
    door            in-force  -           lets in the agents of 4 enrolled nodes
    "#);
}

#[test]
fn what_is_not_as_it_should_be_is_told_with_what_can_be_done() {
    let place = Place::new();
    *place.script.whitelist.lock().unwrap() = troubled();
    let ran = place.run("whitelist list");
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.out, @r#"
    ADDRESS        KIND     SERVER          ENFORCER        STATE     EXPIRES              NOTE
    172.31.16.139  private  media-server-1  pbx             denied    never                an entry that Extend does not touch keeps it out
    54.183.0.139   public   media-server-1  pbx             expiring  2036-01-13 10:13:00  -
    54.183.0.139   public   media-server-1  security-group  unknown   -                    -
    54.183.0.99    public   media-server-0  pbx             leaving   2036-01-13 10:13:00  -

    ENFORCER        STATE     LOOKED      NOTE
    pbx             looked    2h 30m ago  -
    security-group  trouble   2h 30m ago  looking at the rules of sg-1: UnauthorizedOperation (You may not) (for 2h 30m); give this machine a role that allows it
    door            in-force  -           lets in the agents of 4 enrolled nodes

    OTHER ENTRY       WHAT     ENFORCER  EXPIRES              DESCRIPTION
    172.31.16.139/32  denies   pbx       never                too many failures
    54.183.0.128/25   foreign  pbx       2036-01-13 10:13:00  branch office
    54.183.0.7/32     orphan   pbx       never                Extend: media-server-7 (public address)
    "#);
    insta::assert_snapshot!(ran.err, @r#"
    2h 30m ago, pbx: the entry of 54.183.0.139 for media-server-1 (public address) had gone or been changed; it is there again
    "#);
}

#[test]
fn the_wide_table_has_the_entries_too() {
    let ran = Place::new().run("whitelist list -o wide");
    insta::assert_snapshot!(ran.out, @r#"
    ADDRESS        KIND     SERVER          ENFORCER        STATE     EXPIRES              TYPE               NODE           ENTRY             ID   DESCRIPTION                               NOTE
    172.31.16.139  private  media-server-1  pbx             in-force  2036-01-13 10:13:00  media-server-only  172.31.16.139  172.31.16.139/32  417  Extend: media-server-1 (private address)  -
    54.183.0.139   public   media-server-1  pbx             in-force  2036-01-13 10:13:00  media-server-only  172.31.16.139  54.183.0.139/32   417  Extend: media-server-1 (public address)   -
    54.183.0.139   public   media-server-1  security-group  in-force  never                media-server-only  172.31.16.139  54.183.0.139/32   417  Extend: media-server-1 (public address)   -

    ENFORCER        STATE     LOOKED      NOTE
    pbx             looked    2h 30m ago  -
    security-group  looked    2h 30m ago  -
    door            in-force  -           lets in the agents of 4 enrolled nodes
    "#);
}

#[test]
fn the_whitelist_as_a_document() {
    let place = Place::new();
    *place.script.whitelist.lock().unwrap() = troubled();
    let ran = place.run("whitelist list -o json");
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.err, "");
    let first = &document["addresses"][0];
    assert_eq!(first["state"], "denied");
    assert_eq!(first["by"]["verdict"], "deny");
    assert_eq!(first["by"]["own"], false);
    assert_eq!(
        document["addresses"][1]["by"]["expires_at"],
        "2036-01-13T10:13:00Z"
    );
    assert_eq!(document["addresses"][2]["state"], "unknown");
    assert_eq!(document["enforcers"][0]["orphans"][0]["id"], "7");
    assert_eq!(
        document["enforcers"][1]["hint"],
        "give this machine a role that allows it"
    );
    assert_eq!(document["door"]["nodes"], 4);
    let yaml = place.run("whitelist list -o yaml");
    let again: serde_json::Value = serde_saphyr::from_str(&yaml.out).unwrap();
    assert_eq!(again["addresses"][0]["state"], "denied");
}

#[test]
fn check_tells_by_its_exit_code() {
    let place = Place::new();
    let ran = place.run("whitelist check");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, place.run("whitelist list").out);
    let spoil: [fn(&mut v1::WhitelistView); 7] = [
        |view| view.rows[0].state = v1::WhitelistState::Missing.into(),
        |view| view.rows[1].state = v1::WhitelistState::Expiring.into(),
        |view| view.rows[1].state = v1::WhitelistState::Denied.into(),
        |view| view.rows[2].state = v1::WhitelistState::Leaving.into(),
        // Of a controller that knows of more.
        |view| view.rows[2].state = 77,
        |view| view.enforcers[0].problem = "looking at it: no answer".to_owned(),
        |view| view.enforcers[1].looked_ms = 0,
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        let mut view = fixtures::whitelist();
        spoil(&mut view);
        *place.script.whitelist.lock().unwrap() = view;
        assert_eq!(place.run("whitelist check").code, 3, "{number}");
    }
    // What is no fault.
    let mut view = fixtures::whitelist();
    view.enforcers[0].orphans = troubled().enforcers[0].orphans.clone();
    view.enforcers[0].foreign = troubled().enforcers[0].foreign.clone();
    view.rows.push(v1::WhitelistRow {
        enforcer: String::new(),
        state: 0,
        ..fixtures::let_in("172.31.16.138", false, "")
    });
    *place.script.whitelist.lock().unwrap() = view;
    assert_eq!(place.run("whitelist check").code, 0);
}

#[test]
fn where_nobody_lets_anybody_in_it_is_said() {
    let place = Place::new();
    let mut view = fixtures::whitelist();
    view.enforcers.clear();
    view.rows.truncate(2);
    for row in &mut view.rows {
        row.enforcer.clear();
        row.by = None;
        row.state = 0;
    }
    *place.script.whitelist.lock().unwrap() = view;
    let ran = place.run("whitelist list");
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.out, @r#"
    ADDRESS        KIND     SERVER          ENFORCER  STATE         EXPIRES  NOTE
    172.31.16.139  private  media-server-1  -         not-enforced  -        -
    54.183.0.139   public   media-server-1  -         not-enforced  -        -

    ENFORCER  STATE     LOOKED  NOTE
    door      in-force  -       lets in the agents of 4 enrolled nodes
    "#);
    insta::assert_snapshot!(ran.err, @r#"
    nobody is configured who lets these addresses in
    hint: set api and nodes in [pbx], or security_group in [aws], in /etc/extend/controller.toml
    "#);
    for (words, doing) in [
        ("check", "check"),
        ("sync", "sync"),
        ("sync --prune --yes", "sync"),
    ] {
        let ran = place.run(&format!("whitelist {words}"));
        assert_eq!(ran.code, 4, "{words}");
        assert_eq!(ran.out, "");
        assert!(
            ran.err.starts_with(&format!(
                "error: cannot {doing} the whitelist: nobody is configured who lets addresses in\nhint: set api"
            )),
            "{}",
            ran.err
        );
    }
}

#[test]
fn sync_has_it_made_so_and_shows_what_came_of_it() {
    let place = Place::new();
    *place.script.whitelist.lock().unwrap() = troubled();
    *place.script.synced.lock().unwrap() = Some(fixtures::whitelist());
    let ran = place.run("whitelist sync");
    assert_eq!(ran.code, 0);
    assert!(!ran.out.contains("denied"));
    assert_eq!(
        *place.script.syncs.lock().unwrap(),
        [v1::SyncWhitelistRequest::default()]
    );
    // Who has not come to an end is told.
    let mut view = fixtures::whitelist();
    view.enforcers[1].late = true;
    *place.script.synced.lock().unwrap() = Some(view);
    let ran = place.run("whitelist sync");
    assert_eq!(ran.code, 3);
    assert!(ran.out.contains("security-group  late "), "{}", ran.out);
}

#[test]
fn orphans_go_when_a_person_has_seen_them_and_says_yes() {
    let place = Place::new();
    *place.script.whitelist.lock().unwrap() = troubled();
    // Nobody can be asked.
    let ran = place.run("whitelist sync --prune");
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        "error: cannot take orphans away without --yes: there is no terminal to ask on\nhint: extend whitelist sync --prune --yes\n"
    );
    assert_eq!(place.script.syncs.lock().unwrap().len(), 0);

    let mut terminal = place.on_terminal("whitelist sync --prune");
    terminal.shows("54.183.0.7/32  Extend: media-server-7 (public address)  pbx");
    terminal.shows("Type yes to confirm: ");
    terminal.answers("no\n");
    terminal.shows("not confirmed: nothing was changed");
    assert_eq!(place.script.syncs.lock().unwrap().len(), 0);

    let ran = place.run("whitelist sync --prune --yes");
    assert_eq!(ran.code, 3, "{}", ran.err);
    let orphan = v1::OrphanRef {
        enforcer: "pbx".to_owned(),
        id: "7".to_owned(),
    };
    let syncs = place.script.syncs.lock().unwrap().clone();
    assert_eq!(
        syncs,
        [v1::SyncWhitelistRequest {
            prune: vec![orphan]
        }]
    );
    // Where there are none, nobody is asked.
    *place.script.whitelist.lock().unwrap() = fixtures::whitelist();
    let ran = place.run("whitelist sync --prune");
    assert_eq!((ran.code, ran.err.as_str()), (0, "there are no orphans\n"));
}

#[test]
fn yes_without_a_question_is_wrong_usage() {
    assert_eq!(Place::new().run("whitelist sync --yes").code, 2);
}
