//! Registry credentials in the format of Docker's `config.json`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use data_encoding::BASE64;
use extend_common::exit::Exit;
use extend_common::files;
use extend_common::owner;
use serde::Deserialize;

use super::RegistryAuth;
use crate::failure::Failure;

/// Docker's own registry under the name that `docker login` gives it.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

/// Why the file cannot be used. Never repeats its content.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Not the format.
    #[error("it is not in the format of Docker's config.json (line {line})")]
    Format {
        /// Where.
        line: usize,
    },
    /// An entry without user and password.
    #[error("the entry for {0} has no usable `auth`, or `username` and `password`")]
    Entry(String),
}

/// Reads the file's entries, by registry; none when there is no such file.
///
/// # Errors
/// When the file cannot be read by this user, is open to others, or is something else.
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<String, RegistryAuth>> {
    let reading = || format!("reading the registry credentials {}", path.display());
    let text = match files::read_secret(path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Ok(BTreeMap::new()),
        Err(error) if error.kind() == Some(ErrorKind::PermissionDenied) => {
            let user = owner::own_name();
            let words = format!("{}: user {user} may not read it", reading());
            let hint = format!("chown {user} {}", path.display());
            return Err(Failure::new(Exit::Failed, words, hint).into());
        }
        Err(error) => return Err(error).with_context(reading),
    };
    parse(&text).with_context(reading)
}

/// Reads the entries, by registry.
///
/// # Errors
/// When the text is something else.
pub fn parse(text: &[u8]) -> Result<BTreeMap<String, RegistryAuth>, CredentialsError> {
    let file: File = serde_json::from_slice(text)
        .map_err(|error| CredentialsError::Format { line: error.line() })?;
    file.auths
        .into_iter()
        .map(|(server, auth)| entry(&server, &auth))
        .collect()
}

fn entry(server: &str, auth: &Auth) -> Result<(String, RegistryAuth), CredentialsError> {
    let wrong = || CredentialsError::Entry(server.to_owned());
    let (username, password) = if auth.auth.is_empty() {
        (auth.username.clone(), auth.password.clone())
    } else {
        let decoded = BASE64.decode(auth.auth.as_bytes()).map_err(|_| wrong())?;
        let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
        let (user, password) = decoded.split_once(':').ok_or_else(wrong)?;
        (user.to_owned(), password.to_owned())
    };
    if username.is_empty() || password.is_empty() {
        return Err(wrong());
    }
    let registry = if server == DOCKER_HUB {
        "docker.io".to_owned()
    } else {
        let name = server
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        name.split('/').next().unwrap_or(name).to_owned()
    };
    Ok((
        registry,
        RegistryAuth {
            username,
            password,
            server: server.to_owned(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_logins_are_understood() {
        let text = br#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "dXNlcjpwYXNzOndvcmQ="},
            "registry.example:5000": {"username": "u", "password": "p"}},
            "credsStore": "ignored"}"#;
        let found = parse(text).unwrap();
        assert_eq!(found["docker.io"].username, "user");
        assert_eq!(found["docker.io"].password, "pass:word");
        assert_eq!(found["registry.example:5000"].password, "p");
        assert!(!format!("{found:?}").contains("pass:word"));
    }

    #[test]
    fn errors_do_not_repeat_secrets() {
        for text in [&b"{secret"[..], br#"{"auths":{"r":{"auth":"c2VjcmV0"}}}"#] {
            let words = parse(text).unwrap_err().to_string();
            assert!(
                !words.contains("secret") && !words.contains("c2Vj"),
                "{words}"
            );
        }
    }
}
