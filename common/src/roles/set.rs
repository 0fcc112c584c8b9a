//! All roles that are known here: the built-in ones and the administrator's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::RoleDefinition;
use crate::config_file::{ConfigError, ConfigFile};
use crate::ids::{IdError, RoleName};

/// The definitions that ship in the binary.
const BUILT_IN: [&str; 4] = [
    include_str!("builtin/media-server-only.toml"),
    include_str!("builtin/queue-server-only.toml"),
    include_str!("builtin/meeting-server-only.toml"),
    include_str!("builtin/vr-server-only.toml"),
];

/// Where the built-in definitions stand, in errors.
const BUILT_IN_PATH: &str = "(built in)";

/// Why the roles could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RoleSetError {
    /// A file cannot be read or understood, or breaks a rule.
    #[error(transparent)]
    Definition(#[from] ConfigError),
    /// The directory cannot be read.
    #[error("reading the role definitions in {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Two definitions claim one word.
    #[error(
        "reading the role definition {}: the role name `{name}` is used by {} already",
        path.display(),
        other.display()
    )]
    Ambiguous {
        /// The word.
        name: RoleName,
        /// The file that claims it too.
        path: PathBuf,
        /// The file that has it.
        other: PathBuf,
    },
}

impl RoleSetError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Definition(error) => error.hint(),
            Self::Read { .. } => "run the command as root",
            Self::Ambiguous { .. } => "give one of them another name, or remove one of the files",
        }
    }
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
        Self::of(built_in()?)
    }

    /// The built-in roles, replaced and extended by the `*.toml` files of `directory`. A missing
    /// directory is the same as an empty one.
    ///
    /// # Errors
    /// When a file cannot be read or is no definition: a damaged definition is never passed over,
    /// since the role it meant would silently fall back to the built-in one.
    pub fn load(directory: &Path) -> Result<Self, RoleSetError> {
        let mut definitions = built_in()?;
        let failed = |source| RoleSetError::Read {
            path: directory.to_owned(),
            source,
        };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Self::of(definitions);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                paths.push(path);
            }
        }
        // Errors come in the same order every time.
        paths.sort();
        for path in paths {
            let file = ConfigFile {
                what: "the role definition",
                path: &path,
            };
            let definition = RoleDefinition::parse(&path, &file.read()?)?;
            let name = definition.role.clone();
            let replaced = definitions.insert(name.clone(), (path.clone(), definition));
            if let Some((other, _)) = replaced.filter(|(path, _)| path != Path::new(BUILT_IN_PATH))
            {
                return Err(RoleSetError::Ambiguous { name, path, other });
            }
        }
        Self::of(definitions)
    }

    fn of(found: Found) -> Result<Self, RoleSetError> {
        let mut aliases: BTreeMap<RoleName, RoleName> = BTreeMap::new();
        for (path, definition) in found.values() {
            for alias in &definition.aliases {
                let named = found.get(alias);
                let taken = named.or_else(|| found.get(aliases.get(alias)?));
                if let Some((other, _)) = taken {
                    return Err(RoleSetError::Ambiguous {
                        name: alias.clone(),
                        path: path.clone(),
                        other: other.clone(),
                    });
                }
                aliases.insert(alias.clone(), definition.role.clone());
            }
        }
        let by_name = found
            .into_iter()
            .map(|(name, (_, definition))| (name, definition))
            .collect();
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

/// Definitions with the files that they stand in.
type Found = BTreeMap<RoleName, (PathBuf, RoleDefinition)>;

fn built_in() -> Result<Found, RoleSetError> {
    let path = Path::new(BUILT_IN_PATH);
    let mut found = Found::new();
    for text in BUILT_IN {
        let definition = RoleDefinition::parse(path, text)?;
        found.insert(definition.role.clone(), (path.to_owned(), definition));
    }
    Ok(found)
}
