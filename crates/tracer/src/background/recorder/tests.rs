//! What the file says against a plain pass over all sites.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::Duration;

use heapsight_capture::model::{Counters, Tables};
use heapsight_capture::{Capture, Exit, Header};
use proptest::prelude::*;

use super::state::{Extent, State};
use crate::interpreter::event::Sharing;
use crate::memory::lock;
use crate::model_tests::TURN;
use crate::session;
use crate::tables::codes::{self, Identity};
use crate::tables::{budget, history, recycle, sites, totals, tree};

const SHARE: Extent = Extent::Share(Duration::from_millis(100));

/// A call path by its names, outermost first, and the domain.
type Place = (Vec<String>, u32);
type Figures = BTreeMap<Place, Counters>;

/// A file that may take no more for a while.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<(Vec<u8>, Option<usize>)>>);

impl Sink {
    fn set_room(&self, room: Option<usize>) {
        self.0.lock().expect("nobody panics").1 = room;
    }

    fn read(&self) -> Capture {
        let file = self.0.lock().expect("nobody panics").0.clone();
        Capture::read(&file[..]).expect("it has a header")
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (file, room) = &mut *self.0.lock().expect("nobody panics");
        let taken = bytes.len().min(room.unwrap_or(usize::MAX));
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(room) = room {
            *room -= taken;
        }
        file.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn add(figures: &mut Figures, place: Place, more: &Counters) {
    if *more == Counters::default() {
        return;
    }
    let sum = figures.entry(place).or_default();
    for (sum, more) in [
        (&mut sum.allocated_bytes, more.allocated_bytes),
        (&mut sum.allocated_blocks, more.allocated_blocks),
        (&mut sum.freed_bytes, more.freed_bytes),
        (&mut sum.freed_blocks, more.freed_blocks),
        (&mut sum.temporary_bytes, more.temporary_bytes),
        (&mut sum.temporary_blocks, more.temporary_blocks),
        (&mut sum.peak_bytes, more.peak_bytes),
        (&mut sum.peak_blocks, more.peak_blocks),
    ] {
        *sum += more;
    }
}

/// What has left the tracer's memory: innermost first, and the domain.
type Left = Vec<((Vec<Arc<Identity>>, u32), Counters)>;

/// By a look at every site of the tracer, and what has left.
fn by_pass(left: &Left) -> Figures {
    let mut figures = Figures::new();
    let mut held = lock::hold();
    let name_of = |identity: Option<&Identity>| match identity {
        Some(Identity::Thread(name)) => name.clone(),
        _ => "[folded paths]".to_owned(),
    };
    for id in (1..sites::len()).filter(|&id| sites::is_used(id)) {
        let mut path = Vec::new();
        let mut at = sites::site(id).node.load(Ordering::Relaxed);
        while at != tree::ROOT {
            let node = tree::node(at);
            let code = node.code.load(Ordering::Relaxed);
            path.push(name_of(codes::identity(&mut held, code).as_deref()));
            at = node.parent.load(Ordering::Relaxed);
        }
        path.reverse();
        let counters = sites::counters(id, totals::epoch(), totals::at_peak());
        add(&mut figures, (path, sites::site(id).domain()), &counters);
    }
    for ((path, domain), counters) in left {
        let names = path.iter().rev().map(|identity| name_of(Some(identity)));
        add(&mut figures, (names.collect(), *domain), counters);
    }
    figures
}

fn by_file(tables: &Tables) -> Figures {
    let mut figures = Figures::new();
    for (site, counters) in tables.sites.iter().zip(&tables.counters) {
        let mut path = Vec::new();
        let mut at = site.node;
        while at != 0 {
            let node = &tables.nodes[at as usize];
            let name = tables.codes[node.code as usize].name;
            path.push(tables.strings[name as usize].clone());
            at = node.parent;
        }
        path.reverse();
        add(&mut figures, (path, site.domain.0), counters);
    }
    figures
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A block of so many bytes, on path number `path`, with or without the GIL.
    Allocate {
        path: u32,
        bytes: u64,
        gil: bool,
    },
    /// The end of the block that was allocated so many blocks ago.
    Free {
        back: usize,
    },
    /// A path that is used once, so that idle ones are folded when there are many.
    Pass {
        path: u32,
    },
    /// The program empties all tables (`disable`, a changed limit), or all counters (`clear_traces`).
    Reset,
    Clear,
    ResetPeak,
    Tick(Extent),
    /// The file takes so many more bytes, or as many as there are.
    Room(Option<usize>),
}

fn event(with_ends: bool) -> impl Strategy<Value = Event> {
    let ends = u32::from(with_ends);
    prop_oneof![
        20 => (0..30_u32, 1..2000_u64, any::<bool>())
            .prop_map(|(path, bytes, gil)| Event::Allocate { path, bytes, gil }),
        14 => (0..40_usize).prop_map(|back| Event::Free { back }),
        6 * ends => (0..1000_u32).prop_map(|path| Event::Pass { path }),
        ends => Just(Event::Reset),
        ends => Just(Event::Clear),
        ends => Just(Event::ResetPeak),
        5 => Just(Event::Tick(SHARE)),
        2 => Just(Event::Tick(Extent::Whole)),
        ends => (0..400_usize).prop_map(|room| Event::Room(Some(room))),
        2 * ends => Just(Event::Room(None)),
    ]
}

/// The site of a path of two elements.
fn site_of(path: u32, gil: bool) -> u32 {
    let outer = codes::thread(format!("outer {}", path % 5));
    let inner = codes::thread(format!("inner {path}"));
    let above = tree::child(tree::ROOT, outer, tree::NO_OFFSET);
    let node = tree::child(above, inner, path);
    let (domain, sharing) = if gil {
        (2, Sharing::Gil)
    } else {
        (0, Sharing::Shared)
    };
    sites::of(node, domain, sharing)
}

/// That of a recording, not of a snapshot.
fn header() -> Header {
    Header {
        tick_ms: 100,
        ..Header::default()
    }
}

/// The tracer with a recording, and what it has allocated.
struct Bench {
    state: State,
    sink: Sink,
    /// (site, address, bytes)
    blocks: Vec<(u32, usize, u64)>,
    addresses: usize,
    left: Left,
}

impl Bench {
    fn new() -> Self {
        crate::hooks::install::forget_all();
        assert!(tree::init(&mut lock::hold()));
        history::tests::take();
        let sink = Sink::default();
        let state = State::begin(Box::new(sink.clone()), &header()).expect("room");
        Self {
            state,
            sink,
            blocks: Vec::new(),
            addresses: 0,
            left: Vec::new(),
        }
    }

    fn by_pass(&mut self) -> Figures {
        self.left.extend(history::tests::take());
        by_pass(&self.left)
    }

    fn allocate(&mut self, path: u32, bytes: u64, gil: bool) {
        let site = site_of(path, gil);
        self.addresses += 16;
        sites::allocated(site, self.addresses, bytes, 1);
        self.blocks.push((site, self.addresses, bytes));
    }

    fn free(&mut self, back: usize) {
        if let Some(index) = self.blocks.len().checked_sub(back + 1) {
            let (site, address, bytes) = self.blocks.remove(index);
            sites::freed(site, address, bytes, 1);
        }
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Allocate { path, bytes, gil } => self.allocate(path, bytes, gil),
            Event::Free { back } => self.free(back),
            Event::Pass { path } => {
                recycle::sweep_if_wanted();
                self.allocate(1000 + path, 24, true);
                self.free(0);
            }
            Event::Reset => {
                crate::hooks::install::forget_all();
                assert!(tree::init(&mut lock::hold()));
                self.blocks.clear();
            }
            Event::Clear => {
                totals::reset();
                sites::zero_counters();
                session::begin_generation();
                self.blocks.clear();
            }
            Event::ResetPeak => totals::reset_peak(),
            Event::Tick(extent) => {
                self.state.exhaust_budget();
                self.state.tick(extent);
            }
            Event::Room(room) => self.sink.set_room(room),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.state.finish(Exit::Unknown);
        budget::set(None);
    }
}

/// What the file has is what the tables have.
fn agree(bench: &mut Bench) -> Result<(), TestCaseError> {
    let capture = bench.sink.read();
    let (told, true_ones) = (by_file(&capture.tables), bench.by_pass());
    prop_assert_eq!(&told, &true_ones);
    let sum = |field: fn(&Counters) -> u64| true_ones.values().map(field).sum::<u64>();
    prop_assert_eq!(capture.tables.totals.live_bytes, sum(Counters::live_bytes));
    prop_assert_eq!(
        capture.tables.totals.live_blocks,
        sum(Counters::live_blocks)
    );
    prop_assert_eq!(capture.tables.totals.peak_bytes, sum(|of| of.peak_bytes));
    Ok(())
}

fn agrees_whenever_it_says_so(events: &[Event]) -> Result<(), TestCaseError> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bench = Bench::new();
    budget::set_paths(60);
    let mut has_room = true;
    for &event in events {
        bench.run(event);
        match event {
            Event::Room(room) => has_room = room.is_none(),
            Event::Tick(extent) if has_room => {
                let capture = bench.sink.read();
                let last = capture.timeline.last().copied().unwrap_or_default();
                if extent == Extent::Whole {
                    prop_assert_eq!(last.paths_lag_ns, 0);
                }
                if last.paths_lag_ns == 0 {
                    agree(&mut bench)?;
                }
            }
            _ => {}
        }
    }
    bench.run(Event::Room(None));
    bench.run(Event::Tick(Extent::Whole));
    agree(&mut bench)
}

/// While only some of what changed is in a tick: each path is told as it was at some tick since the moment until which
/// all are known.
fn lags_no_more_than_it_says(events: &[Event]) -> Result<(), TestCaseError> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bench = Bench::new();
    let mut history: Vec<(u64, Figures)> = vec![(0, Figures::new())];
    for &event in events {
        bench.run(event);
        if !matches!(event, Event::Tick(_)) {
            continue;
        }
        let capture = bench.sink.read();
        let last = capture.timeline.last().copied().unwrap_or_default();
        history.push((last.elapsed_ns, bench.by_pass()));
        prop_assert_eq!(last.live_bytes, totals::live_bytes(), "totals never lag");
        prop_assert_eq!(last.peak_bytes, totals::peak_bytes());
        let known = by_file(&capture.tables);
        let places = history.iter().flat_map(|(_, figures)| figures.keys());
        for place in places.collect::<std::collections::BTreeSet<_>>() {
            let told = known.get(place).copied().unwrap_or_default();
            let mut since = history
                .iter()
                .filter(|(at, _)| *at >= last.paths_until_ns());
            let was_so = since.any(|(_, figures)| {
                // A peak since then counts for a path on which nothing happened, too.
                let then = figures.get(place).copied().unwrap_or_default();
                let plain = |of: Counters| Counters {
                    peak_bytes: 0,
                    peak_blocks: 0,
                    ..of
                };
                plain(then) == plain(told)
            });
            prop_assert!(was_so, "{place:?}: {told:?} at {last:?}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "zstd is in C")]
    fn the_file_has_what_a_look_at_all_sites_would_find(
        events in prop::collection::vec(event(true), 0..250),
    ) {
        agrees_whenever_it_says_so(&events)?;
    }

    #[test]
    #[cfg_attr(miri, ignore = "zstd is in C")]
    fn a_tick_says_how_far_its_paths_lag(events in prop::collection::vec(event(false), 0..250)) {
        lags_no_more_than_it_says(&events)?;
    }
}

/// Threads without the GIL change the same sites while ticks are written. When they pause, one more tick has
/// everything, by the list alone.
#[test]
#[cfg_attr(miri, ignore = "zstd is in C")]
fn no_change_of_any_thread_is_missed() {
    const THREADS: u32 = 3;
    const PHASES: u32 = 40;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bench = Bench::new();
    let pause = Barrier::new(THREADS as usize + 1);
    let is_working = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (pause, is_working) = (&pause, &is_working);
            scope.spawn(move || {
                let mut random = u64::from(thread) + 1;
                for _ in 0..PHASES {
                    pause.wait();
                    for step in 0..3_000_usize {
                        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                        let site = site_of((random >> 40) as u32 % 12, false);
                        let (address, bytes) = (step * 16 + 16, random >> 54);
                        sites::allocated(site, address, bytes, 1);
                        if random >> 63 == 0 {
                            sites::freed(site, address, bytes, 1);
                        }
                    }
                    is_working.fetch_sub(1, Ordering::SeqCst);
                    pause.wait();
                }
            });
        }
        for _ in 0..PHASES {
            is_working.store(THREADS, Ordering::SeqCst);
            pause.wait();
            while is_working.load(Ordering::SeqCst) > 0 {
                bench.state.tick(SHARE);
            }
            pause.wait();
            bench.state.tick(Extent::Whole);
            let mut told = by_file(&bench.sink.read().tables);
            let mut true_ones = bench.by_pass();
            // Which event made the peak is not exact while several run at once.
            for counters in told.values_mut().chain(true_ones.values_mut()) {
                (counters.peak_bytes, counters.peak_blocks) = (0, 0);
            }
            assert_eq!(told, true_ones);
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "zstd is in C")]
fn paths_leave_once_the_file_has_them_and_are_added_up_when_they_come_back() {
    const PATHS: u32 = 3_000;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bench = Bench::new();
    budget::set_paths(300);
    for turn in 0..3 {
        for path in 0..PATHS {
            bench.run(Event::Pass { path });
            if path % 20 == 0 {
                bench.state.tick(SHARE);
            }
        }
        assert!(
            tree::len() < 1_500,
            "{} paths after turn {turn}",
            tree::len()
        );
        assert!(
            sites::len() < 1_500,
            "{} sites after turn {turn}",
            sites::len()
        );
    }
    bench.state.tick(Extent::Whole);
    assert!(history::gone_paths() > u64::from(2 * PATHS));
    assert_eq!(history::folded_bytes(), 0, "nothing was lost");
    let capture = bench.sink.read();
    let told = by_file(&capture.tables);
    assert_eq!(told.len(), PATHS as usize);
    assert_eq!(
        capture.tables.sites.len(),
        PATHS as usize,
        "each path is there once"
    );
    for figures in told.values() {
        assert_eq!((figures.allocated_bytes, figures.freed_bytes), (72, 72));
        assert_eq!((figures.allocated_blocks, figures.freed_blocks), (3, 3));
    }
    // What the program is told of it is the sum.
    let seen = crate::readout::snapshot::snapshot();
    let all: u64 = seen.counters.iter().map(|of| of.allocated_blocks).sum();
    assert_eq!(all, u64::from(3 * PATHS));
}

#[test]
#[cfg_attr(miri, ignore = "zstd is in C")]
fn paths_that_cannot_be_written_are_folded_in_the_end_and_no_sum_changes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bench = Bench::new();
    budget::set_paths(100);
    bench.sink.set_room(Some(0));
    for path in 0..5_000 {
        bench.run(Event::Pass { path });
        if path % 200 == 0 {
            bench.state.tick(SHARE);
        }
    }
    assert!(tree::len() < 3_000, "{} paths", tree::len());
    assert!(history::folded_bytes() > 0);
    bench.sink.set_room(None);
    bench.state.tick(Extent::Whole);
    agree(&mut bench).expect("the file has what there is");
    let told = by_file(&bench.sink.read().tables);
    let all: u64 = told.values().map(|of| of.allocated_blocks).sum();
    assert_eq!(all, 5_000);
}
