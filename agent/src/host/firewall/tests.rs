//! firewalld's zones against a `firewall-cmd` that keeps them in files, as Debian's and Ubuntu's
//! print them; and what is ours through everything that people do to it.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use extend_common::firewall::{FirewallChange, FirewallState, FirewallTold, Opening, ZoneSource};

use crate::host::{Host as _, HostError, Places, SystemHost};

/// firewalld, as far as it is asked here: for each layer and zone a file of sources and one of
/// rules. An address is in one zone only, and with several options what can be done is done.
const FIREWALL_CMD: &str = r#"#!/bin/sh
cd "$(dirname "$0")/firewalld" || exit 1
echo "$*" >>calls
layer=runtime zone= set= done= bad=
for word; do
    case $word in
        --permanent) layer=permanent ;;
        --zone=*) zone=${word#*=} ;;
        --ipset=*) set=${word#*=} ;;
    esac
done
show() { # ZONE TARGET INTERFACES
    printf '%s\n  target: %s\n  icmp-block-inversion: no\n  interfaces: %s\n' "$1" "$2" "$3"
    printf '  sources: %s\n  services: ssh\n' "$(cat "$layer.$1.sources" 2>/dev/null | tr '\n' ' ')"
    printf '  rich rules: \n'
    sed 's/^/\t/' "$layer.$1.rules" 2>/dev/null
    echo
}
remove() { grep -qxF "$2" "$1" 2>/dev/null || return 1; grep -vxF "$2" "$1" >rest; mv rest "$1"; }
for word; do
    value=${word#*=}
    if [ -e dies ] && [ "${word#--add-}" != "$word" ]; then exit 1; fi
    case $word in
        --state) [ -e running ] || { echo 'not running'; exit 252; } ;;
        --get-default-zone) echo public ;;
        --get-entries) cat "$layer.set.$set" 2>/dev/null || exit 135 ;;
        --list-all-zones)
            show block '%%REJECT%%' ''
            show docker ACCEPT docker0
            show internal default ''
            show public default eth0
            show trusted ACCEPT ''
            show work default ''
            ;;
        --add-source=*)
            other=$(grep -lxF "$value" $layer.*.sources 2>/dev/null | head -n 1)
            if [ -n "$other" ] && [ "$other" != "$layer.$zone.sources" ]; then
                bad="ZONE_CONFLICT: '$value' already bound to a zone"
            else
                [ -n "$other" ] || echo "$value" >>"$layer.$zone.sources"
                done=yes
            fi ;;
        --remove-source=*)
            if remove "$layer.$zone.sources" "$value"; then done=yes; else bad="UNKNOWN_SOURCE: $value"; fi ;;
        --add-rich-rule=*)
            grep -qxF "$value" "$layer.$zone.rules" 2>/dev/null || echo "$value" >>"$layer.$zone.rules"
            done=yes ;;
        --remove-rich-rule=*) remove "$layer.$zone.rules" "$value"; done=yes ;;
        --reload | --complete-reload) exit 99 ;;
    esac
done
[ -z "$bad" ] || echo "Error: $bad" >&2
[ -n "$done" ] || [ -z "$bad" ]
"#;

const MEDIA: &str = "172.31.16.139";
const QUEUE: &str = "172.31.16.138";

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

struct Machine {
    directory: tempfile::TempDir,
    host: SystemHost,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let command = directory.path().join("firewall-cmd");
        fs::write(&command, FIREWALL_CMD).unwrap();
        fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(directory.path().join("firewalld")).unwrap();
        let places = Places {
            notes: directory.path().join("notes"),
            firewall_cmd: command,
            ..Places::default()
        };
        let host = SystemHost::new(places, false).keeping_firewall(true);
        let machine = Self { directory, host };
        machine.write("running", "");
        machine
    }

    fn at(&self, file: &str) -> PathBuf {
        self.directory.path().join("firewalld").join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.at(file), text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.at(file)).unwrap_or_default()
    }

    fn noted(&self) -> String {
        let notes = self.directory.path().join("notes/trusted.sources.json");
        let text = fs::read_to_string(notes).unwrap_or_default();
        text.split_whitespace().collect()
    }

    /// What a person does by hand, in both layers.
    fn by_hand(&self, zone: &str, sources: &str) {
        for layer in ["runtime", "permanent"] {
            self.write(&format!("{layer}.{zone}.sources"), sources);
        }
    }

    fn try_act(&self, change: &FirewallChange) -> Result<FirewallTold, HostError> {
        self.host.firewall(change)
    }

    fn act(&self, change: &FirewallChange) -> FirewallTold {
        self.try_act(change).unwrap()
    }

    fn look(&self) -> FirewallTold {
        self.act(&FirewallChange::default())
    }

    fn sources(&self) -> (String, String) {
        let of = |layer| self.read(&format!("{layer}.trusted.sources"));
        (of("runtime"), of("permanent"))
    }
}

fn trust(addresses: &[&str]) -> FirewallChange {
    FirewallChange {
        trust: addresses.iter().map(|text| ip(text)).collect(),
        ..FirewallChange::default()
    }
}

fn untrust(addresses: &[&str]) -> FirewallChange {
    FirewallChange {
        untrust: addresses.iter().map(|text| ip(text)).collect(),
        ..FirewallChange::default()
    }
}

fn ours(told: &FirewallTold) -> Vec<String> {
    let ours = told.sources.iter().filter(|source| source.ours);
    let halves = |source: &ZoneSource| match (source.runtime, source.permanent) {
        (true, true) => "",
        (true, false) => " now",
        _ => " later",
    };
    ours.map(|source| format!("{}{}", source.address, halves(source)))
        .collect()
}

#[test]
fn a_source_is_trusted_for_now_and_for_ever_and_taken_out_again() {
    let machine = Machine::new();
    let told = machine.act(&trust(&[MEDIA, QUEUE]));
    assert_eq!(
        (told.state, told.undone.clone()),
        (FirewallState::Running, None)
    );
    assert_eq!(ours(&told), [QUEUE, MEDIA]);
    let both = format!("{QUEUE}\n{MEDIA}\n");
    assert_eq!(machine.sources(), (both.clone(), both));
    // Again it is so, and nothing is added.
    machine.write("calls", "");
    assert_eq!(machine.act(&trust(&[MEDIA])).sources, told.sources);
    assert!(!machine.read("calls").contains("--add"));

    let told = machine.act(&untrust(&[MEDIA]));
    assert_eq!((ours(&told), told.undone), (vec![QUEUE.to_owned()], None));
    let one = format!("{QUEUE}\n");
    assert_eq!(machine.sources(), (one.clone(), one));
    machine.act(&untrust(&[QUEUE]));
    assert_eq!(machine.noted(), "", "nothing is left of it");
    assert!(!machine.read("calls").contains("reload"));
}

#[test]
fn what_others_have_set_is_neither_ours_nor_touched() {
    let machine = Machine::new();
    machine.by_hand(
        "trusted",
        &format!("{MEDIA}\n10.0.0.0/8\nipset:office\n00:11:22:33:44:55\n"),
    );
    machine.by_hand("work", "10.1.0.0/255.255.0.0\n::1\n");
    machine.write("runtime.set.office", "192.0.2.1\n192.0.2.64/26\n");
    machine.write("permanent.set.office", "192.0.2.1\n");
    let told = machine.act(&trust(&[MEDIA]));
    assert_eq!(told.undone, None);
    let seen: Vec<_> = told
        .sources
        .iter()
        .map(|s| {
            let layers = (s.runtime, s.permanent);
            (
                s.zone.as_str(),
                format!("{}/{}", s.address, s.prefix),
                s.accepts,
                s.first,
                layers,
            )
        })
        .collect();
    let both = (true, true);
    assert_eq!(
        seen,
        [
            ("trusted", "10.0.0.0/8".to_owned(), true, false, both),
            ("trusted", "172.31.16.139/32".to_owned(), true, false, both),
            ("trusted", "192.0.2.1/32".to_owned(), true, false, both),
            (
                "trusted",
                "192.0.2.64/26".to_owned(),
                true,
                false,
                (true, false)
            ),
            ("work", "10.1.0.0/16".to_owned(), false, false, both),
        ]
    );
    assert!(ours(&told).is_empty() && machine.noted().is_empty());
    let before = machine.sources();
    let told = machine.act(&untrust(&[MEDIA]));
    assert_eq!((machine.sources(), told.undone), (before, None));
}

#[test]
fn an_address_that_a_zone_holds_is_left_there_and_the_others_go_in() {
    let machine = Machine::new();
    machine.by_hand("internal", &format!("{MEDIA}\n"));
    let told = machine.act(&trust(&[MEDIA, QUEUE]));
    let undone = told.undone.clone().unwrap();
    assert!(
        undone.sentence.contains("no source of the zone trusted"),
        "{undone:?}"
    );
    assert_eq!(ours(&told), [QUEUE]);
    let held = told
        .sources
        .iter()
        .find(|source| source.zone == "internal")
        .unwrap();
    assert!(held.first && !held.accepts && !held.ours);
    assert_eq!(machine.noted(), format!("{{\"sources\":[\"{QUEUE}\"]}}"));
    // Alone, firewalld's own words are told.
    let undone = machine.act(&trust(&[MEDIA])).undone.unwrap();
    assert!(undone.sentence.contains("ZONE_CONFLICT"), "{undone:?}");
}

#[test]
fn what_was_taken_or_lost_by_half_is_told_and_mended() {
    let machine = Machine::new();
    machine.act(&trust(&[MEDIA, QUEUE]));
    // A person without --permanent, and one with it alone.
    machine.write("runtime.trusted.sources", &format!("{QUEUE}\n"));
    machine.write("permanent.trusted.sources", &format!("{MEDIA}\n"));
    assert_eq!(
        ours(&machine.look()),
        [format!("{QUEUE} now"), format!("{MEDIA} later")]
    );
    assert_eq!(ours(&machine.act(&trust(&[MEDIA, QUEUE]))), [QUEUE, MEDIA]);
    // Both halves: it is no longer ours until it is added again.
    machine.by_hand("trusted", "");
    assert!(ours(&machine.look()).is_empty());
    assert_eq!(machine.noted(), "");
    assert_eq!(ours(&machine.act(&trust(&[MEDIA]))), [MEDIA]);
}

#[test]
fn a_death_after_the_notes_or_between_the_halves_leaves_what_can_be_undone() {
    let machine = Machine::new();
    machine.act(&trust(&[QUEUE]));
    // The notes are written, and then nothing more is done.
    machine.write("dies", "");
    let told = machine.act(&trust(&[MEDIA]));
    assert!(told.undone.is_some());
    assert_eq!(ours(&told), [QUEUE]);
    fs::remove_file(machine.at("dies")).unwrap();
    // The first half is done, and noted.
    machine.act(&trust(&[MEDIA]));
    machine.write("permanent.trusted.sources", &format!("{QUEUE}\n"));
    assert_eq!(
        ours(&machine.look()),
        [QUEUE.to_owned(), format!("{MEDIA} now")]
    );
    assert_eq!(ours(&machine.act(&untrust(&[MEDIA]))), [QUEUE]);
    assert_eq!(machine.sources().0, format!("{QUEUE}\n"));
}

fn opening(port: u16, source: &str) -> Opening {
    let source = ip(source);
    Opening { port, source }
}

#[test]
fn a_port_is_opened_in_every_zone_through_which_hosts_come() {
    let machine = Machine::new();
    machine.by_hand("internal", "10.0.0.0/8\n");
    let foreign = "rule family=\"ipv4\" source address=\"10.9.9.9\" drop\n";
    machine.write("runtime.public.rules", foreign);
    let both = [opening(7443, MEDIA), opening(7444, MEDIA)];
    let change = FirewallChange {
        open: both.into(),
        ..FirewallChange::default()
    };
    let told = machine.act(&change);
    assert_eq!(told.undone, None);
    assert!(told.openings.iter().all(|seen| seen.whole) && told.openings.len() == 2);
    for zone in ["internal", "public"] {
        for layer in ["runtime", "permanent"] {
            let rules = machine.read(&format!("{layer}.{zone}.rules"));
            assert_eq!(
                rules.matches("priority=\"7443\"").count(),
                2,
                "{layer} {zone}"
            );
        }
    }
    for zone in ["block", "docker", "trusted", "work"] {
        assert_eq!(machine.read(&format!("runtime.{zone}.rules")), "", "{zone}");
    }
    // Somebody removes one; a zone comes into use.
    machine.write("runtime.internal.rules", "");
    machine.by_hand("work", "192.0.2.0/24\n");
    assert!(machine.look().openings.iter().all(|seen| !seen.whole));
    assert!(machine.act(&change).openings.iter().all(|seen| seen.whole));

    let close = FirewallChange {
        close: [opening(7444, MEDIA), opening(7444, QUEUE)].into(),
        ..FirewallChange::default()
    };
    let told = machine.act(&close);
    assert_eq!(told.undone, None);
    let left: Vec<Opening> = told.openings.iter().map(|seen| seen.opening).collect();
    assert_eq!(left, [opening(7443, MEDIA)]);
    assert!(machine.read("runtime.public.rules").starts_with(foreign));
}

#[test]
fn what_is_not_there_or_not_allowed_is_told_and_not_touched() {
    let machine = Machine::new();
    machine.act(&trust(&[MEDIA]));
    fs::remove_file(machine.at("running")).unwrap();
    let told = machine.act(&trust(&[QUEUE]));
    assert_eq!(told.state, FirewallState::Stopped);
    assert_eq!(ours(&told), [format!("{MEDIA} later")], "by the notes");

    machine.write("running", "");
    machine.write("calls", "");
    let forbidden = machine.host.clone().keeping_firewall(false);
    let told = forbidden.firewall(&trust(&[QUEUE])).unwrap();
    assert_eq!(told.state, FirewallState::NotAllowed);
    assert_eq!(ours(&told), [format!("{MEDIA} later")]);
    assert_eq!(machine.read("calls"), "", "firewalld is not even asked");

    fs::remove_file(machine.directory.path().join("firewall-cmd")).unwrap();
    assert_eq!(machine.look().state, FirewallState::Absent);
}

#[test]
fn what_no_controller_may_ask_for_is_refused_before_anything() {
    let machine = Machine::new();
    for change in [
        trust(&["0.0.0.0", MEDIA]),
        trust(&["127.0.0.1"]),
        untrust(&["255.255.255.255"]),
        FirewallChange {
            open: [opening(22, MEDIA)].into(),
            ..FirewallChange::default()
        },
    ] {
        let error = machine.try_act(&change).unwrap_err();
        assert!(
            error.to_string().starts_with("changing firewalld"),
            "{error}"
        );
    }
    assert_eq!(machine.read("calls"), "");
}

#[test]
fn priorities_of_newer_firewalls_decide_which_zone_is_asked_first() {
    let text = |internal: i32, trusted: i32| {
        format!(
            "internal (active)\n  target: default\n  ingress-priority: {internal}\n  \
             egress-priority: 0\n  interfaces: \n  sources: 10.0.0.0/8\n  rich rules: \n\n\
             trusted (default, active)\n  target: ACCEPT\n  ingress-priority: {trusted}\n  \
             interfaces: eth0\n  sources: {MEDIA}\n  rich rules: \n\n"
        )
    };
    let first = |internal, trusted| {
        let mut picture = super::Picture::new("trusted".to_owned());
        for layer in super::Layer::BOTH {
            picture.read(layer, &text(internal, trusted));
        }
        let sources = picture.sources(|_| false);
        assert_eq!(sources.len(), 2);
        sources
            .iter()
            .any(|source| source.zone == "internal" && source.first)
    };
    assert!(first(0, 0), "by its name");
    assert!(!first(0, -10));
    assert!(first(-20, -10));
}
