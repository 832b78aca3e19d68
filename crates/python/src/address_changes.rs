//! Which blocks appeared, went or changed size between two snapshots.
//!
//! Both have their blocks in order of address, so the two are gone through side by side, and nothing is kept but what is asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;

use crate::blocks::{BlockTable, Iter};
use crate::grouping::Sums;

/// One address in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressChange {
    pub(crate) address: u64,
    old_size: Option<u64>,
    new_size: Option<u64>,
}

impl AddressChange {
    /// (size difference, size, count difference, count).
    #[inline]
    pub(crate) fn figures(&self) -> Sums {
        let (old, new) = (self.old_size.unwrap_or(0), self.new_size.unwrap_or(0));
        let count = u64::from(self.new_size.is_some());
        let count_change = count as i64 - i64::from(self.old_size.is_some());
        (new.wrapping_sub(old) as i64, new, count_change, count)
    }

    /// The greater, the earlier it stands in a list; equal changes are in order of address.
    #[inline]
    fn rank(&self) -> Rank {
        let (size_change, size, count_change, count) = self.figures();
        let figures = (
            size_change.unsigned_abs(),
            size,
            count_change.unsigned_abs(),
            count,
        );
        (figures, Reverse(self.address))
    }
}

type Rank = ((u64, u64, u64, u64), Reverse<u64>);

/// The blocks of two snapshots.
#[derive(Clone, Debug)]
pub(crate) struct AddressChanges {
    pub(crate) old: BlockTable,
    pub(crate) new: BlockTable,
}

/// The biggest changes, the biggest first, with the number of all of them and their sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Biggest {
    pub(crate) changes: Vec<AddressChange>,
    pub(crate) count: usize,
    pub(crate) total: Sums,
}

impl AddressChanges {
    /// Every address of either side, in order of address.
    fn iter(&self) -> Join<'_> {
        Join {
            old: self.old.iter().peekable(),
            new: self.new.iter().peekable(),
        }
    }

    /// How many addresses there are.
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// The `limit` biggest changes.
    pub(crate) fn biggest(&self, limit: usize) -> Biggest {
        let mut found = Biggest::default();
        let mut kept: BinaryHeap<Reverse<Ranked>> = BinaryHeap::new();
        for change in self.iter() {
            found.count += 1;
            crate::grouping::add(&mut found.total, change.figures());
            let ranked = Reverse(Ranked(change));
            if kept.len() < limit {
                kept.push(ranked);
            } else if let Some(mut least) = kept.peek_mut()
                && ranked < *least
            {
                *least = ranked;
            }
        }
        let kept = kept.into_sorted_vec().into_iter();
        found.changes = kept.map(|Reverse(Ranked(change))| change).collect();
        found
    }

    /// All of them, the biggest first.
    pub(crate) fn all(&self) -> Vec<AddressChange> {
        let mut changes: Vec<AddressChange> = self.iter().collect();
        changes.sort_unstable_by_key(|change| Reverse(change.rank()));
        changes
    }
}

/// Ordered by [`AddressChange::rank`].
#[derive(Clone, Copy, Debug)]
struct Ranked(AddressChange);

impl Ord for Ranked {
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.rank().cmp(&other.0.rank())
    }
}

impl PartialOrd for Ranked {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// Two block tables side by side.
struct Join<'a> {
    old: Peekable<Iter<'a>>,
    new: Peekable<Iter<'a>>,
}

impl Iterator for Join<'_> {
    type Item = AddressChange;

    #[inline]
    fn next(&mut self) -> Option<AddressChange> {
        let address = match (self.old.peek(), self.new.peek()) {
            (Some(old), Some(new)) => old.address.min(new.address),
            (Some(only), None) | (None, Some(only)) => only.address,
            (None, None) => return None,
        };
        let size = |side: &mut Peekable<Iter<'_>>| {
            let block = side.next_if(|block| block.address == address);
            block.map(|block| block.size)
        };
        Some(AddressChange {
            address,
            old_size: size(&mut self.old),
            new_size: size(&mut self.new),
        })
    }
}
