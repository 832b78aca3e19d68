//! What changed between two tables, of one program at two moments or of two programs.

use heapsight_capture::model::{SiteId, Tables};

use crate::amount::Amount;
use crate::builder::Builder;
use crate::group::{Query, sums};
use crate::imports::{ImportSum, Separator};
use crate::index::{Groups, path_of_each_site};
use crate::key::Key;

/// Two tables joined: sites are matched by file, line, function, thread and domain, never by number.
#[derive(Debug)]
pub struct Difference {
    /// Names and call paths of both. Its counters are all zero.
    shared: Tables,
    /// Of each site, without imports if those are a sum of their own.
    old: Vec<Amount>,
    new: Vec<Amount>,
    /// Imports, if they are.
    imports: Option<(ImportSum, ImportSum)>,
    totals: (Amount, Amount),
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
    /// The member that changed by most bytes, whatever the sign; of members that did not, one that has memory.
    pub heaviest: SiteId,
    /// Bytes that all members on its call path gained.
    pub heaviest_gained: i64,
}

impl Change<'_> {
    /// (bytes, blocks) gained.
    #[must_use]
    pub fn gained(&self) -> (i64, i64) {
        self.new.change_from(self.old)
    }
}

impl Difference {
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
        let mut old = amounts(old, &old_ids);
        let mut new = amounts(new, &new_ids);
        let totals = (old.iter().copied().sum(), new.iter().copied().sum());
        let separator = Separator::new(&shared, query.imports);
        let imports = separator.map(|separator| {
            let old = separator.take(&shared, &mut old);
            (old, separator.take(&shared, &mut new))
        });
        Self {
            shared,
            old,
            new,
            imports,
            totals,
            query,
        }
    }

    /// The names and call paths that [`Key`]s of this difference refer to. The counters are all zero.
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
        let distances: Vec<Amount> = (0..)
            .zip(self.old.iter().zip(&self.new))
            .map(|(site, _)| self.distance(site))
            .collect();
        let moved = sums(&self.shared, &groups, &distances, self.query);
        let paths = path_of_each_site(&self.shared);
        let count = paths.iter().max().map_or(0, |last| *last as usize + 1);
        let mut on_path = vec![(Amount::default(), Amount::default()); count];
        for (path, (old, new)) in paths.iter().zip(self.old.iter().zip(&self.new)) {
            on_path[*path as usize].0 += *old;
            on_path[*path as usize].1 += *new;
        }
        let mut changes: Vec<Change<'_>> = groups
            .keys
            .iter()
            .zip(old.iter().zip(new.iter().zip(&moved)))
            .filter_map(|(key, (old, (new, moved)))| {
                let (heaviest, _) = moved.heaviest.or(new.heaviest).or(old.heaviest)?;
                let (before, after) = on_path[paths[heaviest as usize] as usize];
                Some(Change {
                    key: *key,
                    old: old.amount,
                    new: new.amount,
                    heaviest,
                    heaviest_gained: after.change_from(before).0,
                })
            })
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

    /// How far one site's memory moved, up or down.
    fn distance(&self, site: SiteId) -> Amount {
        let (old, new) = (self.old[site as usize], self.new[site as usize]);
        Amount {
            bytes: old.bytes.abs_diff(new.bytes),
            blocks: old.blocks.abs_diff(new.blocks),
        }
    }

    /// Memory of imported code, if that is a sum of its own and in no group: (old, new).
    #[must_use]
    pub fn imports(&self) -> Option<(ImportSum, ImportSum)> {
        self.imports
    }

    /// Memory of all sites, imports included: (old, new).
    #[must_use]
    pub fn totals(&self) -> (Amount, Amount) {
        self.totals
    }
}
