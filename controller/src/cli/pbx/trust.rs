//! `extend pbx trust`: pins the certificate of the PBX, after somebody has compared it.
//!
//! Runs on the primary, beside the controller and without it. Nothing is sent to the PBX: the
//! handshake ends with its certificate. What is pinned is what was shown, not what is shown later.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::builder::TypedValueParser as _;
use extend_common::exit::Exit;
use extend_common::files::{PUBLIC, write_atomic};
use extend_common::tls::{Fingerprint, pem};
use jiff::Timestamp;

use crate::cli::confirm::{Confirm, confirm};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::text::moment;
use crate::config::{Config, DEFAULT_PATH};
use crate::pbx::BaseUrl;
use crate::pbx::trust::{Anchor, Presented, PresentedError, presented};

/// The options of `pbx trust`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    config: PathBuf,

    /// Pin it without asking if it has this fingerprint, as `openssl x509 -fingerprint -sha256`
    /// shows it, or with sha256: before it
    #[arg(long, value_name = "SHA256",
        value_parser = clap::builder::StringValueParser::new().try_map(parse_fingerprint))]
    fingerprint: Option<Fingerprint>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let config = Config::load(&args.config)
        .map_err(|error| Failure::usage(error.to_string()).hint(error.hint()))?;
    let Some(api) = &config.pbx.api else {
        return Err(Failure::usage(format!(
            "cannot look at the certificate of the PBX: pbx.api is not set in {}",
            args.config.display()
        ))
        .hint("set it, such as api = \"https://54.151.30.9:8887\" below [pbx]"));
    };
    let base: BaseUrl = api
        .parse()
        .map_err(|error| Failure::local("cannot use pbx.api", &error))?;
    let path = &config.pbx.certificate;
    let shown = presented(&base)
        .await
        .map_err(|error| not_shown(&base, &error))?;
    let pinned = Anchor::load(path);
    let output = &context.output;
    output.say(&described(&base, &shown, context.clock.now()));
    output.say(&standing(path, &shown, pinned.as_ref().ok()));
    if let Err(error) = &pinned {
        output.say(&format!("  {} cannot be used: {error}", path.display()));
    }
    let same = pinned
        .as_ref()
        .is_ok_and(|anchor| anchor.fingerprints() == [shown.fingerprint]);
    match args.fingerprint {
        Some(wanted) if wanted != shown.fingerprint => return Err(another(&shown, wanted)),
        _ if same => return Ok(Exit::Done),
        Some(_) => {}
        None => ask(context, &shown).await?,
    }
    let text = pem::encode(&shown.der);
    write_atomic(path, text.as_bytes(), PUBLIC).map_err(|error| {
        Failure::local("cannot pin the certificate of the PBX", &error)
            .hint(format!("sudo {}", context.again()))
    })?;
    output.say(&format!(
        "pinned in {}: the controller goes by it from its next call on",
        path.display()
    ));
    Ok(Exit::Done)
}

/// Asks, and takes no certificate from somebody who cannot be asked.
async fn ask(context: &Context, shown: &Presented) -> Result<(), Failure> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        let option = "--fingerprint SHA256";
        return Err(Failure::usage(format!(
            "cannot pin the certificate of the PBX without {option}: there is no terminal to ask on"
        ))
        .hint(format!(
            "compare {} with the PBX's own, then: {} --fingerprint {}",
            shown.fingerprint,
            context.again(),
            shown.fingerprint
        )));
    }
    let question = "Compare the fingerprint with the one on the PBX itself, for example with\n  \
                    openssl x509 -in CERTIFICATE -noout -fingerprint -sha256\nIs it the same?";
    confirm(
        context,
        Confirm {
            question: question.to_owned(),
            expected: "yes".to_owned(),
            how: "Type yes to pin it: ",
        },
    )
    .await
}

fn described(base: &BaseUrl, shown: &Presented, now: Timestamp) -> String {
    let names = match shown.names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let signed = if shown.issuer == shown.subject {
        "itself".to_owned()
    } else {
        shown.issuer.clone()
    };
    let note = if shown.not_after < now {
        "  (over: pinned, it is trusted all the same)"
    } else {
        ""
    };
    format!(
        "{base} shows this certificate:\n  fingerprint  {}\n               {}\n  subject      \
         {}\n  names        {names}\n  signed by    {signed}\n  valid        {} to {}{note}",
        shown.fingerprint,
        with_colons(shown.fingerprint),
        shown.subject,
        moment(shown.not_before, now),
        moment(shown.not_after, now),
    )
}

/// What was pinned before.
fn standing(path: &Path, shown: &Presented, pinned: Option<&Anchor>) -> String {
    let path = path.display();
    match pinned.map(Anchor::fingerprints) {
        None => format!("{path} holds nothing that can be compared"),
        Some(pins) if pins.is_empty() => format!("none is pinned in {path} so far"),
        Some(pins) if pins.contains(&shown.fingerprint) => {
            format!("this is the one that is pinned in {path}")
        }
        Some(pins) => {
            let pins: Vec<String> = pins.iter().map(ToString::to_string).collect();
            format!(
                "this is ANOTHER than the one that is pinned in {path}:\n  {}",
                pins.join("\n  ")
            )
        }
    }
}

fn another(shown: &Presented, wanted: Fingerprint) -> Failure {
    Failure::new(
        Exit::Refused,
        "cannot pin the certificate of the PBX: it is not the one that was named",
    )
    .cause(format!("it has {}", shown.fingerprint))
    .cause(format!("named was {wanted}"))
    .hint("find out who answers there before anything is trusted")
}

fn not_shown(base: &BaseUrl, error: &PresentedError) -> Failure {
    Failure::local(format!("cannot see the certificate of {base}"), error)
        .hint(format!("curl -kv {base}/api/info"))
}

/// As openssl writes it.
fn with_colons(fingerprint: Fingerprint) -> String {
    let pairs: Vec<String> = fingerprint
        .0
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    pairs.join(":")
}

/// As openssl writes it, or as we do.
fn parse_fingerprint(text: String) -> Result<Fingerprint, String> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.rsplit('=').next().unwrap_or(&text);
    let digits = text
        .strip_prefix("sha256:")
        .unwrap_or(text)
        .replace(':', "");
    format!("sha256:{digits}")
        .parse()
        .map_err(|_| "64 hexadecimal digits are wanted, with colons or without".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown_anywhere() {
        let fingerprint = Fingerprint::of(b"abc");
        let colons = with_colons(fingerprint);
        for text in [
            fingerprint.to_string(),
            colons.clone(),
            format!("sha256 Fingerprint={colons}"),
            fingerprint.to_string().replace("sha256:", ""),
        ] {
            assert_eq!(parse_fingerprint(text.clone()), Ok(fingerprint), "{text}");
        }
        for text in ["", "sha256:", "AA:BB", "sha1:00"] {
            assert!(parse_fingerprint(text.to_owned()).is_err(), "{text}");
        }
    }
}
