//! The sampled blocks that are live, with their weights, under the table lock whichever thread they come from. A block
//! is sampled about once per mean distance, so the lock costs next to nothing. When a block ends, exactly what it added
//! at its allocation is subtracted.

use std::collections::HashMap;

use crate::countdown::Weight;
use crate::memory::lock::{self, Guarded, Held};
use crate::tables::live_map::Block;
use crate::tables::{sites, watch};

static LIVE: Guarded<Option<HashMap<usize, Sampled>>> = Guarded::new(None);

/// A block that lives.
#[derive(Clone, Copy, Debug)]
struct Sampled {
    block: Block,
    weight: Weight,
}

/// Forgets every sampled block.
pub(crate) fn forget_all(held: &mut Held) {
    for address in LIVE.get(held).take().unwrap_or_default().into_keys() {
        watch::remove(held, address);
    }
}

/// Counts a new block at `address`.
pub(crate) fn begin(address: usize, block: Block, weight: Weight) {
    let mut held = lock::hold();
    // If the end of the block that was there before went by unseen, it was before now.
    if let Some(gone) = remove(&mut held, address) {
        sites::freed_by_holder(&mut held, gone.block.site, gone.weight, false);
    }
    insert(&mut held, address, Sampled { block, weight });
    sites::allocated_by_holder(&mut held, block.site, weight);
}

/// What [`end`] counted.
pub(crate) struct Ended {
    sampled: Sampled,
    was_temporary: bool,
}

/// Counts the end of the block at `address`, if a sampled one is there. `is_temporary`: nothing else was allocated
/// since it was.
pub(crate) fn end(address: usize, is_temporary: bool) -> Option<Ended> {
    let mut held = lock::hold();
    let sampled = remove(&mut held, address)?;
    let Sampled { block, weight } = sampled;
    sites::freed_by_holder(&mut held, block.site, weight, is_temporary);
    Some(Ended {
        sampled,
        was_temporary: is_temporary,
    })
}

/// The block did not end after all, as its reallocation failed.
pub(crate) fn restore_block(address: usize, ended: Ended) {
    let mut held = lock::hold();
    let Sampled { block, weight } = ended.sampled;
    insert(&mut held, address, ended.sampled);
    sites::undo_freed_by_holder(&mut held, block.site, weight, ended.was_temporary);
}

fn insert(held: &mut Held, address: usize, sampled: Sampled) {
    watch::add(held, address);
    LIVE.get(held)
        .get_or_insert_default()
        .insert(address, sampled);
}

fn remove(held: &mut Held, address: usize) -> Option<Sampled> {
    let sampled = LIVE.get(held).as_mut()?.remove(&address)?;
    watch::remove(held, address);
    Some(sampled)
}

/// The sampled block at `address`.
pub(crate) fn live_block(held: &mut Held, address: usize) -> Option<Block> {
    Some(LIVE.get(held).as_ref()?.get(&address)?.block)
}

/// The sampled blocks that live, with what they stand for.
pub(crate) fn live_with_weights(held: &mut Held) -> Vec<(usize, Block, Weight)> {
    LIVE.get(held)
        .iter()
        .flatten()
        .map(|(&address, sampled)| (address, sampled.block, sampled.weight))
        .collect()
}

/// The sampled blocks that live.
pub(crate) fn live_blocks(held: &mut Held) -> Vec<(usize, Block)> {
    LIVE.get(held)
        .iter()
        .flatten()
        .map(|(&address, sampled)| (address, sampled.block))
        .collect()
}

/// What each of them stands for: its site, and what it counts there.
pub(crate) fn live_weights(held: &mut Held) -> Vec<(u32, Weight)> {
    LIVE.get(held)
        .iter()
        .flatten()
        .map(|(_, sampled)| (sampled.block.site, sampled.weight))
        .collect()
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    LIVE.get(held).as_ref().map_or(0, |live| {
        (live.capacity() * 8 / 7 * (size_of::<(usize, Sampled)>() + 1)) as u64
    })
}
