//! The password of the account at the PBX, and other secrets of one line in a file.
//!
//! Owns finding and reading it, and that it is wiped after use. It is read at every sign-in, so
//! that a changed one is taken without a restart; it is never kept.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use extend_common::files::{FileError, read_secret};
use zeroize::{Zeroize, Zeroizing};

/// The name of the systemd credential.
const CREDENTIAL: &str = "pbx.password";
/// No password, token or address with a token in it is longer.
const MAX_PASSWORD: u64 = 4096;

/// Where the password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordSource {
    /// A file that nobody but its owner can read.
    pub file: PathBuf,
    /// The directory in which systemd puts credentials; what lies there wins.
    pub credentials: Option<PathBuf>,
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file is not there, or others can read it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The credential cannot be read.
    #[error("cannot read the credential {}", path.display())]
    Credential {
        /// The credential.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing in it, or no text.
    #[error("{} holds no secret: one line of text is wanted, of {MAX_PASSWORD} bytes at most", path.display())]
    NoText {
        /// The file.
        path: PathBuf,
    },
}

impl PasswordError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::File(error) if error.is_missing() => {
                "put it there, in one line, owned by the controller's user, mode 0600".to_owned()
            }
            Self::File(error) => error
                .hint()
                .unwrap_or_else(|| "see where controller.toml names that file".to_owned()),
            Self::Credential { .. } => {
                "see LoadCredential=pbx.password:… in the unit extend-controller".to_owned()
            }
            Self::NoText { path } => format!("write it into {}, and nothing else", path.display()),
        }
    }
}

impl PasswordSource {
    /// The file, and whatever systemd gives this process.
    #[must_use]
    pub fn of_process(file: PathBuf) -> Self {
        Self {
            file,
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        }
    }

    /// Reads it. Blocks on the disk.
    ///
    /// # Errors
    /// Refuses a file that others can read, and says what is missing.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, PasswordError> {
        if let Some(directory) = &self.credentials {
            let path = directory.join(CREDENTIAL);
            match read_credential(&path) {
                Ok(bytes) => return text(&path, bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(PasswordError::Credential { path, source }),
            }
        }
        text(&self.file, read_secret(&self.file)?)
    }
}

/// One line of a file that nobody but its owner can read. Blocks on the disk.
pub(crate) fn secret_line(file: &Path) -> Result<Zeroizing<String>, PasswordError> {
    text(file, read_secret(file)?)
}

/// systemd sees to who can read it, by an access list that shows in the mode as bits of the group.
fn read_credential(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let most = usize::try_from(MAX_PASSWORD + 2).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    file.take(MAX_PASSWORD + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(path: &Path, mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, PasswordError> {
    let none = || PasswordError::NoText {
        path: path.to_owned(),
    };
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_PASSWORD);
    if bytes.is_empty() || !fits || bytes.iter().any(|byte| matches!(byte, b'\n' | 0)) {
        return Err(none());
    }
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|error| {
            error.into_bytes().zeroize();
            none()
        })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_credential_wins_and_the_line_end_is_none_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        write(&file, "from the file\r\n", 0o600);
        let mut source = PasswordSource {
            file,
            credentials: None,
        };
        assert_eq!(*source.read().unwrap(), "from the file");
        source.credentials = Some(directory.path().to_owned());
        assert_eq!(*source.read().unwrap(), "from the file");
        // An access list of systemd's shows as bits of the group.
        write(&directory.path().join(CREDENTIAL), "from systemd\n", 0o440);
        assert_eq!(*source.read().unwrap(), "from systemd");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_so_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let source = PasswordSource {
            file: directory.path().join("file"),
            credentials: None,
        };
        let hint = source.read().unwrap_err().hint();
        assert!(hint.contains("mode 0600"), "{hint}");
        write(&source.file, "secret\n", 0o640);
        let error = source.read().unwrap_err();
        assert!(error.hint().starts_with("chmod 600"), "{}", error.hint());
        for empty in ["", "\n", "two\nlines\n"] {
            write(&source.file, empty, 0o600);
            let error = source.read().unwrap_err();
            assert!(matches!(error, PasswordError::NoText { .. }), "{empty:?}");
        }
    }
}
