//! Why a question got no answer: whether the service is to blame.

use std::io::{self, ErrorKind};

use crate::core::health::Answer;

/// Why there is no answer, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The service did not give it.
    Silent(String),
    /// This host could not ask: it has no port, descriptor, memory or route left for that, or its
    /// firewall is in the way. No restart of a service would help.
    Blind(String),
}

impl Fault {
    /// Why, in words.
    #[cfg(test)]
    pub(super) fn words(self) -> String {
        match self {
            Self::Silent(why) => why,
            Self::Blind(why) => format!("blind: {why}"),
        }
    }
}

impl From<io::Error> for Fault {
    /// What the other end of a connection does to us is the service's. Any other error that the
    /// kernel numbers is this host's; one that it does not is from a protocol that was not kept.
    fn from(error: io::Error) -> Self {
        let others = matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::NotConnected
                | ErrorKind::UnexpectedEof
                | ErrorKind::TimedOut
        );
        if others || error.raw_os_error().is_none() {
            Self::Silent(error.to_string())
        } else {
            Self::Blind(format!("this host cannot ask: {error}"))
        }
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Silent(why) => Self::Failed(why),
            Fault::Blind(why) => Self::Unsure(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_host_lacks_is_not_the_services_fault() {
        // The numbers of Linux.
        for (number, name) in [
            (24, "EMFILE"),
            (12, "ENOMEM"),
            (105, "ENOBUFS"),
            (99, "EADDRNOTAVAIL"),
            (101, "ENETUNREACH"),
            (1, "EPERM"),
        ] {
            let fault = Fault::from(io::Error::from_raw_os_error(number));
            assert!(matches!(fault, Fault::Blind(_)), "{name}: {fault:?}");
            assert!(matches!(Answer::from(fault), Answer::Unsure(_)), "{name}");
        }
        for (number, name) in [
            (111, "ECONNREFUSED"),
            (104, "ECONNRESET"),
            (110, "ETIMEDOUT"),
            (32, "EPIPE"),
        ] {
            let fault = Fault::from(io::Error::from_raw_os_error(number));
            assert!(matches!(fault, Fault::Silent(_)), "{name}: {fault:?}");
            assert!(matches!(Answer::from(fault), Answer::Failed(_)), "{name}");
        }
        let garbage = Fault::from(io::Error::new(ErrorKind::InvalidData, "no TLS"));
        assert_eq!(garbage, Fault::Silent("no TLS".to_owned()));
    }
}
