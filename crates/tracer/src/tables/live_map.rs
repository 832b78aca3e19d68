//! Address → (site, size) of every live block: a two-level page table with 4 bytes for every 16 bytes of address space
//! touched.
//!
//! An entry belongs to whoever owns the block at its address, so loads and stores need no lock: it is written after the
//! allocator returned the block and cleared before the allocator gets it back.
//!
//! ```text
//! entry = site id (26 bits) | size code (6 bits)          0 = nothing known at this address
//! size code  0..=16  the size itself
//!           17..=60  24 + 8 · (code − 17)
//!               61   no entry, but the size of the block that the entry before it tells of (26 bits)
//!               62   the size is in the next entry (the block is longer than 16 bytes, so that entry is its own)
//!               63   look in the side table: huge block
//! ```
//!
//! Every word says by itself what it is: where the end of a block was not seen (another tool's hooks had taken the
//! place of ours), another block may begin anywhere on what is left of it.
//!
//! Addresses that are not 16-aligned or have more bits ([`ADDRESS_BITS`]), and tagged ones, always live in the side
//! table ([`crate::tables::side_table`]).

use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::memory::lock::{self, Guarded, Held};
use crate::memory::mapping::{self, Populated};
use crate::tables::{side_table, sites, totals};

/// log2 of the bytes that one entry stands for.
const GRANULE_SHIFT: u32 = 4;
/// log2 of the bytes that one second-level table covers: 64 MiB, 16 MiB of entries, resident only where used.
const LEAF_SHIFT: u32 = 26;
const LEAF_ENTRIES: usize = 1 << (LEAF_SHIFT - GRANULE_SHIFT);
/// User space of the processor: aarch64 has one bit more than x86-64 with four-level page tables.
const ADDRESS_BITS: u32 = if cfg!(target_arch = "aarch64") {
    48
} else {
    47
};
const TOP_ENTRIES: usize = 1 << (ADDRESS_BITS - LEAF_SHIFT);

const SIZE_BITS: u32 = 6;
const SIZE_MASK: u32 = (1 << SIZE_BITS) - 1;
const IS_SIZE: u32 = 61;
const SIZE_IN_NEXT: u32 = 62;
const SIZE_ASIDE: u32 = 63;
const MAX_INLINE_SIZE: usize = 24 + 8 * 43;
/// A larger block is kept aside.
const MAX_SIZE: usize = (1 << (32 - SIZE_BITS)) - 1;

/// Highest site id that fits an entry.
pub(crate) const MAX_SITE: u32 = (1 << (32 - SIZE_BITS)) - 1;

/// What is known of a live block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) site: u32,
    pub(crate) size: usize,
}

impl Block {
    /// No site has the number 0.
    pub(crate) const NOTHING: Self = Self { site: 0, size: 0 };

    /// Stands for no block.
    #[inline(always)]
    pub(crate) fn is_nothing(self) -> bool {
        self.site == 0
    }
}

type Leaf = AtomicU32;

/// First level; 16 MiB of address space (32 on aarch64) in `.bss`, of which a handful of pages is ever touched.
static TOP: [AtomicPtr<Leaf>; TOP_ENTRIES] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; TOP_ENTRIES];

/// Which entries of [`TOP`] have a leaf: looking at all two million would touch all their pages.
static LEAVES: Guarded<Vec<u32>> = Guarded::new(Vec::new());

/// The leaves, each with the address of the first byte that it covers, in address order.
fn leaves(held: &mut Held) -> Vec<(usize, *mut Leaf)> {
    let indexes = LEAVES.get(held);
    indexes.sort_unstable();
    indexes
        .iter()
        .map(|&index| {
            let leaf = TOP[index as usize].load(Ordering::Acquire);
            ((index as usize) << LEAF_SHIFT, leaf)
        })
        .collect()
}

/// Is anything known of the block at `address`, which must be the caller's?
#[inline(always)]
pub(crate) fn is_known(address: usize) -> bool {
    if in_map(address) {
        entry(address).is_some_and(|slot| slot.load(Ordering::Relaxed) != 0)
    } else {
        side_table::get(&mut lock::hold(), address).is_some()
    }
}

#[inline(always)]
fn in_map(address: usize) -> bool {
    address & 15 == 0 && address >> ADDRESS_BITS == 0
}

/// The entry for a 16-aligned address below 2^47, if its leaf exists.
#[inline(always)]
fn entry(address: usize) -> Option<&'static AtomicU32> {
    let leaf = TOP[(address >> LEAF_SHIFT) & (TOP_ENTRIES - 1)].load(Ordering::Relaxed);
    if leaf.is_null() {
        return None;
    }
    // SAFETY: a non-null leaf has LEAF_ENTRIES entries and is never unmapped; the index is below that.
    Some(unsafe { &*leaf.add((address >> GRANULE_SHIFT) & (LEAF_ENTRIES - 1)) })
}

/// The same, made if necessary; `None` when the kernel has no memory for it.
#[inline(always)]
fn entry_or_map(address: usize) -> Option<&'static AtomicU32> {
    entry(address).or_else(|| map_leaf(address))
}

#[cold]
#[inline(never)]
fn map_leaf(address: usize) -> Option<&'static AtomicU32> {
    map_leaf_held(&mut lock::hold(), address)
}

fn map_leaf_held(held: &mut Held, address: usize) -> Option<&'static AtomicU32> {
    let index = (address >> LEAF_SHIFT) & (TOP_ENTRIES - 1);
    let slot = &TOP[index];
    if slot.load(Ordering::Relaxed).is_null() {
        // One entry more than the leaf covers: the size of a block that starts in the last one goes behind it.
        let leaf = mapping::map(held, (LEAF_ENTRIES + 1) * size_of::<Leaf>())?;
        slot.store(leaf.cast(), Ordering::Release);
        LEAVES.get(held).push(index as u32);
    }
    entry(address)
}

/// Second word of a block: the entry after its own.
///
/// # Safety
/// `entry` came from [`entry`] for the same leaf, which has one entry more than it covers.
#[inline(always)]
unsafe fn next(entry: &AtomicU32) -> &AtomicU32 {
    // SAFETY: promised by the caller.
    unsafe { &*std::ptr::from_ref(entry).add(1) }
}

#[inline(always)]
fn size_code(size: usize) -> u32 {
    if size <= 16 {
        size as u32
    } else if size & 7 == 0 && size <= MAX_INLINE_SIZE {
        (size as u32 - 24) / 8 + 17
    } else {
        SIZE_IN_NEXT
    }
}

/// The word behind the entry of a block of so many bytes.
#[inline(always)]
fn size_word(size: usize) -> u32 {
    ((size as u32) << SIZE_BITS) | IS_SIZE
}

/// Records a block that the allocator has just returned. False when it could not be recorded: a loss to be counted.
#[inline(always)]
pub(crate) fn insert(address: usize, block: Block) -> bool {
    if in_map(address) && block.size <= MAX_SIZE && block.site <= MAX_SITE {
        let Some(slot) = entry_or_map(address) else {
            return false;
        };
        let code = size_code(block.size);
        if slot.load(Ordering::Relaxed) != 0 {
            return insert_over_stale(address, block);
        }
        if code == SIZE_IN_NEXT {
            // SAFETY: `slot` is an entry of a live leaf. Both words belong to this block, which is longer than 16
            // bytes.
            let next = unsafe { next(slot) };
            if next.load(Ordering::Relaxed) != 0 {
                return insert_over_stale(address, block);
            }
            next.store(size_word(block.size), Ordering::Relaxed);
        }
        slot.store((block.site << SIZE_BITS) | code, Ordering::Relaxed);
        true
    } else {
        insert_slowly(address, block)
    }
}

/// Something is known where the allocator has just made a block: its end was not seen, as while another tool's hooks
/// had taken the place of ours. It has ended by now, and that it is told so late is a loss.
#[cold]
#[inline(never)]
fn insert_over_stale(address: usize, block: Block) -> bool {
    end_stale(address);
    if block.size > 1 << GRANULE_SHIFT {
        end_stale(address + (1 << GRANULE_SHIFT));
    }
    insert(address, block)
}

/// Ends the block of which something is still known at `address`; afterwards nothing is.
#[cold]
#[inline(never)]
fn end_stale(address: usize) {
    let granule = 1 << GRANULE_SHIFT;
    let Some(slot) = entry(address) else { return };
    let first = match slot.load(Ordering::Relaxed) & SIZE_MASK {
        IS_SIZE => address - granule,
        _ => address,
    };
    let is_whole = first == address
        || entry(first)
            .is_some_and(|slot| slot.load(Ordering::Relaxed) & SIZE_MASK == SIZE_IN_NEXT);
    if is_whole && let Some(ended) = remove(first) {
        sites::freed(ended.site, first, ended.size as u64, 1);
        totals::count_loss();
    }
    slot.store(0, Ordering::Relaxed);
}

#[cold]
#[inline(never)]
fn insert_slowly(address: usize, block: Block) -> bool {
    if in_map(address) {
        let Some(slot) = entry_or_map(address) else {
            return false;
        };
        if slot.load(Ordering::Relaxed) != 0 {
            end_stale(address);
        }
        slot.store(SIZE_ASIDE, Ordering::Relaxed);
    }
    side_table::insert(&mut lock::hold(), address, block);
    true
}

/// Forgets the block at `address`, which its owner is about to give back, and returns what was known of it.
#[inline(always)]
pub(crate) fn remove(address: usize) -> Option<Block> {
    let block = take(address);
    (!block.is_nothing()).then_some(block)
}

/// The same; [`Block::NOTHING`] when nothing was known. Not an `Option`: that would go through memory on the hot path.
#[inline(always)]
pub(crate) fn take(address: usize) -> Block {
    if !in_map(address) {
        return take_slowly(address);
    }
    let Some(slot) = entry(address) else {
        return Block::NOTHING;
    };
    let word = slot.load(Ordering::Relaxed);
    if word == 0 {
        return Block::NOTHING;
    }
    slot.store(0, Ordering::Relaxed);
    let code = word & SIZE_MASK;
    let size = match code {
        0..=16 => code as usize,
        17..=60 => (24 + 8 * (code - 17)) as usize,
        // Cleared as well: it may become the first entry of a block that is not traced.
        SIZE_IN_NEXT => {
            // SAFETY: `slot` is an entry of a live leaf, and both words belong to the block.
            let next = unsafe { next(slot) };
            let size = next.load(Ordering::Relaxed) >> SIZE_BITS;
            next.store(0, Ordering::Relaxed);
            size as usize
        }
        IS_SIZE => {
            slot.store(word, Ordering::Relaxed);
            end_stale(address);
            return Block::NOTHING;
        }
        _ => return take_slowly(address),
    };
    Block {
        site: word >> SIZE_BITS,
        size,
    }
}

#[cold]
#[inline(never)]
fn take_slowly(address: usize) -> Block {
    side_table::remove(&mut lock::hold(), address).unwrap_or(Block::NOTHING)
}

/// What is known of the block at `address`.
pub(crate) fn get(address: usize) -> Option<Block> {
    let mut held = lock::hold();
    if !in_map(address) {
        return side_table::get(&mut held, address);
    }
    decode(&mut held, address, entry(address)?)
}

/// The same without the lock, for the owner of the block. Blocks aside are not looked at: `None` for them.
#[inline(always)]
pub(crate) fn peek(address: usize) -> Option<Block> {
    if !in_map(address) {
        return None;
    }
    let slot = entry(address)?;
    let word = slot.load(Ordering::Relaxed);
    if word == 0 || matches!(word & SIZE_MASK, IS_SIZE | SIZE_ASIDE) {
        return None;
    }
    // SAFETY: `slot` is an entry of a live leaf.
    let next = unsafe { next(slot) }.load(Ordering::Relaxed);
    Some(Block {
        site: word >> SIZE_BITS,
        size: decode_size(word & SIZE_MASK, next),
    })
}

fn decode(held: &mut Held, address: usize, slot: &AtomicU32) -> Option<Block> {
    let word = slot.load(Ordering::Relaxed);
    match word & SIZE_MASK {
        _ if word == 0 => None,
        IS_SIZE => None,
        SIZE_ASIDE => side_table::get(held, address),
        code => {
            // SAFETY: `slot` is an entry of a live leaf.
            let next = unsafe { next(slot) }.load(Ordering::Relaxed);
            Some(Block {
                site: word >> SIZE_BITS,
                size: decode_size(code, next),
            })
        }
    }
}

/// The size that `code` (not [`IS_SIZE`] or [`SIZE_ASIDE`]) stands for; `next` is the following entry.
#[inline(always)]
fn decode_size(code: u32, next: u32) -> usize {
    match code {
        0..=16 => code as usize,
        17..=60 => (24 + 8 * (code - 17)) as usize,
        _ => (next >> SIZE_BITS) as usize,
    }
}

/// Gives back the part of the map that covers only `[start, start + length)`, a range of addresses that the caller owns
/// and that holds no live block (a freed arena).
pub(crate) fn release_range(start: usize, length: usize) {
    if (start + length) >> ADDRESS_BITS != 0 {
        return;
    }
    let mut at = start;
    while at < start + length {
        let leaf_end = ((at >> LEAF_SHIFT) + 1) << LEAF_SHIFT;
        let end = leaf_end.min(start + length);
        if let Some(slot) = entry(at & !15) {
            let entries = (end - at) >> GRANULE_SHIFT;
            // SAFETY: the entries [at, end) lie in one leaf, and the caller owns all addresses they stand for.
            unsafe {
                mapping::discard(
                    std::ptr::from_ref(slot).cast_mut().cast(),
                    entries * size_of::<Leaf>(),
                );
            }
        }
        at = end;
    }
}

/// Forgets every block and gives all memory back.
pub(crate) fn clear() {
    let mut held = lock::hold();
    for (_, leaf) in leaves(&mut held) {
        // SAFETY: a whole leaf; zero entries mean "nothing known".
        unsafe { mapping::discard(leaf.cast(), (LEAF_ENTRIES + 1) * size_of::<Leaf>()) };
    }
    side_table::clear(&mut held);
}

/// Calls `visit(address, block)` for every known block, in address order but for those aside, which come last.
///
/// Blocks that other threads allocate or free meanwhile may or may not be among them.
pub(crate) fn for_each(mut visit: impl FnMut(usize, Block)) {
    for_each_entry(|address, slot, word| {
        let block = decode_entry(slot, word);
        visit(address, block);
    });
    for (address, block) in side_table::all(&mut lock::hold()) {
        visit(address, block);
    }
}

/// Calls `visit(block, count)` so that every known block is counted, without addresses: equal neighbours come together.
pub(crate) fn for_each_run(mut visit: impl FnMut(Block, u64)) {
    let mut last_word = 0;
    let mut last = Block { site: 0, size: 0 };
    let mut count = 0;
    for_each_entry(|_, slot, word| {
        // Equal entries are equal blocks, unless the size is elsewhere.
        if word == last_word && word & SIZE_MASK != SIZE_IN_NEXT {
            count += 1;
        } else {
            let block = decode_entry(slot, word);
            if block != last {
                if count > 0 {
                    visit(last, count);
                }
                last = block;
                count = 0;
            }
            count += 1;
            last_word = word;
        }
    });
    if count > 0 {
        visit(last, count);
    }
    for (_, block) in side_table::all(&mut lock::hold()) {
        visit(block, 1);
    }
}

/// What the entry `word` in `slot` says, which is not aside.
#[inline(always)]
fn decode_entry(slot: &AtomicU32, word: u32) -> Block {
    // SAFETY: `slot` is an entry of a live leaf.
    let next = unsafe { next(slot) }.load(Ordering::Relaxed);
    Block {
        site: word >> SIZE_BITS,
        size: decode_size(word & SIZE_MASK, next),
    }
}

/// Calls `visit(address, entry, word)` for every entry that tells of a block itself.
fn for_each_entry(mut visit: impl FnMut(usize, &AtomicU32, u32)) {
    let mut populated = Populated::new();
    let leaves = leaves(&mut lock::hold());
    for (base, leaf) in leaves {
        for_each_in_leaf(leaf, base, &mut populated, &mut visit);
    }
}

fn for_each_in_leaf(
    leaf: *mut Leaf,
    base: usize,
    populated: &mut Populated,
    visit: &mut impl FnMut(usize, &AtomicU32, u32),
) {
    // Reading untouched pages would map them.
    let populated = populated.pages(leaf.cast(), LEAF_ENTRIES * size_of::<Leaf>());
    let entries_a_page = mapping::page_size() / size_of::<Leaf>();
    for (page, _) in populated.enumerate().filter(|&(_, holds)| holds) {
        for index in page * entries_a_page..(page + 1) * entries_a_page {
            // SAFETY: index < LEAF_ENTRIES, the leaf has one more.
            let slot = unsafe { &*leaf.add(index) };
            let word = slot.load(Ordering::Relaxed);
            // What is aside is told by the side table itself.
            if word != 0 && !matches!(word & SIZE_MASK, IS_SIZE | SIZE_ASIDE) {
                visit(base + (index << GRANULE_SHIFT), slot, word);
            }
        }
    }
}
