//! Tables by the width of the terminal.

use super::*;

fn fleet() -> Table {
    let heading = vec!["NAME", "TYPE", "HEALTH", "RESTARTS", "REASON"];
    let mut table = Table::new(heading).sparing(&["TYPE", "RESTARTS"]);
    table.row(vec![
        "media-server-1".into(),
        "media-server-only".into(),
        "healthy".into(),
        Cell::from("0"),
        "".into(),
    ]);
    table.row(vec![
        "queue-server-1".into(),
        "queue-server-only".into(),
        "quarantined".into(),
        Cell::from("5").or_say("5 restarts"),
        "it hangs, again and again, whatever is done about it".into(),
    ]);
    table
}

#[test]
fn off_a_terminal_every_row_is_one_line_with_every_column() {
    let text = fleet().render_at(None, false);
    assert_eq!(text.lines().count(), 3);
    assert!(text.contains("RESTARTS") && text.contains("whatever is done about it"));
}

#[test]
fn a_narrow_terminal_costs_columns_and_not_words() {
    insta::assert_snapshot!(fleet().render_at(Some(100), false), @"
    NAME            TYPE               HEALTH       RESTARTS  REASON
    media-server-1  media-server-only  healthy      0         -
    queue-server-1  queue-server-only  quarantined  5         it hangs, again and again, whatever is
                                                              done about it
    ");
    insta::assert_snapshot!(fleet().render_at(Some(66), false), @"
    NAME            HEALTH       RESTARTS  REASON
    media-server-1  healthy      0         -
    queue-server-1  quarantined  5         it hangs, again and again,
                                           whatever is done about it
    no room for TYPE: -o wide shows all
    ");
    insta::assert_snapshot!(fleet().render_at(Some(54), false), @"
    NAME            HEALTH       REASON
    media-server-1  healthy      -
    queue-server-1  quarantined  5 restarts; it hangs,
                                 again and again, whatever
                                 is done about it
    no room for TYPE, RESTARTS: -o wide shows all
    ");
    insta::assert_snapshot!(fleet().render_at(Some(40), false), @"
    NAME            HEALTH
    media-server-1  healthy
    queue-server-1  quarantined
      5 restarts; it hangs, again and again,
      whatever is done about it
    no room for TYPE, RESTARTS: -o wide
    shows all
    ");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in 30..120 {
        let text = fleet().render_at(Some(width), false);
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}
