//! Where the resident memory of a process is: what is traced of it, and by name what is not.
//!
//! A recording has the account of its end as a note of the name [`Account::NOTE`]: one line for each figure, its key, a
//! blank and a number of bytes.

use std::fmt::Write;

/// A part of resident memory. No byte is in two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Part {
    /// Traced blocks of Python's allocators that live.
    Python,
    /// Traced blocks of `malloc` and its relatives that live.
    NativeMalloc,
    /// Traced private mappings.
    NativeMmap,
    /// Traced memory that may be shared with other processes.
    NativeShared,
    /// Blocks in pymalloc's arenas that live and are not traced: older than tracing, or left out by a filter.
    PythonUntraced,
    /// What pymalloc's arenas have beside live blocks.
    ArenasFree,
    /// What `malloc` has handed out, and nobody has traced.
    MallocUntraced,
    /// What was freed, and `malloc` keeps.
    MallocFree,
    /// What allocators put around blocks: headers, and sizes rounded up.
    Overhead,
    /// Stacks of threads.
    Stacks,
    /// Programs and libraries: their code, and their data.
    Libraries,
    /// Pages of other files that are mapped.
    Files,
    /// Memory that may be shared with other processes, not traced.
    SharedUntraced,
    /// heapsight's tables.
    Heapsight,
    /// Private mappings that nobody has traced or explained.
    Other,
}

impl Part {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 15] = [
        Self::Python,
        Self::NativeMalloc,
        Self::NativeMmap,
        Self::NativeShared,
        Self::PythonUntraced,
        Self::ArenasFree,
        Self::MallocUntraced,
        Self::MallocFree,
        Self::Overhead,
        Self::Stacks,
        Self::Libraries,
        Self::Files,
        Self::SharedUntraced,
        Self::Heapsight,
        Self::Other,
    ];

    /// Its name in files and in programs.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::NativeMalloc => "native_malloc",
            Self::NativeMmap => "native_mmap",
            Self::NativeShared => "native_shared",
            Self::PythonUntraced => "python_untraced",
            Self::ArenasFree => "arenas_free",
            Self::MallocUntraced => "malloc_untraced",
            Self::MallocFree => "malloc_free",
            Self::Overhead => "overhead",
            Self::Stacks => "stacks",
            Self::Libraries => "libraries",
            Self::Files => "files",
            Self::SharedUntraced => "shared_untraced",
            Self::Heapsight => "heapsight",
            Self::Other => "other",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Python => "live blocks of Python's allocators",
            Self::NativeMalloc => "live blocks of malloc",
            Self::NativeMmap => "mappings",
            Self::NativeShared => "shared mappings",
            Self::PythonUntraced => "live Python blocks that are not traced",
            Self::ArenasFree => "free space in pymalloc's arenas",
            Self::MallocUntraced => "blocks of malloc that are not traced",
            Self::MallocFree => "freed memory that malloc keeps",
            Self::Overhead => "headers and rounding of allocators",
            Self::Stacks => "stacks of threads",
            Self::Libraries => "code and data of programs and libraries",
            Self::Files => "pages of mapped files",
            Self::SharedUntraced => "shared memory that is not traced",
            Self::Heapsight => "heapsight",
            Self::Other => "other mappings that are not traced",
        }
    }
}

/// Where the resident memory of a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// All of it, in bytes, as the kernel sums it up.
    pub resident_bytes: u64,
    /// What of it no other process has, in bytes.
    pub private_bytes: u64,
    /// What of it is private memory that a fork has left to several processes, until one of them writes to it; bytes.
    pub copy_on_write_bytes: u64,
    /// What is in huge pages, in bytes.
    pub huge_bytes: u64,
    /// What is not resident, but in swap, in bytes.
    pub swapped_bytes: u64,
    parts: [u64; Part::ALL.len()],
}

impl Account {
    /// Name of the note that has an account.
    pub const NOTE: &str = "process";

    /// Bytes of a part.
    #[must_use]
    pub fn part(&self, part: Part) -> u64 {
        self.parts[part as usize]
    }

    /// Adds bytes to a part.
    pub fn add(&mut self, part: Part, bytes: u64) {
        let sum = &mut self.parts[part as usize];
        *sum = sum.saturating_add(bytes);
    }

    /// Bytes of all parts. The kernel sums up by itself, and while things change, so this is not quite
    /// [`Self::resident_bytes`].
    #[must_use]
    pub fn explained_bytes(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(*part))
    }

    /// Figures that are no parts, by their keys.
    fn others(&mut self) -> [(&'static str, &mut u64); 5] {
        [
            ("resident", &mut self.resident_bytes),
            ("private", &mut self.private_bytes),
            ("copy_on_write", &mut self.copy_on_write_bytes),
            ("huge", &mut self.huge_bytes),
            ("swapped", &mut self.swapped_bytes),
        ]
    }

    /// The text of the note.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (key, bytes) in self.clone().others() {
            let _ = writeln!(text, "{key} {bytes}");
        }
        for part in Part::ALL {
            let _ = writeln!(text, "{} {}", part.key(), self.part(part));
        }
        text
    }

    /// Reads the text of a note. What it does not know it leaves out; `None` where there is no resident memory.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let mut account = Self::default();
        for line in text.lines() {
            let Some((key, bytes)) = line.split_once(' ') else {
                continue;
            };
            let Ok(bytes) = bytes.parse::<u64>() else {
                continue;
            };
            if let Some(part) = Part::ALL.into_iter().find(|part| part.key() == key) {
                account.parts[part as usize] = bytes;
            } else if let Some((_, place)) = account
                .others()
                .into_iter()
                .find(|(known, _)| *known == key)
            {
                *place = bytes;
            }
        }
        (account.resident_bytes > 0).then_some(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_as_it_was_written_and_what_is_not_known_is_left_out() {
        let mut account = Account {
            resident_bytes: 100,
            private_bytes: 90,
            copy_on_write_bytes: 5,
            huge_bytes: 2,
            swapped_bytes: 1,
            ..Account::default()
        };
        for (bytes, part) in (1..).zip(Part::ALL) {
            account.add(part, bytes);
        }
        let text = account.to_text() + "of_later_versions 7\nno number\nother 12x\n\n";
        assert_eq!(Account::of_text(&text), Some(account));
        assert_eq!(Account::of_text("python 5\n"), None);
    }
}
