//! All roles that are known here: the built-in ones and the administrator's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{DefinitionError, RoleDefinition};
use crate::ids::{IdError, RoleName};

/// The definitions that ship in the binary.
const BUILT_IN: [&str; 4] = [
    include_str!("builtin/media-server-only.toml"),
    include_str!("builtin/queue-server-only.toml"),
    include_str!("builtin/meeting-server-only.toml"),
    include_str!("builtin/vr-server-only.toml"),
];

/// No definition is anywhere near so long; a file that is, is something else.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Why the roles could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RoleSetError {
    /// A definition breaks its rules.
    #[error("loading the role definition {path}")]
    Definition {
        /// The file, or `built-in`.
        path: PathBuf,
        /// What is wrong.
        source: DefinitionError,
    },
    /// A file or the directory cannot be read.
    #[error("reading {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Two definitions claim one word.
    #[error("the role name `{0}` is used by two definitions")]
    Ambiguous(RoleName),
}

/// Role definitions by canonical name, and the aliases that lead to them.
#[derive(Debug, Clone, Default)]
pub struct RoleSet {
    by_name: BTreeMap<RoleName, RoleDefinition>,
    aliases: BTreeMap<RoleName, RoleName>,
}

impl RoleSet {
    /// The roles that ship in the binary.
    ///
    /// # Errors
    /// None in a binary whose tests have passed.
    pub fn built_in() -> Result<Self, RoleSetError> {
        let mut definitions = BTreeMap::new();
        for text in BUILT_IN {
            let definition =
                RoleDefinition::parse(text).map_err(|source| RoleSetError::Definition {
                    path: PathBuf::from("built-in"),
                    source,
                })?;
            definitions.insert(definition.role.clone(), definition);
        }
        Self::of(definitions)
    }

    /// The built-in roles, replaced and extended by the `*.toml` files of `directory`. A missing
    /// directory is the same as an empty one.
    ///
    /// # Errors
    /// When a file cannot be read or is no definition: a damaged definition is never passed over,
    /// since the role it meant would silently fall back to the built-in one.
    pub fn load(directory: &Path) -> Result<Self, RoleSetError> {
        let mut definitions = Self::built_in()?.by_name;
        let read = |path: &Path, source| RoleSetError::Read {
            path: path.to_owned(),
            source,
        };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Self::of(definitions);
            }
            Err(error) => return Err(read(directory, error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| read(directory, error))?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let size = std::fs::metadata(&path)
                .map_err(|error| read(&path, error))?
                .len();
            if size > MAX_FILE_BYTES {
                let error = std::io::Error::other("the file is too large for a role definition");
                return Err(read(&path, error));
            }
            let text = std::fs::read_to_string(&path).map_err(|error| read(&path, error))?;
            let definition = RoleDefinition::parse(&text)
                .map_err(|source| RoleSetError::Definition { path, source })?;
            definitions.insert(definition.role.clone(), definition);
        }
        Self::of(definitions)
    }

    fn of(by_name: BTreeMap<RoleName, RoleDefinition>) -> Result<Self, RoleSetError> {
        let mut aliases = BTreeMap::new();
        for definition in by_name.values() {
            for alias in &definition.aliases {
                let taken = by_name.contains_key(alias)
                    || aliases
                        .insert(alias.clone(), definition.role.clone())
                        .is_some();
                if taken {
                    return Err(RoleSetError::Ambiguous(alias.clone()));
                }
            }
        }
        Ok(Self { by_name, aliases })
    }

    /// The definition of a role, by its canonical name.
    pub fn get(&self, role: &RoleName) -> Option<&RoleDefinition> {
        self.by_name.get(role)
    }

    /// The definition that a word after `-s` means: a canonical name or an alias.
    ///
    /// # Errors
    /// When the word cannot be a role name at all; `Ok(None)` when it could be and is not.
    pub fn find(&self, word: &str) -> Result<Option<&RoleDefinition>, IdError> {
        let word: RoleName = word.parse()?;
        let canonical = self.aliases.get(&word).unwrap_or(&word);
        Ok(self.by_name.get(canonical))
    }

    /// The role whose container bears this name.
    pub fn by_container(&self, name: &str) -> Option<&RoleDefinition> {
        self.iter()
            .find(|definition| definition.containers.iter().any(|c| c.name == name))
    }

    /// Every definition, by name.
    pub fn iter(&self) -> impl Iterator<Item = &RoleDefinition> {
        self.by_name.values()
    }

    /// Every word that may follow `-s`.
    pub fn words(&self) -> Vec<String> {
        self.by_name
            .keys()
            .chain(self.aliases.keys())
            .map(RoleName::to_string)
            .collect()
    }
}
