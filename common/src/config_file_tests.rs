//! Each mistake is told with file, line and key, and the nearest key that there is.

use super::*;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[allow(dead_code, reason = "only whether it is read is of interest")]
    address: String,
    #[serde(default)]
    #[allow(dead_code, reason = "only whether it is read is of interest")]
    probes: Vec<Probe>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    #[allow(dead_code, reason = "only whether it is read is of interest")]
    interval: u32,
}

fn wrong(text: &str) -> ConfigError {
    let file = ConfigFile {
        what: "the configuration",
        path: Path::new("/etc/x.toml"),
    };
    file.parse::<Wanted>(text).unwrap_err()
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_there_is() {
    let error = wrong("address = \"a\"\nadress = \"b\"\n");
    assert_eq!(
        error.to_string(),
        "reading the configuration /etc/x.toml, line 2, key `adress`: unknown field `adress`, \
         expected `address` or `probes`"
    );
    assert_eq!(error.hint(), "did you mean `address`?");
    let error = wrong("address = \"a\"\n\n[[probes]]\ninterval = 1\n[[probes]]\nintervall = 2\n");
    assert_eq!(
        (error.line(), error.key(), error.hint()),
        (
            Some(6),
            Some("probes.intervall"),
            "did you mean `interval`?"
        )
    );
    assert!(wrong("colour = 1\n").hint().contains("[table]"));
}

#[test]
fn a_file_that_is_cut_short_or_no_text_is_told_and_not_used() {
    let error = wrong("address = \"a\"\n[[prob");
    assert_eq!(error.line(), Some(2), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.toml");
    let file = ConfigFile {
        what: "the configuration",
        path: &path,
    };
    assert!(file.read().unwrap_err().is_missing());
    std::fs::write(&path, b"address = \"\xff\xfe\"").unwrap();
    let error = file.read().unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
    assert!(error.hint().contains("damaged"), "{error:?}");
}
