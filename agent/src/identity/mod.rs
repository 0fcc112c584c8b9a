//! Who this node is: its key, its certificate, the authority it trusts and where it enrolled.
//! Files in the state directory; the key never leaves it.
//!
//! Written by `join` and by renewals; read by every dial.

pub mod clocks;
pub mod join;
pub mod renew;
pub mod wait;

use std::net::SocketAddrV4;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use extend_common::files::{self, FileError};
use extend_common::ids::NodeAddr;
use extend_common::tls::key::KeyError;
use extend_common::tls::{Fingerprint, NodeKey, PeerNode, pem};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::lock::{LockError, StateLock};

const KEY: &str = "node.key";
const LEAF: &str = "node.crt";
const AUTHORITY: &str = "ca.crt";
const ENROLMENT: &str = "enrolment.json";

/// Where the node enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The node's address.
    pub node: NodeAddr,
    /// The controller's enrolment listener.
    pub enrolment: SocketAddrV4,
    /// The controller's agent listener.
    pub agents: SocketAddrV4,
}

/// Why the identity cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The node has never joined.
    #[error("this node has not joined a controller")]
    NotJoined,
    /// Another identity has taken its place.
    #[error("this identity was replaced by a join")]
    Replaced,
    /// Somebody else writes it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system's word.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key's.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file holds something else.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        problem: String,
    },
}

impl IdentityError {
    /// What to run next.
    pub fn hint(&self) -> String {
        let damaged = match self {
            Self::NotJoined => {
                return "on the primary: extend node token -a THIS_NODE, and here: extend-agent join"
                    .to_owned();
            }
            Self::Replaced | Self::Lock(_) => return String::new(),
            Self::File(error) => return error.hint().unwrap_or_default(),
            Self::Key(KeyError::File(error)) if !error.is_missing() => {
                return error.hint().unwrap_or_default();
            }
            Self::Key(_) => "the key is not usable",
            Self::Damaged { .. } => "the file is not usable",
        };
        // What is damaged is left as it is until a whole identity takes its place.
        format!(
            "{damaged}: join anew. On the primary: extend node token -a THIS_NODE, and here: \
             extend-agent join"
        )
    }
}

/// The node's identity, whole.
#[derive(Debug)]
pub struct Identity {
    directory: PathBuf,
    /// As it was when this was read or written.
    mark: Option<Mark>,
    /// Where the node enrolled.
    pub enrolment: Enrolment,
    /// Its key.
    pub key: NodeKey,
    /// Its certificate.
    pub leaf: CertificateDer<'static>,
    /// When that began and ends.
    pub valid: Validity,
    /// The authority it trusts.
    pub authority: CertificateDer<'static>,
}

/// Tells one writing of an identity from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    file: u64,
    written: (i64, i64),
}

impl Mark {
    /// Of the identity in a state directory; none while there is no whole one.
    pub fn of(directory: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(directory.join(ENROLMENT)).ok()?;
        Some(Self {
            file: metadata.ino(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// The life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when it is good.
    pub not_before: jiff::Timestamp,
    /// Until when.
    pub not_after: jiff::Timestamp,
}

impl Identity {
    /// Reads the identity.
    ///
    /// # Errors
    /// [`IdentityError::NotJoined`] when there is none; others when a file is damaged.
    pub fn load(directory: &Path) -> Result<Self, IdentityError> {
        let enrolment = directory.join(ENROLMENT);
        // Before the rest is read: whatever changes meanwhile is seen to have changed.
        let mark = Mark::of(directory);
        let text = match std::fs::read(&enrolment) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(IdentityError::NotJoined);
            }
            Err(error) => return Err(damaged(&enrolment, &error)),
        };
        let enrolment = serde_json::from_slice(&text).map_err(|e| damaged(&enrolment, &e))?;
        let key = NodeKey::load(&directory.join(KEY))?;
        let leaf = certificate(&directory.join(LEAF))?;
        let authority = certificate(&directory.join(AUTHORITY))?;
        let valid = validity(&leaf).map_err(|e| damaged(&directory.join(LEAF), &e))?;
        Ok(Self {
            directory: directory.to_owned(),
            mark,
            enrolment,
            key,
            leaf,
            valid,
            authority,
        })
    }

    /// Writes a new identity. The file that says that the node has joined is written last.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self) -> Result<(), IdentityError> {
        // A second join that is cut short leaves a node that has not joined, never one with another
        // key's certificate.
        let path = self.directory.join(ENROLMENT);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(damaged(&path, &error));
            }
            _ => {}
        }
        self.key.save(&self.directory.join(KEY))?;
        let authority = pem::encode(&self.authority);
        files::write_atomic(&self.directory.join(AUTHORITY), authority.as_bytes(), 0o644)?;
        self.save_leaf()?;
        let path = self.directory.join(ENROLMENT);
        let text = serde_json::to_vec_pretty(&self.enrolment).map_err(|e| damaged(&path, &e))?;
        Ok(files::write_atomic(&path, &text, 0o644)?)
    }

    fn save_leaf(&self) -> Result<(), IdentityError> {
        let leaf = pem::encode(&self.leaf);
        Ok(files::write_atomic(
            &self.directory.join(LEAF),
            leaf.as_bytes(),
            0o644,
        )?)
    }

    /// Takes a renewed certificate, after checking that it is for this node and its key.
    ///
    /// # Errors
    /// When it is not, or cannot be written.
    pub fn renew(&mut self, leaf: CertificateDer<'static>) -> Result<(), IdentityError> {
        let path = self.directory.join(LEAF);
        let peer = PeerNode::from_certificate(&leaf).map_err(|e| damaged(&path, &e))?;
        if peer.node != self.enrolment.node.ip() || peer.spki != self.key.spki() {
            return Err(damaged(
                &path,
                &"the new certificate is not for this node and key",
            ));
        }
        // A join may come at any time: its certificate must not be overwritten with ours.
        let _lock = StateLock::of_identity(&self.directory)?;
        if self.is_replaced() {
            return Err(IdentityError::Replaced);
        }
        self.valid = validity(&leaf).map_err(|e| damaged(&path, &e))?;
        self.leaf = leaf;
        self.save_leaf()
    }

    /// Whether a join has put another identity in this one's place.
    pub fn is_replaced(&self) -> bool {
        let there = Mark::of(&self.directory);
        there.is_some() && there != self.mark
    }

    /// How it is told from the one that a join puts in its place.
    pub fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// The fingerprint of the authority.
    pub fn pin(&self) -> Fingerprint {
        Fingerprint::of(&self.authority)
    }
}

fn damaged(path: &Path, problem: &impl std::fmt::Display) -> IdentityError {
    IdentityError::Damaged {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, IdentityError> {
    let text = std::fs::read(path).map_err(|error| damaged(path, &error))?;
    pem::decode(&text).map_err(|error| damaged(path, &error))
}

/// When a certificate begins and ends.
fn validity(leaf: &CertificateDer<'_>) -> Result<Validity, String> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(leaf).map_err(|error| error.to_string())?;
    let time = |at: x509_parser::time::ASN1Time| {
        jiff::Timestamp::from_second(at.timestamp()).map_err(|error| error.to_string())
    };
    let validity = parsed.validity();
    Ok(Validity {
        not_before: time(validity.not_before)?,
        not_after: time(validity.not_after)?,
    })
}
