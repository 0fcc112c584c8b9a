//! Every refusal, provoked once, and its words in a golden file for people to read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use extend_common::operation::Verb;
use extend_common::wire::RefusalText;

use super::bench::{Bench, submission};
use super::provoked::provoked;
use crate::core::refusal::{
    Mismatch, Misuse, Obstacle, PeerFault, Refusal, RefusalKind, Stranger, TokenFault, Unfound,
};

/// How many refusals there are: one for each arm below, which the compiler keeps complete.
const VARIANTS: usize = 55;

fn number(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::Misuse(misuse) => match **misuse {
            Misuse::UnknownType { .. } => 0,
            Misuse::MissingOptions { .. } => 1,
            Misuse::OneNodeOnly { .. } => 2,
            Misuse::OptionDoesNotApply { .. } => 3,
            Misuse::BadImage { .. } => 4,
            Misuse::BadTimeout { .. } => 5,
            Misuse::BadTtl { .. } => 6,
            Misuse::BadDuration { .. } => 40,
        },
        Refusal::Mismatch(mismatch) => match **mismatch {
            Mismatch::NoServers { .. } => 7,
            Mismatch::NothingMatches { .. } => 8,
            Mismatch::NoServerAt { .. } => 9,
            Mismatch::OtherRole { .. } => 10,
            Mismatch::OtherName { .. } => 11,
            Mismatch::TooManyServers { .. } => 12,
            Mismatch::TooManyHistories { .. } => 54,
        },
        Refusal::Obstacle(obstacle) => match **obstacle {
            Obstacle::Busy { .. } => 13,
            Obstacle::NodeAhead { .. } => 14,
            Obstacle::NotEnrolled { .. } => 15,
            Obstacle::Revoked { .. } => 16,
            Obstacle::BeingRemoved {
                withdrawn: false, ..
            } => 17,
            Obstacle::BeingRemoved {
                withdrawn: true, ..
            } => 33,
            Obstacle::DefinitionDiffers { .. } => 18,
            Obstacle::NoPbxAddress { .. } => 19,
            Obstacle::NodeOccupied { .. } => 20,
            Obstacle::NameTaken { .. } => 21,
            Obstacle::ContainerInTheWay { .. } => 22,
            Obstacle::NodeHasServer { .. } => 23,
            Obstacle::NodeAway { .. } => 34,
            Obstacle::CannotAdopt { .. } => 35,
            Obstacle::NothingToAdopt { .. } => 36,
            Obstacle::NodeUnseen { .. } => 37,
            Obstacle::LastHealthy { .. } => 41,
            Obstacle::SessionsUncounted { .. } => 42,
            Obstacle::NoPreviousImage { .. } => 43,
            Obstacle::QueueFull { .. } => 44,
            Obstacle::AgentCannotWait { .. } => 46,
            Obstacle::PbxVersionUnknown { .. } => 47,
            Obstacle::PbxNode { .. } => 48,
            Obstacle::NoPublicAddress { .. } => 49,
            Obstacle::HostUnfit { .. } => 50,
        },
        Refusal::Unfound(unfound) => match **unfound {
            Unfound::NoSuchOperation { .. } => 24,
            Unfound::AmbiguousOperation { .. } => 25,
            Unfound::OperationEnded { .. } => 26,
            Unfound::NoSuchNode { .. } => 27,
            Unfound::NoEvents { .. } => 32,
            Unfound::OperationOpen { .. } => 38,
            Unfound::NothingToRetry { .. } => 39,
            Unfound::OperationArchived { .. } => 45,
            Unfound::NoSuchAlert { .. } => 51,
            Unfound::NoSuchSilence { .. } => 52,
            Unfound::TooManySilences { .. } => 53,
        },
        Refusal::Stranger(stranger) => match stranger {
            Stranger::Token {
                why: TokenFault::Invalid,
                ..
            } => 28,
            Stranger::Token {
                why: TokenFault::Expired,
                ..
            } => 29,
            Stranger::Peer {
                why: PeerFault::ExpiredTooLong,
                ..
            } => 30,
            Stranger::Peer { .. } => 31,
        },
    }
}

#[test]
fn every_refusal_can_be_provoked_and_says_all_it_should() {
    let mut seen = [false; VARIANTS];
    let mut codes: BTreeMap<&str, RefusalKind> = BTreeMap::new();
    let mut golden = String::new();
    for (command, refusal) in provoked() {
        seen[number(&refusal)] = true;
        let RefusalText {
            code,
            sentence,
            causes,
            hint,
        } = RefusalText::from(&refusal);
        assert!(sentence.starts_with("cannot "), "{sentence}");
        assert!(!hint.is_empty(), "{sentence}");
        for text in causes.iter().chain([&sentence, &hint]) {
            assert!(
                !text.is_empty() && !text.ends_with('.') && !text.contains("  ("),
                "{text}"
            );
            assert!(!text.chars().any(char::is_control), "{text}");
        }
        assert_eq!(refusal.is_usage(), refusal.kind() == RefusalKind::Usage);
        assert_eq!(
            *codes.entry(refusal.code()).or_insert(refusal.kind()),
            refusal.kind()
        );
        writeln!(
            golden,
            "$ {command}\n{code} ({:?}): {sentence}",
            refusal.kind()
        )
        .unwrap();
        for cause in causes {
            writeln!(golden, "  cause: {cause}").unwrap();
        }
        writeln!(golden, "  hint:  {hint}\n").unwrap();
    }
    let missing: Vec<_> = (0..VARIANTS).filter(|number| !seen[*number]).collect();
    assert!(missing.is_empty(), "never provoked: {missing:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("golden");
    settings.bind(|| insta::assert_snapshot!("refusals", golden));
}

#[test]
fn hints_quote_what_an_operator_typed() {
    let mut bench = Bench::guide();
    let mut wanted = submission(Verb::Restart, "");
    wanted.selector.role = "media'; rm -rf /\u{1b}[31m".to_owned();
    let refusal = bench.submit(wanted).unwrap_err();
    assert_eq!(
        refusal.sentence(),
        r"cannot restart: 'media'\''; rm -rf /\u{1b}[31m' is no type of server"
    );
}
