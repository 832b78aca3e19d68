//! The records of a recording, whether or not they were compressed.

use std::io::{self, Cursor, Read};

use lz4_flex::frame::FrameDecoder;

use crate::ReadError;

const LZ4: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// What every recording begins with, once it is decompressed.
pub(crate) const NAME: [u8; 7] = *b"memray\0";

/// Whether a file that begins so was written by memray: its name comes first, or soon in a file compressed with LZ4.
#[must_use]
pub fn is_of_memray(first: &[u8]) -> bool {
    let is_named = |bytes: &[u8]| bytes.windows(NAME.len()).any(|word| word == NAME);
    first.starts_with(&NAME) || (first.starts_with(&LZ4) && is_named(first))
}

/// A source, decompressed.
pub(crate) struct Source<'a> {
    pub bytes: Box<dyn Read + Send + 'a>,
    pub is_compressed: bool,
}

/// Looks how a source begins.
pub(crate) fn open<'a>(mut source: impl Read + Send + 'a) -> Result<Source<'a>, ReadError> {
    let mut first = Vec::new();
    source
        .by_ref()
        .take(LZ4.len() as u64)
        .read_to_end(&mut first)?;
    let is_compressed = first == LZ4;
    let whole = Cursor::new(first).chain(source);
    Ok(Source {
        bytes: match is_compressed {
            true => Box::new(FrameDecoder::new(whole)),
            false => Box::new(WithoutTrailingZeros::new(whole)),
        },
        is_compressed,
    })
}

/// A source without the zero bytes at its end.
///
/// memray makes a file longer before it writes there. When its process is killed, zeros are left, which would look like
/// parts of the last record; a record that was written whole ends with something else, but for one that has itself lost
/// some zeros, which counts as not written.
struct WithoutTrailingZeros<R> {
    source: R,
    /// Zeros to give before what is ahead.
    zeros: u64,
    /// Bytes to give, from `given` on; the last is not zero.
    ahead: Vec<u8>,
    given: usize,
    /// Zeros that nothing has followed yet.
    withheld: u64,
}

impl<R: Read> WithoutTrailingZeros<R> {
    const CHUNK_BYTES: usize = 1 << 16;

    fn new(source: R) -> Self {
        Self {
            source,
            zeros: 0,
            ahead: Vec::new(),
            given: 0,
            withheld: 0,
        }
    }

    /// Reads on until something follows the zeros. False at the end.
    fn look(&mut self) -> io::Result<bool> {
        self.given = 0;
        loop {
            self.ahead.resize(Self::CHUNK_BYTES, 0);
            let count = match self.source.read(&mut self.ahead) {
                Ok(count) => count,
                Err(error) => {
                    self.ahead.clear();
                    return Err(error);
                }
            };
            let last = self.ahead[..count].iter().rposition(|byte| *byte != 0);
            let kept = last.map_or(0, |last| last + 1);
            self.ahead.truncate(kept);
            if kept > 0 {
                self.zeros = std::mem::replace(&mut self.withheld, (count - kept) as u64);
                return Ok(true);
            }
            if count == 0 {
                return Ok(false);
            }
            self.withheld += count as u64;
        }
    }
}

impl<R: Read> Read for WithoutTrailingZeros<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ahead.len() && !self.look()? {
            return Ok(0);
        }
        if self.zeros > 0 {
            let count = self.zeros.min(buffer.len() as u64) as usize;
            buffer[..count].fill(0);
            self.zeros -= count as u64;
            return Ok(count);
        }
        let count = (&self.ahead[self.given..]).read(buffer)?;
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at most at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.1);
            self.0.read(&mut buffer[..count])
        }
    }

    #[test]
    fn zeros_are_left_out_at_the_end_only() {
        let bytes = [0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0];
        for chunk in 1..=bytes.len() {
            for end in 0..=bytes.len() {
                let mut source = WithoutTrailingZeros::new(Slow(&bytes[..end], chunk));
                let mut given = Vec::new();
                source.read_to_end(&mut given).expect("memory");
                let last = bytes[..end].iter().rposition(|byte| *byte != 0);
                assert_eq!(given, &bytes[..last.map_or(0, |last| last + 1)]);
            }
        }
    }
}
