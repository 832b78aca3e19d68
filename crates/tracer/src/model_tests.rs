//! The tables against a plain model: random events, every figure compared.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;

use crate::live_map::{self, Block};
use crate::totals::{self, Sharing};
use crate::{lock, sites, tree};

/// The tables are statics: tests that use them take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Somewhere in user space, so that entries of two leaves and of several pages are used.
const BASE: usize = (0x7f00_0000_0000 | (63 << 20)) & !15;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A block in slot `place` (each slot has room for the largest), from site number `site`.
    Allocate {
        place: usize,
        size: usize,
        site: usize,
    },
    /// The end of whatever is in the slot.
    Free { place: usize },
    /// The code object at the slot's address is first seen in a frame.
    Watch { place: usize },
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..=64_usize,
        360..=400_usize,
        0..=100_000_usize,
        Just(u32::MAX as usize),
        Just(1 << 33)
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let place = 0..40_usize;
    prop_oneof![
        5 => (place.clone(), size(), 0..6_usize).prop_map(|(place, size, site)| Event::Allocate { place, size, site }),
        4 => place.clone().prop_map(|place| Event::Free { place }),
        1 => place.prop_map(|place| Event::Watch { place }),
    ]
}

/// Slots 0–29 are neighbours, 16 bytes apart where the blocks before them are small; the rest is misaligned or far away.
fn address(place: usize) -> usize {
    match place {
        0..30 => BASE + place * (1 << 20) + (place & 3) * 16,
        30..35 => BASE + (place - 30) * 4096 + 8,
        _ => (1 << 47) + place * 64,
    }
}

#[derive(Default, Clone, Debug, PartialEq, Eq)]
struct Figures {
    live: (u64, u64),
    allocated: (u64, u64),
    temporary: (u64, u64),
    peak: (u64, u64),
}

#[derive(Default)]
struct Model {
    blocks: HashMap<usize, Block>,
    figures: HashMap<u32, Figures>,
    live: u64,
    peak: u64,
    last: usize,
}

impl Model {
    fn at_new_peak(&mut self) {
        for figures in self.figures.values_mut() {
            figures.peak = figures.live;
        }
    }

    fn allocate(&mut self, address: usize, block: Block) {
        self.blocks.insert(address, block);
        let figures = self.figures.entry(block.site).or_default();
        let size = block.size as u64;
        figures.live = (figures.live.0 + size, figures.live.1 + 1);
        figures.allocated = (figures.allocated.0 + size, figures.allocated.1 + 1);
        self.live += size;
        self.last = address;
        // The last moment of the highest value is the one that counts, hence ≥.
        if self.live >= self.peak {
            self.peak = self.live;
            self.at_new_peak();
        }
    }

    fn free(&mut self, address: usize) -> Option<Block> {
        let block = self.blocks.remove(&address)?;
        let figures = self.figures.get_mut(&block.site)?;
        let size = block.size as u64;
        figures.live = (figures.live.0 - size, figures.live.1 - 1);
        if self.last == address {
            figures.temporary = (figures.temporary.0 + size, figures.temporary.1 + 1);
            self.last = 0;
        }
        self.live -= size;
        if self.live == self.peak {
            self.at_new_peak();
        }
        Some(block)
    }
}

fn compare(model: &Model, made: &[u32]) -> Result<(), TestCaseError> {
    prop_assert_eq!(totals::live_bytes(), model.live);
    prop_assert_eq!(totals::peak_bytes(), model.peak);
    for &site in made {
        let counters = sites::counters(site, totals::epoch(), totals::at_peak());
        let found = Figures {
            live: (counters.live_bytes(), counters.live_blocks()),
            allocated: (counters.allocated_bytes, counters.allocated_blocks),
            temporary: (counters.temporary_bytes, counters.temporary_blocks),
            peak: (counters.peak_bytes, counters.peak_blocks),
        };
        prop_assert_eq!(found, model.figures.get(&site).cloned().unwrap_or_default());
    }
    let mut blocks = HashMap::new();
    live_map::for_each(|address, block| {
        assert!(
            blocks.insert(address, block).is_none(),
            "{address:#x} is told twice"
        );
    });
    let mut by_run: HashMap<(u32, usize), u64> = HashMap::new();
    live_map::for_each_run(|block, count| {
        *by_run.entry((block.site, block.size)).or_default() += count;
    });
    live_map::for_each(|_, block| {
        let left = by_run.entry((block.site, block.size)).or_default();
        *left = left.wrapping_sub(1);
    });
    assert!(by_run.values().all(|left| *left == 0), "{by_run:?}");
    prop_assert_eq!(&blocks, &model.blocks);
    for (&address, &block) in &model.blocks {
        prop_assert_eq!(live_map::get(address), Some(block));
    }
    Ok(())
}

fn run(events: &[Event], sharing: Sharing) -> Result<(), TestCaseError> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::install::forget_all();
    let mut held = lock::hold();
    prop_assert!(tree::init(&mut held));
    drop(held);
    let made: Vec<u32> = (0..6)
        .map(|code| sites::of(tree::child(tree::ROOT, code, 2 * code), 2, sharing))
        .collect();
    let mut model = Model::default();
    for &event in events {
        match event {
            Event::Allocate { place, size, site } => {
                let address = address(place);
                // As the allocator would: what was there is freed first.
                if let Some(known) = live_map::remove(address) {
                    sites::freed(known.site, address, known.size as u64, 1);
                    prop_assert_eq!(model.free(address), Some(known));
                }
                let block = Block {
                    site: made[site],
                    size,
                };
                prop_assert!(live_map::insert(address, block));
                sites::allocated(block.site, address, size as u64, 1);
                model.allocate(address, block);
            }
            Event::Free { place } => {
                let address = address(place);
                let known = live_map::remove(address);
                if let Some(known) = known {
                    sites::freed(known.site, address, known.size as u64, 1);
                }
                prop_assert_eq!(known, model.free(address));
            }
            Event::Watch { place } => live_map::watch_code(&mut lock::hold(), address(place)),
        }
    }
    compare(&model, &made)
}

proptest! {
    #[test]
    fn tables_agree_with_a_plain_model_under_the_gil(events in prop::collection::vec(event(), 0..200)) {
        run(&events, Sharing::Gil)?;
    }

    #[test]
    fn tables_agree_with_a_plain_model_without_the_gil(events in prop::collection::vec(event(), 0..200)) {
        run(&events, Sharing::Shared)?;
    }
}

#[test]
fn threads_that_count_at_the_same_site_lose_nothing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::install::forget_all();
    assert!(tree::init(&mut lock::hold()));
    let site = sites::of(tree::child(tree::ROOT, 1, 2), 0, Sharing::Shared);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            scope.spawn(move || {
                for turn in 0..10_000_usize {
                    let address = BASE + thread * (1 << 24) + turn * 64;
                    assert!(live_map::insert(address, Block { site, size: 48 }));
                    sites::allocated(site, address, 48, 1);
                    if turn % 2 == 0 {
                        assert_eq!(live_map::remove(address), Some(Block { site, size: 48 }));
                        sites::freed(site, address, 48, 1);
                    }
                }
            });
        }
    });
    let counters = sites::counters(site, totals::epoch(), totals::at_peak());
    assert_eq!(
        (counters.allocated_blocks, counters.freed_blocks),
        (40_000, 20_000)
    );
    assert_eq!(totals::live_bytes(), 20_000 * 48);
    let mut blocks = 0;
    live_map::for_each(|_, _| blocks += 1);
    assert_eq!(blocks, 20_000);
}

#[test]
fn the_inside_of_a_block_is_no_block() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::install::forget_all();
    assert!(tree::init(&mut lock::hold()));
    let site = sites::of(tree::child(tree::ROOT, 1, 2), 0, Sharing::Gil);
    for size in [17, 24, 73, 133, 62 + 64, 5_000] {
        assert!(live_map::insert(BASE, Block { site, size }));
        assert_eq!(live_map::get(BASE), Some(Block { site, size }));
        for inside in (16..size).step_by(16) {
            assert_eq!(live_map::get(BASE + inside), None, "{inside} in {size}");
        }
        live_map::remove(BASE);
    }
}

/// A page of the map holds the entries of 16 KiB, and the size of its last block is on the next page.
#[test]
fn a_block_at_the_end_of_a_page_of_the_map_is_told_once() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::install::forget_all();
    assert!(tree::init(&mut lock::hold()));
    let site = sites::of(tree::child(tree::ROOT, 1, 2), 0, Sharing::Gil);
    let last = BASE - BASE % (16 << 10) + (16 << 10) - 16;
    let block = Block { site, size: 1_001 };
    assert!(live_map::insert(last, block));
    let mut told = Vec::new();
    live_map::for_each(|address, block| told.push((address, block)));
    assert_eq!(told, [(last, block)]);
    let mut runs = Vec::new();
    live_map::for_each_run(|block, count| runs.push((block, count)));
    assert_eq!(runs, [(block, 1)]);
}

#[test]
fn idle_paths_are_folded_and_no_total_changes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::install::forget_all();
    crate::recycle::set_limit(1_000);
    assert!(tree::init(&mut lock::hold()));
    let kept = sites::of(tree::child(tree::ROOT, 7, 0), 2, Sharing::Gil);
    assert!(live_map::insert(
        BASE,
        Block {
            site: kept,
            size: 100
        }
    ));
    sites::allocated(kept, BASE, 100, 1);
    for turn in 0..20_000_u32 {
        crate::recycle::sweep_if_wanted();
        let path = tree::child(tree::child(tree::ROOT, 1, turn), 2, turn);
        let site = sites::of(path, 2, Sharing::Gil);
        let address = BASE + 64;
        assert!(live_map::insert(address, Block { site, size: 24 }));
        sites::allocated(site, address, 24, 1);
        assert_eq!(live_map::remove(address), Some(Block { site, size: 24 }));
        sites::freed(site, address, 24, 1);
    }
    crate::recycle::set_limit(1 << 20);
    assert!(
        tree::len() < 10_000,
        "{} paths for 2,000 at a time",
        tree::len()
    );
    let used = (1..sites::len()).filter(|&site| sites::is_used(site));
    let all: Vec<_> = used
        .map(|site| sites::counters(site, totals::epoch(), totals::at_peak()))
        .collect();
    assert_eq!(
        all.iter()
            .map(|counters| counters.allocated_blocks)
            .sum::<u64>(),
        20_001
    );
    assert_eq!(
        all.iter()
            .map(|counters| counters.temporary_blocks)
            .sum::<u64>(),
        20_000
    );
    assert_eq!(
        all.iter()
            .map(|counters| counters.live_bytes())
            .sum::<u64>(),
        100
    );
    assert_eq!(
        all.iter().map(|counters| counters.peak_bytes).sum::<u64>(),
        totals::peak_bytes()
    );
}
