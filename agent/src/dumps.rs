//! Crash dumps: what lies in the role's directory of them, for people and as evidence.
//!
//! The service owns the directory: names are hostile, nothing is followed and nothing is opened
//! (`logs::file::directory`). Nothing is ever removed: a dump may be the only trace of a fault.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use extend_common::roles::RoleDefinition;
use extend_common::service::{DumpFile, Dumps};
use extend_common::wire::MAX_DUMPS;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::execute::Settings;
use crate::logs::{Kept, LogDirectory};
use crate::reconciler::AgentView;
use crate::service::Gauges;

/// Between two looks. One costs as much as listing a directory.
const LOOK: Duration = Duration::from_secs(60);

/// What lies there, the newest first; none when the role has no such directory, or it cannot be
/// read. Blocks.
pub fn look(definition: &RoleDefinition, data: &Path) -> Option<Vec<DumpFile>> {
    let (files, _) = LogDirectory::of(definition, data, Kept::Dumps)?
        .list()
        .ok()?;
    let mut dumps: Vec<_> = files
        .into_iter()
        .map(|file| DumpFile {
            name: file.path.to_string(),
            bytes: file.size,
            at: file.modified,
        })
        .collect();
    dumps.sort_by(|one, other| (other.at, &one.name).cmp(&(one.at, &other.name)));
    Some(dumps)
}

/// The same in figures.
pub fn figures(dumps: &[DumpFile]) -> Dumps {
    Dumps {
        count: dumps.len().try_into().unwrap_or(u64::MAX),
        bytes: dumps
            .iter()
            .fold(0, |sum, dump| dump.bytes.saturating_add(sum)),
        newest: dumps.first().cloned(),
    }
}

/// Those that were written by a run that began at this time, in Docker's words. Files have whole
/// seconds.
pub fn since(dumps: Vec<DumpFile>, started: &str) -> Vec<DumpFile> {
    let Ok(started) = started.parse::<Timestamp>() else {
        return Vec::new();
    };
    let is_of_run = |dump: &DumpFile| dump.at.as_second() >= started.as_second();
    dumps
        .into_iter()
        .filter(is_of_run)
        .take(MAX_DUMPS)
        .collect()
}

/// Looks now and then, and at once when another server is the node's, until `stop`.
pub async fn keep(
    gauges: Gauges,
    settings: Arc<Settings>,
    mut view: watch::Receiver<AgentView>,
    stop: CancellationToken,
) {
    loop {
        let role = view
            .borrow_and_update()
            .record
            .as_ref()
            .map(|record| record.desired.role.clone());
        let seen = role.clone();
        let of = Arc::clone(&settings);
        let looking = tokio::task::spawn_blocking(move || {
            let definition = of.roles.get(&role?)?;
            look(definition, &of.facts.data)
        });
        let found = looking.await.ok().flatten();
        gauges.set_dumps(found.as_deref().map(figures));
        let is_other = |view: &AgentView| {
            view.record.as_ref().map(|record| &record.desired.role) != seen.as_ref()
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
            changed = view.wait_for(is_other) => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use extend_common::roles::RoleSet;
    use tempfile::TempDir;

    use super::*;

    fn definition() -> RoleDefinition {
        let roles = RoleSet::built_in().unwrap();
        roles.find("media-server-only").unwrap().unwrap().clone()
    }

    fn place() -> (TempDir, std::path::PathBuf) {
        let data = tempfile::tempdir().unwrap();
        let dump = data.path().join("media-server-only/dump");
        fs::create_dir_all(&dump).unwrap();
        (data, dump)
    }

    fn write(path: &Path, bytes: usize, second: i64) {
        fs::write(path, vec![0; bytes]).unwrap();
        let at = std::time::UNIX_EPOCH + Duration::from_secs(second.unsigned_abs());
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(at)
            .unwrap();
    }

    #[test]
    fn the_newest_is_first_and_those_of_a_run_are_told_apart() {
        let (data, dump) = place();
        for (name, bytes, second) in [("old", 5, 1_000), ("core.42", 7, 3_000), ("b", 1, 2_000)] {
            write(&dump.join(name), bytes, second);
        }
        let found = look(&definition(), data.path()).unwrap();
        let names: Vec<_> = found.iter().map(|dump| dump.name.as_str()).collect();
        assert_eq!(names, ["core.42", "b", "old"]);
        let figures = figures(&found);
        assert_eq!((figures.count, figures.bytes), (3, 13));
        assert_eq!(figures.newest.unwrap().name, "core.42");
        let run = since(found.clone(), "1970-01-01T00:33:20.5Z");
        assert_eq!(run.len(), 2, "a file has whole seconds");
        assert_eq!(since(found.clone(), "1970-01-01T00:50:01Z"), []);
        assert_eq!(since(found, "never"), []);
        let many = vec![
            DumpFile {
                name: String::new(),
                bytes: 0,
                at: Timestamp::now()
            };
            99
        ];
        assert_eq!(since(many, "1970-01-01T00:00:00Z").len(), MAX_DUMPS);
    }

    #[test]
    fn nothing_is_followed_and_odd_names_are_left_out() {
        let (data, dump) = place();
        let outside = tempfile::tempdir().unwrap();
        write(&outside.path().join("secret"), 9, 1_000);
        symlink(outside.path().join("secret"), dump.join("link")).unwrap();
        symlink(outside.path(), dump.join("directory")).unwrap();
        write(&dump.join("\u{1b}[2J"), 1, 1_000);
        write(&dump.join("good"), 1, 1_000);
        let found = look(&definition(), data.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "good");
        fs::remove_dir_all(&dump).unwrap();
        symlink(outside.path(), &dump).unwrap();
        assert_eq!(
            look(&definition(), data.path()),
            None,
            "not even the directory itself"
        );
    }
}
