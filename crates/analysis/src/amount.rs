//! How much memory, and of which kind.

use heapsight_capture::model::Counters;

/// Bytes in blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amount {
    /// Bytes.
    pub bytes: u64,
    /// Blocks.
    pub blocks: u64,
}

impl Amount {
    /// True when there is nothing: neither bytes nor (empty) blocks.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Mean size of a block in bytes; 0 without blocks.
    #[must_use]
    pub fn average_bytes(self) -> u64 {
        self.bytes.checked_div(self.blocks).unwrap_or(0)
    }

    /// How far `self` is from `old`: (bytes, blocks), limited to what an `i64` holds.
    #[must_use]
    pub fn change_from(self, old: Self) -> (i64, i64) {
        let change = |new: u64, old: u64| {
            let distance = i64::try_from(new.abs_diff(old)).unwrap_or(i64::MAX);
            if new < old { -distance } else { distance }
        };
        (
            change(self.bytes, old.bytes),
            change(self.blocks, old.blocks),
        )
    }
}

/// Sums stop at the largest `u64` rather than wrap: a damaged file may hold any figure.
impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.blocks = self.blocks.saturating_add(other.blocks);
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), |mut sum, amount| {
            sum += amount;
            sum
        })
    }
}

/// Which memory of a call path is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Allocated and not freed.
    #[default]
    Live,
    /// Allocated since tracing began, freed or not.
    Allocated,
    /// Freed since tracing began.
    Freed,
    /// Live at the moment when the traced memory of the whole program was highest.
    Peak,
    /// Freed before anything else was allocated.
    Temporary,
}

impl Metric {
    /// Every metric, in the order in which they are listed to people.
    pub const ALL: [Self; 5] = [
        Self::Live,
        Self::Allocated,
        Self::Freed,
        Self::Peak,
        Self::Temporary,
    ];

    /// The word for it, on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Allocated => "allocated",
            Self::Freed => "freed",
            Self::Peak => "peak",
            Self::Temporary => "temporary",
        }
    }

    /// This metric's part of `counters`.
    #[must_use]
    pub fn of(self, counters: &Counters) -> Amount {
        let (bytes, blocks) = match self {
            Self::Live => (counters.live_bytes(), counters.live_blocks()),
            Self::Allocated => (counters.allocated_bytes, counters.allocated_blocks),
            Self::Freed => (counters.freed_bytes, counters.freed_blocks),
            Self::Peak => (counters.peak_bytes, counters.peak_blocks),
            Self::Temporary => (counters.temporary_bytes, counters.temporary_blocks),
        };
        Amount { bytes, blocks }
    }
}

/// Adds `other` to `counters`, field by field, as when two sites become one.
#[inline]
pub fn add_counters(counters: &mut Counters, other: &Counters) {
    for (sum, part) in [
        (&mut counters.allocated_bytes, other.allocated_bytes),
        (&mut counters.allocated_blocks, other.allocated_blocks),
        (&mut counters.freed_bytes, other.freed_bytes),
        (&mut counters.freed_blocks, other.freed_blocks),
        (&mut counters.temporary_bytes, other.temporary_bytes),
        (&mut counters.temporary_blocks, other.temporary_blocks),
        (&mut counters.peak_bytes, other.peak_bytes),
        (&mut counters.peak_blocks, other.peak_blocks),
    ] {
        *sum = sum.saturating_add(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_of_nothing_is_zero() {
        assert_eq!(Amount::default().average_bytes(), 0);
        let amount = Amount {
            bytes: 7,
            blocks: 2,
        };
        assert_eq!(amount.average_bytes(), 3);
    }

    #[test]
    fn changes_carry_their_sign_and_do_not_overflow() {
        let few = Amount {
            bytes: 1,
            blocks: 9,
        };
        let many = Amount {
            bytes: u64::MAX,
            blocks: 4,
        };
        assert_eq!(many.change_from(few), (i64::MAX, -5));
        assert_eq!(few.change_from(many), (-i64::MAX, 5));
    }
}
