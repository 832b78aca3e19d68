//! Counters, one set for each (call path, domain).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use heapsight_capture::model::Counters;

use crate::chunked::{Chunked, Zeroed};
use crate::lock::{self, Guarded, Held};
use crate::totals::{self, Sharing};
use crate::{config, live_map, path_filter, tree};

/// Sites of other than the three standard domains, or counted with atomic operations, are kept in a locked map.
type Others = HashMap<(u32, u32), u32>;

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
    /// The epoch in which this site last changed. See [`crate::totals`](mod@crate::totals).
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

/// Counts a new block at `site`. `bytes` and `blocks` are its weight when only a sample is traced.
#[inline(always)]
pub(crate) fn allocated(site: u32, address: usize, bytes: u64, blocks: u64) {
    let site = SITES.get(site);
    let sharing = site.sharing();
    site.before_change();
    add(&site.allocated_bytes, bytes, sharing);
    add(&site.allocated_blocks, blocks, sharing);
    totals::allocated(sharing, address, bytes);
}

/// Counts the end of a block at site `id`.
#[inline(always)]
pub(crate) fn freed(id: u32, address: usize, bytes: u64, blocks: u64) {
    let site = SITES.get(id);
    let sharing = site.sharing();
    totals::before_free(sharing);
    site.before_change();
    add(&site.freed_bytes, bytes, sharing);
    add(&site.freed_blocks, blocks, sharing);
    if totals::freed(sharing, address, bytes) {
        let temporary = TEMPORARY.get(id);
        add(&temporary.bytes, bytes, sharing);
        add(&temporary.blocks, blocks, sharing);
    }
}

/// Stands in a node for "blocks of this domain are not traced here": the filter said so.
pub(crate) const EXCLUDED: u32 = u32::MAX;

/// The site of `domain` on the path `node`; 0 when there is no memory for a new one, [`EXCLUDED`] when the filter drops the path.
#[inline(always)]
pub(crate) fn of(node: u32, domain: u32, sharing: Sharing) -> u32 {
    if has_place_in_node(domain, sharing) {
        let id = tree::node(node).sites[domain as usize].load(Ordering::Relaxed);
        if id != 0 {
            return id;
        }
    }
    find_or_make(node, domain, sharing)
}

/// Sites of the standard domains are found in the node. The raw domain is always shared; the others where all events are.
#[inline(always)]
fn has_place_in_node(domain: u32, sharing: Sharing) -> bool {
    domain < 3 && (sharing == Sharing::Gil || domain == 0 || config::all_shared())
}

#[cold]
#[inline(never)]
fn find_or_make(node: u32, domain: u32, sharing: Sharing) -> u32 {
    find_or_make_held(&mut lock::hold(), node, domain, sharing)
}

fn find_or_make_held(held: &mut Held, node: u32, domain: u32, sharing: Sharing) -> u32 {
    let kind = domain
        | if sharing == Sharing::Shared {
            SHARED
        } else {
            0
        };
    let standard = has_place_in_node(domain, sharing);
    let known = if standard {
        tree::node(node).sites[domain as usize].load(Ordering::Relaxed)
    } else {
        OTHERS
            .get(held)
            .get_or_insert_default()
            .get(&(node, kind))
            .copied()
            .unwrap_or(0)
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
        OTHERS
            .get(held)
            .get_or_insert_default()
            .insert((node, kind), id);
    }
    id
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
                OTHERS
                    .get(held)
                    .get_or_insert_default()
                    .insert((node, RETIRED | domain), known);
            }
        }
    }
    let others: Vec<((u32, u32), u32)> = OTHERS
        .get(held)
        .iter()
        .flatten()
        .map(|(&key, &id)| (key, id))
        .collect();
    for ((node, kind), id) in others {
        if kind & RETIRED != 0 && path_filter::keeps(held, node) {
            tree::node(node).sites[(kind & DOMAIN_MASK) as usize].store(id, Ordering::Relaxed);
            OTHERS
                .get(held)
                .get_or_insert_default()
                .remove(&(node, kind));
        }
    }
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
        .iter()
        .flatten()
        .filter(|((at, _), _)| *at == node)
        .map(|(_, &id)| id);
    standard.chain(others).collect()
}

/// Adds the counters of site `id`, on which nothing is live, to those of the path `node`, and sets the id free.
pub(crate) fn fold(held: &mut Held, id: u32, node: u32) {
    let site = SITES.get(id);
    let (domain, sharing) = (site.domain(), site.sharing());
    let moved = counters(id, totals::epoch(), false);
    let target = if moved.allocated_blocks == 0 {
        0
    } else {
        find_or_make_held(held, node, domain, sharing)
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
    OTHERS
        .get(held)
        .get_or_insert_default()
        .retain(|_, other| *other != id);
    zero(id);
    site.kind.store(UNUSED, Ordering::Relaxed);
    FREE_IDS.get(held).push(id);
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    OTHERS
        .get(held)
        .as_ref()
        .map_or(0, |others| (others.capacity() * 8 / 7 * 13) as u64)
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
