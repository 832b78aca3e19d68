//! Bounded growth: call paths on which nothing lives any more are given back when there are many of them.
//!
//! A server that creates code for ever, or recursion that takes another way each time, makes new call paths for ever.
//! When the number of paths passes a limit, a *sweep* looks for those that nobody would miss: no block on them or above
//! them is live, nor was at the peak. What was allocated and freed on them is added to an element `[folded paths]`
//! below their nearest caller that stays, so that no total changes.
//!
//! A path used lately stays as well: a program that goes through hundreds of thousands of paths again and again would
//! otherwise make them all anew each time. Lately means [`LATELY_SECONDS`], or, when there are very many, since the
//! sweep before.
//!
//! Other threads may be in the middle of a hook, without the GIL, with the number of an idle path in hand. So it goes
//! in two steps. A sweep takes idle paths out of the index, so that they cannot be found again; only the next sweep, if
//! nothing was allocated on them meanwhile, folds them and frees their numbers. Between two sweeps lie hundreds of
//! thousands of new paths.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use crate::memory::lock::{self, Guarded, Held};
use crate::session;
use crate::tables::{codes, sites, totals, tree};

/// Paths before the first sweep: some 50 MB of tables.
const FIRST_LIMIT: u32 = 1 << 18;

/// From here on there are very many: some 200 MB of tables. Only programs that branch without end have so many.
const VERY_MANY: u32 = 1 << 20;

const LATELY_SECONDS: u32 = 10;

static FIRST: AtomicU32 = AtomicU32::new(FIRST_LIMIT);
static MANY: AtomicU32 = AtomicU32::new(VERY_MANY);
static LIMIT: AtomicU32 = AtomicU32::new(FIRST_LIMIT);
static PATHS: AtomicU32 = AtomicU32::new(0);
static WANTED: AtomicBool = AtomicBool::new(false);
static SWEEPS: AtomicU32 = AtomicU32::new(0);
/// Of each path at the last sweep.
static SEEN: Guarded<Vec<Seen>> = Guarded::new(Vec::new());

#[derive(Clone, Copy)]
struct Seen {
    usage: u32,
    /// When a sweep first found that usage, in [`seconds`].
    since: u32,
}

/// Seconds since the first time that this was asked.
fn seconds() -> u32 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_secs() as u32
}

/// Counts a path just made; asks for a sweep when there are too many.
pub(crate) fn count_new_path() {
    let paths = PATHS.fetch_add(1, Ordering::Relaxed) + 1;
    if paths > LIMIT.load(Ordering::Relaxed) && !WANTED.swap(true, Ordering::Relaxed) {
        // The caller is in the middle of a walk. Whoever asks for a path next finds its cache outdated and sweeps.
        session::invalidate_caches();
    }
}

/// How often paths were swept: ids may mean something else when this has changed.
pub(crate) fn sweeps() -> u32 {
    SWEEPS.load(Ordering::Acquire)
}

/// Forgets counts, after all paths were forgotten.
pub(crate) fn reset(held: &mut Held) {
    *SEEN.get(held) = Vec::new();
    PATHS.store(0, Ordering::Relaxed);
    WANTED.store(false, Ordering::Relaxed);
    LIMIT.store(FIRST.load(Ordering::Relaxed), Ordering::Relaxed);
    SWEEPS.fetch_add(1, Ordering::Release);
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    (SEEN.get(held).capacity() * size_of::<Seen>()) as u64
}

/// Sets how many paths there may be before idle ones are given back, and are very many. For tests.
pub(crate) fn set_limit(paths: u32) {
    FIRST.store(paths, Ordering::Relaxed);
    MANY.store(paths, Ordering::Relaxed);
    LIMIT.store(paths, Ordering::Relaxed);
}

/// Sweeps if it was asked for. The calling thread must not hold the number of any path.
pub(crate) fn sweep_if_wanted() {
    if WANTED.swap(false, Ordering::Relaxed) {
        let mut held = lock::hold();
        sweep(&mut held);
        drop(held);
        session::invalidate_caches();
    }
}

fn sweep(held: &mut Held) {
    let count = tree::len();
    let folded = codes::folded(held);
    let needed = needed_paths(count, folded);
    let state_of = |id: u32| tree::node(id).state();
    let now = seconds();
    let mut seen = std::mem::take(SEEN.get(held));
    let known = seen.len();
    let unknown = Seen {
        usage: 0,
        since: now,
    };
    seen.resize(count as usize, unknown);
    let mut changed = vec![false; count as usize];
    for (id, seen) in (0..count).zip(&mut seen) {
        let usage = usage(id);
        if id as usize >= known || seen.usage != usage {
            changed[id as usize] = true;
            *seen = Seen { usage, since: now };
        }
    }
    let very_many = PATHS.load(Ordering::Relaxed) > MANY.load(Ordering::Relaxed);
    let used_lately = with_callers(count, |id| {
        let is_late = !very_many && now - seen[id as usize].since < LATELY_SECONDS;
        state_of(id) == tree::USED && (changed[id as usize] || is_late)
    });
    *SEEN.get(held) = seen;
    // A path ends if it was idle before, still is, and no path that goes on for now hangs from it.
    let stays = with_callers(count, |id| {
        needed[id as usize] || state_of(id) == tree::USED
    });
    let ending: Vec<u32> = (1..count)
        .filter(|&id| state_of(id) == tree::IDLE && !stays[id as usize])
        .collect();
    for id in 1..count {
        match (state_of(id), needed[id as usize]) {
            (tree::IDLE, true) => tree::set_state(held, id, tree::USED),
            (tree::USED, false) if !used_lately[id as usize] => {
                tree::set_state(held, id, tree::IDLE);
            }
            _ => {}
        }
    }
    tree::reindex(held);
    for &id in &ending {
        let mut above = tree::node(id).parent.load(Ordering::Relaxed);
        while above != tree::ROOT && !needed[above as usize] {
            above = tree::node(above).parent.load(Ordering::Relaxed);
        }
        for site in sites::on_path(held, id) {
            if let Some(target) = tree::child_held(held, above, folded, tree::NO_OFFSET) {
                sites::fold(held, site, target);
            }
        }
    }
    for &id in &ending {
        for site in &tree::node(id).sites {
            site.store(0, Ordering::Relaxed);
        }
        tree::set_state(held, id, tree::FREE);
    }
    let mut used_codes = Vec::new();
    let mut kept = 0;
    for id in 1..tree::len() {
        let node = tree::node(id);
        if node.state() != tree::FREE {
            kept += 1;
            let code = node.code.load(Ordering::Relaxed) as usize;
            if used_codes.len() <= code {
                used_codes.resize(code + 1, false);
            }
            used_codes[code] = true;
        }
    }
    codes::sweep(held, used_codes);
    PATHS.store(kept, Ordering::Relaxed);
    LIMIT.store(
        FIRST
            .load(Ordering::Relaxed)
            .max(kept.saturating_add(kept / 2)),
        Ordering::Relaxed,
    );
    // What was made to fold into may have asked for the next sweep already, by the old limit.
    WANTED.store(false, Ordering::Relaxed);
    SWEEPS.fetch_add(1, Ordering::Release);
}

/// Changes when something is allocated on the path, and when its number is given to another one.
fn usage(id: u32) -> u32 {
    let node = tree::node(id);
    node.sites.iter().fold(node.reuse_count(), |sum, site| {
        sum.wrapping_mul(31)
            .wrapping_add(sites::allocated_blocks(site.load(Ordering::Relaxed)))
    })
}

/// For each path, whether it or one that hangs from it cannot be forgotten.
fn needed_paths(count: u32, folded: u32) -> Vec<bool> {
    let epoch = totals::epoch();
    let at_peak = totals::at_peak();
    let mut with_blocks = vec![false; count as usize];
    for site in (1..sites::len()).filter(|&site| sites::is_used(site)) {
        if sites::is_needed(&sites::counters(site, epoch, at_peak))
            || sites::is_needed(&sites::recorded_counters(site))
        {
            with_blocks[sites::site(site).node.load(Ordering::Relaxed) as usize] = true;
        }
    }
    let mut needed = with_callers(count, |id| with_blocks[id as usize]);
    // What was folded before stays where it is as long as its caller does.
    for id in 1..count {
        let node = tree::node(id);
        let parent = node.parent.load(Ordering::Relaxed);
        if node.code.load(Ordering::Relaxed) == folded
            && node.state() != tree::FREE
            && (parent == tree::ROOT || needed[parent as usize])
        {
            needed[id as usize] = true;
        }
    }
    needed
}

/// The paths for which `chosen` holds, and all their callers.
fn with_callers(count: u32, chosen: impl Fn(u32) -> bool) -> Vec<bool> {
    let mut marked = vec![false; count as usize];
    for id in 1..count {
        if tree::node(id).state() == tree::FREE || !chosen(id) {
            continue;
        }
        let mut at = id;
        while at != tree::ROOT && !marked[at as usize] {
            marked[at as usize] = true;
            at = tree::node(at).parent.load(Ordering::Relaxed);
        }
    }
    marked
}
