//! Blocks that do not fit the live map's entries. Rare, hence a plain map under the lock.

use std::collections::HashMap;

use crate::memory::lock::{Guarded, Held};
use crate::tables::live_map::Block;

static TABLE: Guarded<Option<HashMap<usize, Block>>> = Guarded::new(None);

pub(crate) fn insert(held: &mut Held, address: usize, block: Block) {
    TABLE
        .get(held)
        .get_or_insert_default()
        .insert(address, block);
}

pub(crate) fn remove(held: &mut Held, address: usize) -> Option<Block> {
    TABLE.get(held).as_mut()?.remove(&address)
}

pub(crate) fn get(held: &mut Held, address: usize) -> Option<Block> {
    TABLE.get(held).as_ref()?.get(&address).copied()
}

pub(crate) fn clear(held: &mut Held) {
    *TABLE.get(held) = None;
}

/// Everything known, in no particular order.
pub(crate) fn all(held: &mut Held) -> Vec<(usize, Block)> {
    TABLE
        .get(held)
        .iter()
        .flatten()
        .map(|(&address, &block)| (address, block))
        .collect()
}

/// Bytes that the table holds, from its capacity.
pub(crate) fn bytes(held: &mut Held) -> u64 {
    TABLE.get(held).as_ref().map_or(0, |table| {
        (table.capacity() * 8 / 7 * (size_of::<(usize, Block)>() + 1)) as u64
    })
}
