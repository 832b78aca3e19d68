//! Counters, one set for each (call path, domain).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use heapsight_capture::model::Counters;

use crate::hooks::sampled::Weight;
use crate::interpreter::event::Sharing;
use crate::memory::chunked::{Chunked, Zeroed};
use crate::memory::lock::{self, Guarded, Held};
use crate::session;
use crate::tables::totals;
use crate::tables::{live_map, path_filter, tree};
use crate::{config, thread};

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
pub(crate) const MAX_DOMAIN: u32 = (1 << 29) - 1;
const DOMAIN_MASK: u32 = MAX_DOMAIN;
const SHARED: u32 = 1 << 31;
const UNUSED: u32 = 1 << 30;
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
    /// Live figures when epoch `epoch` began; meaningless in any other epoch.
    peak_bytes: AtomicU64,
    peak_blocks: AtomicU64,
    /// The epoch in which this site last changed. See [`crate::tables::totals`](mod@crate::tables::totals).
    epoch: AtomicU64,
    pub(crate) node: AtomicU32,
    /// Domain, and whether the counters are changed with atomic operations.
    kind: AtomicU32,
}

// SAFETY: all fields are atomic integers, valid when zero.
unsafe impl Zeroed for Site {}

/// Blocks freed before anything else was allocated. Apart from [`Site`] to keep that to one cache line.
#[repr(C)]
#[derive(Default)]
struct Temporary {
    bytes: AtomicU64,
    blocks: AtomicU64,
}

// SAFETY: all fields are atomic integers, valid when zero.
unsafe impl Zeroed for Temporary {}

static SITES: Chunked<Site> = Chunked::new();
static TEMPORARY: Chunked<Temporary> = Chunked::new();
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

    /// Keeps the live figures if this is the first change since the peak.
    #[inline(always)]
    fn before_change(&self) {
        let epoch = totals::epoch();
        if self.epoch.load(Ordering::Relaxed) != epoch {
            self.peak_bytes.store(self.live_bytes(), Ordering::Relaxed);
            self.peak_blocks
                .store(self.live_blocks(), Ordering::Relaxed);
            self.epoch.store(epoch, Ordering::Relaxed);
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
pub(crate) fn allocated(site: u32, address: usize, bytes: u64, blocks: u64) {
    let site = SITES.get(site);
    let sharing = site.sharing();
    site.before_change();
    add(&site.allocated_bytes, bytes, sharing);
    add(&site.allocated_blocks, blocks, sharing);
    totals::allocated(sharing, address, bytes);
}

/// Counts the end of a block at site `id`; true when it was a temporary one. See [`undo_freed`].
#[inline(always)]
pub(crate) fn freed(id: u32, address: usize, bytes: u64, blocks: u64) -> bool {
    let site = SITES.get(id);
    let sharing = site.sharing();
    totals::before_free(sharing);
    site.before_change();
    add(&site.freed_bytes, bytes, sharing);
    add(&site.freed_blocks, blocks, sharing);
    let is_temporary = totals::freed(sharing, address, bytes);
    if is_temporary {
        let temporary = TEMPORARY.get(id);
        add(&temporary.bytes, bytes, sharing);
        add(&temporary.blocks, blocks, sharing);
    }
    is_temporary
}

/// The block did not end after all, as its reallocation failed. `was_temporary` is what [`freed`] said.
#[cold]
pub(crate) fn undo_freed(id: u32, address: usize, bytes: u64, blocks: u64, was_temporary: bool) {
    let site = SITES.get(id);
    let sharing = site.sharing();
    site.before_change();
    add(&site.freed_bytes, bytes.wrapping_neg(), sharing);
    add(&site.freed_blocks, blocks.wrapping_neg(), sharing);
    if was_temporary {
        let temporary = TEMPORARY.get(id);
        add(&temporary.bytes, bytes.wrapping_neg(), sharing);
        add(&temporary.blocks, blocks.wrapping_neg(), sharing);
    }
    totals::allocated(sharing, address, bytes);
}

/// Counts a sampled block at site `id`. All sampled blocks are counted by the holder of the table lock, who is alone.
pub(crate) fn allocated_by_holder(held: &mut Held, id: u32, weight: Weight) {
    let site = SITES.get(id);
    site.before_change();
    add(&site.allocated_bytes, weight.bytes, Sharing::Gil);
    add(&site.allocated_blocks, weight.blocks, Sharing::Gil);
    totals::allocated_by_holder(held, weight.bytes);
}

/// Counts its end.
pub(crate) fn freed_by_holder(held: &mut Held, id: u32, weight: Weight, is_temporary: bool) {
    let site = SITES.get(id);
    totals::before_free(Sharing::Shared);
    site.before_change();
    add(&site.freed_bytes, weight.bytes, Sharing::Gil);
    add(&site.freed_blocks, weight.blocks, Sharing::Gil);
    totals::freed_by_holder(held, weight.bytes);
    if is_temporary {
        let temporary = TEMPORARY.get(id);
        add(&temporary.bytes, weight.bytes, Sharing::Gil);
        add(&temporary.blocks, weight.blocks, Sharing::Gil);
    }
}

/// It did not end after all. `was_temporary` is what [`freed_by_holder`] was told.
#[cold]
pub(crate) fn undo_freed_by_holder(held: &mut Held, id: u32, weight: Weight, was_temporary: bool) {
    let site = SITES.get(id);
    let (bytes, blocks) = (weight.bytes.wrapping_neg(), weight.blocks.wrapping_neg());
    site.before_change();
    add(&site.freed_bytes, bytes, Sharing::Gil);
    add(&site.freed_blocks, blocks, Sharing::Gil);
    if was_temporary {
        let temporary = TEMPORARY.get(id);
        add(&temporary.bytes, bytes, Sharing::Gil);
        add(&temporary.blocks, blocks, Sharing::Gil);
    }
    totals::allocated_by_holder(held, weight.bytes);
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
            if shard != 0
                && let Some(thread) = thread.as_mut()
            {
                return thread.own_sites.of(node, domain, shard);
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
    find_or_make_held(&mut lock::hold(), node, domain, sharing, shard)
}

fn find_or_make_held(held: &mut Held, node: u32, domain: u32, sharing: Sharing, shard: u8) -> u32 {
    let kind = domain
        | match sharing {
            Sharing::Gil => 0,
            Sharing::Shared => SHARED,
        };
    let standard = shard == 0 && has_place_in_node(domain, sharing);
    let known = if standard {
        tree::node(node).sites[domain as usize].load(Ordering::Relaxed)
    } else if path_filter::keeps(held, node) {
        OTHERS
            .get(held)
            .as_ref()
            .and_then(|others| others.get(&node))
            .and_then(|others| {
                others
                    .iter()
                    .find(|other| (other.kind, other.shard) == (kind, shard))
            })
            .map_or(0, |other| other.site)
    } else {
        EXCLUDED
    };
    if known != 0 {
        return known;
    }
    if !path_filter::keeps(held, node) {
        if standard {
            tree::node(node).sites[domain as usize].store(EXCLUDED, Ordering::Relaxed);
        }
        return EXCLUDED;
    }
    let id = FREE_IDS
        .get(held)
        .pop()
        .unwrap_or_else(|| SITES.len().max(1));
    if id > live_map::MAX_SITE || !SITES.ensure(held, id) || !TEMPORARY.ensure(held, id) {
        return 0;
    }
    let site = SITES.get(id);
    site.node.store(node, Ordering::Relaxed);
    site.kind.store(kind, Ordering::Relaxed);
    if id >= SITES.len() {
        SITES.set_len(held, id + 1);
    }
    if standard {
        tree::node(node).sites[domain as usize].store(id, Ordering::Release);
    } else {
        add_other(held, node, kind, shard, id);
    }
    id
}

fn add_other(held: &mut Held, node: u32, kind: u32, shard: u8, site: u32) {
    OTHERS
        .get(held)
        .get_or_insert_default()
        .entry(node)
        .or_default()
        .push(Other { kind, shard, site });
}

/// The counters of site `id` as they are now. `epoch` and `at_peak` are those of [`totals`], read once for all sites.
pub(crate) fn counters(id: u32, epoch: u64, at_peak: bool) -> Counters {
    let site = SITES.get(id);
    let temporary = TEMPORARY.get(id);
    let unchanged = at_peak || site.epoch.load(Ordering::Relaxed) != epoch;
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
        temporary_bytes: temporary.bytes.load(Ordering::Relaxed),
        temporary_blocks: temporary.blocks.load(Ordering::Relaxed),
        peak_bytes: peak(&site.peak_bytes, site.live_bytes()),
        peak_blocks: peak(&site.peak_blocks, site.live_blocks()),
    }
}

/// The low half of the number of blocks ever allocated at the site `id` of a node; 0 for one that is none.
pub(crate) fn allocated_blocks(id: u32) -> u32 {
    if id == 0 || id == EXCLUDED {
        return 0;
    }
    SITES.get(id).allocated_blocks.load(Ordering::Relaxed) as u32
}

/// Would anything be missed if the path of site `id` were forgotten: a live block, or one that was live at the peak?
pub(crate) fn is_needed(id: u32, epoch: u64, at_peak: bool) -> bool {
    let counters = counters(id, epoch, at_peak);
    counters.allocated_blocks != counters.freed_blocks || counters.peak_blocks != 0
}

/// Is `id` in use?
pub(crate) fn is_used(id: u32) -> bool {
    SITES.get(id).kind.load(Ordering::Relaxed) & UNUSED == 0
}

/// Lets the filter decide again about every path: forgets which were excluded, and which were not.
///
/// A path that was traced keeps its site; should the filter drop it now, the node says so and the site only counts frees.
pub(crate) fn decide_anew(held: &mut Held) {
    for node in 0..tree::len() {
        for domain in 0..3_u32 {
            let slot = &tree::node(node).sites[domain as usize];
            let known = slot.load(Ordering::Relaxed);
            if known == 0 {
                continue;
            }
            let keep = path_filter::keeps(held, node);
            if known == EXCLUDED {
                slot.store(0, Ordering::Relaxed);
            } else if !keep {
                slot.store(EXCLUDED, Ordering::Relaxed);
                add_other(held, node, RETIRED | domain, 0, known);
            }
        }
    }
    let mut others = OTHERS.get(held).take().unwrap_or_default();
    others.retain(|&node, others| {
        others.retain(|other| {
            let returns = other.kind & RETIRED != 0 && path_filter::keeps(held, node);
            if returns {
                tree::node(node).sites[(other.kind & DOMAIN_MASK) as usize]
                    .store(other.site, Ordering::Relaxed);
            }
            !returns
        });
        !others.is_empty()
    });
    *OTHERS.get(held) = Some(others);
}

/// All sites of the path `node`.
pub(crate) fn on_path(held: &mut Held, node: u32) -> Vec<u32> {
    let standard = tree::node(node)
        .sites
        .iter()
        .map(|site| site.load(Ordering::Relaxed));
    let standard = standard.filter(|&id| id != 0 && id != EXCLUDED);
    let others = OTHERS
        .get(held)
        .as_ref()
        .and_then(|others| others.get(&node));
    standard
        .chain(others.into_iter().flatten().map(|other| other.site))
        .collect()
}

/// Adds the counters of site `id`, on which nothing is live, to those of the path `node`, and sets the id free.
pub(crate) fn fold(held: &mut Held, id: u32, node: u32) {
    let site = SITES.get(id);
    let (domain, sharing) = (site.domain(), site.sharing());
    let moved = counters(id, totals::epoch(), false);
    let target = if moved.allocated_blocks == 0 {
        0
    } else {
        find_or_make_held(held, node, domain, sharing, 0)
    };
    if target != 0 && target != EXCLUDED {
        let to = SITES.get(target);
        to.before_change();
        add(&to.allocated_bytes, moved.allocated_bytes, Sharing::Shared);
        add(
            &to.allocated_blocks,
            moved.allocated_blocks,
            Sharing::Shared,
        );
        add(&to.freed_bytes, moved.freed_bytes, Sharing::Shared);
        add(&to.freed_blocks, moved.freed_blocks, Sharing::Shared);
        add(
            &TEMPORARY.get(target).bytes,
            moved.temporary_bytes,
            Sharing::Shared,
        );
        add(
            &TEMPORARY.get(target).blocks,
            moved.temporary_blocks,
            Sharing::Shared,
        );
    }
    let at = site.node.load(Ordering::Relaxed);
    if let Entry::Occupied(mut others) = OTHERS.get(held).get_or_insert_default().entry(at) {
        others.get_mut().retain(|other| other.site != id);
        if others.get().is_empty() {
            others.remove();
        }
    }
    zero(id);
    site.kind.store(UNUSED, Ordering::Relaxed);
    FREE_IDS.get(held).push(id);
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
    let temporary = TEMPORARY.get(id);
    for counter in [
        &site.allocated_bytes,
        &site.allocated_blocks,
        &site.freed_bytes,
        &site.freed_blocks,
        &site.peak_bytes,
        &site.peak_blocks,
        &temporary.bytes,
        &temporary.blocks,
    ] {
        counter.store(0, Ordering::Relaxed);
    }
}

/// Forgets every site.
pub(crate) fn reset(held: &mut Held) {
    *OTHERS.get(held) = None;
    *FREE_IDS.get(held) = Vec::new();
    SITES.reset(held);
    TEMPORARY.reset(held);
}
