//! A disk that is so small that it can be full: a file system in memory.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Running;

/// A small file system, mounted over a directory until it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Puts a disk of so many bytes over a directory, which is made; what was in it is copied.
    ///
    /// # Panics
    /// When it cannot be mounted: only root may.
    #[must_use]
    pub fn over(path: &Path, bytes: u64) -> Self {
        let aside = path.with_extension("aside");
        let shown = path.display().to_string();
        let run = |program: &str, words: &[&str]| {
            let mut command = Command::new(program);
            command.args(words);
            let ended = Running::start(command, "").end();
            ended.expect(0, &format!("{program} for a small disk, as root"));
        };
        let is_there = path.exists();
        if is_there {
            fs::rename(path, &aside).unwrap();
        }
        fs::create_dir_all(path).unwrap();
        let size = format!("size={bytes},mode=0700");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &shown]);
        let disk = Self {
            path: path.to_owned(),
        };
        if is_there {
            run(
                "cp",
                &["--archive", &format!("{}/.", aside.display()), &shown],
            );
        }
        disk
    }

    /// Fills it to the last byte.
    ///
    /// # Panics
    /// When it cannot be filled.
    pub fn fill(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![1; size];
            loop {
                match file.write(&block) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("filling {}: {error}", self.path.display()),
                }
            }
        }
    }

    /// Makes room again.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        command.arg("--lazy").arg(&self.path);
        drop(Running::start(command, "").end());
    }
}
