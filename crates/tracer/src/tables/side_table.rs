//! Blocks that do not fit the live map's entries, and code objects whose end must be noticed. Rare, hence a plain map under the lock.

use std::collections::HashMap;

use crate::memory::lock::{Guarded, Held};
use crate::tables::live_map::Block;

/// What the side table knows of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aside {
    /// The traced block, `None` for a code object that was there before tracing began.
    pub(crate) block: Option<Block>,
    /// Is this a code object that the tracer has seen in a frame?
    pub(crate) is_code: bool,
}

static TABLE: Guarded<Option<HashMap<usize, Aside>>> = Guarded::new(None);

pub(crate) fn insert(held: &mut Held, address: usize, block: Option<Block>, is_code: bool) {
    TABLE
        .get(held)
        .get_or_insert_default()
        .insert(address, Aside { block, is_code });
}

/// Marks the address as that of a code object, keeping what is known of its block.
pub(crate) fn watch(held: &mut Held, address: usize) {
    TABLE
        .get(held)
        .get_or_insert_default()
        .entry(address)
        .and_modify(|aside| aside.is_code = true)
        .or_insert(Aside {
            block: None,
            is_code: true,
        });
}

pub(crate) fn remove(held: &mut Held, address: usize) -> Option<Aside> {
    TABLE.get(held).as_mut()?.remove(&address)
}

pub(crate) fn get(held: &mut Held, address: usize) -> Option<Aside> {
    TABLE.get(held).as_ref()?.get(&address).copied()
}

pub(crate) fn clear(held: &mut Held) {
    *TABLE.get(held) = None;
}

/// Everything known, in no particular order.
pub(crate) fn all(held: &mut Held) -> Vec<(usize, Aside)> {
    TABLE
        .get(held)
        .iter()
        .flatten()
        .map(|(&address, &aside)| (address, aside))
        .collect()
}

/// Bytes that the table holds, from its capacity.
pub(crate) fn bytes(held: &mut Held) -> u64 {
    TABLE.get(held).as_ref().map_or(0, |table| {
        (table.capacity() * 8 / 7 * (size_of::<(usize, Aside)>() + 1)) as u64
    })
}
