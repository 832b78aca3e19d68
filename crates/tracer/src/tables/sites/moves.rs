//! Sites that change places: hidden from the program, dropped by a filter, folded into others.
//!
//! All under the table lock, and none on the hot path.

use std::collections::hash_map::Entry;
use std::sync::atomic::Ordering;

use super::{
    BESIDE, DOMAIN_MASK, EXCLUDED, FREE_IDS, HIDDEN, OTHERS, Other, RECORDED_PEAKS, RETIRED,
    SHARED, SITES, UNUSED, add, add_other, counters, find_or_make_held, is_needed,
    recorded_counters, zero,
};
use crate::interpreter::event::Sharing;
use crate::memory::lock::Held;
use crate::tables::{changed, path_filter, totals, tree};

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
/// A path that was traced keeps its site; should the filter drop it now, the node says so and the site only counts frees.
/// In a recording the path gets a hidden site for what is allocated from now on.
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
    let mut all: Vec<u32> = standard
        .chain(others.into_iter().flatten().map(|other| other.site))
        .collect();
    // A hidden site is among the others even while it has its place in the node.
    all.sort_unstable();
    all.dedup();
    all
}

/// Adds the counters of site `id`, on which nothing is live, to those of the path `node`, and sets the id free.
pub(crate) fn fold(held: &mut Held, id: u32, node: u32) {
    let site = SITES.get(id);
    let (domain, sharing) = (site.domain(), site.sharing());
    let moved = counters(id, totals::epoch(), false);
    let target = if moved.allocated_blocks == 0 {
        0
    } else {
        find_or_make_held(held, node, (domain, site.is_hidden()), sharing, 0)
    };
    fold_into(held, id, target);
}

/// Adds the counters of site `id`, on which nothing is live, to those of site `target` if it is one, and sets the id free.
fn fold_into(held: &mut Held, id: u32, target: u32) {
    let site = SITES.get(id);
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
        let beside = BESIDE.get(target);
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
    let at = site.node.load(Ordering::Relaxed);
    if let Entry::Occupied(mut others) = OTHERS.get(held).get_or_insert_default().entry(at) {
        others.get_mut().retain(|other| other.site != id);
        if others.get().is_empty() {
            others.remove();
        }
    }
    zero(id);
    BESIDE.get(id).born.fetch_add(1, Ordering::Relaxed);
    site.kind.store(UNUSED, Ordering::Relaxed);
    // It may be used again for another path without having changed since the last tick.
    changed::list(id);
    FREE_IDS.get(held).push(id);
}
