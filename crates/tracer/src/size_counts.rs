//! How many live blocks of each size each site has: all that can be told of single blocks without their addresses.
//!
//! A program has few combinations of site and size, however many blocks: the whole heap fits into a table that stays in the processor's cache
//! while the live map is read through once.

use heapsight_capture::model::Tables;

use crate::export::Exporter;
use crate::{config, extension, live_map, lock, sampling, snapshot};

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

/// Names and call paths at this moment, and the live blocks by site and size, in that order. Call with the GIL held.
#[must_use]
pub fn snapshot_with_sizes() -> (Tables, Vec<SizeCount>) {
    let mut exporter = Exporter::default();
    exporter.update();
    let mut counter = Counter::default();
    if config::get().sample_bytes.is_some() {
        for (_, block) in sampling::live_blocks(&mut lock::hold()) {
            counter.add(block.site, block.size as u64);
        }
    } else {
        live_map::for_each(|_, block| counter.add(block.site, block.size as u64));
    }
    for (_, block) in extension::all(&mut lock::hold()) {
        counter.add(block.site, block.size as u64);
    }
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
    (snapshot::into_tables(exporter), counts)
}

/// (site, size), and how many.
type Entry = ((u32, u64), u64);

/// Counts equal pairs: an open table, and beside it the pair that came last, for equal ones often follow each other.
struct Counter {
    last: (u32, u64),
    repeats: u64,
    slots: Vec<Entry>,
    used: usize,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            last: (0, 0),
            repeats: 0,
            slots: vec![((0, 0), 0); 1024],
            used: 0,
        }
    }
}

impl Counter {
    #[inline(always)]
    fn add(&mut self, site: u32, size: u64) {
        if (site, size) == self.last {
            self.repeats += 1;
            return;
        }
        self.flush();
        self.last = (site, size);
        self.repeats = 1;
    }

    #[inline(always)]
    fn flush(&mut self) {
        if self.repeats > 0 {
            if self.used * 2 >= self.slots.len() {
                self.grow();
            }
            self.used += usize::from(count(&mut self.slots, self.last, self.repeats));
        }
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
        self.flush();
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
        fn every_pair_is_counted(pairs in proptest::collection::vec((1..3000_u32, 0..5_u64), 0..6000)) {
            let mut counter = Counter::default();
            let mut model = BTreeMap::new();
            for (site, size) in pairs {
                counter.add(site, size);
                *model.entry((site, size)).or_insert(0_u64) += 1;
            }
            let found: BTreeMap<_, _> = counter.finish().into_iter().collect();
            prop_assert_eq!(found, model);
        }
    }
}
