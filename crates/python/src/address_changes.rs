//! Which blocks appeared, went or changed size between two snapshots.
//!
//! Both have their blocks in order of address, so the two are gone through side by side, and nothing is kept but what is asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

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
            old: Side::of(&self.old),
            new: Side::of(&self.new),
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
        // Of what is certainly among the smaller ones, most blocks, nothing more than this is looked at.
        let mut least_change = 0;
        let mut least_size = 0;
        for change in self.iter() {
            let figures = change.figures();
            found.count += 1;
            crate::grouping::add(&mut found.total, figures);
            let size_change = figures.0.unsigned_abs();
            if size_change < least_change || (size_change == least_change && figures.1 < least_size)
            {
                continue;
            }
            let ranked = Reverse(Ranked(change));
            if kept.len() < limit {
                kept.push(ranked);
            } else if let Some(mut least) = kept.peek_mut()
                && ranked < *least
            {
                *least = ranked;
            }
            if kept.len() == limit
                && let Some(Reverse(Ranked(least))) = kept.peek()
            {
                let (size_change, size, ..) = least.figures();
                (least_change, least_size) = (size_change.unsigned_abs(), size);
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
    old: Side<'a>,
    new: Side<'a>,
}

struct Side<'a> {
    blocks: Iter<'a>,
    /// The block that comes next. Past the last one: [`u64::MAX`], where no block can be.
    address: u64,
    size: u64,
}

impl<'a> Side<'a> {
    fn of(table: &'a BlockTable) -> Self {
        let mut side = Self {
            blocks: table.iter(),
            address: 0,
            size: 0,
        };
        side.advance();
        side
    }

    #[inline(always)]
    fn advance(&mut self) {
        (self.address, self.size) = match self.blocks.next() {
            Some(block) => (block.address, block.size),
            None => (u64::MAX, 0),
        };
    }

    /// The size of the block at this address, which is then passed.
    #[inline(always)]
    fn take(&mut self, address: u64) -> Option<u64> {
        let size = (self.address == address).then_some(self.size);
        if size.is_some() {
            self.advance();
        }
        size
    }
}

impl Iterator for Join<'_> {
    type Item = AddressChange;

    #[inline(always)]
    fn next(&mut self) -> Option<AddressChange> {
        let address = self.old.address.min(self.new.address);
        (address != u64::MAX).then(|| AddressChange {
            address,
            old_size: self.old.take(address),
            new_size: self.new.take(address),
        })
    }
}
