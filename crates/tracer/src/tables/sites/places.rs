//! Which site a block is counted at: the one of its call path and domain, found or made.
//!
//! Sites of the standard domains are found in the path's node; all others, among them those that only a recording sees,
//! in a locked map.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::Ordering;

use super::{
    DOMAIN_MASK, EXCLUDED, HIDDEN, SHARED, SITES, UNUSED, add, counters, is_needed,
    recorded_counters, zero,
};
use crate::interpreter::event::Sharing;
use crate::memory::lock::{self, Guarded, Held};
use crate::session;
use crate::tables::{budget, changed, history, live_map, path_filter, recorded, totals, tree};
use crate::{config, thread};

/// What does not fit in a node is kept in a locked map from the node: sites of other than the three standard
/// domains, and those that a thread has for itself because other threads count on the same path.
type Others = HashMap<u32, Vec<Other>>;

struct Other {
    /// As [`super::Site::kind`], or [`RETIRED`].
    kind: u32,
    /// Of the threads that it belongs to. See [`crate::tables::shared_total`].
    shard: u8,
    site: u32,
}

/// In the key of [`OTHERS`]: a site of a standard domain that the filter has dropped since. It only counts frees.
const RETIRED: u32 = 1 << 29;

static FREE_IDS: Guarded<Vec<u32>> = Guarded::new(Vec::new());
static OTHERS: Guarded<Option<Others>> = Guarded::new(None);

/// The site of `domain` on the path `node`; 0 when there is no memory for a new one, [`EXCLUDED`] when the filter drops
/// the path.
#[inline(always)]
pub(crate) fn of(node: u32, domain: u32, sharing: Sharing) -> u32 {
    let mut shard = 0;
    if sharing == Sharing::Shared {
        let thread = thread::current();
        // SAFETY: the calling thread's own state, or null.
        unsafe {
            shard = thread::shard(thread);
            if shard != 0 || (!has_place_in_node(domain, sharing) && !thread.is_null()) {
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

/// Sites lately used by a thread of another shard than the first, or of a domain that has no place in a node.
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

/// Sites of the standard domains are found in the node. The raw domain is always shared; the others where all events
/// are.
#[inline(always)]
fn has_place_in_node(domain: u32, sharing: Sharing) -> bool {
    domain < 3 && (sharing == Sharing::Gil || domain == 0 || config::all_shared())
}

#[cold]
#[inline(never)]
fn find_or_make(node: u32, domain: u32, sharing: Sharing, shard: u8) -> u32 {
    let node = tree::known_part(node);
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
    if id > live_map::MAX_SITE || !super::ensure(held, id) {
        return 0;
    }
    let site = SITES.get(id);
    site.node.store(node, Ordering::Relaxed);
    site.kind.store(kind, Ordering::Relaxed);
    if id >= SITES.len() {
        SITES.set_len(held, id + 1);
    }
    budget::add(budget::site_bytes());
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

/// Hides every site from the program; what is allocated from now on gets new ones. Call while the session is closed.
pub(crate) fn hide_all(held: &mut Held) {
    for node in 0..tree::len() {
        for domain in 0..3_u32 {
            let site = tree::node(node).sites[domain as usize].swap(0, Ordering::Relaxed);
            if site != 0 && site != EXCLUDED && other_site(held, node, site).is_none() {
                add_other(held, node, domain, 0, site);
            }
        }
    }
    let mut others = OTHERS.get(held).take().unwrap_or_default();
    for other in others.values_mut().flatten() {
        other.kind = (other.kind & DOMAIN_MASK) | HIDDEN | SHARED;
        let site = SITES.get(other.site);
        site.kind.store(other.kind, Ordering::Relaxed);
    }
    let mut superfluous = Vec::new();
    for others in others.values() {
        for (index, other) in others.iter().enumerate() {
            let same = |before: &&Other| (before.kind, before.shard) == (other.kind, other.shard);
            if let Some(first) = others[..index].iter().find(same)
                && !is_needed(&recorded_counters(other.site))
            {
                superfluous.push((other.site, first.site));
            }
        }
    }
    *OTHERS.get(held) = Some(others);
    for (site, into) in superfluous {
        fold_into(held, site, into);
    }
}

/// The site as one of the others of its path.
fn other_site(held: &mut Held, node: u32, site: u32) -> Option<u32> {
    let others = OTHERS.get(held).as_ref()?.get(&node)?;
    others
        .iter()
        .find(|other| other.site == site)
        .map(|other| other.site)
}

/// Lets the filter decide again about every path: forgets which were excluded, and which were not.
///
/// A path that was traced keeps its site; should the filter drop it now, the node says so and the site only counts
/// frees. In a recording the path gets a hidden site for what is allocated from now on.
pub(crate) fn reapply_filter(held: &mut Held) {
    for node in 0..tree::len() {
        for domain in 0..3_u32 {
            let slot = &tree::node(node).sites[domain as usize];
            let known = slot.load(Ordering::Relaxed);
            if known == 0 {
                continue;
            }
            if known == EXCLUDED {
                slot.store(0, Ordering::Relaxed);
            } else if SITES.get(known).is_hidden() {
                slot.store(0, Ordering::Relaxed);
                if other_site(held, node, known).is_none() {
                    add_other(held, node, domain | HIDDEN | SHARED, 0, known);
                }
            } else if !path_filter::keeps(held, node) {
                slot.store(0, Ordering::Relaxed);
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

/// Does `act` for each site of the path `node`, which it may set free.
pub(crate) fn each_on_path(held: &mut Held, node: u32, mut act: impl FnMut(&mut Held, u32)) {
    if has_others(held, node) {
        for site in on_path(held, node) {
            act(held, site);
        }
        return;
    }
    // Most paths: without a list of them.
    for site in &tree::node(node).sites {
        let site = site.load(Ordering::Relaxed);
        if site != 0 && site != EXCLUDED {
            act(held, site);
        }
    }
}

/// Has the path `node` sites that are not in the node?
fn has_others(held: &mut Held, node: u32) -> bool {
    let others = OTHERS.get(held).as_ref();
    others.is_some_and(|others| !others.is_empty() && others.contains_key(&node))
}

/// All sites of the path `node`.
fn on_path(held: &mut Held, node: u32) -> Vec<u32> {
    let standard = tree::node(node)
        .sites
        .iter()
        .map(|site| site.load(Ordering::Relaxed));
    let standard = standard.filter(|&id| id != 0 && id != EXCLUDED);
    let others = OTHERS
        .get(held)
        .as_ref()
        .and_then(|others| others.get(&node));
    let mut all: Vec<u32> = standard
        .chain(others.into_iter().flatten().map(|other| other.site))
        .collect();
    // A hidden site is among the others even while it has its place in the node.
    all.sort_unstable();
    all.dedup();
    all
}

/// Does `test` hold for all sites of the path `node`?
pub(crate) fn all_on_path(
    held: &mut Held,
    node: u32,
    test: impl Fn(&mut Held, u32) -> bool,
) -> bool {
    if has_others(held, node) {
        return on_path(held, node).iter().all(|&site| test(held, site));
    }
    tree::node(node)
        .sites
        .iter()
        .map(|site| site.load(Ordering::Relaxed))
        .all(|site| site == 0 || site == EXCLUDED || test(held, site))
}

/// How many sites a path has in its node.
pub(crate) fn in_node(node: &tree::Node) -> u64 {
    let sites = node.sites.iter().map(|site| site.load(Ordering::Relaxed));
    sites.filter(|&id| id != 0 && id != EXCLUDED).count() as u64
}

/// Site `id`, on which nothing is live and of which the file has all figures, leaves memory: the id is free.
pub(crate) fn leave(held: &mut Held, id: u32) {
    let site = SITES.get(id);
    let was = counters(id, totals::epoch(), false);
    let domain = (!site.is_hidden()).then(|| site.domain());
    history::leave(held, id, &was, domain);
    set_free(held, id);
}

/// Adds the counters of site `id`, on which nothing is live, to those of the path `node`, and sets the id free. Gives
/// the bytes ever allocated there.
pub(crate) fn fold(held: &mut Held, id: u32, node: u32) -> u64 {
    let site = SITES.get(id);
    let (domain, sharing) = (site.domain(), site.sharing());
    let moved = counters(id, totals::epoch(), false);
    let target = if moved.allocated_blocks == 0 {
        0
    } else {
        find_or_make_held(held, node, (domain, site.is_hidden()), sharing, 0)
    };
    fold_into(held, id, target);
    moved.allocated_bytes
}

/// Adds the counters of site `id`, on which nothing is live, to those of site `target` if it is one, and sets the id
/// free.
fn fold_into(held: &mut Held, id: u32, target: u32) {
    let moved = counters(id, totals::epoch(), false);
    if target != 0 && target != EXCLUDED {
        let to = SITES.get(target);
        add(&to.allocated_bytes, moved.allocated_bytes, Sharing::Shared);
        add(
            &to.allocated_blocks,
            moved.allocated_blocks,
            Sharing::Shared,
        );
        add(&to.freed_bytes, moved.freed_bytes, Sharing::Shared);
        add(&to.freed_blocks, moved.freed_blocks, Sharing::Shared);
        let beside = SITES.beside(to);
        add(
            &beside.temporary_bytes,
            moved.temporary_bytes,
            Sharing::Shared,
        );
        add(
            &beside.temporary_blocks,
            moved.temporary_blocks,
            Sharing::Shared,
        );
        // What was moved lives no more.
        to.after_change(target, 0, 0);
    }
    set_free(held, id);
    history::set_settled(held, id, false);
    // It may be used again for another path without having changed since the last tick.
    changed::list(id);
}

/// Nobody counts at site `id` any more: the id may be used for another path.
fn set_free(held: &mut Held, id: u32) {
    let site = SITES.get(id);
    let at = site.node.load(Ordering::Relaxed);
    // Most paths have all their sites in the node, and most programs no other ones.
    let others = OTHERS.get(held).as_mut();
    let others = others.filter(|others| !others.is_empty());
    if let Some(others) = others
        && let Entry::Occupied(mut of_path) = others.entry(at)
    {
        of_path.get_mut().retain(|other| other.site != id);
        if of_path.get().is_empty() {
            of_path.remove();
        }
    }
    zero(id);
    SITES
        .beside(site)
        .reuse_count
        .fetch_add(1, Ordering::Relaxed);
    site.kind.store(UNUSED, Ordering::Relaxed);
    FREE_IDS.get(held).push(id);
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    let free_ids = (FREE_IDS.get(held).capacity() * size_of::<u32>()) as u64;
    let others = OTHERS.get(held).as_ref().map_or(0, |others| {
        let entry = size_of::<(u32, Vec<Other>)>() + 1;
        let lists: usize = others.values().map(Vec::capacity).sum();
        (others.capacity() * 8 / 7 * entry + lists * size_of::<Other>()) as u64
    });
    free_ids + others
}

/// Ids that wait to be used again.
pub(crate) fn free_count(held: &mut Held) -> u64 {
    FREE_IDS.get(held).len() as u64
}

/// Forgets which paths have which sites.
pub(super) fn forget(held: &mut Held) {
    *OTHERS.get(held) = None;
    *FREE_IDS.get(held) = Vec::new();
}
