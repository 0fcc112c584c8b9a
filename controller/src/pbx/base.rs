//! Where the API is: `https://HOST:8887`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls_pki_types::ServerName;

/// The port of the API unless the address names another.
const DEFAULT_PORT: u16 = 8887;
/// The longest name that DNS allows.
const MAX_HOST: usize = 253;

/// The address of the PBX's API, without the `/api` that every path begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// The password would cross the network in the clear.
    #[error("`{0}` does not begin with https://")]
    NotHttps(String),
    /// There is more than host and port in it.
    #[error("`{0}` is more than a host and a port")]
    More(String),
    /// The host is neither an address nor a name.
    #[error("`{0}` is neither an address nor a name")]
    Host(String),
    /// The port is no port.
    #[error("`{0}` is no port")]
    Port(String),
}

impl BaseUrl {
    /// Name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name that a certificate which is not pinned has to be for.
    pub(super) fn server_name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// Host and port as they stand in a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let shown = || text.chars().take(80).collect::<String>();
        let rest = text
            .strip_prefix("https://")
            .ok_or_else(|| BaseUrlError::NotHttps(shown()))?;
        // As people copy it from the manual.
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let rest = rest.strip_suffix("/api").unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(BaseUrlError::More(shown()));
        }
        let (host, port) = split(rest).ok_or_else(|| BaseUrlError::Host(shown()))?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(text) => match text.parse() {
                Ok(0) | Err(_) => return Err(BaseUrlError::Port(text.chars().take(16).collect())),
                Ok(port) => port,
            },
        };
        if host.is_empty() || host.len() > MAX_HOST {
            return Err(BaseUrlError::Host(shown()));
        }
        let name = match host.parse::<IpAddr>() {
            Ok(ip) => ServerName::from(ip),
            Err(_) => {
                ServerName::try_from(host.to_owned()).map_err(|_| BaseUrlError::Host(shown()))?
            }
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            name,
        })
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after {
            "" => Some((host, None)),
            _ => Some((host, Some(after.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        None => Some((text, None)),
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_people_write_it() {
        for (text, shown) in [
            ("https://54.151.30.9:8887", "https://54.151.30.9:8887"),
            ("https://54.151.30.9", "https://54.151.30.9:8887"),
            ("https://pbx.example.com/", "https://pbx.example.com:8887"),
            (
                "https://pbx.example.com:443/api",
                "https://pbx.example.com:443",
            ),
            (
                "https://pbx.example.com:443/api/",
                "https://pbx.example.com:443",
            ),
            ("https://[fd00::9]:8887", "https://[fd00::9]:8887"),
            ("https://[fd00::9]", "https://[fd00::9]:8887"),
        ] {
            let base: BaseUrl = text.parse().unwrap();
            assert_eq!(base.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_https_address_is_refused() {
        for text in [
            "",
            "54.151.30.9",
            "http://54.151.30.9:8887",
            "https://",
            "https://:8887",
            "https://pbx:0",
            "https://pbx:99999",
            "https://pbx:88x",
            "https://fd00::9",
            "https://[fd00::9]x",
            "https://user@pbx",
            "https://pbx/api/v1",
            "https://pbx?x=1",
            "https://p b x",
        ] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }
}
