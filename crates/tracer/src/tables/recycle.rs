//! Bounded growth: frees call paths without live blocks when there is no room for all of them.
//!
//! A server that creates code for ever, or a recursion that takes a different path each time, makes new call paths
//! without end. When these fill the budget ([`crate::tables::budget`]), a *sweep* looks for idle paths: no block on
//! them or on a path that continues them is live or was live at the peak. The most recently used idle paths stay,
//! because a program that uses many paths again and again would otherwise have to make them anew each time; the others
//! are freed. While a file is written, their counters are in it by then, and nothing else remains of them
//! ([`crate::tables::history`]). Otherwise what was allocated and freed on them is added to an element `[folded paths]`
//! below their nearest caller that stays, so that no total changes.
//!
//! Another thread may be inside a hook, without the GIL, and hold the number of an idle path. So a path is freed in two
//! steps. A sweep removes idle paths from the index, so that nobody finds them any more. Only the next sweep frees
//! them, if nothing was allocated on them meanwhile. Between two sweeps lie thousands of new paths.

mod marks;

use std::sync::atomic::{AtomicU32, Ordering};

use self::marks::Marks;
use crate::memory::lock::{self, Guarded, Held};
use crate::session;
use crate::tables::budget::{self, MOST_UNWRITTEN, Swept};
use crate::tables::{codes, history, recorded, sites, totals, tree};

/// How often paths were swept.
static SWEEPS: AtomicU32 = AtomicU32::new(0);
/// What the last sweep saw of each path.
static SEEN: Guarded<Vec<Seen>> = Guarded::new(Vec::new());

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
    let needed_sites = mark_needed(&mut marks);
    let mut survey = survey(held, &mut marks, folded);
    let needed_names = codes::bytes_of(held, &survey.needed_codes.0);
    let needed = survey.needed_paths * budget::path_bytes()
        + needed_sites * budget::site_bytes()
        + needed_names;
    let idle_bytes = survey.idle_paths * budget::path_bytes()
        + survey.idle_sites * budget::site_bytes()
        + codes::heap_bytes(held).saturating_sub(needed_names);
    let room = budget::room(budget, needed);
    let bytes_of_each = (idle_bytes / survey.idle_paths.max(1)).max(1);
    mark_staying(&mut marks, &survey, room / STAYING / bytes_of_each);
    let is_over = idle_bytes > room.saturating_mul(MOST_UNWRITTEN);
    let ending = find_ending(&mut marks, &survey, is_over);
    let newly_idle: Vec<u32> = (0..)
        .zip(&survey.age)
        .filter(|&(id, &age)| age != NOT_IDLE && !marks.has(id, marks::STAYS))
        .map(|(id, _)| id)
        .collect();
    tree::set_idle(held, &newly_idle);
    for &id in &survey.revived {
        tree::set_used(held, id);
    }
    for &id in &ending {
        give_back(held, &marks, id, folded);
    }
    for &id in &ending {
        tree::set_free(held, id);
        SEEN.get(held)[id as usize] = Seen::default();
    }
    history::count_gone(ending.len() as u64);
    survey.needed_codes.add_all(&survey.idle_codes);
    codes::sweep(held, survey.needed_codes.0);
    let counted = counted_bytes(held);
    let is_full = counted > needed.saturating_add(room);
    let waiting = if is_full { survey.unwritten_paths } else { 0 };
    history::set_pressed(held, waiting);
    Swept {
        budget,
        needed,
        counted,
        waits_for_file: waiting > 0,
    }
}

/// Marks the paths that cannot be given back, with their callers; gives how many sites are on them that hold something.
fn mark_needed(marks: &mut Marks) -> u64 {
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
    needed_sites
}

/// What one look at each path tells.
struct Survey {
    needed_paths: u64,
    needed_codes: UsedCodes,
    /// Paths on which nothing is live, those that are to be given back as well.
    idle_paths: u64,
    idle_sites: u64,
    idle_codes: UsedCodes,
    /// How long each path has not been used; [`NOT_IDLE`] for one that is needed, or was idle at the last sweep
    /// already.
    age: Vec<u8>,
    /// How many there are of each age.
    count: [u64; AGES],
    /// Paths that were idle at the last sweep, and are still.
    waiting: Vec<u32>,
    /// Those of them whose figures the file does not have yet; none when no file is written.
    unwritten: Vec<u32>,
    /// Idle paths whose figures the file does not have yet, those that are not to be given back as well.
    unwritten_paths: u64,
    /// Paths that were idle at the last sweep, and are needed now.
    revived: Vec<u32>,
}

const NOT_IDLE: u8 = u8::MAX;

/// A path that is new is as one that was used a sweep earlier: most paths are used once.
const AGES: usize = OLDEST as usize + 2;

fn survey(held: &mut Held, marks: &mut Marks, folded: u32) -> Survey {
    let count = tree::len();
    let mut all_seen = std::mem::take(SEEN.get(held));
    let more = (count as usize).saturating_sub(all_seen.len());
    all_seen.reserve_exact(more);
    all_seen.resize(count as usize, Seen::default());
    let is_written = history::is_written();
    let mut survey = Survey {
        needed_paths: 0,
        needed_codes: UsedCodes::default(),
        idle_paths: 0,
        idle_sites: 0,
        idle_codes: UsedCodes::default(),
        age: vec![NOT_IDLE; count as usize],
        count: [0; AGES],
        waiting: Vec::new(),
        unwritten: Vec::new(),
        unwritten_paths: 0,
        revived: Vec::new(),
    };
    for (id, seen) in (1..count).zip(&mut all_seen[1..]) {
        let node = tree::node(id);
        let state = node.state();
        if state == tree::FREE {
            continue;
        }
        let (parent, code) = (
            node.parent.load(Ordering::Relaxed),
            node.code.load(Ordering::Relaxed),
        );
        let before = *seen;
        *seen = before.then(usage(node));
        // What was folded before stays where it is as long as its caller does.
        if code == folded && (parent == tree::ROOT || marks.has(parent, marks::NEEDED)) {
            marks.mark(id, marks::NEEDED);
        }
        if marks.has(id, marks::NEEDED) {
            survey.needed_paths += 1;
            survey.needed_codes.add(code);
            if state == tree::IDLE {
                survey.revived.push(id);
            }
            continue;
        }
        survey.idle_paths += 1;
        survey.idle_sites += sites::in_node(node);
        survey.idle_codes.add(code);
        let is_unwritten = is_written && !is_settled(held, id);
        survey.unwritten_paths += u64::from(is_unwritten);
        if state == tree::IDLE {
            survey.waiting.push(id);
            if is_unwritten {
                survey.unwritten.push(id);
            }
        } else {
            let age = seen.age() + u32::from(before.0 == 0);
            survey.age[id as usize] = age as u8;
            survey.count[age as usize] += 1;
            // What hangs from a path that was to be given back keeps it.
            if parent != tree::ROOT && tree::node(parent).state() == tree::IDLE {
                marks.mark(parent, marks::CARRIES);
            }
        }
    }
    *SEEN.get(held) = all_seen;
    survey
}

/// Changes when something is allocated on the path, and when its number is given to another one. Never 0 below the age.
fn usage(node: &tree::Node) -> u32 {
    let all = node.sites.iter().fold(node.reuse_count() + 1, |sum, site| {
        sum.wrapping_mul(31)
            .wrapping_add(sites::allocated_blocks(site.load(Ordering::Relaxed)))
    });
    (all ^ (all >> 26)) | 1
}

/// Marks the idle paths that were used last, up to so many.
fn mark_staying(marks: &mut Marks, survey: &Survey, mut most: u64) {
    let mut stays = [0_u64; AGES];
    for (stays, count) in stays.iter_mut().zip(survey.count) {
        *stays = count.min(most);
        most -= *stays;
    }
    for (id, &age) in (0..).zip(&survey.age) {
        if age != NOT_IDLE && stays[usize::from(age)] > 0 {
            stays[usize::from(age)] -= 1;
            marks.mark(id, marks::STAYS);
        }
    }
}

/// The paths that end now: idle before, still idle, and no path that goes on for now hangs from them.
fn find_ending(marks: &mut Marks, survey: &Survey, is_over: bool) -> Vec<u32> {
    if !is_over {
        for &id in &survey.unwritten {
            marks.mark(id, marks::CARRIES);
        }
    }
    let ending = survey.waiting.iter().copied();
    ending
        .filter(|&id| !marks.has(id, marks::CARRIES))
        .collect()
}

/// Are the figures of all sites of the path in the file?
fn is_settled(held: &mut Held, id: u32) -> bool {
    sites::all_on_path(held, id, history::is_settled)
}

/// Gives back the sites of a path that ends.
fn give_back(held: &mut Held, marks: &Marks, id: u32, folded: u32) {
    let mut above = tree::node(id).parent.load(Ordering::Relaxed);
    while above != tree::ROOT && !marks.has(above, marks::NEEDED) {
        above = tree::node(above).parent.load(Ordering::Relaxed);
    }
    sites::each_on_path(held, id, |held, site| {
        if history::is_written() && history::is_settled(held, site) {
            sites::leave(held, site);
        } else if let Some(target) = tree::child_held(held, above, folded, tree::NO_OFFSET) {
            let bytes = sites::fold(held, site, target);
            // What was folded before is counted.
            if tree::node(id).code.load(Ordering::Relaxed) != folded {
                history::count_folded(bytes);
            }
        }
    });
}

/// Which identities of code are used, by their ids.
#[derive(Default)]
struct UsedCodes(Vec<bool>);

impl UsedCodes {
    fn add(&mut self, code: u32) {
        let code = code as usize;
        if self.0.len() <= code {
            self.0.resize(code + 1, false);
        }
        self.0[code] = true;
    }

    fn add_all(&mut self, other: &Self) {
        let used = other.0.iter().enumerate().filter(|(_, is_used)| **is_used);
        used.for_each(|(code, _)| self.add(code as u32));
    }
}

/// What all that is there takes.
fn counted_bytes(held: &mut Held) -> u64 {
    let paths = u64::from(tree::len()) - tree::free_count(held);
    let used_sites = u64::from(sites::len()).saturating_sub(sites::free_count(held));
    paths * budget::path_bytes() + used_sites * budget::site_bytes() + codes::heap_bytes(held)
}
