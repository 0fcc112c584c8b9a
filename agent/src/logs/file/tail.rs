//! Where the last lines of a file begin.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 64 * 1024;
/// No tail is longer, however long its lines are.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The offset at which the last `lines` of a file of `length` bytes begin, looked for from the
/// end. A last line without a newline counts.
pub(super) fn offset(file: &File, length: u64, lines: u32) -> io::Result<u64> {
    let least = length.saturating_sub(MAX_BYTES);
    if lines == 0 {
        return Ok(length);
    }
    let mut wanted = lines;
    let mut end = length;
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
    while end > least {
        let start = end.saturating_sub(BLOCK).max(least);
        let size = usize::try_from(end - start).unwrap_or_default();
        let bytes = block.get_mut(..size).unwrap_or_default();
        if let Err(error) = file.read_exact_at(bytes, start) {
            // It was cut meanwhile: what is there now is all there is.
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return Ok(0);
            }
            return Err(error);
        }
        for (index, _) in bytes
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n')
        {
            let after = start + u64::try_from(index).unwrap_or_default() + 1;
            // The newline of the last line ends it and begins none.
            if after == length {
                continue;
            }
            wanted -= 1;
            if wanted == 0 {
                return Ok(after);
            }
        }
        end = start;
    }
    Ok(least)
}
