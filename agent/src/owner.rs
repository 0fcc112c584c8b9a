//! Whose the state directory is: root who works on it becomes that user first, so that nothing in
//! it ends up as root's and shuts its owner out.
//!
//! Users are known by number. Their names are read from `/etc/passwd`, for people: a static
//! program cannot ask the system's name services.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};

const USERS: &str = "/etc/passwd";
/// No node has so many users.
const MAX_USERS_FILE: u64 = 1024 * 1024;

/// Becomes the owner of `state` when root is not; the group of the file `with_group_of` (Docker's
/// socket) is kept as a further one. Nothing happens to whoever is not root, and where the
/// directory is root's or is not there.
///
/// # Errors
/// When the kernel refuses.
pub fn become_owner(state: &Path, with_group_of: Option<&Path>) -> anyhow::Result<Option<Uid>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let Ok(metadata) = fs::metadata(state) else {
        return Ok(None);
    };
    let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    if user.is_root() {
        return Ok(None);
    }
    let further = with_group_of.and_then(|path| fs::metadata(path).ok());
    let further = further.map(|metadata| Gid::from_raw(metadata.gid()));
    let groups: Vec<Gid> = further
        .filter(|gid| gid.as_raw() != 0)
        .into_iter()
        .collect();
    // Groups first: afterwards there is no right to it any more.
    setgroups(&groups)
        .and_then(|()| setgid(group))
        .and_then(|()| setuid(user))
        .with_context(|| {
            format!(
                "becoming the owner of {} (user {user}, group {group})",
                state.display()
            )
        })?;
    Ok(Some(user))
}

/// The name of this process's user, or its number.
pub fn own_name() -> String {
    name(geteuid().as_raw(), &users())
}

fn users() -> String {
    let is_short = fs::metadata(USERS).is_ok_and(|metadata| metadata.len() <= MAX_USERS_FILE);
    let text = is_short.then(|| fs::read_to_string(USERS).ok()).flatten();
    text.unwrap_or_default()
}

fn name(user: u32, users: &str) -> String {
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(user)).then_some(name)
    });
    found.map_or_else(|| user.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_name_from_the_file_or_its_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\nextend-agent:x:998:997::/nonexistent:/x\n";
        assert_eq!(name(998, users), "extend-agent");
        assert_eq!(name(888, users), "888");
        assert_eq!(name(0, "nonsense"), "0");
    }

    #[test]
    fn a_directory_of_ones_own_or_none_changes_nobody() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(become_owner(directory.path(), None).unwrap(), None);
        let missing = directory.path().join("missing");
        assert_eq!(become_owner(&missing, None).unwrap(), None);
    }
}
