//! Tokens come through a copy and paste whole, or are told to be cut off or garbled.

use std::net::{Ipv4Addr, SocketAddrV4};

use proptest::prelude::*;

use super::super::token::{ParseTokenError, secret_matches};
use super::super::*;

fn any_token() -> impl Strategy<Value = JoinToken> {
    (
        any::<[u8; 4]>(),
        any::<u16>(),
        any::<[u8; 4]>(),
        any::<[u8; 32]>(),
        any::<[u8; 16]>(),
    )
        .prop_map(|(controller, port, node, ca, secret)| JoinToken {
            controller: SocketAddrV4::new(controller.into(), port),
            node: node.into(),
            ca: Fingerprint(ca),
            secret,
        })
}

fn fields(token: &JoinToken) -> (SocketAddrV4, Ipv4Addr, Fingerprint, [u8; 16]) {
    (token.controller, token.node, token.ca, token.secret)
}

fn parse(text: &str) -> Result<JoinToken, ParseTokenError> {
    text.parse()
}

const CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

proptest! {
    #[test]
    fn it_reads_back(token in any_token()) {
        let text = token.to_string();
        prop_assert!(text.starts_with("extend1."));
        prop_assert!(!text.contains(char::is_whitespace));
        prop_assert_eq!(fields(&parse(&text).unwrap()), fields(&token));
        prop_assert_eq!(fields(&parse(&format!("  {text}\r\n")).unwrap()), fields(&token));
    }

    #[test]
    fn a_part_is_told_to_be_cut_off(token in any_token()) {
        let text = token.to_string();
        for found in 1..text.len() {
            prop_assert_eq!(parse(&text[..found]).unwrap_err(), ParseTokenError::CutOff { found });
        }
        let found = text.len() + 1;
        prop_assert_eq!(parse(&format!("{text}A")).unwrap_err(), ParseTokenError::TooLong { found });
    }

    #[test]
    fn any_other_character_anywhere_is_told_to_be_garbled(
        token in any_token(),
        at in "extend1.".len()..91,
        to in prop::sample::select(CHARACTERS),
    ) {
        let text = token.to_string();
        let mut altered = text.clone().into_bytes();
        altered[at] = to;
        let altered = String::from_utf8(altered).unwrap();
        prop_assume!(altered != text);
        prop_assert_eq!(parse(&altered).unwrap_err(), ParseTokenError::Garbled);
    }

    #[test]
    fn nonsense_is_refused(text in ".{0,120}") {
        prop_assert!(parse(&text).is_err());
        let dressed_up = format!("extend1.{text}");
        prop_assert!(parse(&dressed_up).is_err());
    }
}

#[test]
fn the_spelling_is_fixed() {
    // A token made by one version must be read by the next.
    let token = JoinToken {
        controller: "172.31.16.130:7444".parse().unwrap(),
        node: "172.31.16.133".parse().unwrap(),
        ca: Fingerprint([0xab; 32]),
        secret: [0x5c; 16],
    };
    let text = "extend1.rB8Qgh0UrB8Qhaurq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urXFxcXFxcXFxcXFxcXFxcXOqg8-A";
    assert_eq!(token.to_string(), text);
    assert_eq!(fields(&parse(text).unwrap()), fields(&token));
    for (other, error) in [
        ("", ParseTokenError::NotAToken),
        ("sha256:00", ParseTokenError::NotAToken),
        (
            &text.replace("extend1.", "extend2."),
            ParseTokenError::NotAToken,
        ),
    ] {
        assert_eq!(parse(other).unwrap_err(), error);
    }
}

#[test]
fn the_secret_is_new_each_time_and_not_in_the_log() {
    let make = || {
        JoinToken::generate(
            "10.0.0.1:7444".parse().unwrap(),
            Ipv4Addr::new(10, 0, 0, 7),
            Fingerprint([0; 32]),
        )
        .unwrap()
    };
    let (first, second) = (make(), make());
    assert_ne!(first.secret, second.secret);
    let logged = format!("{first:?}");
    assert!(
        logged.contains("10.0.0.7") && !logged.contains("secret"),
        "{logged}"
    );
}

#[test]
fn the_hash_of_the_secret_knows_it_again() {
    let token = parse(
        "extend1.rB8Qgh0UrB8Qhaurq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urXFxcXFxcXFxcXFxcXFxcXOqg8-A",
    )
    .unwrap();
    let stored = token.secret_hash();
    assert_ne!(&stored[..16], &token.secret);
    assert!(secret_matches(&stored, &token.secret));
    assert!(!secret_matches(&stored, &[0x5c; 15]));
    assert!(!secret_matches(&stored, &[0x5d; 16]));
    assert!(!secret_matches(&stored, &stored));
}
