//! Reading the tables while the program goes on. Events without the GIL wait meanwhile ([`session::while_held`]), so
//! that counters, blocks and totals are of one moment.

use std::collections::HashMap;

use std::sync::atomic::{AtomicU64, Ordering};

use heapsight_capture::model::{Bounds, Counters, Tables, Totals};

use crate::config;
use crate::memory::lock::{self, Held};
use crate::memory::mapping;
use crate::readout::export::Exporter;
use crate::session;
use crate::tables::live_map::Block;
use crate::tables::sampled_blocks;
use crate::tables::totals as total;
use crate::tables::{budget, codes, history, live_map, mappings, recycle, side_table, sites, tree};
use crate::tracemalloc::extension;

/// One live traced block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveBlock {
    /// Where it is.
    pub address: usize,
    /// Bytes requested.
    pub size: usize,
    /// Index into [`Tables::sites`].
    pub site: u32,
}

/// Live blocks, 16 bytes each.
#[derive(Clone, Debug, Default)]
pub struct LiveBlocks {
    packed: Vec<Packed>,
    /// Sizes that do not fit, by address.
    huge: HashMap<usize, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    address: usize,
    site: u32,
    /// Bytes requested; [`HUGE`] stands for an entry in [`LiveBlocks::huge`].
    size: u32,
}

const HUGE: u32 = u32::MAX;

impl LiveBlocks {
    fn push(&mut self, block: LiveBlock) {
        let size = u32::try_from(block.size).unwrap_or(HUGE);
        if size == HUGE {
            self.huge.insert(block.address, block.size);
        }
        self.packed.push(Packed {
            address: block.address,
            site: block.site,
            size,
        });
    }

    /// Number of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packed.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// The blocks, in order of address.
    pub fn iter(&self) -> impl Iterator<Item = LiveBlock> + '_ {
        self.packed.iter().map(|packed| self.unpack(packed))
    }

    /// The block at this place in the order of addresses.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<LiveBlock> {
        self.packed.get(index).map(|packed| self.unpack(packed))
    }

    #[inline(always)]
    fn unpack(&self, packed: &Packed) -> LiveBlock {
        LiveBlock {
            address: packed.address,
            size: if packed.size == HUGE {
                self.huge_size(packed.address)
            } else {
                packed.size as usize
            },
            site: packed.site,
        }
    }

    #[cold]
    fn huge_size(&self, address: usize) -> usize {
        self.huge[&address]
    }

    /// They come sorted but for a few unusual ones at the end: the stable sort finds the two runs, and merges them.
    fn sort(&mut self) {
        if !self.packed.is_sorted_by_key(|packed| packed.address) {
            self.packed.sort_by_key(|packed| packed.address);
        }
    }
}

/// Totals at this moment. All zero when tracing is off.
#[must_use]
pub fn totals() -> Totals {
    let epoch = total::epoch();
    let live_blocks = (1..sites::len())
        .filter(|&id| sites::is_in_view(id))
        .map(|id| sites::counters(id, epoch, false).live_blocks())
        .sum();
    Totals {
        live_bytes: total::live_bytes(),
        live_blocks,
        peak_bytes: total::reported_peak_bytes(),
        lost_events: total::lost_events(),
        tracer_bytes: tracer_bytes(),
        bounds: bounds(),
    }
}

/// What keeping within the budget has cost so far.
pub(crate) fn bounds() -> Bounds {
    Bounds {
        folded_bytes: history::folded_bytes(),
        cuts: budget::cuts(),
        gone_paths: history::gone_paths(),
    }
}

/// Bytes in live traced blocks, the highest value they had: the two that cost nothing to ask for.
#[must_use]
pub fn traced_memory() -> (u64, u64) {
    (total::live_bytes(), total::reported_peak_bytes())
}

/// Number of call paths and of places on them in the tracer's tables: no snapshot has more.
#[must_use]
pub fn path_entries() -> u64 {
    u64::from(sites::len()) + u64::from(tree::len())
}

/// Bytes that the tracer itself holds: resident pages of its mappings and what it has on the heap.
#[must_use]
pub fn tracer_bytes() -> u64 {
    bytes_held(lock::hold())
}

/// The same, unless the table lock is taken for long.
pub(crate) fn try_tracer_bytes() -> Option<u64> {
    lock::try_hold().map(bytes_held)
}

/// Bytes on the heap that the recorder held after its last tick. The recorder reads snapshots, so it tells, and is not
/// asked.
static RECORDER_BYTES: AtomicU64 = AtomicU64::new(0);

pub(crate) fn set_recorder_bytes(bytes: u64) {
    RECORDER_BYTES.store(bytes, Ordering::Relaxed);
}

/// What the tracer holds, on the heap and in mappings of its own, in bytes.
pub(crate) fn tracer_bytes_by_kind() -> (u64, u64) {
    held_by_kind(lock::hold())
}

fn bytes_held(held: Held) -> u64 {
    let (on_heap, mapped) = held_by_kind(held);
    on_heap + mapped
}

fn held_by_kind(mut held: Held) -> (u64, u64) {
    let mapping_bytes = mappings::heap_bytes();
    let on_heap = codes::heap_bytes(&mut held)
        + sites::heap_bytes(&mut held)
        + tree::heap_bytes(&mut held)
        + recycle::heap_bytes(&mut held)
        + history::heap_bytes(&mut held)
        + side_table::bytes(&mut held)
        + sampled_blocks::heap_bytes(&mut held)
        + extension::bytes(&mut held)
        + mapping_bytes
        + RECORDER_BYTES.load(Ordering::Relaxed);
    let regions = mapping::regions(&mut held);
    // Whoever waits for the lock need not wait for the kernel as well.
    drop(held);
    (on_heap, mapping::resident_bytes(&regions))
}

/// Names, call paths and counters at this moment: the paths that hold something or did at the peak, and one element for
/// all others. Costs time by call paths, not by blocks. Call with the GIL held.
#[must_use]
pub fn snapshot() -> Tables {
    session::while_held(|| {
        let mut exporter = Exporter::default();
        let counters = exporter.needed();
        into_tables(exporter, counters)
    })
}

/// The same with every path there ever was, one by one: for tests that add up what came and went.
#[doc(hidden)]
#[must_use]
pub fn snapshot_of_all_paths() -> Tables {
    session::while_held(|| {
        let mut exporter = Exporter::default();
        let counters = exporter.all();
        into_tables(exporter, counters)
    })
}

/// The same with every live block.
#[must_use]
pub fn snapshot_with_blocks() -> (Tables, LiveBlocks) {
    session::while_held(with_blocks)
}

fn with_blocks() -> (Tables, LiveBlocks) {
    let mut exporter = Exporter::default();
    let counters = exporter.needed();
    // The blocks of a sample are few; the live blocks of the totals are those that they stand for.
    let sample = config::get()
        .sample_bytes
        .map(|_| sampled_blocks::live_blocks(&mut lock::hold()));
    let expected = match &sample {
        Some(sample) => sample.len(),
        None => usize::try_from(totals().live_blocks).unwrap_or(0),
    };
    let mut blocks = LiveBlocks::default();
    // The heap was asked for once, not doubled on the way: that alone halves the time.
    blocks.packed.reserve_exact(expected);
    let mut visit = |address: usize, block: Block| {
        if let Some(site) = exporter.site_id(block.site) {
            blocks.push(LiveBlock {
                address,
                size: block.size,
                site,
            });
        }
    };
    match sample {
        Some(sample) => sample
            .into_iter()
            .for_each(|(address, block)| visit(address, block)),
        None => live_map::for_each(&mut visit),
    }
    for (address, block) in extension::all(&mut lock::hold()) {
        visit(address, block);
    }
    mappings::for_each(visit);
    blocks.sort();
    (into_tables(exporter, counters), blocks)
}

fn into_tables(exporter: Exporter, counters: Vec<Counters>) -> Tables {
    Tables {
        counters,
        strings: exporter.strings,
        codes: exporter.codes,
        nodes: exporter.nodes,
        sites: exporter.sites,
        totals: totals(),
    }
}

/// Tables without counters and totals, which take time by the size of everything that is traced.
pub(crate) fn names_only(exporter: Exporter) -> Tables {
    Tables {
        strings: exporter.strings,
        codes: exporter.codes,
        nodes: exporter.nodes,
        sites: exporter.sites,
        ..Tables::default()
    }
}

/// The block at exactly `address`, if it is traced, with tables that hold just its site, without counters. Costs time
/// by the depth of its call path.
#[must_use]
pub fn trace_of(address: usize) -> Option<(LiveBlock, Tables)> {
    let block = if config::get().sample_bytes.is_some() {
        sampled_blocks::live_block(&mut lock::hold(), address)
    } else {
        live_map::get(address)
    };
    let block = block.or_else(|| mappings::get(address))?;
    if !sites::is_in_view(block.site) {
        return None;
    }
    let mut exporter = Exporter::default();
    exporter.only(block.site)?;
    Some((
        LiveBlock {
            address,
            size: block.size,
            site: 0,
        },
        names_only(exporter),
    ))
}
