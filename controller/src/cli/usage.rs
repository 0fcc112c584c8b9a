//! The tree of commands as the parser has it, and what to say when an operator is off it.

use std::ffi::OsString;

use clap::{Command, CommandFactory};
use extend_common::exit;

use super::Cli;

/// The tree. Every `--help` in it ends with the exit codes.
pub(super) fn tree() -> Command {
    let tree = Cli::command().mut_subcommand("op", |op| op.mut_subcommand("retry", as_before));
    with_exit_codes(tree)
}

/// What is not said with a retry is as it was.
fn as_before(retry: Command) -> Command {
    retry
        .mut_arg("timeout", |timeout| {
            timeout.help(
                "End the operation, and put back what is not done, after this time \
                 [default: as the first time]",
            )
        })
        .mut_arg("message", |message| {
            message.help("Why, for the record [default: as the first time]")
        })
}

fn with_exit_codes(command: Command) -> Command {
    command
        .after_help(exit::HELP)
        .mut_subcommands(with_exit_codes)
}

/// What to run after a mistake: the help of the command as far as it was understood. Dashes that a
/// word processor has made out of hyphens are a mistake that nobody sees.
pub(super) fn hint(argv: &[OsString]) -> String {
    let words: Vec<String> = argv
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if words
        .iter()
        .any(|word| word.starts_with(is_typographic_dash))
    {
        return format!("type the hyphens anew: {}", with_hyphens(&words));
    }
    let tree = tree();
    let mut known = "extend".to_owned();
    let mut command = &tree;
    for word in &words {
        let Some(next) = command.find_subcommand(word) else {
            break;
        };
        known = format!("{known} {word}");
        command = next;
    }
    format!("{known} --help")
}

fn is_typographic_dash(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn with_hyphens(words: &[String]) -> String {
    let mended = words.iter().map(|word| {
        let dashes = word.chars().take_while(|c| is_typographic_dash(*c)).count();
        let rest: String = word.chars().skip(dashes).collect();
        // A single long dash before a long word was two hyphens once.
        let long = dashes == 1 && rest.chars().count() > 1;
        format!("{}{rest}", "-".repeat(if long { 2 } else { dashes }))
    });
    std::iter::once("extend".to_owned())
        .chain(mended)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_for(line: &str) -> String {
        hint(
            &line
                .split_whitespace()
                .map(OsString::from)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn the_tree_is_sound() {
        tree().debug_assert();
    }

    #[test]
    fn every_help_ends_with_the_exit_codes() {
        fn check(command: &mut Command) {
            let help = command.render_long_help().to_string();
            let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.ends_with(exit::HELP), "{help}");
            assert!(command.get_subcommands_mut().count() < 25);
            command.get_subcommands_mut().for_each(check);
        }
        check(&mut tree());
    }

    #[test]
    fn every_option_is_described() {
        fn check(command: &Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id();
                assert!(
                    argument.get_help().is_some(),
                    "{} {name}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(check);
        }
        let mut tree = tree();
        tree.build();
        check(&tree);
    }

    #[test]
    fn a_mistake_leads_to_the_help_that_is_nearest() {
        assert_eq!(
            hint_for("extend restart --no-such"),
            "extend restart --help"
        );
        assert_eq!(hint_for("extend op frobnicate"), "extend op --help");
        assert_eq!(hint_for("extend frobnicate"), "extend --help");
    }

    #[test]
    fn dashes_of_a_word_processor_are_named() {
        assert_eq!(
            hint_for("extend restart –s media-server-only –a 172.31.16.139"),
            "type the hyphens anew: extend restart -s media-server-only -a 172.31.16.139"
        );
        assert_eq!(
            hint_for("extend rm —yes"),
            "type the hyphens anew: extend rm --yes"
        );
    }
}
