//! No PBX stands beside most fleets of the tests: what that has the controller ask is said yes to.
//! And they share a machine with whatever else is on it: what the guide has against that is accepted.

/// What may be wrong with a machine that tests run on: a database for other tests, somebody's name
/// server, a small disk.
const SHARED: [&str; 7] = [
    "postgresql=shared-machine",
    "dns-dhcp=shared-machine",
    "remote-access=shared-machine",
    "static-address=shared-machine",
    "disk-size=shared-machine",
    "docker=shared-machine",
    // Bystanders bear names of PortSIP's.
    "one-role=shared-machine",
];

/// The words of an `extend` command, with the yes that a deployment without a PBX needs, and what is
/// accepted of the machine.
#[must_use]
pub fn said_yes<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let verb = words.first().copied().unwrap_or_default();
    let deploys = matches!(verb, "run" | "upgrade");
    let yes = (deploys && !words.contains(&"--yes")).then_some("--yes");
    let name = |accepted: &str| accepted.split('=').next().map(str::to_owned);
    let said: Vec<_> = words.iter().map(|word| name(word)).collect();
    let accepted = SHARED.into_iter().filter(|_| verb == "run");
    let accepted = accepted.filter(|accepted| !said.contains(&name(accepted)));
    let accepted = accepted.flat_map(|accepted| ["--accept", accepted]);
    words.iter().copied().chain(yes).chain(accepted).collect()
}
