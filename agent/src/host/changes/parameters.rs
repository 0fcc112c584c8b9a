//! Kernel parameters of the network: set in `/proc/sys` now and in `/etc/sysctl.d` for the next
//! boot. What the administrator has set as it is wanted is left to him.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use extend_common::files::{self, PUBLIC};
use extend_common::ids::RoleName;

use super::notes::{Notes, Parameter, told};
use crate::host::{HostError, Places};

const READING: &str = "reading the kernel parameter";
const SETTING: &str = "setting the kernel parameter";
/// Whoever wants to do it by other means can say so.
const OTHERWISE: &str =
    "set it by your own means, and host_changes = false in /etc/extend/agent.toml";
/// A file of parameters is short; what is longer is none.
const MAX_FILE: u64 = 256 * 1024;

pub(in crate::host) struct Parameters<'a> {
    places: &'a Places,
    role: &'a RoleName,
}

impl<'a> Parameters<'a> {
    pub(in crate::host) fn of(places: &'a Places, role: &'a RoleName) -> Self {
        Self { places, role }
    }

    /// Those that are not as they should be, now or after the next boot.
    pub(in crate::host) fn missing(
        &self,
        wanted: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, HostError> {
        let mut missing = BTreeMap::new();
        for (name, value) in wanted {
            let is_so = same(&self.current(name)?, value);
            if !is_so || !self.lasts(name, value) {
                missing.insert(name.clone(), value.clone());
            }
        }
        Ok(missing)
    }

    /// Sets parameters, and says which.
    pub(in crate::host) fn set(
        &self,
        missing: &BTreeMap<String, String>,
        notes: &mut Notes,
    ) -> Result<Vec<String>, HostError> {
        for (name, value) in missing {
            let before = self.current(name)?;
            let noted = notes.changes.parameters.entry(name.clone());
            // What was there before the first time is what there was before.
            let noted = noted.or_insert_with(|| Parameter {
                before,
                set: String::new(),
            });
            noted.set.clone_from(value);
        }
        notes.keep()?;
        self.write_file(notes)?;
        for (name, value) in missing {
            if !same(&self.current(name)?, value) {
                self.write(name, value)?;
            }
        }
        let words = missing
            .iter()
            .map(|(name, value)| format!("{name} = {value}"));
        Ok(words.collect())
    }

    /// Puts back what was set, unless somebody has set it otherwise since.
    pub(in crate::host) fn put_back(&self, notes: &mut Notes) -> Result<Vec<String>, HostError> {
        let mut changed = Vec::new();
        for (name, Parameter { before, set }) in notes.changes.parameters.clone() {
            if same(&self.current(&name)?, &set) && !same(&before, &set) {
                self.write(&name, &before)?;
                changed.push(format!("{name} = {before}"));
            }
        }
        if !notes.changes.parameters.is_empty() {
            let path = self.file();
            match fs::remove_file(&path) {
                Ok(()) => changed.push(format!("{} removed", path.display())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(HostError::new("removing", &path, error)),
            }
            notes.changes.parameters.clear();
            notes.keep()?;
        }
        Ok(changed)
    }

    fn file(&self) -> PathBuf {
        self.places
            .sysctl
            .join(format!("99-extend-{}.conf", self.role))
    }

    fn write_file(&self, notes: &Notes) -> Result<(), HostError> {
        let mut text = format!(
            "# Made by extend-agent for the role {}, and removed with its server.\n",
            self.role
        );
        for (name, parameter) in &notes.changes.parameters {
            text.push_str(&format!("{name} = {}\n", parameter.set));
        }
        let path = self.file();
        files::write_atomic(&path, text.as_bytes(), PUBLIC)
            .map_err(|error| told("writing", &path, &error))
    }

    /// Whether some file sets it so at the next boot, and none otherwise.
    fn lasts(&self, name: &str, value: &str) -> bool {
        let mut set = Vec::new();
        let places = [&self.places.sysctl]
            .into_iter()
            .chain(&self.places.sysctl_others);
        for file in places.flat_map(|place| files_of(place)) {
            let is_short = fs::metadata(&file).is_ok_and(|m| m.is_file() && m.len() <= MAX_FILE);
            let text = is_short.then(|| fs::read_to_string(&file).ok()).flatten();
            set.extend(assignments(&text.unwrap_or_default(), name));
        }
        !set.is_empty() && set.iter().all(|found| same(found, value))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.places.proc_sys.join(name.replace('.', "/"))
    }

    fn current(&self, name: &str) -> Result<String, HostError> {
        let text = fs::read_to_string(self.path(name));
        let text = text.map_err(|error| HostError::new(READING, Path::new(name), error))?;
        Ok(text.trim().to_owned())
    }

    fn write(&self, name: &str, value: &str) -> Result<(), HostError> {
        fs::write(self.path(name), value).map_err(|error| HostError {
            hint: Some(OTHERWISE.to_owned()),
            ..HostError::new(SETTING, Path::new(name), error)
        })
    }
}

/// The kernel separates several numbers by tabs.
fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// A file, or the `*.conf` files of a directory.
fn files_of(place: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place) else {
        return vec![place.to_owned()];
    };
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect()
}

/// What a file sets a parameter to. Slashes may stand for dots, and a `-` in front says that a
/// failure does not matter.
fn assignments(text: &str, name: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| key.trim().trim_start_matches('-').replace('/', ".") == name)
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}
