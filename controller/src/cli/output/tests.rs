//! Colours and tables, where a terminal would be and where not.

use super::error::{render, with_hint_for_footer};
use super::table::{Cell, Table};
use super::*;

const PIPE: Stream = Stream {
    terminal: false,
    colour: false,
};
const COLOURED: Stream = Stream {
    terminal: false,
    colour: true,
};

fn failure() -> Failure {
    Failure::new(Exit::Refused, "restart all servers: one of them is held")
        .cause("media-server-1 is held by 5nzq8c")
        .hint("extend op watch 5nzq8c")
}

#[test]
fn errors_look_the_same_with_and_without_colour() {
    let plain = render(&failure(), Timestamp::now(), false);
    assert_eq!(
        plain,
        "error: restart all servers: one of them is held\n  \
         cause: media-server-1 is held by 5nzq8c\n\
         hint: extend op watch 5nzq8c"
    );
    let coloured = render(&failure(), Timestamp::now(), true);
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(without_escapes(&coloured), plain);
}

#[test]
fn the_parsers_last_line_makes_room_for_the_hint() {
    let parser = "error: unexpected argument '-x' found\n\nUsage: extend rm\n\n\
                  For more information, try '--help'.\n";
    assert_eq!(
        with_hint_for_footer(parser, "extend rm --help", false),
        "error: unexpected argument '-x' found\n\nUsage: extend rm\nhint: extend rm --help"
    );
}

#[test]
fn tables_have_the_same_words_with_and_without_colour() {
    let mut table = Table::new(vec!["NAME", "HEALTH", "REASON"]);
    table.row(vec![
        "media-server-1".into(),
        Cell::toned("healthy", Tone::Good),
        "".into(),
    ]);
    table.row(vec![
        "q".into(),
        Cell::toned("quarantined", Tone::Bad),
        "it hangs".into(),
    ]);
    let plain = table.render(PIPE);
    assert_eq!(
        plain,
        "NAME            HEALTH       REASON\n\
         media-server-1  healthy      -\n\
         q               quarantined  it hangs"
    );
    let coloured = table.render(COLOURED);
    assert!(coloured.contains('\u{1b}'));
    let trimmed: Vec<String> = without_escapes(&coloured)
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    assert_eq!(trimmed.join("\n"), plain);
}

#[test]
fn ages_are_in_their_two_largest_units() {
    use std::time::Duration;
    for (seconds, shown) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (250, "4m 10s"),
        (3_600, "1h"),
        (3_660, "1h 1m"),
        (7_200 + 59, "2h"),
        (86_400 * 3 + 3_600 * 4, "3d 4h"),
    ] {
        assert_eq!(text::span(Duration::from_secs(seconds)), shown);
    }
}

fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut escape = false;
    for c in text.chars() {
        match c {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            c if !escape => plain.push(c),
            _ => {}
        }
    }
    plain
}
