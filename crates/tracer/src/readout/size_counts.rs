//! Counts the live blocks of each size at each site: everything that can be said about single blocks without their
//! addresses.
//!
//! A program has few combinations of site and size, however many blocks: the whole heap fits into a table that stays in
//! the processor's cache while the live map is read through once.

use heapsight_capture::model::Tables;

use crate::config;
use crate::memory::lock;
use crate::readout::export::Exporter;
use crate::readout::snapshot;
use crate::session;
use crate::tables::live_map;
use crate::tables::live_map::Block;
use crate::tables::mappings;
use crate::tables::sampled_blocks;
use crate::tracemalloc::extension;

/// Live blocks of one size at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeCount {
    /// Index into [`Tables::sites`].
    pub site: u32,
    /// Bytes requested for each of the blocks.
    pub size_bytes: u64,
    /// How many such blocks.
    pub blocks: u64,
}

/// Names and call paths at this moment, without counters and totals, and the live blocks by site and size, in that
/// order. Call with the GIL held.
#[must_use]
pub fn snapshot_with_sizes() -> (Tables, Vec<SizeCount>) {
    session::while_held(with_sizes)
}

fn with_sizes() -> (Tables, Vec<SizeCount>) {
    let mut exporter = Exporter::default();
    // The sums of the others are not wanted: only live blocks are told here.
    let _ = exporter.needed();
    let mut counter = Counter::default();
    if config::get().sample_bytes.is_some() {
        for (_, block) in sampled_blocks::live_blocks(&mut lock::hold()) {
            counter.add(block, 1);
        }
    } else {
        live_map::for_each_run(|block, count| counter.add(block, count));
    }
    for (_, block) in extension::all(&mut lock::hold()) {
        counter.add(block, 1);
    }
    mappings::for_each(|_, block| counter.add(block, 1));
    let mut counts: Vec<SizeCount> = counter
        .finish()
        .into_iter()
        .filter_map(|((site, size_bytes), blocks)| {
            Some(SizeCount {
                site: exporter.site_id(site)?,
                size_bytes,
                blocks,
            })
        })
        .collect();
    counts.sort_unstable();
    (snapshot::names_only(exporter), counts)
}

/// (site, size), and how many.
type Entry = ((u32, u64), u64);

/// Counts equal pairs in an open table.
struct Counter {
    slots: Vec<Entry>,
    used: usize,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            slots: vec![((0, 0), 0); 1024],
            used: 0,
        }
    }
}

impl Counter {
    fn add(&mut self, block: Block, blocks: u64) {
        if self.used * 2 >= self.slots.len() {
            self.grow();
        }
        let pair = (block.site, block.size as u64);
        self.used += usize::from(count(&mut self.slots, pair, blocks));
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![((0, 0), 0); self.slots.len() * 4];
        for (pair, blocks) in std::mem::replace(&mut self.slots, larger) {
            if blocks > 0 {
                count(&mut self.slots, pair, blocks);
            }
        }
    }

    fn finish(mut self) -> Vec<Entry> {
        self.slots.retain(|(_, blocks)| *blocks > 0);
        self.slots
    }
}

/// Adds to the pair's slot; true when it is a new one. The table's length is a power of two, and there is a free slot.
#[inline(always)]
fn count(slots: &mut [Entry], pair: (u32, u64), blocks: u64) -> bool {
    let mask = slots.len() - 1;
    let mixed = (u64::from(pair.0) << 32 ^ pair.1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut at = (mixed >> 32) as usize & mask;
    loop {
        let (known, total) = &mut slots[at];
        if *total == 0 {
            *known = pair;
            *total = blocks;
            return true;
        }
        if *known == pair {
            *total += blocks;
            return false;
        }
        at = (at + 1) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn every_pair_is_counted(pairs in proptest::collection::vec((1..3000_u32, 0..5_usize), 0..6000)) {
            let mut counter = Counter::default();
            let mut model = BTreeMap::new();
            for (site, size) in pairs {
                counter.add(Block { site, size }, 1);
                *model.entry((site, size as u64)).or_insert(0_u64) += 1;
            }
            let found: BTreeMap<_, _> = counter.finish().into_iter().collect();
            prop_assert_eq!(found, model);
        }
    }
}
