//! What a server takes from its host when it is told to: memory that it never gives back, and a
//! file that fills its disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

const MB: usize = 1 << 20;
/// The file that fills the disk, in the data directory.
const FILE_NAME: &str = "standin.filler";

/// What is held.
#[derive(Debug)]
pub(crate) struct Load {
    memory: Vec<Vec<u8>>,
    filler: PathBuf,
    filled: u16,
}

impl Load {
    pub(crate) fn new(data_dir: &std::path::Path) -> Self {
        Self {
            memory: Vec::new(),
            filler: data_dir.join(FILE_NAME),
            filled: 0,
        }
    }

    /// Has leaked so many megabytes from now on; a leak is never mended.
    pub(crate) fn leak(&mut self, megabytes: u16) {
        while self.memory.len() < usize::from(megabytes) {
            // Written to, so that the kernel counts it.
            self.memory.push(vec![0xA5; MB]);
        }
    }

    /// Has so many megabytes in its file from now on, as far as there is room.
    pub(crate) fn fill(&mut self, megabytes: u16) -> io::Result<()> {
        if megabytes == self.filled {
            return Ok(());
        }
        self.filled = megabytes;
        if megabytes == 0 {
            return fs::remove_file(&self.filler);
        }
        let mut file = File::create(&self.filler)?;
        let block = vec![0xA5; MB];
        for _ in 0..megabytes {
            file.write_all(&block)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_grows_and_a_file_comes_and_goes() {
        let dir = std::env::temp_dir().join(format!("pbx-standin-load-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut load = Load::new(&dir);
        load.leak(3);
        load.leak(2);
        assert_eq!(load.memory.len(), 3);
        load.fill(2).unwrap();
        assert_eq!(fs::metadata(dir.join(FILE_NAME)).unwrap().len(), 2 << 20);
        load.fill(0).unwrap();
        assert!(!dir.join(FILE_NAME).exists());
        fs::remove_dir(&dir).unwrap();
    }
}
