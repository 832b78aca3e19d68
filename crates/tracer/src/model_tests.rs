//! The tables against a plain model: random events, every figure compared.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, mpsc};

use proptest::prelude::*;

use crate::interpreter::event::Sharing;
use crate::memory::lock;
use crate::tables::live_map::{self, Block};
use crate::tables::totals;
use crate::tables::{budget, sites, tree};

/// The tables are statics: tests that use them take turns.
pub(crate) static TURN: Mutex<()> = Mutex::new(());

/// Somewhere in user space, so that entries of two leaves and of several pages are used.
const BASE: usize = (0x7f00_0000_0000 | (63 << 20)) & !15;

/// Threads that take part where several do.
const THREADS: usize = 3;

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
        4 => place.prop_map(|place| Event::Free { place }),
    ]
}

/// Slots 0–29 are neighbours, 16 bytes apart where the blocks before them are small; the rest is misaligned or far
/// away.
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
    fell_since_peak: bool,
    last: usize,
    /// Once several threads allocate side by side, each has a last block of its own; `last` is that of the GIL.
    last_of_thread: Option<[usize; THREADS]>,
}

impl Model {
    fn set_last(&mut self, address: usize, sharing: Sharing, thread: usize) {
        match (&mut self.last_of_thread, sharing) {
            (Some(threads), Sharing::Shared) => {
                threads[thread] = address;
                self.last = 0;
            }
            _ => self.last = address,
        }
    }

    fn take_last(&mut self, address: usize, sharing: Sharing, thread: usize) -> bool {
        let last = match (&mut self.last_of_thread, sharing) {
            (Some(threads), Sharing::Shared) => &mut threads[thread],
            _ => &mut self.last,
        };
        let temporary = *last == address;
        if temporary {
            *last = 0;
        }
        temporary
    }

    fn at_new_peak(&mut self) {
        for figures in self.figures.values_mut() {
            figures.peak = figures.live;
        }
    }

    fn allocate(&mut self, address: usize, block: Block, sharing: Sharing, thread: usize) {
        self.blocks.insert(address, block);
        let figures = self.figures.entry(block.site).or_default();
        let size = block.size as u64;
        figures.live = (figures.live.0 + size, figures.live.1 + 1);
        figures.allocated = (figures.allocated.0 + size, figures.allocated.1 + 1);
        self.live += size;
        self.set_last(address, sharing, thread);
        // The first time of the highest value is the one that counts, until something is freed.
        if self.live > self.peak || !self.fell_since_peak {
            self.peak = self.live;
            self.fell_since_peak = false;
            self.at_new_peak();
        }
    }

    fn free(&mut self, address: usize, sharing: Sharing, thread: usize) -> Option<Block> {
        let block = self.blocks.remove(&address)?;
        let figures = self.figures.get_mut(&block.site)?;
        let size = block.size as u64;
        figures.live = (figures.live.0 - size, figures.live.1 - 1);
        let temporary = self.take_last(address, sharing, thread);
        if temporary && let Some(figures) = self.figures.get_mut(&block.site) {
            figures.temporary = (figures.temporary.0 + size, figures.temporary.1 + 1);
        }
        self.live -= size;
        self.fell_since_peak = true;
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
    crate::hooks::install::forget_all();
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
                    prop_assert_eq!(model.free(address, sharing, 0), Some(known));
                }
                let block = Block {
                    site: made[site],
                    size,
                };
                prop_assert!(live_map::insert(address, block));
                sites::allocated(block.site, address, size as u64, 1);
                model.allocate(address, block, sharing, 0);
            }
            Event::Free { place } => {
                let address = address(place);
                let known = live_map::remove(address);
                if let Some(known) = known {
                    sites::freed(known.site, address, known.size as u64, 1);
                }
                prop_assert_eq!(known, model.free(address, sharing, 0));
            }
        }
    }
    compare(&model, &made)
}

/// Threads that do what they are told, one at a time, so that a plain model can follow.
struct Team(Vec<(mpsc::Sender<Task>, mpsc::Receiver<u32>)>);

type Task = Box<dyn FnOnce() -> u32 + Send>;

impl Team {
    fn new() -> Self {
        let member = || {
            let (tasks, inbox) = mpsc::channel::<Task>();
            let (outbox, results) = mpsc::channel();
            std::thread::spawn(move || {
                for task in inbox {
                    if outbox.send(task()).is_err() {
                        break;
                    }
                }
            });
            (tasks, results)
        };
        Self((0..THREADS).map(|_| member()).collect())
    }

    fn run(&self, thread: usize, task: impl FnOnce() -> u32 + Send + 'static) -> u32 {
        let (tasks, results) = &self.0[thread];
        tasks.send(Box::new(task)).expect("the thread is there");
        results.recv().expect("the task did not panic")
    }
}

/// As [`run`], by several threads. A site is one of a path for the GIL, and one for each thread without it.
fn run_divided(events: &[(Event, usize, bool)]) -> Result<(), TestCaseError> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::hooks::install::forget_all();
    prop_assert!(tree::init(&mut lock::hold()));
    let team = Team::new();
    let site_of = |thread: usize, number: usize, sharing: Sharing| {
        team.run(thread, move || {
            let path = tree::child(tree::ROOT, number as u32, 2 * number as u32);
            let domain = if sharing == Sharing::Gil { 2 } else { 0 };
            sites::of(path, domain, sharing)
        })
    };
    let mut model = Model {
        last_of_thread: Some([0; THREADS]),
        ..Model::default()
    };
    let mut made: Vec<u32> = (0..THREADS)
        .map(|thread| site_of(thread, 0, Sharing::Shared))
        .collect();
    prop_assert!(crate::tables::shared_total::is_divided());
    for &(event, thread, under_gil) in events {
        let free = |model: &mut Model, address: usize| {
            let known = live_map::remove(address);
            if let Some(known) = known {
                let sharing = sites::site(known.site).sharing();
                team.run(thread, move || {
                    sites::freed(known.site, address, known.size as u64, 1);
                    0
                });
                prop_assert_eq!(model.free(address, sharing, thread), Some(known));
            }
            Ok(())
        };
        match event {
            Event::Allocate { place, size, site } => {
                let address = address(place);
                free(&mut model, address)?;
                let sharing = if under_gil {
                    Sharing::Gil
                } else {
                    Sharing::Shared
                };
                let site = site_of(thread, site, sharing);
                made.push(site);
                let block = Block { site, size };
                prop_assert!(live_map::insert(address, block));
                team.run(thread, move || {
                    sites::allocated(site, address, size as u64, 1);
                    0
                });
                model.allocate(address, block, sharing, thread);
                prop_assert_eq!(totals::peak_bytes(), model.peak);
            }
            Event::Free { place } => free(&mut model, address(place))?,
        }
    }
    compare(&model, &made)
}

proptest! {
    #[test]
    fn tables_agree_with_a_plain_model_when_several_threads_count(
        events in prop::collection::vec((event(), 0..THREADS, any::<bool>()), 0..120),
    ) {
        run_divided(&events)?;
    }

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
    crate::hooks::install::forget_all();
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
    crate::hooks::install::forget_all();
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
    crate::hooks::install::forget_all();
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

/// A block that is allocated on a path of two frames and freed at once. Gives the path.
fn pass_by(code: u32, offset: u32) -> u32 {
    crate::tables::recycle::sweep_if_wanted();
    let path = tree::child(tree::child(tree::ROOT, code, offset), code + 1, offset);
    let site = sites::of(path, 2, Sharing::Gil);
    sites::allocated(site, BASE + 64, 24, 1);
    sites::freed(site, BASE + 64, 24, 1);
    path
}

#[test]
fn paths_used_again_between_two_sweeps_stay_and_others_go() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::hooks::install::forget_all();
    budget::set_paths(1_000);
    assert!(tree::init(&mut lock::hold()));
    let again: Vec<u32> = (0..100).map(|offset| pass_by(1, offset)).collect();
    let sweeps = crate::tables::recycle::sweeps();
    for turn in 0..200 {
        for offset in 0..20 {
            pass_by(3, 20 * turn + offset);
        }
        for (offset, &path) in (0..).zip(&again) {
            assert_eq!(pass_by(1, offset), path, "turn {turn}");
        }
    }
    budget::set(None);
    assert!(crate::tables::recycle::sweeps() > sweeps + 5);
    assert!(tree::len() < 6_000, "{} paths", tree::len());
}

#[test]
fn idle_paths_are_folded_and_no_total_changes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::hooks::install::forget_all();
    budget::set_paths(1_000);
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
        crate::tables::recycle::sweep_if_wanted();
        let path = tree::child(tree::child(tree::ROOT, 1, turn), 2, turn);
        let site = sites::of(path, 2, Sharing::Gil);
        let address = BASE + 64;
        assert!(live_map::insert(address, Block { site, size: 24 }));
        sites::allocated(site, address, 24, 1);
        assert_eq!(live_map::remove(address), Some(Block { site, size: 24 }));
        sites::freed(site, address, 24, 1);
    }
    budget::set(None);
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

#[test]
fn new_paths_are_cut_where_they_leave_known_ones_when_live_ones_fill_the_budget() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::hooks::install::forget_all();
    budget::set_paths(400);
    assert!(tree::init(&mut lock::hold()));
    let known = tree::child(tree::ROOT, 1, 0);
    let mut live = Vec::new();
    for turn in 0..2_000_u32 {
        crate::tables::recycle::sweep_if_wanted();
        let path = tree::child(tree::child(known, 2, turn), 3, turn);
        let site = sites::of(path, 2, Sharing::Gil);
        let (address, size) = (BASE + 64 * turn as usize, 10);
        assert!(live_map::insert(address, Block { site, size }));
        sites::allocated(site, address, size as u64, 1);
        live.push((address, site));
    }
    assert!(tree::len() < 800, "{} paths", tree::len());
    assert!(budget::cuts() > 500, "{} cuts", budget::cuts());
    // What is called from where a path is cut is there as well, whatever it is called.
    let cut = tree::child(known, 9, 9);
    assert!(tree::is_cut(cut));
    assert_eq!(tree::child(cut, 2, 0), cut);
    assert_eq!(tree::child_alone(cut, 2, 0), cut);
    assert_eq!(tree::known_part(cut), known);
    assert_eq!(
        sites::of(cut, 2, Sharing::Gil),
        sites::of(known, 2, Sharing::Gil)
    );
    let at_known = sites::counters(
        sites::of(known, 2, Sharing::Gil),
        totals::epoch(),
        totals::at_peak(),
    );
    assert!(at_known.live_blocks() > 500);
    assert_eq!(totals::live_bytes(), 20_000);
    for (address, site) in live {
        assert!(live_map::remove(address).is_some());
        sites::freed(site, address, 10, 1);
    }
    totals::reset_peak();
    // There is room again, once somebody looks.
    budget::set_paths(400);
    crate::tables::recycle::sweep_if_wanted();
    assert!(!tree::is_cut(tree::child(known, 9, 9)));
    assert_eq!(totals::live_bytes(), 0);
    budget::set(None);
}
