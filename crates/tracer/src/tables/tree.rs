//! The call-path tree: hash-consed (caller's path, code, instruction offset) → 32-bit id. Instruction offsets, never
//! lines: those are resolved when somebody reads.
//!
//! The first seven paths that lead on from one are listed in its node, the others are in a hash index. A new path so
//! touches its caller's node, which is in the processor's cache, and its own, which is next to the one made before it.

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
    /// Paths that lead on from here, and are found here and nowhere else, unless [`Self::tags`] says so: so a new path
    /// costs no look into the index, which is somewhere else for each. Changed by the holder of the lock.
    callees: [AtomicU32; CALLEES],
    /// In byte `n` a hash of the code and offset of callee `n`, never 0; 0 for none. In the highest byte one bit for
    /// each callee that is in the index as well, and [`MORE`].
    tags: AtomicU64,
}

/// As many as fill the cache line.
const CALLEES: usize = 7;
/// In [`Node::tags`]: there are callees that only the index has.
const MORE: u64 = 1 << 63;
/// The lowest of the bits in [`Node::tags`] that say which callees are in the index as well.
const INDEXED_SHIFT: usize = 8 * CALLEES;
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
    let node = NODES.get(parent);
    let tags = node.tags.load(Ordering::Acquire);
    node.callee(tags, parent, code, offset)
        .or_else(|| find_in_index(tags, parent, code, offset))
}

fn find_in_index(tags: u64, parent: u32, code: u32, offset: u32) -> Option<u32> {
    if tags & MORE == 0 {
        return None;
    }
    INDEX.find(hash(parent, code, offset), |id| {
        let node = NODES.get(id);
        node.is(parent, code, offset) && node.state() == USED
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
    node.tags.store(0, Ordering::Relaxed);
    node.set_state(USED);
    if !link(held, id) {
        return None;
    }
    if id == NODES.len() {
        NODES.set_len(held, id + 1);
    }
    budget::add(budget::path_bytes());
    Some(id)
}

/// Has the path `id` found from its caller on. False when there is no memory.
fn link(held: &mut Held, id: u32) -> bool {
    let parent = NODES.get(NODES.get(id).parent.load(Ordering::Relaxed));
    let tags = parent.tags.load(Ordering::Relaxed);
    if let Some(place) = (0..CALLEES).find(|place| (tags >> (8 * place)) as u8 == 0) {
        parent.set_callee(place, id, false);
        return true;
    }
    if !INDEX.insert(held, id, hash_of) {
        return false;
    }
    parent.tags.store(tags | MORE, Ordering::Release);
    remember(held, id);
    true
}

/// The path `id`, which is in the index, was used: it takes a place among the callees. Whoever had that place goes into
/// the index; an empty one still holds the number of a path that is not found any more.
fn remember(held: &mut Held, id: u32) {
    let parent = NODES.get(NODES.get(id).parent.load(Ordering::Relaxed));
    let place = id as usize % CALLEES;
    let tags = parent.tags.load(Ordering::Relaxed);
    let is_empty = (tags >> (8 * place)) as u8 == 0;
    let is_indexed = tags >> (INDEXED_SHIFT + place) & 1 != 0;
    let replaced = parent.callees[place].load(Ordering::Relaxed);
    if is_empty || is_indexed || INDEX.insert(held, replaced, hash_of) {
        parent.set_callee(place, id, true);
    }
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

    /// That of the callees which `code` at `offset` makes, if it is one; `parent` is this node. May miss one that is
    /// being put here: ask again under the lock before inserting.
    #[inline(always)]
    fn callee(&self, tags: u64, parent: u32, code: u32, offset: u32) -> Option<u32> {
        let differing = tags ^ (EACH_TAG * u64::from(tag_of(code, offset)));
        // The highest bit of each byte that is zero, and perhaps of one that follows such a byte.
        let mut alike = differing.wrapping_sub(EACH_TAG) & !differing & (EACH_TAG << 7);
        while alike != 0 {
            let id = self.callees[alike.trailing_zeros() as usize / 8].load(Ordering::Acquire);
            let callee = NODES.get(id);
            // An empty place can look alike, and has the root.
            if id != ROOT && callee.is(parent, code, offset) && callee.state() == USED {
                return Some(id);
            }
            alike &= alike - 1;
        }
        None
    }

    /// For somebody who holds the lock.
    fn set_callee(&self, place: usize, id: u32, is_indexed: bool) {
        let callee = NODES.get(id);
        let tag = tag_of(
            callee.code.load(Ordering::Relaxed),
            callee.offset.load(Ordering::Relaxed),
        );
        let kept = self.tags.load(Ordering::Relaxed)
            & !((0xff << (8 * place)) | (1 << (INDEXED_SHIFT + place)));
        self.callees[place].store(id, Ordering::Release);
        self.tags.store(
            kept | (u64::from(tag) << (8 * place))
                | (u64::from(is_indexed) << (INDEXED_SHIFT + place)),
            Ordering::Release,
        );
    }

    /// Takes `id` out of the callees, if it is among them. Is it in the index? For somebody who holds the lock.
    fn take_callee(&self, id: u32) -> bool {
        let tags = self.tags.load(Ordering::Relaxed);
        let Some(place) = self.place_of(tags, id) else {
            return true;
        };
        let of_place = (0xff << (8 * place)) | (1 << (INDEXED_SHIFT + place));
        self.tags.store(tags & !of_place, Ordering::Release);
        tags >> (INDEXED_SHIFT + place) & 1 != 0
    }

    /// Is `id` among the callees?
    fn has_callee(&self, id: u32) -> bool {
        self.place_of(self.tags.load(Ordering::Relaxed), id)
            .is_some()
    }

    /// Where `id` is among the callees.
    fn place_of(&self, tags: u64, id: u32) -> Option<usize> {
        (0..CALLEES).find(|&place| {
            (tags >> (8 * place)) as u8 != 0 && self.callees[place].load(Ordering::Relaxed) == id
        })
    }
}

#[inline(always)]
fn tag_of(code: u32, offset: u32) -> u8 {
    let word = (u64::from(code) << 32) | u64::from(offset);
    ((word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8) | 1
}

/// A word with its lowest bit in each of the bytes of [`Node::tags`] that are tags.
const EACH_TAG: u64 = 0x0001_0101_0101_0101;

/// As [`child`], for the hot path.
#[inline(always)]
pub(crate) fn child_alone(parent: u32, code: u32, offset: u32) -> u32 {
    let node = NODES.get(parent);
    let tags = node.tags.load(Ordering::Acquire);
    match node.callee(tags, parent, code, offset) {
        Some(id) => id,
        None => child_not_near(parent, code, offset),
    }
}

#[inline(never)]
fn child_not_near(parent: u32, code: u32, offset: u32) -> u32 {
    let tags = NODES.get(parent).tags.load(Ordering::Acquire);
    let Some(id) = find_in_index(tags, parent, code, offset) else {
        return insert(parent, code, offset);
    };
    let mut held = lock::hold();
    // It may have been given back, or put near, in the meantime.
    if find(parent, code, offset) == Some(id) && !NODES.get(parent).has_callee(id) {
        remember(&mut held, id);
    }
    id
}

/// Has the paths `ids` found no more.
pub(crate) fn set_idle(held: &mut Held, ids: &[u32]) {
    let mut has_indexed = false;
    for &id in ids {
        let node = NODES.get(id);
        node.set_state(IDLE);
        let parent = NODES.get(node.parent.load(Ordering::Relaxed));
        if parent.take_callee(id) {
            parent.tags.fetch_and(!MORE, Ordering::Release);
            has_indexed = true;
        }
    }
    if has_indexed {
        reindex(held);
    }
}

/// Has the path `id` found again that was idle.
pub(crate) fn set_used(held: &mut Held, id: u32) {
    NODES.get(id).set_state(USED);
    // Without memory for that it is made anew when it is used, and the two are added up.
    link(held, id);
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

/// Builds the index anew, without the paths in it that are not in use any more. Whoever looks for one of the others
/// meanwhile does not find it there, and asks again under the lock.
fn reindex(held: &mut Held) {
    let mut indexed = INDEX.ids();
    indexed.retain(|&id| NODES.get(id).state() == USED);
    for &id in &indexed {
        let parent = NODES.get(NODES.get(id).parent.load(Ordering::Relaxed));
        parent.tags.fetch_or(MORE, Ordering::Release);
    }
    INDEX.rebuild(held, &indexed, hash_of);
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model_tests::TURN;

    #[derive(Clone, Debug)]
    enum Ask {
        /// For the path that leads on from one of those made so far.
        Child {
            from: usize,
            code: u32,
            is_alone: bool,
        },
        /// Has one of those that nothing leads on from be found no more.
        Idle { path: usize },
        /// Has one that is idle be found again.
        Use { path: usize },
    }

    fn ask() -> impl Strategy<Value = Ask> {
        prop_oneof![
            // Few callers with many callees: more than a node has room for.
            8 => (0..4_usize, 0..30_u32, any::<bool>())
                .prop_map(|(from, code, is_alone)| Ask::Child { from, code, is_alone }),
            4 => (any::<usize>(), 0..30_u32, any::<bool>())
                .prop_map(|(from, code, is_alone)| Ask::Child { from, code, is_alone }),
            1 => any::<usize>().prop_map(|path| Ask::Idle { path }),
            1 => any::<usize>().prop_map(|path| Ask::Use { path }),
        ]
    }

    fn run(asked: &[Ask]) -> Result<(), TestCaseError> {
        let _turn = TURN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        {
            let mut held = lock::hold();
            reset(&mut held);
            prop_assert!(init(&mut held));
        }
        let mut used: HashMap<(u32, u32), u32> = HashMap::new();
        let mut made = vec![ROOT];
        for ask in asked {
            match *ask {
                Ask::Child {
                    from,
                    code,
                    is_alone,
                } => {
                    let parent = made[from % made.len()];
                    let id = if is_alone {
                        child_alone(parent, code, 2 * code)
                    } else {
                        child(parent, code, 2 * code)
                    };
                    match used.get(&(parent, code)) {
                        Some(&known) => prop_assert_eq!(id, known),
                        None => {
                            prop_assert!(!made.contains(&id), "{} stands for another path", id);
                            used.insert((parent, code), id);
                            made.push(id);
                        }
                    }
                }
                Ask::Idle { path } => {
                    let id = made[path % made.len()];
                    let leads_on = made.iter().any(|&other| {
                        other != ROOT && node(other).parent.load(Ordering::Relaxed) == id
                    });
                    if id == ROOT || leads_on {
                        continue;
                    }
                    let mut held = lock::hold();
                    set_idle(&mut held, &[id]);
                    used.retain(|_, known| *known != id);
                }
                Ask::Use { path } => {
                    let id = made[path % made.len()];
                    let at = node(id);
                    let key = (
                        at.parent.load(Ordering::Relaxed),
                        at.code.load(Ordering::Relaxed),
                    );
                    if at.state() == IDLE && !used.contains_key(&key) {
                        let mut held = lock::hold();
                        set_used(&mut held, id);
                        used.insert(key, id);
                    }
                }
            }
        }
        for (&(parent, code), &id) in &used {
            prop_assert_eq!(child(parent, code, 2 * code), id);
        }
        Ok(())
    }

    #[test]
    fn a_path_that_takes_the_place_of_an_idle_one_does_not_have_it_found_again() {
        let callees = 2 * CALLEES as u32;
        let all: Vec<Ask> = (0..callees)
            .map(|code| Ask::Child {
                from: 0,
                code,
                is_alone: false,
            })
            .collect();
        for idle in 1..=callees as usize {
            let mut asked = all.clone();
            asked.push(Ask::Idle { path: idle });
            // Those that only the index has come near, one of them into the empty place.
            asked.extend(
                (0..callees)
                    .filter(|code| *code != idle as u32 - 1)
                    .map(|code| Ask::Child {
                        from: 0,
                        code,
                        is_alone: true,
                    }),
            );
            asked.push(Ask::Child {
                from: 0,
                code: idle as u32 - 1,
                is_alone: false,
            });
            run(&asked).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    proptest! {
        #[test]
        fn a_path_has_one_number_however_many_lead_on_from_its_caller(
            asked in prop::collection::vec(ask(), 0..300),
        ) {
            run(&asked)?;
        }
    }
}
