//! Bounded growth: call paths on which nothing lives any more are given back when there is no room for all of them.
//!
//! A server that creates code for ever, or recursion that takes another way each time, makes new call paths for ever.
//! When what was made fills the budget ([`crate::tables::budget`]), a *sweep* looks for paths that nobody would miss: no
//! block on them or above them is live, nor was at the peak. Of these the ones that were used last stay, for a program
//! that goes through many paths again and again would otherwise make them all anew each time; the others are given
//! back. While a file is written, their figures are in it by then, and they leave without a trace
//! ([`crate::tables::history`]). Else what was allocated and freed on them is added to an element `[folded paths]`
//! below their nearest caller that stays, so that no total changes.
//!
//! Other threads may be in the middle of a hook, without the GIL, with the number of an idle path in hand. So it goes
//! in two steps. A sweep takes idle paths out of the index, so that they cannot be found again; only the next sweep, if
//! nothing was allocated on them meanwhile, gives them back. Between two sweeps lie thousands of new paths.

mod marks;

use std::sync::atomic::{AtomicU32, Ordering};

use self::marks::Marks;
use crate::memory::lock::{self, Guarded, Held};
use crate::session;
use crate::tables::budget::{self, Swept};
use crate::tables::{codes, history, recorded, sites, totals, tree};

/// How often paths were swept.
static SWEEPS: AtomicU32 = AtomicU32::new(0);
/// What the last sweep saw of each path.
static SEEN: Guarded<Vec<Seen>> = Guarded::new(Vec::new());

/// Idle paths that the file does not have yet may take so many budgets before they are folded all the same.
const MOST_UNWRITTEN: u64 = 3;

/// Of the room for idle paths, one part in so many is for those that stay at a sweep. The others are for those that go
/// at the next one, and for what is made until then.
const STAYING: u64 = 3;

/// When a path was used: in the upper bits what [`usage`] said, below it how many sweeps ago that was first seen.
#[derive(Clone, Copy, Default)]
struct Seen(u32);

const AGE_BITS: u32 = 6;
const OLDEST: u32 = (1 << AGE_BITS) - 1;

impl Seen {
    /// As now, if this is what was seen before.
    fn then(self, usage: u32) -> Self {
        let is_same = self.0 >> AGE_BITS == (usage << AGE_BITS) >> AGE_BITS;
        let age = if is_same {
            (self.age() + 1).min(OLDEST)
        } else {
            0
        };
        Self((usage << AGE_BITS) | age)
    }

    /// Sweeps since it was seen used, at most [`OLDEST`].
    fn age(self) -> u32 {
        self.0 & OLDEST
    }
}

/// How often paths were swept: ids may mean something else when this has changed.
pub(crate) fn sweeps() -> u32 {
    SWEEPS.load(Ordering::Acquire)
}

/// Forgets what was seen, after all paths were forgotten.
pub(crate) fn reset(held: &mut Held) {
    *SEEN.get(held) = Vec::new();
    budget::reset();
    history::reset(held);
    SWEEPS.fetch_add(1, Ordering::Release);
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    (SEEN.get(held).capacity() * size_of::<Seen>()) as u64
}

/// Sweeps if it was asked for. The calling thread must not hold the number of any path.
pub(crate) fn sweep_if_wanted() {
    if budget::take_wanted() {
        let budget = budget::get();
        let mut held = lock::hold();
        let swept = sweep(&mut held, budget);
        budget::swept(swept);
        SWEEPS.fetch_add(1, Ordering::Release);
        drop(held);
        session::invalidate_caches();
    }
}

fn sweep(held: &mut Held, budget: u64) -> Swept {
    let folded = codes::folded(held);
    let mut marks = Marks::new(tree::len());
    let (needed, idle_codes) = mark_needed(held, &mut marks, folded);
    let idle = find_idle(held, &marks, idle_codes);
    let room = budget::room(budget, needed);
    mark_staying(&mut marks, &idle, room / STAYING);
    let is_over = idle.bytes > room.saturating_mul(MOST_UNWRITTEN);
    let ending = find_ending(held, &mut marks, is_over);
    let has_changed = set_states(held, &marks);
    if has_changed {
        tree::reindex(held);
    }
    for &id in &ending {
        give_back(held, &marks, id, folded);
    }
    for &id in &ending {
        tree::set_free(held, id);
        SEEN.get(held)[id as usize] = Seen::default();
    }
    history::count_gone(ending.len() as u64);
    sweep_codes(held);
    let counted = counted_bytes(held);
    history::set_pressed(counted > needed.saturating_add(room));
    Swept {
        budget,
        needed,
        counted,
    }
}

/// Marks the paths that cannot be given back, with their callers. Tells what they take, and what names take that only
/// other paths use.
fn mark_needed(held: &mut Held, marks: &mut Marks, folded: u32) -> (u64, u64) {
    let (epoch, at_peak) = (totals::epoch(), totals::at_peak());
    let differs = recorded::differs();
    let mut needed_sites = 0;
    for site in (1..sites::len()).filter(|&site| sites::is_used(site)) {
        if sites::holds(site, epoch, at_peak)
            || (differs && sites::is_needed(&sites::recorded_counters(site)))
        {
            needed_sites += 1;
            marks.mark(
                sites::site(site).node.load(Ordering::Relaxed),
                marks::NEEDED,
            );
        }
    }
    // What was folded before stays where it is as long as its caller does.
    for id in 1..tree::len() {
        let node = tree::node(id);
        let parent = node.parent.load(Ordering::Relaxed);
        if node.code.load(Ordering::Relaxed) == folded
            && node.state() != tree::FREE
            && (parent == tree::ROOT || marks.has(parent, marks::NEEDED))
        {
            marks.mark(id, marks::NEEDED);
        }
    }
    let mut paths = 0;
    let mut used_codes = UsedCodes::default();
    for id in (1..tree::len()).filter(|&id| marks.has(id, marks::NEEDED)) {
        paths += 1;
        used_codes.add(id);
    }
    let used_bytes = codes::bytes_of(held, &used_codes.0);
    let needed = paths * budget::path_bytes() + needed_sites * budget::site_bytes() + used_bytes;
    (needed, codes::heap_bytes(held).saturating_sub(used_bytes))
}

/// Paths on which nothing is live.
struct Idle {
    /// How long each has not been used: [`Self::NOT`] for one that is needed, or idle since the last sweep already.
    age: Vec<u8>,
    /// How many there are of each age.
    count: [u64; Self::AGES],
    /// How many there are, those that are to be given back as well, and what they take.
    paths: u64,
    bytes: u64,
}

impl Idle {
    const NOT: u8 = u8::MAX;
    /// A path that is new is as one that was used a sweep earlier: most paths are used once.
    const AGES: usize = OLDEST as usize + 2;
}

fn find_idle(held: &mut Held, marks: &Marks, code_bytes: u64) -> Idle {
    let count = tree::len();
    let mut seen = std::mem::take(SEEN.get(held));
    let known = seen.len();
    let more = (count as usize).saturating_sub(known);
    seen.reserve_exact(more.max(known / 8).min(more + (1 << 16)));
    seen.resize(count as usize, Seen::default());
    let mut idle = Idle {
        age: vec![Idle::NOT; count as usize],
        count: [0; Idle::AGES],
        paths: 0,
        bytes: 0,
    };
    let mut idle_sites = 0;
    for (id, seen) in (1..count).zip(&mut seen[1..]) {
        let state = tree::node(id).state();
        if state == tree::FREE {
            continue;
        }
        let before = *seen;
        *seen = before.then(usage(id));
        if marks.has(id, marks::NEEDED) {
            continue;
        }
        idle.paths += 1;
        idle_sites += sites::in_node(id);
        if state == tree::USED {
            let is_new = u32::from(before.0 == 0);
            let age = seen.age() + is_new;
            idle.age[id as usize] = age as u8;
            idle.count[age as usize] += 1;
        }
    }
    *SEEN.get(held) = seen;
    idle.bytes = idle.paths * budget::path_bytes() + idle_sites * budget::site_bytes() + code_bytes;
    idle
}

/// Changes when something is allocated on the path, and when its number is given to another one. Never 0 below the age.
fn usage(id: u32) -> u32 {
    let node = tree::node(id);
    let all = node.sites.iter().fold(node.reuse_count() + 1, |sum, site| {
        sum.wrapping_mul(31)
            .wrapping_add(sites::allocated_blocks(site.load(Ordering::Relaxed)))
    });
    (all ^ (all >> 26)) | 1
}

/// Marks the idle paths that were used last, as many as there is room for.
fn mark_staying(marks: &mut Marks, idle: &Idle, room: u64) {
    let bytes_of_each = (idle.bytes / idle.paths.max(1)).max(1);
    let mut left = room / bytes_of_each;
    let mut stays = [0_u64; Idle::AGES];
    for (stays, count) in stays.iter_mut().zip(idle.count) {
        *stays = count.min(left);
        left -= *stays;
    }
    for (id, &age) in (0..).zip(&idle.age) {
        if age != Idle::NOT && stays[usize::from(age)] > 0 {
            stays[usize::from(age)] -= 1;
            marks.mark(id, marks::STAYS);
        }
    }
}

/// The paths that end now: idle before, still idle, and no path that goes on for now hangs from them.
fn find_ending(held: &mut Held, marks: &mut Marks, is_over: bool) -> Vec<u32> {
    let waits = history::is_written() && !is_over;
    for id in 1..tree::len() {
        let goes_on = match tree::node(id).state() {
            tree::USED => true,
            tree::IDLE => waits && !marks.has(id, marks::NEEDED) && !is_settled(held, id),
            _ => false,
        };
        if goes_on {
            marks.mark(id, marks::CARRIES);
        }
    }
    (1..tree::len())
        .filter(|&id| {
            tree::node(id).state() == tree::IDLE
                && !marks.has(id, marks::NEEDED)
                && !marks.has(id, marks::CARRIES)
        })
        .collect()
}

/// Are the figures of all sites of the path in the file?
fn is_settled(held: &mut Held, id: u32) -> bool {
    sites::all_on_path(held, id, history::is_settled)
}

/// True when the index is to be built anew.
fn set_states(held: &mut Held, marks: &Marks) -> bool {
    let mut has_changed = false;
    for id in 1..tree::len() {
        let state = match tree::node(id).state() {
            tree::IDLE if marks.has(id, marks::NEEDED) => tree::USED,
            tree::USED if !marks.has(id, marks::NEEDED) && !marks.has(id, marks::STAYS) => {
                tree::IDLE
            }
            _ => continue,
        };
        tree::set_state(held, id, state);
        has_changed = true;
    }
    has_changed
}

/// Gives back the sites of a path that ends.
fn give_back(held: &mut Held, marks: &Marks, id: u32, folded: u32) {
    let mut above = tree::node(id).parent.load(Ordering::Relaxed);
    while above != tree::ROOT && !marks.has(above, marks::NEEDED) {
        above = tree::node(above).parent.load(Ordering::Relaxed);
    }
    for site in sites::on_path(held, id) {
        if history::is_written() && history::is_settled(held, site) {
            sites::leave(held, site);
        } else if let Some(target) = tree::child_held(held, above, folded, tree::NO_OFFSET) {
            let bytes = sites::fold(held, site, target);
            // What was folded before is counted.
            if tree::node(id).code.load(Ordering::Relaxed) != folded {
                history::count_folded(bytes);
            }
        }
    }
}

/// Which identities of code are used, by their ids.
#[derive(Default)]
struct UsedCodes(Vec<bool>);

impl UsedCodes {
    /// By the path `id`.
    fn add(&mut self, id: u32) {
        let code = tree::node(id).code.load(Ordering::Relaxed) as usize;
        if self.0.len() <= code {
            self.0.resize(code + 1, false);
        }
        self.0[code] = true;
    }
}

fn sweep_codes(held: &mut Held) {
    let mut used = UsedCodes::default();
    for id in (1..tree::len()).filter(|&id| tree::node(id).state() != tree::FREE) {
        used.add(id);
    }
    codes::sweep(held, used.0);
}

/// What all that is there takes.
fn counted_bytes(held: &mut Held) -> u64 {
    let paths = u64::from(tree::len()) - tree::free_count(held);
    let used_sites = u64::from(sites::len()).saturating_sub(sites::free_count(held));
    paths * budget::path_bytes() + used_sites * budget::site_bytes() + codes::heap_bytes(held)
}
