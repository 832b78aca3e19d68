//! The call-path tree: hash-consed (caller's path, code, instruction offset) → 32-bit id. Instruction offsets, never lines:
//! those are resolved when somebody reads.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::chunked::{Chunked, Zeroed};
use crate::id_table::{IdTable, hash2};
use crate::lock::{self, Guarded, Held};
use crate::recycle;

/// The empty call path.
pub(crate) const ROOT: u32 = 0;

/// Value of [`Node::offset`] for elements that are not Python frames (threads, folded paths).
pub(crate) const NO_OFFSET: u32 = u32::MAX;

/// One call path: the frame that it ends in, below its caller's path. One cache line.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct Node {
    pub(crate) parent: AtomicU32,
    /// Id of the code's identity ([`crate::codes`]).
    pub(crate) code: AtomicU32,
    /// Byte offset of the instruction.
    pub(crate) offset: AtomicU32,
    /// The sites of the raw, mem and obj domain on this path; 0 where nothing was allocated yet.
    pub(crate) sites: [AtomicU32; 3],
    /// Increases each time the id is used for another path.
    pub(crate) born: AtomicU32,
    /// One of [`USED`], [`IDLE`], [`FREE`].
    state: AtomicU32,
    // The rest is written and read under the GIL only: steps taken lately, so that the many paths of a recursive program
    // are found without a look into the index.
    /// Where the frame stood when this path was last looked up, and the low half of the [`crate::thread::cache_epoch`]
    /// of that moment: positions mean nothing in another.
    position: AtomicU64,
    epoch: AtomicU32,
    /// A hash of the position of each of `callees`, never 0.
    tags: [AtomicU8; 4],
    /// Paths that lead on from here.
    callees: [AtomicU32; 4],
}

/// State of a node that is found by [`child`].
pub(crate) const USED: u32 = 0;
/// State of a node that nothing was live on at the last sweep: no longer found, but still what it was. See [`crate::recycle`].
pub(crate) const IDLE: u32 = 1;
/// State of a node whose id waits to be used again.
pub(crate) const FREE: u32 = 2;

// SAFETY: all fields are atomic integers, valid when zero.
unsafe impl Zeroed for Node {}

static NODES: Chunked<Node> = Chunked::new();
static INDEX: IdTable = IdTable::new();
static FREE_IDS: Guarded<Vec<u32>> = Guarded::new(Vec::new());

fn hash(parent: u32, code: u32, offset: u32) -> u64 {
    hash2(
        (u64::from(parent) << 32) | u64::from(code),
        u64::from(offset),
    )
}

fn hash_of(id: u32) -> u64 {
    let node = NODES.get(id);
    hash(
        node.parent.load(Ordering::Relaxed),
        node.code.load(Ordering::Relaxed),
        node.offset.load(Ordering::Relaxed),
    )
}

fn find(parent: u32, code: u32, offset: u32) -> Option<u32> {
    INDEX.find(hash(parent, code, offset), |id| {
        let node = NODES.get(id);
        node.parent.load(Ordering::Relaxed) == parent
            && node.code.load(Ordering::Relaxed) == code
            && node.offset.load(Ordering::Relaxed) == offset
    })
}

/// The node `id`.
#[inline(always)]
pub(crate) fn node(id: u32) -> &'static Node {
    NODES.get(id)
}

/// Number of nodes, the root included.
pub(crate) fn len() -> u32 {
    NODES.len()
}

/// The path that `code` at `offset` makes when called from the path `parent`. When there is no memory for a
/// new one, the caller's path stands for it and the loss is counted.
pub(crate) fn child(parent: u32, code: u32, offset: u32) -> u32 {
    find(parent, code, offset).unwrap_or_else(|| insert(parent, code, offset))
}

#[cold]
#[inline(never)]
fn insert(parent: u32, code: u32, offset: u32) -> u32 {
    let mut held = lock::hold();
    if let Some(id) = find(parent, code, offset) {
        return id;
    }
    insert_held(&mut held, parent, code, offset).unwrap_or_else(|| {
        crate::totals::count_loss();
        parent
    })
}

/// Finds or makes the path, for somebody who holds the lock. `None` when there is no memory.
pub(crate) fn child_held(held: &mut Held, parent: u32, code: u32, offset: u32) -> Option<u32> {
    find(parent, code, offset).or_else(|| insert_held(held, parent, code, offset))
}

fn insert_held(held: &mut Held, parent: u32, code: u32, offset: u32) -> Option<u32> {
    let id = FREE_IDS.get(held).pop().unwrap_or_else(|| NODES.len());
    if !NODES.ensure(held, id) {
        return None;
    }
    let node = NODES.get(id);
    node.parent.store(parent, Ordering::Relaxed);
    node.code.store(code, Ordering::Relaxed);
    node.offset.store(offset, Ordering::Relaxed);
    node.state.store(USED, Ordering::Relaxed);
    if !INDEX.insert(held, id, hash_of) {
        return None;
    }
    if id == NODES.len() {
        NODES.set_len(held, id + 1);
    }
    recycle::count_new_path();
    Some(id)
}

impl Node {
    /// [`USED`], [`IDLE`] or [`FREE`].
    pub(crate) fn state(&self) -> u32 {
        self.state.load(Ordering::Relaxed)
    }
}

#[inline(always)]
fn tag_of(position: u64) -> u8 {
    ((position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8) | 1
}

/// The path that a frame at `position` leads to from `parent`, if that step was taken lately. Call under the GIL.
#[inline(always)]
pub(crate) fn recent_step(parent: u32, position: u64, epoch: u64) -> Option<u32> {
    let node = NODES.get(parent);
    let tag = tag_of(position);
    for (known, callee) in node.tags.iter().zip(&node.callees) {
        if known.load(Ordering::Relaxed) != tag {
            continue;
        }
        let id = callee.load(Ordering::Relaxed);
        let callee = NODES.get(id);
        if callee.position.load(Ordering::Relaxed) == position
            && callee.epoch.load(Ordering::Relaxed) == epoch as u32
            && callee.parent.load(Ordering::Relaxed) == parent
        {
            return Some(id);
        }
    }
    None
}

/// Remembers the step from `parent` to `id`. Call under the GIL.
#[inline(always)]
pub(crate) fn remember_step(parent: u32, position: u64, epoch: u64, id: u32) {
    let callee = NODES.get(id);
    callee.position.store(position, Ordering::Relaxed);
    callee.epoch.store(epoch as u32, Ordering::Relaxed);
    let node = NODES.get(parent);
    let same = node
        .callees
        .iter()
        .position(|known| known.load(Ordering::Relaxed) == id);
    let empty = || {
        node.tags
            .iter()
            .position(|tag| tag.load(Ordering::Relaxed) == 0)
    };
    let place = same.or_else(empty).unwrap_or(id as usize & 3);
    node.tags[place].store(tag_of(position), Ordering::Relaxed);
    node.callees[place].store(id, Ordering::Relaxed);
}

/// Sets the state of node `id`; a node set free must have neither sites nor children.
pub(crate) fn set_state(held: &mut Held, id: u32, state: u32) {
    let node = NODES.get(id);
    node.state.store(state, Ordering::Relaxed);
    if state == FREE {
        node.born.fetch_add(1, Ordering::Relaxed);
        FREE_IDS.get(held).push(id);
    }
}

/// Rebuilds the index with just the nodes in use.
pub(crate) fn reindex(held: &mut Held) {
    let used: Vec<u32> = (1..NODES.len())
        .filter(|&id| NODES.get(id).state() == USED)
        .collect();
    INDEX.rebuild(held, &used, hash_of);
}

/// Makes the root. False when there is no memory.
pub(crate) fn init(held: &mut Held) -> bool {
    if NODES.len() == 0 {
        if !NODES.ensure(held, ROOT) {
            return false;
        }
        NODES.set_len(held, 1);
    }
    true
}

/// Forgets every path. No site may refer to one any more.
pub(crate) fn reset(held: &mut Held) {
    INDEX.reset(held);
    NODES.reset(held);
    *FREE_IDS.get(held) = Vec::new();
    recycle::reset(held);
}
