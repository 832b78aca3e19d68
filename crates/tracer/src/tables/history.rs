//! What is known of paths that were dropped from memory: which of them are complete in the file, and the sums that
//! remain.
//!
//! While a file is written, a path without live blocks may leave memory as soon as its counters are in the file: it is
//! *settled* then. If the program uses it again, it gets new numbers, in the file too, and readers add up equal paths.
//! Of the paths that left, the program sees only the sum. Without a file, idle paths are folded
//! ([`crate::tables::recycle`]).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use heapsight_capture::model::Counters;

use crate::memory::bell::Bell;
use crate::memory::lock::{Guarded, Held};
use crate::session;
use crate::tables::{budget, changed, sites};

/// Is a file written by this process?
static IS_WRITTEN: AtomicBool = AtomicBool::new(false);
/// Does the writer have to be quick for paths to be given back?
static IS_PRESSED: AtomicBool = AtomicBool::new(false);
/// Was the writer called, and has not come yet?
static IS_CALLED: AtomicBool = AtomicBool::new(false);

/// Rung when the writer has something to do at once.
pub(crate) static WRITER: Bell = Bell::new();

static FOLDED_BYTES: AtomicU64 = AtomicU64::new(0);
static GONE_PATHS: AtomicU64 = AtomicU64::new(0);

static STATE: Guarded<State> = Guarded::new(State {
    settled: Vec::new(),
    awaited: 0,
    left: Vec::new(),
    sums: Vec::new(),
});

struct State {
    /// A bit for each site whose figures the file has and which hold nothing: neither now nor at the peak.
    settled: Vec<u64>,
    /// When so many more sites are settled, paths are swept; 0: whenever.
    awaited: u64,
    /// Sites that have left since the writer last asked.
    /// With the generation of the tables in which the number meant them.
    left: Vec<(u32, u32)>,
    /// By domain, what the program saw on sites that have left.
    sums: Vec<(u32, Counters)>,
}

/// A file is written from now on: nothing of what there is, is in it.
pub(crate) fn writing_begins(held: &mut Held) {
    let state = STATE.get(held);
    state.settled = Vec::new();
    state.left = Vec::new();
    state.awaited = 0;
    IS_PRESSED.store(false, Ordering::Relaxed);
    IS_WRITTEN.store(true, Ordering::Relaxed);
}

/// No file is written any more. Takes no lock: also for the child of a fork.
pub(crate) fn writing_ends() {
    IS_WRITTEN.store(false, Ordering::Relaxed);
    IS_PRESSED.store(false, Ordering::Relaxed);
}

/// Is a file written by this process?
pub(crate) fn is_written() -> bool {
    IS_WRITTEN.load(Ordering::Relaxed)
}

/// So many paths wait for their figures to be written, and there is no room for more of them. 0: none, or there is.
/// Calls the writer, and has paths swept once the file has half of these.
pub(crate) fn set_pressed(held: &mut Held, waiting: u64) {
    let is_pressed = waiting > 0 && is_written();
    STATE.get(held).awaited = if is_pressed { waiting.div_ceil(2) } else { 0 };
    IS_PRESSED.store(is_pressed, Ordering::Relaxed);
    if is_pressed {
        IS_CALLED.store(true, Ordering::Release);
        WRITER.ring();
    }
}

/// Was the writer called since it last came? It comes.
pub(crate) fn take_call() -> bool {
    IS_CALLED.load(Ordering::Relaxed) && IS_CALLED.swap(false, Ordering::Acquire)
}

/// Is that so?
pub(crate) fn is_pressed() -> bool {
    IS_PRESSED.load(Ordering::Relaxed)
}

/// Says of a site whether the file has its figures, and these hold nothing.
pub(crate) fn set_settled(held: &mut Held, site: u32, is_settled: bool) {
    let settled = &mut STATE.get(held).settled;
    let (word, bit) = (site as usize / 64, 1 << (site % 64));
    if !is_settled {
        if let Some(word) = settled.get_mut(word) {
            *word &= !bit;
        }
        return;
    }
    if word >= settled.len() {
        settled.resize(word + 1, 0);
    }
    let is_new = settled[word] & bit == 0;
    settled[word] |= bit;
    let awaited = &mut STATE.get(held).awaited;
    if is_new && *awaited > 0 {
        *awaited -= 1;
        if *awaited == 0 {
            budget::want_sweep();
        }
    }
}

/// Says of all sites that the file may not have their figures.
pub(crate) fn unsettle_all(held: &mut Held) {
    STATE.get(held).settled.fill(0);
}

/// Does the file have the figures of the site, which hold nothing?
pub(crate) fn is_settled(held: &mut Held, site: u32) -> bool {
    let word = STATE.get(held).settled.get(site as usize / 64).copied();
    // What changed since the writer last took the list of changes is not in the file.
    word.unwrap_or(0) & (1 << (site % 64)) != 0 && sites::site(site).stamp() < changed::since()
}

/// The site with these counters leaves memory. Its number means nothing from now on.
pub(crate) fn leave(held: &mut Held, site: u32, counters: &Counters, domain_in_view: Option<u32>) {
    #[cfg(test)]
    tests::note(held, site, counters);
    set_settled(held, site, false);
    let state = STATE.get(held);
    state.left.push((session::generation(), site));
    let Some(domain) = domain_in_view else {
        return;
    };
    let known = state.sums.iter_mut().find(|(known, _)| *known == domain);
    let sum = match known {
        Some((_, sum)) => sum,
        None => {
            state.sums.push((domain, Counters::default()));
            let last = state.sums.len() - 1;
            &mut state.sums[last].1
        }
    };
    sum.allocated_bytes += counters.allocated_bytes;
    sum.allocated_blocks += counters.allocated_blocks;
    sum.freed_bytes += counters.freed_bytes;
    sum.freed_blocks += counters.freed_blocks;
    sum.temporary_bytes += counters.temporary_bytes;
    sum.temporary_blocks += counters.temporary_blocks;
}

/// The sites that have left since this was last asked, in that generation of the tables.
pub(crate) fn take_left(held: &mut Held, generation: u32) -> impl Iterator<Item = u32> {
    let left = std::mem::take(&mut STATE.get(held).left);
    let of_it = left.into_iter().filter(move |(of, _)| *of == generation);
    of_it.map(|(_, site)| site)
}

/// By domain, what the program saw on sites that have left.
pub(crate) fn sums(held: &mut Held) -> Vec<(u32, Counters)> {
    STATE.get(held).sums.clone()
}

/// The program does not want to know of what was.
pub(crate) fn forget_sums(held: &mut Held) {
    STATE.get(held).sums.clear();
}

/// What was allocated on a path that was folded: known by its caller only, from now on.
pub(crate) fn count_folded(bytes: u64) {
    FOLDED_BYTES.fetch_add(bytes, Ordering::Relaxed);
}

/// Bytes of history that were folded: allocated, and freed, on paths that are not told apart any more.
pub(crate) fn folded_bytes() -> u64 {
    FOLDED_BYTES.load(Ordering::Relaxed)
}

/// So many paths were given back.
pub(crate) fn count_gone(paths: u64) {
    GONE_PATHS.fetch_add(paths, Ordering::Relaxed);
}

/// Paths that were given back so far: folded, or because the file has them.
pub(crate) fn gone_paths() -> u64 {
    GONE_PATHS.load(Ordering::Relaxed)
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    let state = STATE.get(held);
    (state.settled.capacity() * size_of::<u64>()
        + state.left.capacity() * size_of::<(u32, u32)>()
        + state.sums.capacity() * size_of::<(u32, Counters)>()) as u64
}

/// Nothing is there any more, and nothing was.
pub(crate) fn reset(held: &mut Held) {
    let state = STATE.get(held);
    state.settled = Vec::new();
    state.sums = Vec::new();
    FOLDED_BYTES.store(0, Ordering::Relaxed);
    GONE_PATHS.store(0, Ordering::Relaxed);
}

/// What left, path by path: for tests that know all that there ever was.
#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex};

    use super::{Counters, Held, sites};
    use crate::tables::codes::{self, Identity};
    use crate::tables::tree;

    /// Elements of a call path, innermost first, and the domain.
    type Place = (Vec<Arc<Identity>>, u32);

    static LEFT: Mutex<Vec<(Place, Counters)>> = Mutex::new(Vec::new());

    pub(super) fn note(held: &mut Held, site: u32, counters: &Counters) {
        let site = sites::site(site);
        let mut path = Vec::new();
        let mut at = site.node.load(Ordering::Relaxed);
        while at != tree::ROOT {
            let node = tree::node(at);
            path.extend(codes::identity(held, node.code.load(Ordering::Relaxed)));
            at = node.parent.load(Ordering::Relaxed);
        }
        let place = (path, site.domain());
        LEFT.lock()
            .expect("no test panics here")
            .push((place, *counters));
    }

    /// What left since this was last asked.
    pub(crate) fn take() -> Vec<(Place, Counters)> {
        std::mem::take(&mut LEFT.lock().expect("no test panics here"))
    }
}
