//! The units that watch a directory: `extend-shim@….path` starts `extend-shim@….service` whenever
//! something happens to `extend.sh` there, and the service is also started with the machine.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// There is a systemd, and it manages this machine.
const SYSTEMD: &str = "/run/systemd/system";
/// The unit as the package has it.
const TEMPLATES: [&str; 2] = [
    "/lib/systemd/system/extend-shim@.path",
    "/usr/lib/systemd/system/extend-shim@.path",
];

/// Whether a directory can be watched here.
#[must_use]
pub fn can_watch() -> bool {
    Path::new(SYSTEMD).is_dir() && TEMPLATES.iter().any(|unit| Path::new(unit).exists())
}

/// The name of a unit for `directory`.
#[must_use]
pub fn name(directory: &Path, kind: &str) -> String {
    format!("extend-shim@{}.{kind}", escaped(directory))
}

/// Watches `directory`, from now on and after every start of the machine.
///
/// # Errors
/// Says what systemctl says.
pub fn watch(directory: &Path) -> io::Result<()> {
    let (path, service) = (name(directory, "path"), name(directory, "service"));
    systemctl(&["enable", "--quiet", &path, &service])?;
    systemctl(&["start", &path])
}

/// Watches it no longer.
///
/// # Errors
/// Says what systemctl says.
pub fn unwatch(directory: &Path) -> io::Result<()> {
    let (path, service) = (name(directory, "path"), name(directory, "service"));
    // The service too: one that waits to tell a controller would go on without the package.
    systemctl(&["stop", &path, &service])?;
    systemctl(&["disable", "--quiet", &path, &service])
}

/// Whether systemd watches it now.
#[must_use]
pub fn is_watched(directory: &Path) -> bool {
    Path::new(SYSTEMD).is_dir()
        && systemctl(&["is-active", "--quiet", &name(directory, "path")]).is_ok()
}

fn systemctl(words: &[&str]) -> io::Result<()> {
    let output = Command::new("systemctl")
        .arg("--system")
        .args(words)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let words = words.join(" ");
    Err(io::Error::other(format!("systemctl {words}: {said}")))
}

/// A path as it stands in the name of a unit: what `systemd-escape --path` makes of it.
fn escaped(directory: &Path) -> String {
    let text = directory.as_os_str().as_encoded_bytes();
    let parts: Vec<&[u8]> = text
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        return "-".to_owned();
    }
    let mut escaped = String::new();
    for (at, byte) in parts.join(&b'/').into_iter().enumerate() {
        match byte {
            b'/' => escaped.push('-'),
            b'.' if at == 0 => escaped.push_str("\\x2e"),
            b':' | b'_' | b'.' => escaped.push(char::from(byte)),
            letter if letter.is_ascii_alphanumeric() => escaped.push(char::from(letter)),
            other => escaped.push_str(&format!("\\x{other:02x}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_systemd_escape() {
        for (path, instance) in [
            (
                "/opt/portsip-pbx-ha-guide",
                r"opt-portsip\x2dpbx\x2dha\x2dguide",
            ),
            ("/opt//a b/", r"opt-a\x20b"),
            ("/.x/.y_:9", r"\x2ex-.y_:9"),
            ("/", "-"),
        ] {
            assert_eq!(escaped(Path::new(path)), instance);
        }
        let unit = name(Path::new("/opt/x"), "path");
        assert_eq!(unit, "extend-shim@opt-x.path");
    }
}
