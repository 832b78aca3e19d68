//! How much memory call paths may use, and what happens when they need more.
//!
//! The budget counts paths, sites, names of code objects, and what a recording keeps of each. Paths with live blocks
//! are not limited by it: they last as long as the program keeps these blocks. The *budget* is for the other paths,
//! which were used lately and may be used again. When the paths made since the last sweep fill it, the next sweep
//! ([`crate::tables::recycle`]) frees the least recently used ones.
//!
//! If the paths with live blocks alone reach the limit ([`most_needed`]), no new path is made: a call path is *cut* at
//! the frame where it leaves the known paths, and the cut is counted.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use crate::memory::mapping;
use crate::session;
use crate::tables::{history, sites, tree};

/// Unless somebody asks for another one, the budget is this or a share of the process's resident memory, whichever is
/// more.
const LEAST_DEFAULT: u64 = 32 << 20;
const DEFAULT_PERCENT: u64 = 15;

/// By how much the default is stretched for paths with live blocks before new ones are cut.
const STRETCH: u64 = 4;

/// Idle paths that the file does not have yet may take so many budgets before they are folded all the same.
pub(crate) const MOST_UNWRITTEN: u64 = 3;

/// Bytes of an entry of the index, which is a half to a quarter full, and of what sweeps remember of a path.
const BESIDE_PATH: u64 = 12 + 4;

/// What a recording keeps of a path and of a site: numbers in the file, and figures as the file has them.
const RECORDED_PATH: u64 = 8;
const RECORDED_SITE: u64 = 40;

/// 0: the default.
static ASKED: AtomicU64 = AtomicU64::new(0);
/// Bytes counted: exact at each sweep, by [`add`] since then.
static COUNTED: AtomicU64 = AtomicU64::new(0);
/// What [`COUNTED`] may be before the next sweep.
static SWEEP_AT: AtomicU64 = AtomicU64::new(LEAST_DEFAULT);
static SWEEP_IS_WANTED: AtomicBool = AtomicBool::new(false);
static IS_FULL: AtomicBool = AtomicBool::new(false);
static CUTS: AtomicU64 = AtomicU64::new(0);
/// Cuts since somebody looked whether there is room again, and when that was, in milliseconds.
static CUTS_SINCE_LOOK: AtomicU32 = AtomicU32::new(0);
static LOOKED_AT: AtomicU64 = AtomicU64::new(0);

/// After so many cuts, but not more often than that, a sweep looks whether there is room again.
const CUTS_BEFORE_LOOK: u32 = 256;
const LOOK_MS: u64 = 500;

/// Bytes that a path takes, without its sites.
pub(crate) fn path_bytes() -> u64 {
    let own = size_of::<tree::Node>() as u64 + BESIDE_PATH;
    own + if history::is_written() {
        RECORDED_PATH
    } else {
        0
    }
}

/// Bytes that a site takes.
pub(crate) fn site_bytes() -> u64 {
    let recorded = if history::is_written() {
        RECORDED_SITE
    } else {
        0
    };
    sites::BYTES + recorded
}

/// The budget that was asked for, if one was.
pub(crate) fn asked() -> Option<u64> {
    let bytes = ASKED.load(Ordering::Relaxed);
    (bytes != 0).then_some(bytes)
}

/// Sets the budget; `None`: the default.
pub(crate) fn set(bytes: Option<u64>) {
    ASKED.store(bytes.unwrap_or(0), Ordering::Relaxed);
    SWEEP_AT.store(bytes.unwrap_or(LEAST_DEFAULT), Ordering::Relaxed);
    if COUNTED.load(Ordering::Relaxed) > SWEEP_AT.load(Ordering::Relaxed)
        || IS_FULL.load(Ordering::Relaxed)
    {
        want_sweep();
    }
}

/// The budget in force. Asks the kernel how large the process is.
pub(crate) fn get() -> u64 {
    asked().unwrap_or_else(|| LEAST_DEFAULT.max(mapping::resident_now() / 100 * DEFAULT_PERCENT))
}

/// How much paths with live blocks may take before new ones are cut, with that budget.
fn most_needed(budget: u64) -> u64 {
    match asked() {
        Some(_) => budget,
        None => budget.saturating_mul(STRETCH),
    }
}

/// Counts what was made.
pub(crate) fn add(bytes: u64) {
    let counted = COUNTED.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if counted > SWEEP_AT.load(Ordering::Relaxed) {
        want_sweep();
    }
}

/// Has the next event sweep.
pub(crate) fn want_sweep() {
    if !SWEEP_IS_WANTED.swap(true, Ordering::Relaxed) {
        // The caller may be in the middle of a walk. Whoever asks for a path next finds its cache outdated and sweeps.
        session::invalidate_caches();
    }
}

/// Is a sweep wanted? The caller is the one to do it then.
pub(crate) fn take_wanted() -> bool {
    SWEEP_IS_WANTED.load(Ordering::Relaxed) && SWEEP_IS_WANTED.swap(false, Ordering::Relaxed)
}

/// What a sweep has found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swept {
    /// The budget that it went by.
    pub(crate) budget: u64,
    /// Bytes of paths that cannot be given back.
    pub(crate) needed: u64,
    /// Bytes of all that are left.
    pub(crate) counted: u64,
    /// Are there paths that leave as soon as the file has them? There will be word of that
    /// ([`history::set_pressed`]).
    pub(crate) waits_for_file: bool,
}

/// Room for paths on which nothing is live, beside so many bytes of others.
pub(crate) fn room(budget: u64, needed: u64) -> u64 {
    budget.saturating_sub(needed).max(budget / 2)
}

/// A sweep is over.
pub(crate) fn swept(found: Swept) {
    let Swept {
        budget,
        needed,
        counted,
        waits_for_file,
    } = found;
    COUNTED.store(counted, Ordering::Relaxed);
    let room = room(budget, needed);
    let full = needed.saturating_add(room);
    // Not at once again, should nothing have been found to give back.
    let soon = counted.saturating_add((budget / 8).max(counted / 8));
    let next = if waits_for_file {
        // Sooner there would be little more to find. Later, only so much as may wait at all.
        let most = full.saturating_add(room.saturating_mul(MOST_UNWRITTEN - 1));
        counted.saturating_add(room / 2).min(most)
    } else {
        full
    };
    SWEEP_AT.store(next.max(soon), Ordering::Relaxed);
    let limit = most_needed(budget);
    let was_full = IS_FULL.load(Ordering::Relaxed);
    // Not back and forth with every path that comes and goes.
    IS_FULL.store(
        needed >= if was_full { limit - limit / 8 } else { limit },
        Ordering::Relaxed,
    );
    LOOKED_AT.store(now_ms(), Ordering::Relaxed);
    // What was made while it was going on may have asked for the next one already, by the old figures.
    SWEEP_IS_WANTED.store(false, Ordering::Relaxed);
}

/// Is there no room for a new path?
pub(crate) fn is_full() -> bool {
    IS_FULL.load(Ordering::Relaxed)
}

/// A path was cut.
pub(crate) fn count_cut() {
    CUTS.fetch_add(1, Ordering::Relaxed);
    if CUTS_SINCE_LOOK.fetch_add(1, Ordering::Relaxed) >= CUTS_BEFORE_LOOK {
        CUTS_SINCE_LOOK.store(0, Ordering::Relaxed);
        if now_ms().saturating_sub(LOOKED_AT.load(Ordering::Relaxed)) >= LOOK_MS {
            want_sweep();
        }
    }
}

/// How often a path was cut so far.
pub(crate) fn cuts() -> u64 {
    CUTS.load(Ordering::Relaxed)
}

/// Nothing is there any more.
pub(crate) fn reset() {
    COUNTED.store(0, Ordering::Relaxed);
    SWEEP_IS_WANTED.store(false, Ordering::Relaxed);
    SWEEP_AT.store(asked().unwrap_or(LEAST_DEFAULT), Ordering::Relaxed);
    IS_FULL.store(false, Ordering::Relaxed);
    CUTS.store(0, Ordering::Relaxed);
    CUTS_SINCE_LOOK.store(0, Ordering::Relaxed);
}

/// Milliseconds of a clock that only goes forward.
fn now_ms() -> u64 {
    use std::sync::OnceLock;
    static FIRST: OnceLock<Instant> = OnceLock::new();
    u64::try_from(FIRST.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Room for about so many paths with a site each, by a budget however small.
#[cfg(test)]
pub(crate) fn set_paths(paths: u64) {
    set(Some(paths * (path_bytes() + site_bytes())));
}
