//! Manual pages, made from the definitions that parse the command line: one for the program and one
//! for every command that is shown. Called by each program's hidden command `man`, so that a package
//! is made of nothing but the programs that are in it.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::exit;

/// The manual that the pages are of.
const MANUAL: &str = "Extend";

/// What stands on the program's own page beside its options.
#[derive(Debug, Clone, Copy)]
pub struct Extra {
    /// The files that the program reads and writes, each with what it is.
    pub files: &'static [(&'static str, &'static str)],
    /// Other pages.
    pub see_also: &'static str,
}

/// Writes the pages of `command` and everything below it into `directory`, which is there.
///
/// # Errors
/// Fails if a page cannot be written.
pub fn write(command: Command, extra: Extra, directory: &Path) -> io::Result<()> {
    let mut tree = command.disable_help_subcommand(true);
    tree.build();
    let root = tree.get_name().to_owned();
    write_below(&tree, &root, extra, directory)
}

fn write_below(command: &Command, root: &str, extra: Extra, directory: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        write_below(below, root, extra, directory)?;
    }
    let source = format!("{root} {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|a| !a.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.get_subcommands().any(|c| !c.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let is_root = command.get_name() == root;
    ending(root, extra, is_root).to_writer(&mut page)?;
    fs::write(directory.join(man.get_filename()), page)
}

/// What every page ends with.
fn ending(root: &str, extra: Extra, is_root: bool) -> Roff {
    let mut roff = Roff::default();
    roff.control("SH", ["EXIT STATUS"]);
    for status in exit::HELP.trim_start_matches("Exit codes: ").split(" · ") {
        let (code, meaning) = status.split_once(' ').unwrap_or((status, ""));
        roff.control("TP", ["6"]);
        roff.text([roman(code)]);
        roff.text([roman(meaning)]);
    }
    if is_root && !extra.files.is_empty() {
        roff.control("SH", ["FILES"]);
        for (file, what) in extra.files {
            roff.control("TP", []);
            roff.text([roman(*file)]);
            roff.text([roman(*what)]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let see_also = if is_root {
        extra.see_also.to_owned()
    } else {
        format!("{root}(1)")
    };
    roff.text([roman(see_also)]);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTRA: Extra = Extra {
        files: &[("/etc/thing.toml", "The configuration.")],
        see_also: "other(1)",
    };

    #[test]
    fn every_command_that_is_shown_has_a_page_and_every_page_the_exit_codes() {
        let tree = Command::new("thing")
            .about("Does things")
            .after_help(exit::HELP)
            .subcommand(Command::new("do").subcommand(Command::new("it").about("Does it")))
            .subcommand(Command::new("secret").hide(true));
        let directory = tempfile::tempdir().unwrap();
        write(tree, EXTRA, directory.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["thing-do-it.1", "thing-do.1", "thing.1"]);
        let page = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        for name in names {
            assert!(page(&name).contains("refused by a rule"), "{name}");
        }
        assert!(
            page("thing.1").contains("/etc/thing.toml") && page("thing.1").contains("other(1)")
        );
        let below = page("thing-do-it.1");
        assert!(
            below.contains("thing do it") && below.contains("thing(1)"),
            "{below}"
        );
        assert!(!below.contains("/etc/thing.toml"));
    }
}
