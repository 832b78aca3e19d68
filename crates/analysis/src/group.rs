//! Statistics: memory by line, function, file, call path, domain or thread.

use heapsight_capture::model::{Counters, SiteId, Tables};

use crate::amount::{Amount, Metric, add_counters};
use crate::cumulative;
use crate::imports::{ImportSum, Imports, Separator};
use crate::index::{Groups, path_of_each_site};
use crate::key::{GroupBy, Key};
use crate::sum::Sum;

/// What to sum, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Which memory.
    pub metric: Metric,
    /// By what.
    pub group_by: GroupBy,
    /// Count a block under every distinct key on its call path (a recursive function once), not only under the most
    /// recent. Without effect on groupings that have one key per path.
    pub cumulative: bool,
    /// Whether memory of imported code is a sum of its own.
    pub imports: Imports,
}

/// One group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'t> {
    /// What its members have in common.
    pub key: Key<'t>,
    /// Memory of all its members.
    pub amount: Amount,
    /// The member with most bytes; where groups are of the most recent frame alone, one on the call path with most.
    pub heaviest: SiteId,
    /// Memory of that member, or of all members on that call path.
    pub heaviest_amount: Amount,
}

/// Groups with any memory, the largest first: by bytes, then blocks (both descending), then key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouped<'t> {
    /// The groups.
    pub rows: Vec<Row<'t>>,
    /// Memory of imported code, if that is a sum of its own and in no row.
    pub imports: Option<ImportSum>,
    /// Memory of all sites, imports included, each counted once, whether or not the rows are cumulative.
    pub total: Amount,
}

/// The rows that do not fit into a top list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// How many rows.
    pub rows: usize,
    /// Their sum.
    pub amount: Amount,
}

impl<'t> Grouped<'t> {
    /// The first `count` rows, and what the rest adds up to.
    #[must_use]
    pub fn top(&self, count: usize) -> (&[Row<'t>], Others) {
        let (top, rest) = self.rows.split_at(count.min(self.rows.len()));
        let others = Others {
            rows: rest.len(),
            amount: rest.iter().map(|row| row.amount).sum(),
        };
        (top, others)
    }
}

/// Groups the sites of `tables`. Linear in the number of call paths, plus sorting the groups.
///
/// # Panics
/// When an id in `tables` is out of range; a [`Capture`](heapsight_capture::Capture) has none such.
#[must_use]
pub fn group(tables: &Tables, query: Query) -> Grouped<'_> {
    let groups = Groups::new(tables, query.group_by);
    let mut amounts: Vec<Amount> = tables
        .counters
        .iter()
        .map(|counters| query.metric.of(counters))
        .collect();
    let total = amounts.iter().copied().sum();
    let separator = Separator::new(tables, query.imports);
    let imports = separator.map(|separator| separator.take(tables, &mut amounts));
    let mut sums = sums(tables, &groups, &amounts, query);
    if query.group_by.can_be_cumulative() && !query.cumulative {
        find_heaviest_paths(tables, &groups, &amounts, &mut sums);
    }
    let mut rows: Vec<Row<'_>> = groups
        .keys
        .iter()
        .zip(sums)
        .filter_map(|(key, sum)| {
            let (heaviest, heaviest_amount) = sum.heaviest?;
            Some(Row {
                key: *key,
                amount: sum.amount,
                heaviest,
                heaviest_amount,
            })
        })
        .collect();
    rows.sort_unstable_by(|a, b| {
        let size = |row: &Row<'_>| (row.amount.bytes, row.amount.blocks);
        size(b)
            .cmp(&size(a))
            .then_with(|| a.key.compare(&b.key, tables))
    });
    Grouped {
        rows,
        imports,
        total,
    }
}

/// The sum of each group, in the order of its keys.
pub(crate) fn sums(
    tables: &Tables,
    groups: &Groups<'_>,
    amounts: &[Amount],
    query: Query,
) -> Vec<Sum> {
    if query.cumulative && query.group_by.can_be_cumulative() {
        return cumulative::sums(tables, groups, amounts);
    }
    let mut sums = vec![Sum::default(); groups.keys.len()];
    for (id, (group, amount)) in groups.of_site.iter().zip(amounts).enumerate() {
        sums[*group as usize].add_site(id as SiteId, *amount);
    }
    sums
}

/// Has each group name its heaviest call path, and what came through it: several sites may have paths that look the
/// same.
fn find_heaviest_paths(tables: &Tables, groups: &Groups<'_>, amounts: &[Amount], sums: &mut [Sum]) {
    let paths = path_of_each_site(tables);
    let count = paths.iter().max().map_or(0, |last| *last as usize + 1);
    let mut of_path = vec![Sum::default(); count];
    for (id, (path, amount)) in (0..).zip(paths.iter().zip(amounts)) {
        of_path[*path as usize].add_site(id, *amount);
    }
    let mut found = vec![None; sums.len()];
    for path in of_path {
        if let Some((site, _)) = path.heaviest {
            let heaviest = &mut found[groups.of_site[site as usize] as usize];
            if heaviest.is_none_or(|(_, most): (SiteId, Amount)| path.amount.bytes > most.bytes) {
                *heaviest = Some((site, path.amount));
            }
        }
    }
    for (sum, heaviest) in sums.iter_mut().zip(found) {
        sum.heaviest = heaviest;
    }
}

/// The sum of the counters of each group's sites, in order of first appearance. Linear in the number of call paths.
///
/// # Panics
/// When an id in `tables` is out of range.
#[must_use]
pub fn group_counters(tables: &Tables, by: GroupBy) -> Vec<(Key<'_>, Counters)> {
    let groups = Groups::new(tables, by);
    let mut sums = vec![(Counters::default(), false); groups.keys.len()];
    for (group, counters) in groups.of_site.iter().zip(&tables.counters) {
        let (sum, is_used) = &mut sums[*group as usize];
        add_counters(sum, counters);
        *is_used = true;
    }
    groups
        .keys
        .into_iter()
        .zip(sums)
        .filter(|(_, (_, is_used))| *is_used)
        .map(|(key, (sum, _))| (key, sum))
        .collect()
}
