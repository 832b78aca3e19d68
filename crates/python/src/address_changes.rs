//! Which blocks appeared, went or changed size between two snapshots.

/// One address in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressChange {
    pub(crate) address: u64,
    old_size: Option<u64>,
    new_size: Option<u64>,
}

impl AddressChange {
    /// (size difference, size, count difference, count).
    pub(crate) fn figures(&self) -> (i64, u64, i64, u64) {
        let (old, new) = (self.old_size.unwrap_or(0), self.new_size.unwrap_or(0));
        let count = u64::from(self.new_size.is_some());
        let count_change = count as i64 - i64::from(self.old_size.is_some());
        (new.wrapping_sub(old) as i64, new, count_change, count)
    }
}

/// Every address of either side, which are in order of address; the biggest change first.
pub(crate) fn compare(old: &[(u64, u64)], new: &[(u64, u64)]) -> Vec<AddressChange> {
    let mut changes = Vec::with_capacity(new.len());
    let (mut old, mut new) = (
        old.iter().copied().peekable(),
        new.iter().copied().peekable(),
    );
    loop {
        let address = match (old.peek(), new.peek()) {
            (Some((old, _)), Some((new, _))) => *old.min(new),
            (Some((only, _)), None) | (None, Some((only, _))) => *only,
            (None, None) => break,
        };
        changes.push(AddressChange {
            address,
            old_size: old.next_if(|block| block.0 == address).map(|block| block.1),
            new_size: new.next_if(|block| block.0 == address).map(|block| block.1),
        });
    }
    changes.sort_unstable_by_key(|change| {
        let (size_change, size, count_change, count) = change.figures();
        let largest_first = (
            size_change.unsigned_abs(),
            size,
            count_change.unsigned_abs(),
            count,
        );
        (std::cmp::Reverse(largest_first), change.address)
    });
    changes
}
