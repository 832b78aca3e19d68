//! What has changed between two lists of traces.

use std::cmp::Ordering;

use foldhash::{HashMap, HashMapExt};

use super::Traces;
use super::group::{Key, TraceGroupBy, unsorted};
use super::paths::{Paths, oldest_first};

/// Whose frames stand for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Only the older traces have it.
    Old,
    /// The newer ones have it.
    New,
}

/// Frames by their contents: ids mean nothing in the other traces.
type Places<'t> = Vec<(&'t str, u32)>;

/// How a group has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceDifference {
    key: Key,
    /// Whose frames stand for the group.
    pub side: Side,
    /// Bytes now.
    pub bytes: u64,
    /// More bytes than before.
    pub bytes_change: i64,
    /// Blocks now.
    pub blocks: u64,
    /// More blocks than before.
    pub blocks_change: i64,
}

impl TraceDifference {
    /// The frames that stand for the group, most recent first, as (file name, line). `paths` are those of its side.
    pub fn places<'t>(
        &self,
        paths: &'t Paths,
    ) -> impl DoubleEndedIterator<Item = (&'t str, u32)> + use<'t> {
        self.key.places(paths)
    }
}

/// Compares by groups, the biggest change first: the order of `tracemalloc`.
#[must_use]
pub fn compare_traces(new: &Traces, old: &Traces, by: TraceGroupBy) -> Vec<TraceDifference> {
    let paths_of = |side: Side| match side {
        Side::Old => old.paths(),
        Side::New => new.paths(),
    };
    let old_groups = unsorted(old, by);
    let mut before: HashMap<Places<'_>, (u64, u64, Key)> = HashMap::with_capacity(old_groups.len());
    for group in &old_groups {
        let places = group.key.places(old.paths()).collect();
        before.insert(places, (group.bytes, group.blocks, group.key));
    }
    let mut differences = Vec::new();
    let mut places = Vec::new();
    for group in unsorted(new, by) {
        places.clear();
        places.extend(group.key.places(new.paths()));
        let (bytes, blocks) = before
            .remove(&places)
            .map_or((0, 0), |(bytes, blocks, _)| (bytes, blocks));
        differences.push(TraceDifference {
            key: group.key,
            side: Side::New,
            bytes: group.bytes,
            bytes_change: group.bytes.wrapping_sub(bytes) as i64,
            blocks: group.blocks,
            blocks_change: group.blocks.wrapping_sub(blocks) as i64,
        });
    }
    for (bytes, blocks, key) in before.into_values() {
        differences.push(TraceDifference {
            key,
            side: Side::Old,
            bytes: 0,
            bytes_change: 0_i64.wrapping_sub_unsigned(bytes),
            blocks: 0,
            blocks_change: 0_i64.wrapping_sub_unsigned(blocks),
        });
    }
    let figures = |difference: &TraceDifference| {
        (
            difference.bytes_change.unsigned_abs(),
            difference.bytes,
            difference.blocks_change.unsigned_abs(),
            difference.blocks,
        )
    };
    differences.sort_unstable_by(|one, other| -> Ordering {
        figures(other).cmp(&figures(one)).then_with(|| {
            oldest_first(
                other.key.places(paths_of(other.side)),
                one.key.places(paths_of(one.side)),
            )
        })
    });
    differences
}
