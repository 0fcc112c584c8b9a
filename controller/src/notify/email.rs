//! A message as an e-mail, over SMTP.

use std::collections::BTreeSet;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, Tls as Encryption, TlsParameters,
};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};

use super::Failed;
use super::message::Message;
use crate::config::alerts::{Email, Tls};
use crate::pbx::{authorities, secret_line};

/// One command and its answer may take so long; all of them together have the notifier's limit.
const LIMIT: Duration = Duration::from_secs(20);

/// A message that somebody has taken is tried so often for the others.
const MOST_TRIES: u32 = 5;

/// Whether an address can be used.
///
/// # Errors
/// Says why not.
pub fn check_mailbox(text: &str) -> Result<(), String> {
    text.parse::<Mailbox>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// Who has taken the message that is on its way, so that nobody gets it with every try for another.
#[derive(Debug, Default)]
pub(super) struct Sent {
    id: String,
    to: BTreeSet<String>,
    tries: u32,
}

/// Sends a message, to each person by itself: an address that is refused keeps it from nobody else.
/// Taken is what the server has accepted for all of them, or for some while it will never for the
/// others.
pub(super) async fn send(email: &Email, message: &Message, sent: &mut Sent) -> Result<(), Failed> {
    if sent.id != message.id {
        *sent = Sent {
            id: message.id.clone(),
            ..Sent::default()
        };
    }
    sent.tries += 1;
    let settings = email.clone();
    let made = tokio::task::spawn_blocking(move || transport(&settings)).await;
    let transport = made.map_err(|error| Failed::soon(error.to_string()))??;
    let place = format!("{}:{}", email.host, email.port);
    let bytes = mail(email, message).map_err(Failed::lasting)?.formatted();
    let mut refused: Option<Failed> = None;
    for to in &email.to {
        if sent.to.contains(to) {
            continue;
        }
        let envelope = envelope(&email.from, to).map_err(Failed::lasting)?;
        let Err(error) = transport.send_raw(&envelope, &bytes).await else {
            sent.to.insert(to.clone());
            continue;
        };
        let sentence = format!("{place}: {to}: {}", with_causes(&error));
        let answered = error.is_permanent() || error.is_transient();
        let failed = if error.is_permanent() {
            Failed::lasting(sentence)
        } else {
            Failed::soon(sentence)
        };
        // Nobody else would fare better without a server that talks.
        if !answered {
            return Err(failed);
        }
        refused = Some(match refused {
            Some(first) if !first.lasting => first,
            _ => failed,
        });
    }
    match refused {
        None => Ok(()),
        Some(failed) if sent.to.is_empty() => Err(failed),
        // Further messages are not held up for one person.
        Some(failed) if failed.lasting || sent.tries >= MOST_TRIES => {
            let taken = sent.to.len();
            tracing::warn!(taken, reason = %failed, "not everybody gets this e-mail");
            Ok(())
        }
        Some(failed) => Err(failed),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !sentence.contains(&cause_text) {
            sentence = format!("{sentence}: {cause_text}");
        }
        source = cause.source();
    }
    sentence
}

fn envelope(from: &str, to: &str) -> Result<Envelope, String> {
    let read = |text: &str| text.parse::<Mailbox>().map_err(|error| error.to_string());
    let (from, to) = (read(from)?.email, read(to)?.email);
    Envelope::new(Some(from), vec![to]).map_err(|error| error.to_string())
}

fn mail(email: &Email, message: &Message) -> Result<Mail, String> {
    let read = |text: &str| text.parse::<Mailbox>().map_err(|error| error.to_string());
    // The same id every time: mail programs show a duplicate once.
    let id = format!("<{}@extend>", message.id);
    let mut mail = Mail::builder()
        .from(read(&email.from)?)
        .subject(&message.subject)
        .message_id(Some(id))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    for to in &email.to {
        mail = mail.to(read(to)?);
    }
    mail.header(ContentType::TEXT_PLAIN)
        .body(message.text.clone())
        .map_err(|error| error.to_string())
}

fn transport(email: &Email) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failed> {
    let tls = match email.tls {
        Tls::None => Encryption::None,
        Tls::Starttls => Encryption::Required(parameters(email)?),
        Tls::Tls => Encryption::Wrapper(parameters(email)?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&email.host)
        .port(email.port)
        .timeout(Some(LIMIT))
        .tls(tls);
    if let (Some(username), Some(file)) = (&email.username, &email.password_file) {
        let password = secret_line(file)
            .map_err(|error| Failed::lasting(format!("{error} (hint: {})", error.hint())))?;
        builder = builder.credentials(Credentials::new(username.clone(), password.to_string()));
    }
    Ok(builder.build())
}

fn parameters(email: &Email) -> Result<TlsParameters, Failed> {
    let wrong =
        |error: &dyn std::fmt::Display| Failed::lasting(format!("nobody can be trusted: {error}"));
    let roots = authorities(email.ca_file.as_deref()).map_err(|error| wrong(&error))?;
    let mut builder =
        TlsParameters::builder(email.host.clone()).certificate_store(CertificateStore::None);
    for root in roots {
        if let Ok(root) = Certificate::from_der(root.to_vec()) {
            builder = builder.add_root_certificate(root);
        }
    }
    builder.build_rustls().map_err(|error| wrong(&error))
}
