//! Names of secrets: which there are, and how they are written.

/// Parts of names that hold secrets, without `-`, `_` and `.`.
const PARTS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "privatekey",
    "accesskey",
    "secretkey",
    "sessionkey",
    "credential",
    "masterkey",
];
/// Whole names that do.
const NAMES: [&str; 11] = [
    "pwd", "pass", "pw", "passcode", "auth", "jwt", "pin", "pincode", "psk", "sas", "ha1",
];
/// Ends of names that do: `db_pass`, `voicemail.pin`, `signing_key`.
const ENDS: [&str; 12] = [
    "authkey",
    "aeskey",
    "pincode",
    "pwd",
    "passwd",
    "pass",
    "signingkey",
    "encryptionkey",
    "hmackey",
    "sshkey",
    "sharedkey",
    "jwtkey",
];
/// Ends of headers whose whole value is one, in HTTP and in SIP; whatever stands before them, such as
/// `\n` of a text within a text.
const HEADERS: [&str; 3] = ["authorization", "cookie", "authenticate"];

/// Whether a name is one of a secret.
pub fn is_sensitive(name: &str) -> bool {
    let bare = bare(name);
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default();
    // `userPin` ends in a word of its own as well.
    let word = last.rfind(char::is_uppercase).and_then(|at| last.get(at..));
    let is_one = |name: &str| NAMES.contains(&name.to_ascii_lowercase().as_str());
    NAMES.contains(&bare.as_str())
        || is_one(last)
        || word.is_some_and(is_one)
        || PARTS.iter().any(|part| bare.contains(part))
        || ENDS.iter().any(|end| bare.ends_with(end))
}

pub(super) fn bare(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_' | '.'));
    letters.collect::<String>().to_ascii_lowercase()
}

pub(super) fn is_header(name: &str) -> bool {
    let bare = bare(name);
    HEADERS.iter().any(|header| bare.ends_with(header))
}
