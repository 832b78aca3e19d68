//! Consistency check: compares what different tables say about the same thing.
//!
//! For tests only: it takes time in proportion to everything that is traced, and makes hooks without the GIL wait
//! meanwhile.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use crate::memory::lock;
use crate::session;
use crate::tables::sampled_blocks;
use crate::tables::{live_map, mappings, recorded, sites, totals, tree};
use crate::tracemalloc::extension;

/// One line for each thing that does not add up; none when all is well. Call with the GIL held.
#[must_use]
pub fn audit() -> Vec<String> {
    session::while_held(|| {
        if session::is_tracing() {
            audit_held(session::unchecked_mode().is_sampled())
        } else {
            Vec::new()
        }
    })
}

fn audit_held(sampled: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut live: HashMap<u32, (u64, u64)> = HashMap::new();
    let mut count = |site: u32, bytes: u64, blocks: u64| {
        let sum = live.entry(site).or_default();
        sum.0 = sum.0.wrapping_add(bytes);
        sum.1 = sum.1.wrapping_add(blocks);
    };
    if sampled {
        for (site, weight) in sampled_blocks::live_weights(&mut lock::hold()) {
            count(site, weight.bytes, weight.blocks);
        }
    } else {
        live_map::for_each(|_, block| count(block.site, block.size as u64, 1));
    }
    for (_, block) in extension::all(&mut lock::hold()) {
        count(block.site, block.size as u64, 1);
    }
    mappings::for_each(|_, block| count(block.site, block.size as u64, 1));
    let mut total_bytes = 0_u64;
    let mut recorded_bytes = 0_u64;
    for id in 1..sites::len() {
        if !sites::is_used(id) {
            if live.contains_key(&id) {
                problems.push(format!("site {id} is not in use, but has live blocks"));
            }
            continue;
        }
        let counters = sites::counters(id, totals::epoch(), totals::at_peak());
        let own = (
            counters.allocated_bytes.wrapping_sub(counters.freed_bytes),
            counters
                .allocated_blocks
                .wrapping_sub(counters.freed_blocks),
        );
        recorded_bytes = recorded_bytes.wrapping_add(own.0);
        if sites::is_in_view(id) {
            total_bytes = total_bytes.wrapping_add(own.0);
        }
        let found = live.remove(&id).unwrap_or_default();
        if own != found {
            problems.push(format!(
                "site {id} counts {} bytes in {} blocks, its live blocks are {} bytes in {}",
                own.0.cast_signed(),
                own.1.cast_signed(),
                found.0,
                found.1
            ));
        }
        audit_path(id, &mut problems);
    }
    for (id, (bytes, blocks)) in live {
        problems.push(format!(
            "{blocks} live blocks of {bytes} bytes are at site {id}, which is not known"
        ));
    }
    if total_bytes != totals::live_bytes() {
        problems.push(format!(
            "all sites together have {} bytes, the total says {}",
            total_bytes.cast_signed(),
            totals::live_bytes().cast_signed()
        ));
    }
    if recorded_bytes != recorded::live_bytes() {
        problems.push(format!(
            "all sites of the recording have {} bytes, its total says {}",
            recorded_bytes.cast_signed(),
            recorded::live_bytes().cast_signed()
        ));
    }
    if totals::live_bytes().cast_signed() < 0 {
        problems.push(format!(
            "{} bytes are live",
            totals::live_bytes().cast_signed()
        ));
    }
    problems
}

/// The path of a site in use leads to the root, over nodes in use.
fn audit_path(site: u32, problems: &mut Vec<String>) {
    let mut at = sites::site(site).node.load(Ordering::Relaxed);
    for _ in 0..tree::len() {
        if at == tree::ROOT {
            return;
        }
        if at >= tree::len() || tree::node(at).state() == tree::FREE {
            problems.push(format!("site {site} is on path {at}, which is not in use"));
            return;
        }
        at = tree::node(at).parent.load(Ordering::Relaxed);
    }
    problems.push(format!("the path of site {site} does not end"));
}
