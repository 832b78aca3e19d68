//! What an account of resident memory means, in one word.

use heapsight_capture::account::{Account, Part};

/// What most of a process's memory is, beside what any interpreter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// Nothing is large: the interpreter, its libraries, heapsight.
    Ordinary,
    /// Traced and alive: the tables say who holds it.
    Live,
    /// Alive, of Python, and not traced.
    Older,
    /// Alive, of C code, and not traced.
    Native,
    /// Freed, and `malloc` keeps it.
    Malloc,
    /// Freed, and pymalloc's arenas keep it for the few blocks in them that live.
    Arenas,
    /// Pages of files, which the system may take back.
    Files,
    /// Memory that may be shared with other processes.
    Shared,
    /// Shared since a fork, until somebody writes to it.
    CopyOnWrite,
    /// Stacks of threads.
    Stacks,
}

/// Less than this is nothing to speak of.
const LITTLE_BYTES: u64 = 8 << 20;

impl Meaning {
    /// Of an account: what is largest, and its bytes. What is live counts before what is as large.
    #[must_use]
    pub fn of(account: &Account) -> (Self, u64) {
        let sum = |parts: &[Part]| parts.iter().map(|part| account.part(*part)).sum::<u64>();
        let copy_on_write = account.copy_on_write_bytes;
        if copy_on_write >= LITTLE_BYTES && copy_on_write > account.resident_bytes / 2 {
            return (Self::CopyOnWrite, copy_on_write);
        }
        let candidates = [
            (
                Self::Live,
                sum(&[Part::Python, Part::NativeMalloc, Part::NativeMmap]),
            ),
            (Self::Older, sum(&[Part::PythonUntraced])),
            (Self::Native, sum(&[Part::MallocUntraced, Part::Other])),
            (Self::Malloc, sum(&[Part::MallocFree])),
            (Self::Arenas, sum(&[Part::ArenasFree])),
            (Self::Files, sum(&[Part::Files])),
            (
                Self::Shared,
                sum(&[Part::NativeShared, Part::SharedUntraced]),
            ),
            (Self::Stacks, sum(&[Part::Stacks])),
        ];
        let mut largest = (Self::Ordinary, LITTLE_BYTES - 1);
        for candidate in candidates {
            if candidate.1 > largest.1 {
                largest = candidate;
            }
        }
        match largest.0 {
            Self::Ordinary => (Self::Ordinary, account.resident_bytes),
            _ => largest,
        }
    }

    /// Its name in programs.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Live => "live",
            Self::Older => "older",
            Self::Native => "native",
            Self::Malloc | Self::Arenas => "retention",
            Self::Files => "files",
            Self::Shared => "shared",
            Self::CopyOnWrite => "copy-on-write",
            Self::Stacks => "stacks",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn account(parts: &[(Part, u64)]) -> Account {
        let mut account = Account::default();
        for (part, mebibytes) in parts {
            account.add(*part, mebibytes * MIB);
        }
        account.resident_bytes = account.explained_bytes();
        account
    }

    #[test]
    fn the_largest_part_is_what_it_means() {
        let base = [(Part::Libraries, 20), (Part::Python, 9)];
        assert_eq!(
            Meaning::of(&account(&base[..1])),
            (Meaning::Ordinary, 20 * MIB)
        );
        for (part, meaning) in [
            (Part::Python, Meaning::Live),
            (Part::NativeMmap, Meaning::Live),
            (Part::PythonUntraced, Meaning::Older),
            (Part::MallocUntraced, Meaning::Native),
            (Part::Other, Meaning::Native),
            (Part::MallocFree, Meaning::Malloc),
            (Part::ArenasFree, Meaning::Arenas),
            (Part::Files, Meaning::Files),
            (Part::SharedUntraced, Meaning::Shared),
            (Part::Stacks, Meaning::Stacks),
        ] {
            let found = Meaning::of(&account(&[base[0], base[1], (part, 50)]));
            assert_eq!(found.0, meaning, "{part:?}");
        }
        let mut forked = account(&[(Part::Python, 100)]);
        forked.copy_on_write_bytes = 70 * MIB;
        assert_eq!(Meaning::of(&forked), (Meaning::CopyOnWrite, 70 * MIB));
    }
}
