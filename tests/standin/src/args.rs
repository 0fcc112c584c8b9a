//! The official command line, and nothing but it: one spelling, one order.
//!
//! Whoever starts the container has to reproduce the official command exactly, so anything the
//! vendor's script would not have written is refused here, even where a real binary might be
//! more lenient.

use std::fmt;
use std::net::Ipv4Addr;

/// Where the official image keeps a server's data; the only directory that is accepted.
pub(crate) const DATA_DIR: &str = "/var/lib/portsip/pbx";

/// What the command line of a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Args {
    /// Where the PBX is; an address or a host name, taken as it is.
    pub(crate) pbx: String,
    /// The server's own address, on which it listens.
    pub(crate) local: Ipv4Addr,
    /// The server's name in the web portal.
    pub(crate) name: String,
}

/// Why a command line was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The words are not the official ones in the official order.
    Shape,
    /// The address after `-x` is not an IPv4 address.
    Local(String),
    /// The value after this option is empty or contains white space at its ends.
    Blank(&'static str),
}

impl Args {
    /// Reads the arguments that follow the program's name.
    pub(crate) fn parse(words: &[String]) -> Result<Self, Refused> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let [
            "-D",
            DATA_DIR,
            "-E",
            "-a",
            pbx,
            "-x",
            local,
            "-n",
            name,
            "start",
        ] = words[..]
        else {
            return Err(Refused::Shape);
        };
        for (option, value) in [("-a", pbx), ("-n", name)] {
            if value.is_empty() || value.trim() != value {
                return Err(Refused::Blank(option));
            }
        }
        Ok(Self {
            pbx: pbx.to_owned(),
            local: local
                .parse()
                .map_err(|_| Refused::Local(local.to_owned()))?,
            name: name.to_owned(),
        })
    }

    /// The usage line of the given binary.
    pub(crate) fn usage(binary: &str) -> String {
        format!("usage: {binary} -D {DATA_DIR} -E -a PBX_ADDRESS -x LOCAL_PRIVATE_IP -n NAME start")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str("these are not the official arguments"),
            Self::Local(value) => write!(f, "-x wants an IPv4 address, not {value:?}"),
            Self::Blank(option) => write!(f, "the value of {option} is blank or padded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICIAL: &str =
        "-D /var/lib/portsip/pbx -E -a 54.151.30.9 -x 172.31.16.139 -n media1 start";

    fn parse(line: &str) -> Result<Args, Refused> {
        Args::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_official_line_is_taken() {
        let expected = Args {
            pbx: "54.151.30.9".to_owned(),
            local: Ipv4Addr::new(172, 31, 16, 139),
            name: "media1".to_owned(),
        };
        assert_eq!(parse(OFFICIAL), Ok(expected));
    }

    #[test]
    fn every_missing_doubled_or_moved_word_is_refused() {
        let words: Vec<&str> = OFFICIAL.split(' ').collect();
        for i in 0..words.len() {
            let mut missing = words.clone();
            missing.remove(i);
            let mut doubled = words.clone();
            doubled.insert(i, words[i]);
            for line in [missing.join(" "), doubled.join(" ")] {
                assert_eq!(parse(&line), Err(Refused::Shape), "{line}");
            }
        }
        let moved = "-D /var/lib/portsip/pbx -E -x 172.31.16.139 -a 54.151.30.9 -n media1 start";
        assert_eq!(parse(moved), Err(Refused::Shape));
        assert_eq!(
            parse(&OFFICIAL.replace("start", "serve")),
            Err(Refused::Shape)
        );
        assert_eq!(
            parse(&OFFICIAL.replace("/pbx", "/sbc")),
            Err(Refused::Shape)
        );
        assert_eq!(Args::parse(&[]), Err(Refused::Shape));
    }

    #[test]
    fn values_are_checked() {
        let name = parse(&OFFICIAL.replace("172.31.16.139", "ip-172-31-16-139"));
        assert_eq!(name, Err(Refused::Local("ip-172-31-16-139".to_owned())));
        assert_eq!(
            parse(&OFFICIAL.replace("media1", "")),
            Err(Refused::Blank("-n"))
        );
        assert_eq!(
            parse(&OFFICIAL.replace("54.151.30.9", "")),
            Err(Refused::Blank("-a"))
        );
        assert_eq!(
            parse(&OFFICIAL.replace("media1", "media1\n")),
            Err(Refused::Blank("-n"))
        );
    }
}
