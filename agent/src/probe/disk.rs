//! Whether a file system has room, by `statvfs` on a blocking thread. One that hangs holds one
//! thread and no more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use extend_common::{duration, size};
use tokio::time::timeout;

use crate::host::figures::{free_space, total_space};

/// Looks at the file system of one directory.
#[derive(Debug)]
pub(super) struct DiskProber {
    directory: PathBuf,
    is_looking: Arc<AtomicBool>,
}

impl DiskProber {
    pub(super) fn of(directory: PathBuf) -> Self {
        Self {
            directory,
            is_looking: Arc::default(),
        }
    }

    /// Whether so many percent are free. What nobody can tell is the outer error.
    pub(super) async fn ask(
        &self,
        minimum: u8,
        limit: Duration,
    ) -> Result<Result<(), String>, String> {
        let of = self.directory.display();
        if self.is_looking.swap(true, Ordering::Relaxed) {
            return Err(format!("the file system of {of} still does not answer"));
        }
        let (directory, is_looking) = (self.directory.clone(), self.is_looking.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let found = free_space(&directory).zip(total_space(&directory));
            is_looking.store(false, Ordering::Relaxed);
            found
        });
        match timeout(limit, looking).await {
            Ok(Ok(Some((free, total)))) => Ok(judge(&self.directory, free, total, minimum)),
            Ok(_) => Err(format!("the file system of {of} cannot be looked at")),
            Err(_) => {
                let limit = duration::show(limit);
                Err(format!(
                    "the file system of {of} does not answer within {limit}"
                ))
            }
        }
    }
}

fn judge(directory: &Path, free: u64, total: u64, minimum: u8) -> Result<(), String> {
    let percent = u128::from(free) * 100 / u128::from(total.max(1));
    if percent >= u128::from(minimum) {
        return Ok(());
    }
    Err(format!(
        "{percent} % of {} is free ({} of {}), and {minimum} % should be",
        directory.display(),
        size::show(free),
        size::show(total),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;
    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn too_little_is_told_with_its_figures() {
        let judge = |free, minimum| judge(Path::new("/data"), free * MB, 1000 * MB, minimum);
        assert_eq!(judge(100, 10), Ok(()));
        let words = judge(99, 10).unwrap_err();
        assert!(words.starts_with("9 % of /data is free (99"), "{words}");
        assert!(words.ends_with(" and 10 % should be"), "{words}");
        judge(0, 1).unwrap_err();
    }

    #[tokio::test]
    async fn a_real_directory_has_room_or_not_and_one_look_goes_on_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let prober = DiskProber::of(directory.path().to_owned());
        assert!(prober.ask(0, LIMIT).await.unwrap().is_ok());
        assert!(prober.ask(101, LIMIT).await.unwrap().is_err());
        prober.is_looking.store(true, Ordering::Relaxed);
        let words = prober.ask(0, LIMIT).await.unwrap_err();
        assert!(words.contains("still does not answer"), "{words}");
    }
}
