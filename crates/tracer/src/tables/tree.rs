//! The call-path tree: hash-consed (caller's path, code, instruction offset) → 32-bit id. Instruction offsets, never
//! lines: those are resolved when somebody reads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::memory::chunked::{Chunked, Zeroed};
use crate::memory::id_table::{IdTable, hash2};
use crate::memory::lock::{self, Guarded, Held};
use crate::tables::{budget, recycle};

/// The empty call path.
pub(crate) const ROOT: u32 = 0;

/// Value of [`Node::offset`] for elements that are not Python frames (threads, folded paths).
pub(crate) const NO_OFFSET: u32 = u32::MAX;

/// Set in the number of a path that is cut there: what is called from it was not known and there was no room for it.
/// Such a number stands for the path without it, and all that is called from it. It is never stored in a table.
const CUT: u32 = 1 << 31;

/// Is the path cut?
#[inline(always)]
pub(crate) fn is_cut(path: u32) -> bool {
    path & CUT != 0
}

/// The known path that `path` is, or is cut at.
#[inline(always)]
pub(crate) fn known_part(path: u32) -> u32 {
    path & !CUT
}

/// One call path: the frame that it ends in, below its caller's path. One cache line.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct Node {
    pub(crate) parent: AtomicU32,
    /// Id of the code's identity ([`crate::tables::codes`]).
    pub(crate) code: AtomicU32,
    /// Byte offset of the instruction.
    pub(crate) offset: AtomicU32,
    /// The sites of the raw, mem and obj domain on this path; 0 where nothing was allocated yet.
    pub(crate) sites: [AtomicU32; 3],
    /// How often the id was given to another path, and one of [`USED`], [`IDLE`], [`FREE`] in the lowest
    /// [`STATE_BITS`].
    life: AtomicU32,
    // The rest is written and read under the GIL only: paths that lead on from here, so that the many paths of a
    // recursive program are found without a look into the index.
    /// Any of them may be out of date: what a node says of itself decides.
    callees: [AtomicU32; CALLEES],
    /// In byte `n` a hash of the code and offset of callee `n`, never 0; in the highest byte the callee to be replaced
    /// next.
    tags: AtomicU64,
}

/// As many as fill the cache line.
const CALLEES: usize = 7;
const STATE_BITS: u32 = 2;

/// State of a node that is found by [`child`].
pub(crate) const USED: u32 = 0;
/// State of a node that nothing was live on at the last sweep: no longer found, but still what it was. See
/// [`crate::tables::recycle`].
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
        NODES.get(id).is(parent, code, offset)
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

/// The path that `code` at `offset` makes when called from the path `parent`. When there is no room for a new one, the
/// caller's path [stands for it](is_cut), which is counted; so it is, as a loss, when there is no memory.
pub(crate) fn child(parent: u32, code: u32, offset: u32) -> u32 {
    find(parent, code, offset).unwrap_or_else(|| insert(parent, code, offset))
}

#[cold]
#[inline(never)]
fn insert(parent: u32, code: u32, offset: u32) -> u32 {
    if is_cut(parent) {
        return parent;
    }
    if budget::is_full() {
        budget::count_cut();
        return parent | CUT;
    }
    let mut held = lock::hold();
    if let Some(id) = find(parent, code, offset) {
        return id;
    }
    insert_held(&mut held, parent, code, offset).unwrap_or_else(|| {
        crate::tables::totals::count_loss();
        parent | CUT
    })
}

/// The path of a thread alone, for which there is always room.
pub(crate) fn of_thread(code: u32) -> u32 {
    find(ROOT, code, NO_OFFSET)
        .unwrap_or_else(|| child_held(&mut lock::hold(), ROOT, code, NO_OFFSET).unwrap_or(ROOT))
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
    node.set_state(USED);
    if !INDEX.insert(held, id, hash_of) {
        return None;
    }
    if id == NODES.len() {
        NODES.set_len(held, id + 1);
    }
    budget::add(budget::path_bytes());
    Some(id)
}

impl Node {
    /// [`USED`], [`IDLE`] or [`FREE`].
    #[inline(always)]
    pub(crate) fn state(&self) -> u32 {
        self.life.load(Ordering::Relaxed) & ((1 << STATE_BITS) - 1)
    }

    /// Increases each time the id is used for another path.
    pub(crate) fn reuse_count(&self) -> u32 {
        self.life.load(Ordering::Acquire) >> STATE_BITS
    }

    /// For somebody who holds the lock.
    fn set_state(&self, state: u32) {
        let reuse_count = self.life.load(Ordering::Relaxed) >> STATE_BITS;
        self.life
            .store((reuse_count << STATE_BITS) | state, Ordering::Release);
    }

    #[inline(always)]
    fn is(&self, parent: u32, code: u32, offset: u32) -> bool {
        self.parent.load(Ordering::Relaxed) == parent
            && self.code.load(Ordering::Relaxed) == code
            && self.offset.load(Ordering::Relaxed) == offset
    }
}

#[inline(always)]
fn tag_of(code: u32, offset: u32) -> u8 {
    let word = (u64::from(code) << 32) | u64::from(offset);
    ((word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8) | 1
}

/// A word with its lowest bit in each of the bytes of [`Node::tags`] that are tags.
const EACH_TAG: u64 = 0x0001_0101_0101_0101;

/// As [`child`], for somebody under the GIL: remembers, and finds again, what follows on each path.
#[inline(always)]
pub(crate) fn child_alone(parent: u32, code: u32, offset: u32) -> u32 {
    let node = NODES.get(parent);
    let tag = tag_of(code, offset);
    let differing = node.tags.load(Ordering::Relaxed) ^ (EACH_TAG * u64::from(tag));
    // The highest bit of each byte that is zero, and perhaps of one that follows such a byte.
    let mut alike = differing.wrapping_sub(EACH_TAG) & !differing & (EACH_TAG << 7);
    while alike != 0 {
        let id = node.callees[alike.trailing_zeros() as usize / 8].load(Ordering::Relaxed);
        let callee = NODES.get(id);
        if callee.is(parent, code, offset) && callee.state() == USED {
            return id;
        }
        alike &= alike - 1;
    }
    child_to_remember(node, parent, code, offset)
}

#[inline(never)]
fn child_to_remember(node: &Node, parent: u32, code: u32, offset: u32) -> u32 {
    let id = child(parent, code, offset);
    if is_cut(id) {
        return id;
    }
    let tags = node.tags.load(Ordering::Relaxed);
    let free = (0..CALLEES).find(|place| (tags >> (8 * place)) as u8 == 0);
    let turn = (tags >> (8 * CALLEES)) as usize;
    let (place, turn) = match free {
        Some(place) => (place, turn),
        None => (turn % CALLEES, (turn + 1) % CALLEES),
    };
    let kept = tags & !((0xff << (8 * place)) | (0xff << (8 * CALLEES)));
    node.callees[place].store(id, Ordering::Relaxed);
    node.tags.store(
        kept | (u64::from(tag_of(code, offset)) << (8 * place)) | ((turn as u64) << (8 * CALLEES)),
        Ordering::Relaxed,
    );
    id
}

/// Sets the state of node `id` to [`USED`] or [`IDLE`].
pub(crate) fn set_state(_held: &mut Held, id: u32, state: u32) {
    NODES.get(id).set_state(state);
}

/// Sets node `id` free, which has no children; its sites are given back already.
pub(crate) fn set_free(held: &mut Held, id: u32) {
    let node = NODES.get(id);
    for site in &node.sites {
        site.store(0, Ordering::Relaxed);
    }
    node.set_state(FREE);
    node.life.fetch_add(1 << STATE_BITS, Ordering::Relaxed);
    FREE_IDS.get(held).push(id);
}

/// Ids that wait to be used again.
pub(crate) fn free_count(held: &mut Held) -> u64 {
    FREE_IDS.get(held).len() as u64
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    (FREE_IDS.get(held).capacity() * size_of::<u32>()) as u64
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
