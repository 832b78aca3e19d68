//! Counters, one set for each (call path, domain).

mod places;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

use heapsight_capture::model::Counters;

use crate::countdown::Weight;
use crate::interpreter::event::Sharing;
use crate::memory::chunked::{Chunked, Zeroed};
use crate::memory::lock::Held;
use crate::tables::epochs::{self, EPOCHS};
use crate::tables::{changed, recorded, totals};

pub(crate) use places::{
    OwnSites, all_on_path, each_on_path, fold, free_count, heap_bytes, hide_all, in_node, leave,
    of, reapply_filter,
};

/// Highest number of a domain, those of extensions included.
pub(crate) const MAX_DOMAIN: u32 = (1 << 28) - 1;
const DOMAIN_MASK: u32 = MAX_DOMAIN;
const SHARED: u32 = 1 << 31;
const UNUSED: u32 = 1 << 30;
/// The program does not see the site: a recording alone does. Always counted with atomic operations. See [`recorded`].
const HIDDEN: u32 = 1 << 28;

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
    reuse_count: AtomicU32,
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

/// What a site takes in memory.
pub(crate) const BYTES: u64 = (size_of::<Site>() + size_of::<Beside>()) as u64;

static SITES: Chunked<Site, Beside> = Chunked::new();
static RECORDED_PEAKS: Chunked<RecordedPeak> = Chunked::new();

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

    /// What the clock said when it last changed. See [`crate::tables::epochs`].
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::Relaxed)
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

    /// Call this after each change of the site `own_id`: its live figures grew by so much (less than nothing:
    /// wrapped around).
    ///
    /// After it, and not before it: so that whoever begins an epoch sees the change if this does not see the epoch. See
    /// [`crate::tables::epochs`].
    #[inline(always)]
    fn after_change(&'static self, own_id: u32, bytes: u64, blocks: u64) {
        compiler_fence(Ordering::SeqCst);
        if self.stamp.load(Ordering::Relaxed) != epochs::now() {
            self.first_change(own_id, bytes, blocks);
        }
    }

    /// Something has begun since the site changed before: a new peak, a new tick.
    #[cold]
    #[inline(never)]
    fn first_change(&'static self, own_id: u32, bytes: u64, blocks: u64) {
        let now = epochs::now_with_epochs();
        let stamp = self.stamp.load(Ordering::Relaxed);
        let (peak, tick) = (totals::epoch(), changed::since());
        if stamp < peak {
            let then = self.live_bytes().wrapping_sub(bytes);
            self.peak_bytes.store(then, Ordering::Relaxed);
            let then = self.live_blocks().wrapping_sub(blocks);
            self.peak_blocks.store(then, Ordering::Relaxed);
        }
        let recorded_peak = EPOCHS.recorded_peak.since();
        if stamp < recorded_peak
            && let Some(kept) = RECORDED_PEAKS.try_get(own_id)
        {
            let then = self.live_bytes().wrapping_sub(bytes);
            kept.bytes.store(then, Ordering::Relaxed);
            let then = self.live_blocks().wrapping_sub(blocks);
            kept.blocks.store(then, Ordering::Relaxed);
        }
        if stamp < tick {
            changed::list(own_id);
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

/// Makes the site `id` usable; false when there is no memory.
fn ensure(held: &mut Held, id: u32) -> bool {
    SITES.ensure(held, id) && (!recorded::differs() || RECORDED_PEAKS.ensure(held, id))
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
        let beside = SITES.beside(site);
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
        let beside = SITES.beside(site);
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
        let beside = SITES.beside(site);
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
        let beside = SITES.beside(site);
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

/// The counters of site `id` as they are now. `epoch` and `at_peak` are those of [`totals`].
pub(crate) fn counters(id: u32, epoch: u64, at_peak: bool) -> Counters {
    let site = SITES.get(id);
    let beside = SITES.beside(site);
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
            RECORDED_PEAKS.try_get(id).map_or((0, 0), |kept| {
                (
                    kept.bytes.load(Ordering::Relaxed),
                    kept.blocks.load(Ordering::Relaxed),
                )
            })
        };
    }
    counters
}

/// From now on the recording's peak, which was left in `epoch`, is another than the view's. Without memory for its
/// composition that is lost.
pub(crate) fn keep_recorded_peak(held: &mut Held, epoch: u64) {
    for id in 1..SITES.len() {
        if !RECORDED_PEAKS.ensure(held, id) {
            totals::count_loss();
            return;
        }
        let (site, kept) = (SITES.get(id), RECORDED_PEAKS.get(id));
        if site.stamp.load(Ordering::Relaxed) >= epoch {
            kept.bytes
                .store(site.peak_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
            kept.blocks
                .store(site.peak_blocks.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
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

/// Would anything be missed if the path of a site with these counters were forgotten: a live block, or one that was
/// live at the peak?
pub(crate) fn is_needed(counters: &Counters) -> bool {
    counters.allocated_blocks != counters.freed_blocks || counters.peak_blocks != 0
}

/// Does anything live at site `id`, or did at the peak? As [`is_needed`] of its [`counters`], and quicker.
pub(crate) fn holds(id: u32, epoch: u64, at_peak: bool) -> bool {
    let site = SITES.get(id);
    let unchanged = at_peak || site.stamp() < epoch;
    site.live_blocks() != 0 || (!unchanged && site.peak_blocks.load(Ordering::Relaxed) != 0)
}

/// Increases each time the id is used for another path, within one generation of the tables.
pub(crate) fn reuse_count(id: u32) -> u32 {
    SITES
        .beside(SITES.get(id))
        .reuse_count
        .load(Ordering::Relaxed)
}

/// Is `id` in use?
pub(crate) fn is_used(id: u32) -> bool {
    SITES.get(id).kind.load(Ordering::Relaxed) & UNUSED == 0
}

/// Is `id` in use, and does the program see it?
pub(crate) fn is_in_view(id: u32) -> bool {
    SITES.get(id).kind.load(Ordering::Relaxed) & (UNUSED | HIDDEN) == 0
}

/// Sets all counters to zero, keeping the sites.
pub(crate) fn zero_counters() {
    (1..SITES.len()).for_each(zero);
}

fn zero(id: u32) {
    let site = SITES.get(id);
    let beside = SITES.beside(site);
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
    if let Some(kept) = RECORDED_PEAKS.try_get(id) {
        kept.bytes.store(0, Ordering::Relaxed);
        kept.blocks.store(0, Ordering::Relaxed);
    }
}

/// Forgets every site.
pub(crate) fn reset(held: &mut Held) {
    places::forget(held);
    SITES.reset(held);
    RECORDED_PEAKS.reset(held);
}
