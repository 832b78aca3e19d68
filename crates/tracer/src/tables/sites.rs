//! Counters, one set for each (call path, domain).

mod moves;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

use heapsight_capture::model::Counters;

use crate::hooks::sampled::Weight;
use crate::interpreter::event::Sharing;
use crate::memory::chunked::{Chunked, Zeroed};
use crate::memory::lock::{self, Guarded, Held};
use crate::session;
use crate::tables::{changed, epochs, live_map, path_filter, recorded, totals, tree};
use crate::{config, thread};

pub(crate) use moves::{fold, hide_all, keep_recorded_peak, on_path, reapply_filter};

/// What does not fit in a node is kept in a locked map from the node: sites of other than the three standard
/// domains, and those that a thread has for itself because other threads count on the same path.
type Others = HashMap<u32, Vec<Other>>;

struct Other {
    /// As [`Site::kind`], or [`RETIRED`].
    kind: u32,
    /// Of the threads that it belongs to. See [`crate::tables::shared_total`].
    shard: u8,
    site: u32,
}

/// Highest number of a domain, those of extensions included.
pub(crate) const MAX_DOMAIN: u32 = (1 << 28) - 1;
const DOMAIN_MASK: u32 = MAX_DOMAIN;
const SHARED: u32 = 1 << 31;
const UNUSED: u32 = 1 << 30;
/// The program does not see the site: a recording alone does. Always counted with atomic operations. See [`recorded`].
const HIDDEN: u32 = 1 << 28;
/// In the key of [`OTHERS`]: a site of a standard domain that the filter has dropped since. It only counts frees.
const RETIRED: u32 = 1 << 29;

/// Counters of one site: one cache line. Live = allocated − freed.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct Site {
    allocated_bytes: AtomicU64,
    allocated_blocks: AtomicU64,
    freed_bytes: AtomicU64,
    freed_blocks: AtomicU64,
    /// Live figures when the present peak was left; meaningless when `stamp` is older than that.
    peak_bytes: AtomicU64,
    peak_blocks: AtomicU64,
    /// What the clock said when this site last changed. See [`crate::tables::epochs`].
    stamp: AtomicU64,
    pub(crate) node: AtomicU32,
    /// Domain, and whether the counters are changed with atomic operations.
    kind: AtomicU32,
}

// SAFETY: all fields are atomic integers, valid when zero.
unsafe impl Zeroed for Site {}

/// What is seldom needed of a site. Apart from [`Site`] to keep that to one cache line.
#[repr(C)]
#[derive(Default)]
struct Beside {
    /// Blocks freed before anything else was allocated.
    temporary_bytes: AtomicU64,
    temporary_blocks: AtomicU64,
    /// How often the id was given to another path.
    born: AtomicU32,
}

// SAFETY: all fields are atomic integers, valid when zero.
unsafe impl Zeroed for Beside {}

/// Live figures when the recording's peak was left, while that is another than the peak of the program's view.
#[repr(C)]
#[derive(Default)]
struct RecordedPeak {
    bytes: AtomicU64,
    blocks: AtomicU64,
}

// SAFETY: all fields are atomic integers, valid when zero.
unsafe impl Zeroed for RecordedPeak {}

static SITES: Chunked<Site> = Chunked::new();
static RECORDED_PEAKS: Chunked<RecordedPeak> = Chunked::new();
static BESIDE: Chunked<Beside> = Chunked::new();
static FREE_IDS: Guarded<Vec<u32>> = Guarded::new(Vec::new());
static OTHERS: Guarded<Option<Others>> = Guarded::new(None);

#[inline(always)]
fn add(counter: &AtomicU64, amount: u64, sharing: Sharing) {
    match sharing {
        Sharing::Gil => {
            counter.store(
                counter.load(Ordering::Relaxed).wrapping_add(amount),
                Ordering::Relaxed,
            );
        }
        Sharing::Shared => {
            counter.fetch_add(amount, Ordering::Relaxed);
        }
    }
}

impl Site {
    #[inline(always)]
    pub(crate) fn sharing(&self) -> Sharing {
        if self.kind.load(Ordering::Relaxed) & SHARED == 0 {
            Sharing::Gil
        } else {
            Sharing::Shared
        }
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.kind.load(Ordering::Relaxed) & HIDDEN != 0
    }

    pub(crate) fn domain(&self) -> u32 {
        self.kind.load(Ordering::Relaxed) & DOMAIN_MASK
    }

    fn live_bytes(&self) -> u64 {
        self.allocated_bytes
            .load(Ordering::Relaxed)
            .wrapping_sub(self.freed_bytes.load(Ordering::Relaxed))
    }

    fn live_blocks(&self) -> u64 {
        self.allocated_blocks
            .load(Ordering::Relaxed)
            .wrapping_sub(self.freed_blocks.load(Ordering::Relaxed))
    }

    /// To be called after each change: its live figures grew by so much (less than nothing: wrapped around).
    ///
    /// After it, and not before it: so that whoever begins an epoch sees the change if this does not see the epoch. See
    /// [`crate::tables::epochs`].
    #[inline(always)]
    fn after_change(&self, id: u32, bytes: u64, blocks: u64) {
        compiler_fence(Ordering::SeqCst);
        if self.stamp.load(Ordering::Relaxed) != epochs::now() {
            self.first_change(id, bytes, blocks);
        }
    }

    /// Something has begun since the site changed before: a new peak, a new tick.
    #[cold]
    #[inline(never)]
    fn first_change(&self, id: u32, bytes: u64, blocks: u64) {
        let now = epochs::now_with_epochs();
        let stamp = self.stamp.load(Ordering::Relaxed);
        let (peak, tick) = (totals::epoch(), changed::since());
        if stamp < peak {
            let then = self.live_bytes().wrapping_sub(bytes);
            self.peak_bytes.store(then, Ordering::Relaxed);
            let then = self.live_blocks().wrapping_sub(blocks);
            self.peak_blocks.store(then, Ordering::Relaxed);
        }
        let recorded_peak = recorded::epoch();
        if recorded::differs() && stamp < recorded_peak {
            let kept = RECORDED_PEAKS.get(id);
            let then = self.live_bytes().wrapping_sub(bytes);
            kept.bytes.store(then, Ordering::Relaxed);
            let then = self.live_blocks().wrapping_sub(blocks);
            kept.blocks.store(then, Ordering::Relaxed);
        }
        if stamp < tick {
            changed::list(id);
        }
        // An epoch may have begun since the clock was read: what was done for it is not to be done once more.
        let new = now.max(peak).max(tick).max(recorded_peak);
        match self.sharing() {
            Sharing::Gil => self.stamp.store(new, Ordering::Relaxed),
            // Never back: another thread may have been here meanwhile, for a later epoch.
            Sharing::Shared => {
                self.stamp.fetch_max(new, Ordering::Relaxed);
            }
        }
    }
}

/// The site `id`.
#[inline(always)]
pub(crate) fn site(id: u32) -> &'static Site {
    SITES.get(id)
}

/// Number of sites, the unused site 0 included.
pub(crate) fn len() -> u32 {
    SITES.len()
}

/// Counts a new block at `site`.
#[inline(always)]
pub(crate) fn allocated(id: u32, address: usize, bytes: u64, blocks: u64) {
    let site = SITES.get(id);
    let sharing = site.sharing();
    if sharing == Sharing::Shared && site.is_hidden() {
        recorded::allocated_hidden(bytes);
    } else {
        totals::allocated(sharing, address, bytes);
    }
    add(&site.allocated_bytes, bytes, sharing);
    add(&site.allocated_blocks, blocks, sharing);
    site.after_change(id, bytes, blocks);
}

/// Counts the end of a block at site `id`; true when it was a temporary one. See [`undo_freed`].
#[inline(always)]
pub(crate) fn freed(id: u32, address: usize, bytes: u64, blocks: u64) -> bool {
    let site = SITES.get(id);
    let sharing = site.sharing();
    let is_temporary = if sharing == Sharing::Shared && site.is_hidden() {
        recorded::freed_hidden(bytes);
        false
    } else {
        totals::before_free(sharing);
        totals::freed(sharing, address, bytes)
    };
    if is_temporary {
        let beside = BESIDE.get(id);
        add(&beside.temporary_bytes, bytes, sharing);
        add(&beside.temporary_blocks, blocks, sharing);
    }
    add(&site.freed_bytes, bytes, sharing);
    add(&site.freed_blocks, blocks, sharing);
    site.after_change(id, bytes.wrapping_neg(), blocks.wrapping_neg());
    is_temporary
}

/// The block did not end after all, as its reallocation failed. `was_temporary` is what [`freed`] said.
#[cold]
pub(crate) fn undo_freed(id: u32, address: usize, bytes: u64, blocks: u64, was_temporary: bool) {
    let site = SITES.get(id);
    let sharing = site.sharing();
    add(&site.freed_bytes, bytes.wrapping_neg(), sharing);
    add(&site.freed_blocks, blocks.wrapping_neg(), sharing);
    if was_temporary {
        let beside = BESIDE.get(id);
        add(&beside.temporary_bytes, bytes.wrapping_neg(), sharing);
        add(&beside.temporary_blocks, blocks.wrapping_neg(), sharing);
    }
    site.after_change(id, bytes, blocks);
    if site.is_hidden() {
        recorded::allocated_hidden(bytes);
    } else {
        totals::allocated(sharing, address, bytes);
    }
}

/// Counts a sampled block at site `id`. All sampled blocks are counted by the holder of the table lock, who is alone.
pub(crate) fn allocated_by_holder(held: &mut Held, id: u32, weight: Weight) {
    let site = SITES.get(id);
    add_to_totals_by_holder(held, site, weight.bytes);
    add(&site.allocated_bytes, weight.bytes, Sharing::Gil);
    add(&site.allocated_blocks, weight.blocks, Sharing::Gil);
    site.after_change(id, weight.bytes, weight.blocks);
}

/// Counts its end.
pub(crate) fn freed_by_holder(held: &mut Held, id: u32, weight: Weight, is_temporary: bool) {
    let site = SITES.get(id);
    let (bytes, blocks) = (weight.bytes, weight.blocks);
    if site.is_hidden() {
        recorded::freed_hidden(bytes);
    } else {
        totals::before_free(Sharing::Shared);
        totals::freed_by_holder(held, bytes);
    }
    add(&site.freed_bytes, bytes, Sharing::Gil);
    add(&site.freed_blocks, blocks, Sharing::Gil);
    if is_temporary {
        let beside = BESIDE.get(id);
        add(&beside.temporary_bytes, bytes, Sharing::Gil);
        add(&beside.temporary_blocks, blocks, Sharing::Gil);
    }
    site.after_change(id, bytes.wrapping_neg(), blocks.wrapping_neg());
}

/// It did not end after all. `was_temporary` is what [`freed_by_holder`] was told.
#[cold]
pub(crate) fn undo_freed_by_holder(held: &mut Held, id: u32, weight: Weight, was_temporary: bool) {
    let site = SITES.get(id);
    let (bytes, blocks) = (weight.bytes.wrapping_neg(), weight.blocks.wrapping_neg());
    add(&site.freed_bytes, bytes, Sharing::Gil);
    add(&site.freed_blocks, blocks, Sharing::Gil);
    if was_temporary {
        let beside = BESIDE.get(id);
        add(&beside.temporary_bytes, bytes, Sharing::Gil);
        add(&beside.temporary_blocks, blocks, Sharing::Gil);
    }
    site.after_change(id, weight.bytes, weight.blocks);
    add_to_totals_by_holder(held, site, weight.bytes);
}

fn add_to_totals_by_holder(held: &mut Held, site: &Site, bytes: u64) {
    if site.is_hidden() {
        recorded::allocated_hidden_by_holder(held, bytes);
    } else {
        totals::allocated_by_holder(held, bytes);
    }
}

/// Stands in a node for "blocks of this domain are not traced here": the filter said so.
pub(crate) const EXCLUDED: u32 = u32::MAX;

/// The site of `domain` on the path `node`; 0 when there is no memory for a new one, [`EXCLUDED`] when the filter drops the path.
#[inline(always)]
pub(crate) fn of(node: u32, domain: u32, sharing: Sharing) -> u32 {
    let mut shard = 0;
    if sharing == Sharing::Shared {
        let thread = thread::current();
        // SAFETY: the calling thread's own state, or null.
        unsafe {
            shard = thread::shard(thread);
            if shard != 0 {
                // A thread that has a shard has a state; of that, only this field is borrowed.
                let own_sites = &raw mut (*thread).own_sites;
                return (*own_sites).of(node, domain, shard);
            }
        }
    }
    if has_place_in_node(domain, sharing) {
        let id = tree::node(node).sites[domain as usize].load(Ordering::Relaxed);
        if id != 0 {
            return id;
        }
    }
    find_or_make(node, domain, sharing, shard)
}

/// Sites lately used by a thread of another shard than the first.
#[derive(Default)]
pub(crate) struct OwnSites {
    epoch: u64,
    /// (Path, domain, site). Empty until needed.
    known: Vec<(u32, u32, u32)>,
}

const OWN_SITES: usize = 256;

impl OwnSites {
    fn of(&mut self, node: u32, domain: u32, shard: u8) -> u32 {
        if self.epoch != session::cache_epoch() {
            self.epoch = session::cache_epoch();
            self.known.clear();
            self.known.resize(OWN_SITES, (0, 0, 0));
        }
        let place = node.wrapping_mul(0x9e37_79b9).wrapping_add(domain) as usize % OWN_SITES;
        let (at, of, id) = self.known[place];
        if (at, of) == (node, domain) && id != 0 {
            return id;
        }
        let id = find_or_make(node, domain, Sharing::Shared, shard);
        self.known[place] = (node, domain, id);
        id
    }
}

/// Sites of the standard domains are found in the node. The raw domain is always shared; the others where all events are.
#[inline(always)]
fn has_place_in_node(domain: u32, sharing: Sharing) -> bool {
    domain < 3 && (sharing == Sharing::Gil || domain == 0 || config::all_shared())
}

#[cold]
#[inline(never)]
fn find_or_make(node: u32, domain: u32, sharing: Sharing, shard: u8) -> u32 {
    let mut held = lock::hold();
    // What the program does not want to see, a recording keeps, unless its own filter drops it.
    let is_hidden = recorded::is_recorded()
        && (recorded::hides_new() || !path_filter::keeps(&mut held, node))
        && path_filter::keeps_in_recording(&mut held, node);
    find_or_make_held(&mut held, node, (domain, is_hidden), sharing, shard)
}

fn find_or_make_held(
    held: &mut Held,
    node: u32,
    (domain, is_hidden): (u32, bool),
    sharing: Sharing,
    shard: u8,
) -> u32 {
    let has_place = shard == 0 && has_place_in_node(domain, sharing);
    let place = &tree::node(node).sites[if has_place { domain as usize } else { 0 }];
    let in_place = if has_place {
        place.load(Ordering::Relaxed)
    } else {
        0
    };
    if in_place == EXCLUDED || (in_place != 0 && SITES.get(in_place).is_hidden() == is_hidden) {
        return in_place;
    }
    let hides_new = recorded::hides_new();
    if !is_hidden && (hides_new || !path_filter::keeps(held, node)) {
        if has_place {
            place.store(EXCLUDED, Ordering::Relaxed);
        }
        return EXCLUDED;
    }
    let takes_place = has_place && in_place == 0;
    let kind = domain
        | match (is_hidden, sharing) {
            (true, _) => HIDDEN | SHARED,
            (false, Sharing::Gil) => 0,
            (false, Sharing::Shared) => SHARED,
        };
    if is_hidden || !takes_place {
        let known = other_of(held, node, kind, shard);
        if known != 0 {
            if takes_place {
                place.store(known, Ordering::Release);
            }
            return known;
        }
    }
    let id = FREE_IDS
        .get(held)
        .pop()
        .unwrap_or_else(|| SITES.len().max(1));
    if id > live_map::MAX_SITE
        || !SITES.ensure(held, id)
        || !BESIDE.ensure(held, id)
        || (recorded::differs() && !RECORDED_PEAKS.ensure(held, id))
    {
        return 0;
    }
    let site = SITES.get(id);
    site.node.store(node, Ordering::Relaxed);
    site.kind.store(kind, Ordering::Relaxed);
    if id >= SITES.len() {
        SITES.set_len(held, id + 1);
    }
    if takes_place {
        place.store(id, Ordering::Release);
    } else {
        add_other(held, node, kind, shard, id);
    }
    id
}

fn other_of(held: &mut Held, node: u32, kind: u32, shard: u8) -> u32 {
    let others = OTHERS.get(held).as_ref();
    others
        .and_then(|others| others.get(&node))
        .and_then(|others| {
            others
                .iter()
                .find(|other| (other.kind, other.shard) == (kind, shard))
        })
        .map_or(0, |other| other.site)
}

fn add_other(held: &mut Held, node: u32, kind: u32, shard: u8, site: u32) {
    OTHERS
        .get(held)
        .get_or_insert_default()
        .entry(node)
        .or_default()
        .push(Other { kind, shard, site });
}

/// The counters of site `id` as they are now. `epoch` and `at_peak` are those of [`totals`].
pub(crate) fn counters(id: u32, epoch: u64, at_peak: bool) -> Counters {
    let site = SITES.get(id);
    let beside = BESIDE.get(id);
    let unchanged = at_peak || site.stamp.load(Ordering::Relaxed) < epoch;
    let peak = |saved: &AtomicU64, live: u64| {
        if unchanged {
            live
        } else {
            saved.load(Ordering::Relaxed)
        }
    };
    Counters {
        allocated_bytes: site.allocated_bytes.load(Ordering::Relaxed),
        allocated_blocks: site.allocated_blocks.load(Ordering::Relaxed),
        freed_bytes: site.freed_bytes.load(Ordering::Relaxed),
        freed_blocks: site.freed_blocks.load(Ordering::Relaxed),
        temporary_bytes: beside.temporary_bytes.load(Ordering::Relaxed),
        temporary_blocks: beside.temporary_blocks.load(Ordering::Relaxed),
        peak_bytes: peak(&site.peak_bytes, site.live_bytes()),
        peak_blocks: peak(&site.peak_blocks, site.live_blocks()),
    }
}

/// The same as a recording has it: with its own peak.
pub(crate) fn recorded_counters(id: u32) -> Counters {
    let mut counters = counters(id, totals::epoch(), totals::at_peak());
    if recorded::differs() {
        let site = SITES.get(id);
        let unchanged =
            recorded::at_peak() || site.stamp.load(Ordering::Relaxed) < recorded::epoch();
        (counters.peak_bytes, counters.peak_blocks) = if unchanged {
            (site.live_bytes(), site.live_blocks())
        } else {
            let kept = RECORDED_PEAKS.get(id);
            (
                kept.bytes.load(Ordering::Relaxed),
                kept.blocks.load(Ordering::Relaxed),
            )
        };
    }
    counters
}

/// Bytes live at site `id` now.
pub(crate) fn live_bytes(id: u32) -> u64 {
    SITES.get(id).live_bytes()
}

/// The low half of the number of blocks ever allocated at the site `id` of a node; 0 for one that is none.
pub(crate) fn allocated_blocks(id: u32) -> u32 {
    if id == 0 || id == EXCLUDED {
        return 0;
    }
    SITES.get(id).allocated_blocks.load(Ordering::Relaxed) as u32
}

/// Would anything be missed if the path of a site with these counters were forgotten: a live block, or one that was live at the peak?
pub(crate) fn is_needed(counters: &Counters) -> bool {
    counters.allocated_blocks != counters.freed_blocks || counters.peak_blocks != 0
}

/// Increases each time the id is used for another path, within one generation of the tables.
pub(crate) fn born(id: u32) -> u32 {
    BESIDE.get(id).born.load(Ordering::Relaxed)
}

/// Is `id` in use?
pub(crate) fn is_used(id: u32) -> bool {
    SITES.get(id).kind.load(Ordering::Relaxed) & UNUSED == 0
}

/// Is `id` in use, and does the program see it?
pub(crate) fn is_in_view(id: u32) -> bool {
    SITES.get(id).kind.load(Ordering::Relaxed) & (UNUSED | HIDDEN) == 0
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    OTHERS.get(held).as_ref().map_or(0, |others| {
        let entry = size_of::<(u32, Vec<Other>)>() + 1;
        let lists: usize = others.values().map(Vec::capacity).sum();
        (others.capacity() * 8 / 7 * entry + lists * size_of::<Other>()) as u64
    })
}

/// Sets all counters to zero, keeping the sites.
pub(crate) fn zero_counters() {
    (1..SITES.len()).for_each(zero);
}

fn zero(id: u32) {
    let site = SITES.get(id);
    let beside = BESIDE.get(id);
    for counter in [
        &site.allocated_bytes,
        &site.allocated_blocks,
        &site.freed_bytes,
        &site.freed_blocks,
        &site.peak_bytes,
        &site.peak_blocks,
        &beside.temporary_bytes,
        &beside.temporary_blocks,
    ] {
        counter.store(0, Ordering::Relaxed);
    }
    if recorded::differs() {
        let kept = RECORDED_PEAKS.get(id);
        kept.bytes.store(0, Ordering::Relaxed);
        kept.blocks.store(0, Ordering::Relaxed);
    }
}

/// Forgets every site.
pub(crate) fn reset(held: &mut Held) {
    *OTHERS.get(held) = None;
    *FREE_IDS.get(held) = Vec::new();
    SITES.reset(held);
    BESIDE.reset(held);
    RECORDED_PEAKS.reset(held);
}
