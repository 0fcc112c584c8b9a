//! No PBX stands beside most fleets of the tests: what that has the controller ask is said yes to.

/// The words of an `extend` command, with the yes that a deployment without a PBX needs.
#[must_use]
pub fn said_yes<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let deploys = matches!(words.first(), Some(&"run" | &"upgrade"));
    let yes = (deploys && !words.contains(&"--yes")).then_some("--yes");
    words.iter().copied().chain(yes).collect()
}
