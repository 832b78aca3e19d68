//! Recordings of memray: how they are told from other files, and what reading them takes.
//!
//! The format is memray's own and changes with its versions, so nothing here reads it: the interpreter's memray does, through
//! [`Context::read_memray`](crate::Context::read_memray), and what it tells becomes a capture.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Reads the recording at a path, which was cut short or not, and writes it to the file as a capture. Tells now and then how many of how
/// many events are read. Gives sentences on what the recording does not tell.
pub type ReadMemray<'a> =
    dyn Fn(&Path, bool, File, &dyn Fn(u64, u64)) -> Result<Vec<String>, MemrayError> + 'a;

/// Why a recording of memray could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemrayError {
    /// This interpreter has no memray.
    #[error("memray is not installed")]
    NotInstalled,
    /// What memray, or the system, said.
    #[error("{0}")]
    Failed(String),
}

const LZ4: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// Whether a file that begins so was written by memray: its name comes first, or soon in a file compressed with LZ4.
pub(crate) fn is_of_memray(first: &[u8]) -> bool {
    const NAME: &[u8] = b"memray\0";
    let is_named = |bytes: &[u8]| bytes.windows(NAME.len()).any(|word| word == NAME);
    first.starts_with(NAME) || (first.starts_with(&LZ4) && is_named(first))
}

/// Whether a file compressed with LZ4 ends where it should: memray takes one that was cut short for a short one. True for any other file.
pub(crate) fn ends_properly(mut file: impl Read + Seek) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    while at < length {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 6];
        if file.read_exact(&mut head).is_err() {
            return Ok(false);
        }
        if head[..4] != LZ4 {
            return Ok(at == 0 || length - at < 4);
        }
        let has = |bit: u8| head[4] & (1 << bit) != 0;
        let (block_sum, content_size, content_sum, dictionary) = (has(4), has(3), has(2), has(0));
        at += 7 + if content_size { 8 } else { 0 } + if dictionary { 4 } else { 0 };
        loop {
            file.seek(SeekFrom::Start(at))?;
            let mut size = [0; 4];
            if file.read_exact(&mut size).is_err() {
                return Ok(false);
            }
            at += 4;
            let size = u32::from_le_bytes(size);
            if size == 0 {
                break;
            }
            // The highest bit says that the block is stored as it is.
            at += u64::from(size & 0x7fff_ffff) + if block_sum { 4 } else { 0 };
        }
        at += if content_sum { 4 } else { 0 };
    }
    Ok(at == length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A frame with two blocks, block and content checksums as `flags` say.
    fn frame(flags: u8) -> Vec<u8> {
        let mut bytes = LZ4.to_vec();
        bytes.extend([flags, 0x40]);
        if flags & 8 != 0 {
            bytes.extend([9; 8]);
        }
        bytes.push(0xc0);
        for (size, stored) in [(3_u32, 0), (5, 1_u32 << 31)] {
            bytes.extend((size | stored).to_le_bytes());
            bytes.extend(vec![7; size as usize]);
            if flags & 16 != 0 {
                bytes.extend([8; 4]);
            }
        }
        bytes.extend([0; 4]);
        if flags & 4 != 0 {
            bytes.extend([6; 4]);
        }
        bytes
    }

    #[test]
    fn every_cut_of_a_compressed_file_is_noticed() {
        for flags in [0x40, 0x44, 0x48, 0x50, 0x5c] {
            let whole = frame(flags);
            assert!(ends_properly(Cursor::new(&whole)).expect("memory"));
            for length in 4..whole.len() {
                let cut = ends_properly(Cursor::new(&whole[..length])).expect("memory");
                assert!(!cut, "{flags:x} {length}");
            }
            let two = [whole.clone(), whole].concat();
            assert!(ends_properly(Cursor::new(&two)).expect("memory"));
        }
        assert!(ends_properly(Cursor::new(b"memray\0 and more")).expect("memory"));
    }
}
