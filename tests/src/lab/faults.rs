//! Faults of network, processes and disks, each undone when its guard is dropped, also when a test
//! fails: the next test wants the lab whole.

use super::calls;
use super::node::Node;

/// Rules of ours stand in chains of their own, so that they can be taken away and nothing else.
const CHAIN: &str = "EXTEND-FAULT";

/// Something is wrong until this is dropped.
#[derive(Debug)]
pub struct Fault {
    node: Node,
    undo: String,
}

impl Fault {
    fn make(node: Node, make: &str, undo: &str) -> Self {
        // Whatever of it came about is undone.
        let fault = Self {
            node,
            undo: undo.to_owned(),
        };
        node.shell(make);
        fault
    }

    /// Mends it.
    pub fn mend(self) {
        drop(self);
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let undone = self.node.ask_shell(&self.undo);
        if !std::thread::panicking() {
            undone.expect(0, "a fault should be undone");
        }
    }
}

/// Everything between the node and the others is dropped: nobody is told, as when a cable is cut.
#[must_use]
pub fn cut_off(node: Node) -> Fault {
    filter(node, "-j DROP", "-j DROP")
}

/// Everything between two nodes is dropped, and nothing else: what goes on between them ends with
/// nobody being told.
#[must_use]
pub fn cut_between(node: Node, other: Node) -> Fault {
    let other = other.address();
    let (from, to) = (format!("-s {other} -j DROP"), format!("-d {other} -j DROP"));
    filter(node, &from, &to)
}

/// So many of a hundred packets are lost, on the way in and on the way out.
#[must_use]
pub fn lose(node: Node, percent: u32) -> Fault {
    let rule = format!("-m statistic --mode random --probability 0.{percent:02} -j DROP");
    filter(node, &rule, &rule)
}

/// Rules for what comes in and what goes out.
fn filter(node: Node, rule: &str, rule_out: &str) -> Fault {
    // The node's own loopback goes on: its Engine and its probes are not on the network.
    let make = format!(
        "set -e; {}; iptables -N {CHAIN}; iptables -A {CHAIN} -i lo -j RETURN; \
         iptables -N {CHAIN}-OUT; iptables -A {CHAIN}-OUT -o lo -j RETURN; \
         iptables -A {CHAIN} {rule}; iptables -A {CHAIN}-OUT {rule_out}; \
         iptables -I INPUT -j {CHAIN}; iptables -I OUTPUT -j {CHAIN}-OUT",
        clear_filter()
    );
    Fault::make(node, &make, &clear_filter())
}

fn clear_filter() -> String {
    let clear = |hook: &str, chain: &str| {
        format!(
            "iptables -D {hook} -j {chain} 2>/dev/null || true; \
             iptables -F {chain} 2>/dev/null || true; iptables -X {chain} 2>/dev/null || true"
        )
    };
    format!(
        "{}; {}",
        clear("INPUT", CHAIN),
        clear("OUTPUT", &format!("{CHAIN}-OUT"))
    )
}

/// A process hangs: it is there and does nothing.
#[must_use]
pub fn freeze(node: Node, pid: impl std::fmt::Display) -> Fault {
    let undo = format!("kill -CONT {pid} 2>/dev/null || true");
    Fault::make(node, &format!("kill -STOP {pid}"), &undo)
}

/// A directory lies on a disk of so many KiB, with what was in it, and its unit runs on it.
///
/// The unit is stopped while its directory moves there, and while it moves back.
#[must_use]
pub fn small_disk(node: Node, directory: &str, unit: &str, kib: u32) -> Fault {
    let make = format!(
        "set -e; systemctl stop {unit}; rm -rf {directory}.kept; cp -a {directory} {directory}.kept; \
         mount -t tmpfs -o size={kib}k,mode=0700,uid=$(stat -c %u {directory}),gid=$(stat -c %g {directory}) \
         small {directory}; cp -a {directory}.kept/. {directory}/; systemctl start {unit}"
    );
    Fault::make(node, &make, &large_disk(directory, unit))
}

/// What was written there meanwhile goes back: it is the state.
fn large_disk(directory: &str, unit: &str) -> String {
    format!(
        "set -e; if mountpoint -q {directory}; then systemctl stop {unit}; rm -f {directory}/filler; \
         rm -rf {directory}.kept; cp -a {directory} {directory}.kept; umount -l {directory}; \
         find {directory} -mindepth 1 -delete; cp -a {directory}.kept/. {directory}/; \
         systemctl start {unit}; fi; rm -rf {directory}.kept"
    )
}

/// Fills the disk that a directory lies on.
pub fn fill(node: Node, directory: &str) {
    // It ends when there is no room left, and that is no failure.
    let line = format!("cat /dev/zero >{directory}/filler 2>/dev/null || true; sync");
    node.shell(&line);
}

/// Makes room again.
pub fn make_room(node: Node, directory: &str) {
    node.shell(&format!("rm {directory}/filler"));
}

/// Takes away what a test that was killed has left behind.
pub(super) fn clear(node: Node) {
    let line = format!(
        "{}; {}; for unit in docker extend-agent extend-controller; do \
         pid=$(systemctl show --property MainPID --value $unit 2>/dev/null || echo 0); \
         [ ${{pid:-0}} = 0 ] || kill -CONT $pid; done; ({}); ({})",
        clear_filter(),
        calls::CLEAR,
        large_disk("/var/lib/extend-agent", "extend-agent"),
        large_disk("/var/lib/extend", "extend-controller"),
    );
    drop(node.ask_shell(&line));
}
