//! A message as an e-mail, over SMTP.

use std::time::Duration;

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

/// Whether an address can be used.
///
/// # Errors
/// Says why not.
pub fn check_mailbox(text: &str) -> Result<(), String> {
    text.parse::<Mailbox>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// Sends a message. Taken is what the server has accepted for all of them.
pub(super) async fn send(email: &Email, message: &Message) -> Result<(), Failed> {
    let mail = mail(email, message).map_err(Failed::lasting)?;
    let settings = email.clone();
    let made = tokio::task::spawn_blocking(move || transport(&settings)).await;
    let transport = made.map_err(|error| Failed::soon(error.to_string()))??;
    let place = format!("{}:{}", email.host, email.port);
    match transport.send(mail).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let mut sentence = format!("{place}: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !sentence.contains(&cause_text) {
                    sentence = format!("{sentence}: {cause_text}");
                }
                source = cause.source();
            }
            Err(if error.is_permanent() {
                Failed::lasting(sentence)
            } else {
                Failed::soon(sentence)
            })
        }
    }
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
