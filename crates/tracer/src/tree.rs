//! The call-path tree: hash-consed (caller's path, code, instruction offset) → 32-bit id. Instruction offsets, never lines:
//! those are resolved when somebody reads.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::chunked::{Chunked, Zeroed};
use crate::id_table::{IdTable, hash2};
use crate::lock::{self, Held};

/// The empty call path.
pub(crate) const ROOT: u32 = 0;

/// Value of [`Node::offset`] for elements that are not Python frames (threads, folded paths).
pub(crate) const NO_OFFSET: u32 = u32::MAX;

/// One call path: the frame that it ends in, below its caller's path.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Node {
    pub(crate) parent: AtomicU32,
    /// Id of the code's identity ([`crate::codes`]).
    pub(crate) code: AtomicU32,
    /// Byte offset of the instruction.
    pub(crate) offset: AtomicU32,
    /// The sites of the raw, mem and obj domain on this path; 0 where nothing was allocated yet.
    pub(crate) sites: [AtomicU32; 3],
    /// Increases each time the slot is used for another path.
    pub(crate) born: AtomicU32,
    pub(crate) reserved: AtomicU32,
}

// SAFETY: all fields are atomic integers, valid when zero.
unsafe impl Zeroed for Node {}

static NODES: Chunked<Node> = Chunked::new();
static INDEX: IdTable = IdTable::new();

fn hash(parent: u32, code: u32, offset: u32) -> u64 {
    hash2((u64::from(parent) << 32) | u64::from(code), u64::from(offset))
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
    let id = NODES.len();
    if !NODES.ensure(&mut held, id) {
        crate::totals::count_loss();
        return parent;
    }
    let node = NODES.get(id);
    node.parent.store(parent, Ordering::Relaxed);
    node.code.store(code, Ordering::Relaxed);
    node.offset.store(offset, Ordering::Relaxed);
    if !INDEX.insert(&mut held, id, hash_of) {
        crate::totals::count_loss();
        return parent;
    }
    NODES.set_len(&mut held, id + 1);
    id
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
}
