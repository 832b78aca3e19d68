//! Which line each instruction belongs to: the tables that the compiler leaves in code objects, decoded.
//!
//! Tracing keeps instruction offsets only; lines are found when somebody reads, here. The functions are pure: a table
//! goes in as bytes, so they serve a capture made by another interpreter as well. Tables may come from a damaged file:
//! whatever is in them, decoding ends after at most one step for each byte, and gives some line or none.

use crate::version;

/// How a version of CPython writes its line tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineTableFormat {
    /// `co_lnotab`, up to 3.9: pairs of (bytes to advance, unsigned; lines to advance, signed).
    /// Objects/lnotab_notes.txt.
    Increments,
    /// `co_linetable` of 3.10: pairs of (length in bytes, unsigned; line difference, signed, −128 = no line), one for
    /// each range.
    Ranges,
    /// The location table, since 3.11: an entry of one or more bytes for each range. Objects/locations.md.
    Locations,
}

impl LineTableFormat {
    /// Every format; `format as usize` is its index.
    pub const ALL: [Self; 3] = [Self::Increments, Self::Ranges, Self::Locations];

    /// The format that CPython 3.`minor` writes; `None` for a version that [`crate::version::ALL`] does not have.
    #[must_use]
    pub fn of_version(minor: u8) -> Option<Self> {
        let mut all = version::ALL.iter();
        let known = all.find(|known| known.minor == minor)?;
        Some(known.offsets.line_tables)
    }
}

/// The offset of a frame that has not begun its first instruction (`f_lasti` = −1): it is at `co_firstlineno`.
pub const NOT_STARTED: u32 = u32::MAX;

/// The line of the instruction at `offset_bytes` of the bytecode, as `PyCode_Addr2Line` gives it.
///
/// `None` if the instruction has no line, or if the table does not reach that far.
#[must_use]
pub fn line_at(
    format: LineTableFormat,
    table: &[u8],
    first_line: u32,
    offset_bytes: u32,
) -> Option<u32> {
    LineTable::new(format, table, first_line).line_at(offset_bytes)
}

/// One code object's line table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTable<'a> {
    format: LineTableFormat,
    table: &'a [u8],
    first_line: u32,
}

impl<'a> LineTable<'a> {
    /// A table in its version's `format`, of a code object that begins at `first_line` (`co_firstlineno`).
    #[must_use]
    pub const fn new(format: LineTableFormat, table: &'a [u8], first_line: u32) -> Self {
        Self {
            format,
            table,
            first_line,
        }
    }

    /// See the free function [`line_at`].
    #[must_use]
    pub fn line_at(self, offset_bytes: u32) -> Option<u32> {
        if offset_bytes == NOT_STARTED {
            return Some(self.first_line);
        }
        self.lines().find(|range| offset_bytes < range.end)?.line
    }

    /// All ranges in order, without gaps, from offset 0. With sorted offsets, one pass resolves them all.
    #[must_use]
    pub const fn lines(self) -> Lines<'a> {
        Lines {
            format: self.format,
            rest: self.table,
            line: self.first_line as i64,
            end: 0,
            ahead: None,
        }
    }
}

/// A run of instructions on the same line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRange {
    /// Byte offset of the first instruction.
    pub start: u32,
    /// Byte offset just behind the last instruction, always more than `start`; `u32::MAX` for the last range of
    /// [`LineTableFormat::Increments`], which is open.
    pub end: u32,
    /// The line, `None` if these instructions have none.
    pub line: Option<u32>,
}

/// Iterator over the ranges of a table: see [`LineTable::lines`].
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    format: LineTableFormat,
    rest: &'a [u8],
    /// Line reached so far. Signed and wide: differences may lead below 0 in between, and a hostile table anywhere.
    line: i64,
    /// Offset reached so far.
    end: u32,
    /// An entry that was read to see whether the range before it goes on.
    ahead: Option<LineRange>,
}

impl Iterator for Lines<'_> {
    type Item = LineRange;

    fn next(&mut self) -> Option<LineRange> {
        let mut range = self.ahead.take().or_else(|| self.entry())?;
        while let Some(next) = self.entry() {
            if next.line != range.line {
                self.ahead = Some(next);
                break;
            }
            range.end = next.end;
        }
        Some(range)
    }
}

impl std::iter::FusedIterator for Lines<'_> {}

impl Lines<'_> {
    /// The next entry that is not empty.
    fn entry(&mut self) -> Option<LineRange> {
        loop {
            let range = match self.format {
                LineTableFormat::Increments => self.increment(),
                LineTableFormat::Ranges => self.range(),
                LineTableFormat::Locations => self.location(),
            }?;
            if range.start < range.end {
                return Some(range);
            }
        }
    }

    /// Makes the range that ends `length` bytes further on.
    fn advance(&mut self, length: u32, has_line: bool) -> LineRange {
        let start = self.end;
        self.end = start.saturating_add(length);
        // CPython gives a negative line as it is; nothing that compiles has one.
        let line = if has_line {
            u32::try_from(self.line).ok()
        } else {
            None
        };
        LineRange {
            start,
            end: self.end,
            line,
        }
    }

    /// A pair ends the range before it; what is behind the last pair is a range as well, as long as one likes.
    fn increment(&mut self) -> Option<LineRange> {
        if let [length, line_delta, rest @ ..] = self.rest {
            self.rest = rest;
            let range = self.advance(u32::from(*length), true);
            self.line += i64::from(line_delta.cast_signed());
            return Some(range);
        }
        self.rest = &[];
        // Empty the second time.
        Some(self.advance(u32::MAX, true)).filter(|range| range.start < range.end)
    }

    fn range(&mut self) -> Option<LineRange> {
        let [length, line_delta, rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        let line_delta = line_delta.cast_signed();
        let has_line = line_delta != i8::MIN;
        if has_line {
            self.line += i64::from(line_delta);
        }
        Some(self.advance(u32::from(*length), has_line))
    }

    /// First byte `1kkkklll`: the kind, and the length in code units of two bytes, less one.
    fn location(&mut self) -> Option<LineRange> {
        let (&first, rest) = self.rest.split_first()?;
        let kind = (first >> 3) & 15;
        self.line = self.line.saturating_add(match kind {
            // One-line forms with columns: the line difference is in the kind.
            10..=12 => i64::from(kind) - 10,
            13 | 14 => signed_varint(rest),
            // 0 to 9 stay on the line, 15 has none.
            _ => 0,
        });
        // The bytes that belong to an entry have bit 7 clear. Only the line is of interest, not the columns.
        let next = rest
            .iter()
            .position(|byte| byte & 0x80 != 0)
            .unwrap_or(rest.len());
        self.rest = &rest[next..];
        Some(self.advance((u32::from(first & 7) + 1) * 2, kind != 15))
    }
}

/// A number in chunks of six bits, lowest first, where bit 6 says that another follows; the sign is the lowest bit of
/// the whole.
fn signed_varint(bytes: &[u8]) -> i64 {
    let mut value: u64 = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let chunk = u64::from(byte & 63);
        // Six chunks hold any line; what a hostile table has beyond is dropped.
        if index < 6 {
            value |= chunk << (6 * index);
        }
        if byte & 64 == 0 {
            break;
        }
    }
    let magnitude = (value >> 1).cast_signed();
    if value & 1 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests;
