//! What changed between two tables, of one program at two moments or of two programs.

use heapsight_capture::model::Tables;

use crate::amount::Amount;
use crate::builder::Builder;
use crate::group::{Query, sums};
use crate::index::Groups;
use crate::key::Key;

/// Two tables brought together: sites are matched by file, line, function, thread and domain, never by number.
#[derive(Debug)]
pub struct Comparison {
    /// Names and call paths of both. Its counters are all zero.
    shared: Tables,
    old: Vec<Amount>,
    new: Vec<Amount>,
    query: Query,
}

/// One group in both tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'c> {
    /// What its members have in common.
    pub key: Key<'c>,
    /// Its memory in the old table.
    pub old: Amount,
    /// Its memory in the new table.
    pub new: Amount,
}

impl Change<'_> {
    /// (bytes, blocks) gained.
    #[must_use]
    pub fn gained(&self) -> (i64, i64) {
        self.new.change_from(self.old)
    }
}

impl Comparison {
    /// Matches `old` with `new`. Linear in the number of call paths of both.
    #[must_use]
    pub fn new(old: &Tables, new: &Tables, query: Query) -> Self {
        let mut builder = Builder::new();
        let old_ids = builder.merge(old);
        let new_ids = builder.merge(new);
        let shared = builder.finish();
        let amounts = |tables: &Tables, ids: &[u32]| {
            let mut amounts = vec![Amount::default(); shared.sites.len()];
            for (id, counters) in ids.iter().zip(&tables.counters) {
                amounts[*id as usize] += query.metric.of(counters);
            }
            amounts
        };
        let old = amounts(old, &old_ids);
        let new = amounts(new, &new_ids);
        Self {
            shared,
            old,
            new,
            query,
        }
    }

    /// The names and call paths that [`Key`]s of this comparison refer to. The counters are all zero.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.shared
    }

    /// Every group that has memory on either side, the biggest change first:
    /// by bytes gained or lost, bytes, blocks gained or lost, blocks (all descending), then key.
    #[must_use]
    pub fn changes(&self) -> Vec<Change<'_>> {
        let groups = Groups::new(&self.shared, self.query.group_by);
        let old = sums(&self.shared, &groups, &self.old, self.query);
        let new = sums(&self.shared, &groups, &self.new, self.query);
        let mut changes: Vec<Change<'_>> = groups
            .keys
            .iter()
            .zip(old.iter().zip(&new))
            .map(|(key, (old, new))| Change {
                key: *key,
                old: old.amount,
                new: new.amount,
            })
            .filter(|change| !change.old.is_zero() || !change.new.is_zero())
            .collect();
        changes.sort_unstable_by(|a, b| {
            let size = |change: &Change<'_>| {
                let (bytes, blocks) = change.gained();
                (
                    bytes.unsigned_abs(),
                    change.new.bytes,
                    blocks.unsigned_abs(),
                    change.new.blocks,
                )
            };
            size(b)
                .cmp(&size(a))
                .then_with(|| a.key.compare(&b.key, &self.shared))
        });
        changes
    }

    /// Memory of all sites: (old, new).
    #[must_use]
    pub fn totals(&self) -> (Amount, Amount) {
        (
            self.old.iter().copied().sum(),
            self.new.iter().copied().sum(),
        )
    }
}
