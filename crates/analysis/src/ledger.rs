//! All counters by key, for those who want every metric at once.

use heapsight_capture::model::{Counters, Tables};

use crate::amount::add_counters;
use crate::index::Groups;
use crate::key::{GroupBy, Key};

/// The sum of the counters of each group's sites, in order of first appearance. Linear in the number of call paths.
///
/// # Panics
/// When an id in `tables` is out of range.
#[must_use]
pub fn ledger(tables: &Tables, by: GroupBy) -> Vec<(Key<'_>, Counters)> {
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
